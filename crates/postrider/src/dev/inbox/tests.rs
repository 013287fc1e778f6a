use postrider_signature::{Content, NumberPolicy, envelope, json, sign};
use tower::Service as _;

use super::*;

const NOW_MS: i64 = 1_753_678_680_999;
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AUTOMA: &str = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef";
const AUTONOMA: &str = "your-webhook-secret";

/// An inbox with a webhook of each built-in profile at `/dev/inbox`, and none elsewhere.
fn inbox() -> Router {
    let candidates = |path: &str| {
        let all = [
            ("wh_standard", SigningProfile::standard(), STANDARD),
            ("wh_automa", SigningProfile::automa(), AUTOMA),
            ("wh_autonoma", SigningProfile::autonoma(), AUTONOMA),
        ];
        let candidate = |(id, profile, secret): &(&str, SigningProfile, &str)| {
            Candidate::new((*id).to_owned(), profile, secret).unwrap()
        };
        if path == "/dev/inbox" { all.iter().map(candidate).collect() } else { Vec::new() }
    };
    router(Inbox::new(candidates, || NOW_MS))
}

/// A delivery as the server would make it at `made_at_ms`.
fn delivery(profile: &SigningProfile, secret: &str, made_at_ms: i64) -> Request<Body> {
    let secret = Secret::parse(secret, &profile.secret_format).unwrap();
    let data = json::minify(br#"{"note":"<script>alert(1)</script>"}"#).unwrap();
    let (id, form) = ("evt_1", profile.body_form);
    let body =
        envelope(id, "code.generated", made_at_ms, &data, form, NumberPolicy::Refuse).unwrap();
    let content = Content {
        id,
        event_time_ms: made_at_ms,
        now_ms: made_at_ms,
        body: &body,
        server_host: Some("http://127.0.0.1:1"),
    };
    let mut request = Request::post("/dev/inbox");
    for (name, value) in sign(profile, &secret, &[], &content) {
        request = request.header(name, value);
    }
    request.body(Body::from(body)).unwrap()
}

async fn answer(router: &mut Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.call(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn shown(query: &str) -> http::request::Builder {
    Request::get(format!("/dev/inbox{query}")).header(HOST, "127.0.0.1:8080")
}

async fn arrivals(router: &mut Router, query: &str) -> Vec<Value> {
    let (status, text) = answer(router, shown(query).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let value: Value = serde_json::from_str(&text).unwrap();
    value["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn deliveries_of_every_profile_are_verified() {
    for (profile, secret) in [
        (SigningProfile::standard(), STANDARD),
        (SigningProfile::automa(), AUTOMA),
        (SigningProfile::autonoma(), AUTONOMA),
    ] {
        let mut inbox = inbox();
        let (status, text) = answer(&mut inbox, delivery(&profile, secret, NOW_MS)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let [arrival] = &arrivals(&mut inbox, "").await[..] else { panic!("one arrival") };
        assert_eq!(arrival["verified"], true);
        assert_eq!(arrival["profile"], *profile.name);
        assert_eq!(arrival["webhook_id"], format!("wh_{}", profile.name));
        assert_eq!((&arrival["id"], &arrival["type"]), (&"evt_1".into(), &"code.generated".into()));
    }
}

#[tokio::test]
async fn what_is_not_verified_is_kept_with_its_reason() {
    let standard = SigningProfile::standard();
    let other_secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let mut elsewhere = delivery(&standard, STANDARD, NOW_MS);
    *elsewhere.uri_mut() = "/dev/inbox/elsewhere".parse().unwrap();
    let (mut tampered, _) = delivery(&standard, STANDARD, NOW_MS).into_parts();
    tampered.uri = "/dev/inbox".parse().unwrap();
    for (request, reason) in [
        (delivery(&standard, other_secret, NOW_MS), "no signature matches"),
        (delivery(&standard, STANDARD, NOW_MS - 301_000), "signed 301 s ago"),
        (Request::from_parts(tampered, Body::from("{}")), "no signature matches"),
        (
            Request::post("/dev/inbox").body(Body::from("x")).unwrap(),
            "the header `webhook-signature` is missing",
        ),
        (elsewhere, "no webhook has this address"),
    ] {
        let mut inbox = inbox();
        let (status, _) = answer(&mut inbox, request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let arrival = &arrivals(&mut inbox, "").await[0];
        assert_eq!(arrival["verified"], false);
        let found = arrival["reason"].as_str().unwrap();
        assert!(found.starts_with(reason), "{found}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_first_arrival_or_the_time() {
    let mut receiving = inbox();
    let mut showing = receiving.clone();
    let standard = SigningProfile::standard();
    let (found, _) = tokio::join!(arrivals(&mut showing, "?wait=10"), async {
        tokio::task::yield_now().await;
        answer(&mut receiving, delivery(&standard, STANDARD, NOW_MS)).await
    });
    assert_eq!(found.len(), 1);
    let began = tokio::time::Instant::now();
    assert!(arrivals(&mut showing, "?after=1&wait=99").await.is_empty());
    assert_eq!(began.elapsed().as_secs(), WAIT_SECONDS_MAX);
}

#[tokio::test]
async fn the_last_arrivals_are_kept_newest_first() {
    let mut inbox = inbox();
    for _ in 0..=ARRIVALS_MAX {
        answer(&mut inbox, Request::post("/dev/inbox").body(Body::empty()).unwrap()).await;
    }
    let kept = arrivals(&mut inbox, "").await;
    assert_eq!(kept.len(), ARRIVALS_MAX);
    let number = |arrival: &Value| arrival["number"].as_u64().unwrap();
    assert_eq!((number(&kept[0]), number(&kept[ARRIVALS_MAX - 1])), (201, 2));
}

#[tokio::test]
async fn browsers_get_a_page_on_which_nothing_runs() {
    let mut inbox = inbox();
    answer(&mut inbox, delivery(&SigningProfile::standard(), STANDARD, NOW_MS)).await;
    let request = shown("").header(ACCEPT, "text/html,*/*").body(Body::empty()).unwrap();
    let response = inbox.call(request).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let html = String::from_utf8(body.to_vec()).unwrap();
    assert!(html.contains("verified (standard)") && html.contains("&lt;script&gt;alert(1)"));
    assert!(!html.contains("<script"));
}

#[tokio::test]
async fn pages_of_other_sites_cannot_read_it() {
    let mut inbox = inbox();
    for (host, expected) in [
        ("127.0.0.1:8080", StatusCode::OK),
        ("[::1]:8080", StatusCode::OK),
        ("localhost", StatusCode::OK),
        ("rebound.example.com", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.example.com", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let request = Request::get("/dev/inbox").header(HOST, host).body(Body::empty()).unwrap();
        assert_eq!(answer(&mut inbox, request).await.0, expected, "{host}");
    }
}
