//! axum and tower: the body that reaches the verifier is the one that arrived; and what others'
//! packages sign, we accept, and the other way round.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use postrider_receiver::axum::Verified;
use postrider_receiver::inbox::memory::MemoryInbox;
use postrider_receiver::inbox::{Inbox, Lease, Scope};
use postrider_receiver::tower::VerifyLayer;
use postrider_receiver::{Envelope, Event, Profile, Verifier};
use tower::{Layer as _, Service as _, ServiceExt as _};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = "{\"id\":\"evt_1\",\"type\":\"code.generated\",\"timestamp\":\"2026-11-28T12:00:00.000Z\",\"data\":{\"files\":3}}";

fn verifier() -> Verifier {
    Verifier::new(Profile::standard()).with_secret(SECRET).unwrap()
}

fn now_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A delivery, signed by the package of Standard Webhooks.
fn delivery(body: &str) -> http::request::Builder {
    let now = now_seconds();
    let webhook = standardwebhooks::Webhook::new(SECRET).unwrap();
    Request::post("/")
        .header("webhook-id", "evt_1")
        .header("webhook-timestamp", now.to_string())
        .header("webhook-signature", webhook.sign("evt_1", now, body.as_bytes()).unwrap())
}

#[derive(serde::Deserialize)]
struct Generated {
    files: u32,
}

async fn handle(
    inbox: axum::Extension<Inbox>,
    Verified(event): Verified,
) -> postrider_receiver::inbox::Answer {
    let handled = inbox.handle(&event, async |event: &Event, _: &Lease| {
        let envelope: Envelope<Generated> = event.envelope()?;
        assert_eq!((envelope.event_type.as_str(), envelope.data.files), ("code.generated", 3));
        Ok::<_, postrider_receiver::NotAnEnvelope>(204)
    });
    handled.await.unwrap()
}

#[tokio::test]
async fn axum_verifies_before_the_handler_and_answers_for_the_inbox() {
    let inbox = Inbox::new(MemoryInbox::new(), Scope::new("test", "axum").unwrap());
    let mut app = Router::new()
        .route("/", post(handle))
        .layer(axum::Extension(inbox))
        .with_state(Arc::new(verifier()));
    let mut send = async |request: Request<Body>| app.call(request).await.unwrap();

    let good = || delivery(BODY).body(Body::from(BODY)).unwrap();
    assert_eq!(send(good()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(send(good()).await.status(), StatusCode::NO_CONTENT, "a repeat");
    let changed = delivery(BODY).body(Body::from(BODY.replace('3', "4"))).unwrap();
    assert_eq!(send(changed).await.status(), StatusCode::UNAUTHORIZED);
    let unsigned = Request::post("/").body(Body::from(BODY)).unwrap();
    let refused = send(unsigned).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let told = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(told, "the header webhook-signature is missing");
    let other = BODY.replace("code.generated", "code.merged");
    let other = delivery(&other).body(Body::from(other.clone())).unwrap();
    assert_eq!(send(other).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "same id, other body");
    let long = " ".repeat((2 << 20) + 1);
    let long = Request::post("/").body(Body::from(long)).unwrap();
    assert_eq!(send(long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn tower_hands_on_the_body_whole_and_the_event_beside_it() {
    let inner = tower::service_fn(async |request: Request<Full<Bytes>>| {
        assert_eq!(request.extensions().get::<Event>().unwrap().id, "evt_1");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, BODY);
        Ok::<_, std::convert::Infallible>(http::Response::new("handled".to_owned()))
    });
    let service = VerifyLayer::new(verifier()).layer(inner);
    let good = delivery(BODY).body(Full::new(Bytes::from(BODY))).unwrap();
    assert_eq!(service.clone().oneshot(good).await.unwrap().into_body(), "handled");
    let bad = delivery("other").body(Full::new(Bytes::from(BODY))).unwrap();
    assert_eq!(service.oneshot(bad).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn what_we_sign_the_package_of_standard_webhooks_accepts() {
    let profile = Profile::standard();
    let secret = postrider_signature::Secret::parse(SECRET, &profile.secret_format).unwrap();
    let now_ms = now_seconds() * 1_000;
    let content = postrider_signature::Content {
        id: "evt_1",
        event_time_ms: now_ms,
        now_ms,
        body: BODY.as_bytes(),
        server_host: None,
    };
    let mut headers = http::HeaderMap::new();
    for (name, value) in postrider_signature::sign(&profile, &secret, &[], &content) {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let webhook = standardwebhooks::Webhook::new(SECRET).unwrap();
    webhook.verify(BODY.as_bytes(), &headers).unwrap();
    assert!(webhook.verify(b"other", &headers).is_err());
}
