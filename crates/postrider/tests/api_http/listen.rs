//! Listening: attempts come over the connection that asked for them, and what is said of them
//! becomes their result.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_signature::{Secret, SigningProfile, Tolerance, verify};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Connection, Server, bearer, request};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENT: &str = r#"{"type":"code.generated","data":{"ratio":1.50}}"#;

/// A stream of lines, and the path of its webhook.
struct Listener {
    connection: Connection,
    ready: Value,
    path: String,
}

impl Listener {
    async fn start(server: &Server) -> Self {
        let body = json!({"events": ["code.*"], "secret": SECRET}).to_string();
        let mut connection = server.connect().await;
        connection.send(&request("POST", "/v1/listen", &bearer(ADMIN_KEY), body.as_bytes())).await;
        let head = connection.reply().await.expect("an answer");
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        let ready = line(&mut connection).await.expect("a first line");
        assert_eq!(ready["kind"], "ready");
        let path = format!("/v1/webhooks/{}", ready["webhook"]["id"].as_str().unwrap());
        Self { connection, ready, path }
    }

    async fn line(&mut self) -> Value {
        line(&mut self.connection).await.expect("the stream goes on")
    }

    async fn answer(&self, server: &Server, answer: &Value) -> u16 {
        let id = self.ready["webhook"]["id"].as_str().unwrap();
        let path = format!("/v1/listen/{id}/answers");
        server.call("POST", &path, &answer.to_string()).await.status
    }

    /// The record of the webhook's last attempt, once there are so many.
    async fn attempt(&self, server: &Server, count: usize) -> Value {
        let path = format!("{}/attempts", self.path);
        for _ in 0..100_000 {
            let page = server.call("GET", &path, "").await.json();
            if page["data"].as_array().unwrap().len() == count {
                return page["data"][0].clone();
            }
        }
        panic!("there never were {count} attempts");
    }
}

async fn line(connection: &mut Connection) -> Option<Value> {
    let chunk = connection.chunk().await?;
    let end = chunk.iter().position(|byte| *byte == b'\n');
    assert_eq!(end, Some(chunk.len() - 1), "a line at a time");
    Some(serde_json::from_slice(&chunk).unwrap())
}

async fn publish(server: &Server) {
    let published = server.call("POST", "/v1/events", EVENT).await.json();
    assert_eq!(published["matched"], 1, "{published}");
}

async fn until_gone(server: &Server, path: &str) {
    for _ in 0..100_000 {
        if server.call("GET", path, "").await.status == 404 {
            return;
        }
    }
    panic!("{path} is still there");
}

#[tokio::test]
async fn an_attempt_comes_with_its_exact_bytes_and_ends_as_the_listener_says() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    let webhook = &listener.ready["webhook"];
    assert_eq!((&webhook["kind"], &webhook["url"]), (&json!("listener"), &json!("listener:")));
    assert_eq!(webhook["secret"], SECRET, "the one given, so that it is the same in every run");

    publish(&server).await;
    let attempt = listener.line().await;
    assert_eq!(attempt["kind"], "attempt");
    let body = STANDARD.decode(attempt["body_base64"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8_lossy(&body).ends_with(r#""data":{"ratio":1.50}}"#));
    let headers = attempt["headers"].as_array().unwrap();
    let header =
        |name: &str| headers.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str());
    assert_eq!(header("content-type"), Some("application/json"));
    let profile = SigningProfile::standard();
    let secret = Secret::parse(SECRET, &profile.secret_format).unwrap();
    let now = server.engine.now();
    verify(&profile, &[(&secret).into()], header, &body, now, Tolerance::default()).unwrap();

    let answer = json!({
        "attempt_id": attempt["attempt_id"], "status": 201,
        "headers": [["x-local", "yes"]], "body_base64": STANDARD.encode("made"),
    });
    assert_eq!(listener.answer(&server, &answer).await, 204);
    let record = listener.attempt(&server, 1).await;
    assert_eq!((&record["status"], &record["state"]), (&json!(201), &json!("succeeded")));
    assert_eq!(record["delivery_id"], attempt["delivery_id"]);
    assert!(record["response"].to_string().contains("x-local"), "{record}");
    assert!(record["response"].to_string().contains("made"), "{record}");
    assert_eq!(listener.answer(&server, &answer).await, 404, "an answer counts once");
}

#[tokio::test]
async fn what_came_to_no_answer_is_a_failure_with_its_reason() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    publish(&server).await;
    let attempt = listener.line().await;
    let answer = json!({"attempt_id": attempt["attempt_id"], "error": "port 3000 is closed"});
    assert_eq!(listener.answer(&server, &answer).await, 204);
    let record = listener.attempt(&server, 1).await;
    assert_eq!((&record["is_success"], &record["state"]), (&json!(false), &json!("pending")));
    assert!(record["error"].to_string().contains("port 3000 is closed"), "{record}");
}

#[tokio::test]
async fn an_attempt_that_nobody_answers_ends_at_its_deadline() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    let changed = server.call("PATCH", &listener.path, r#"{"timeout_ms":1000}"#).await;
    assert_eq!(changed.status, 200);
    publish(&server).await;
    let attempt = listener.line().await;
    let record = listener.attempt(&server, 1).await;
    assert!(record["error"].to_string().contains("timeout"), "{record}");
    let late = json!({"attempt_id": attempt["attempt_id"], "status": 200});
    assert_eq!(listener.answer(&server, &late).await, 404);
}

#[tokio::test]
async fn no_more_attempts_come_than_may_be_under_way() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    let changed = server.call("PATCH", &listener.path, r#"{"concurrency":1}"#).await;
    assert_eq!(changed.status, 200);
    for _ in 0..3 {
        publish(&server).await;
    }
    let mut seen = Vec::new();
    for count in 1..=3 {
        let attempt = listener.line().await;
        seen.push(attempt["delivery_id"].clone());
        // whatever comes before the answer is no attempt
        let answer = json!({"attempt_id": attempt["attempt_id"], "status": 204});
        assert_eq!(listener.answer(&server, &answer).await, 204);
        listener.attempt(&server, count).await;
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "each delivery once");
}

#[tokio::test]
async fn a_stream_without_attempts_lives_on_pings() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    while began.elapsed() < postrider::http::limits::IDLE_TIMEOUT * 3 {
        assert_eq!(listener.line().await, json!({"kind": "ping"}));
    }
    tokio::time::resume();
    publish(&server).await;
    assert_eq!(listener.line().await["kind"], "attempt");
}

#[tokio::test]
async fn a_listener_that_hangs_up_leaves_nothing() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    publish(&server).await;
    listener.line().await;
    let Listener { connection, path, .. } = listener;
    drop(connection);
    until_gone(&server, &path).await;
    for _ in 0..100_000 {
        if server.engine.store().counts().await.unwrap().deliveries_pending == 0 {
            return;
        }
        // a request lets the server go on
        server.call("GET", "/healthz", "").await;
    }
    panic!("its delivery is still pending");
}

#[tokio::test]
async fn a_stream_ends_when_its_webhook_is_deleted() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    assert_eq!(server.call("DELETE", &listener.path, "").await.status, 204);
    assert_eq!(line(&mut listener.connection).await, None);
}

#[tokio::test]
async fn a_stream_ends_and_says_why_when_its_webhook_is_disabled() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    let disabled = server.call("POST", &format!("{}/disable", listener.path), "").await;
    assert_eq!(disabled.status, 200);
    assert_eq!(listener.line().await, json!({"kind": "closed", "reason": "requested"}));
    assert_eq!(line(&mut listener.connection).await, None);
    until_gone(&server, &listener.path).await;

    let mut listener = Listener::start(&server).await;
    publish(&server).await;
    let attempt = listener.line().await;
    let gone = json!({"attempt_id": attempt["attempt_id"], "status": 410});
    assert_eq!(listener.answer(&server, &gone).await, 204);
    assert_eq!(listener.line().await, json!({"kind": "closed", "reason": "gone"}));
    assert_eq!(line(&mut listener.connection).await, None);
    until_gone(&server, &listener.path).await;
}

#[tokio::test]
async fn a_stopping_server_lets_its_listeners_go() {
    let mut server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    let id = postrider_core::id::Key::parse(listener.ready["webhook"]["id"].as_str().unwrap());
    let tenant = server.engine.tenant("default").unwrap().key;
    let engine = server.engine.clone();
    engine.stop_starting();
    server.stop();
    assert_eq!(line(&mut listener.connection).await, None);
    server.stopped().await;
    assert!(engine.webhook(tenant, id.unwrap()).is_none());
    let refused = engine.store().webhooks(None, 10).await.unwrap();
    assert_eq!(refused[0].state, postrider_core::webhook::WebhookState::Deleted);
}

#[tokio::test]
async fn a_listener_is_no_webhook_with_a_url() {
    let server = Server::start().await;
    let listener = Listener::start(&server).await;
    let change = r#"{"url":"https://example.com"}"#;
    let refused = server.call("PATCH", &listener.path, change).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/url".to_owned()]));
    for (body, code) in [
        (r#"{"url":"listener:","events":["*"]}"#, "url_not_allowed"),
        (r#"{"url":"https://a.example","events":["*"],"kind":"listener"}"#, "unknown_field"),
    ] {
        assert_eq!(server.call("POST", "/v1/webhooks", body).await.code(), code);
    }
    for bad in [r#"{"events":[]}"#, "{}", r#"{"events":["*"],"url":"https://a.example"}"#] {
        assert_eq!(server.call("POST", "/v1/listen", bad).await.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn an_answer_that_is_wrong_is_refused_with_its_places() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    publish(&server).await;
    let attempt = listener.line().await["attempt_id"].clone();
    let id = listener.ready["webhook"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/listen/{id}/answers");
    for (members, place) in [
        (json!({}), "/status"),
        (json!({"status": 200, "error": "e"}), "/status"),
        (json!({"status": 199}), "/status"),
        (json!({"status": 200, "headers": [["a b", "c"]]}), "/headers/0"),
        (json!({"status": 200, "headers": {"a": "b"}}), "/headers"),
        (json!({"status": 200, "headers": vec![["a", "b"]; 257]}), "/headers"),
        (json!({"status": 200, "body_base64": "é"}), "/body_base64"),
        (json!({"error": "e".repeat(1_025)}), "/error"),
    ] {
        let mut body = json!({ "attempt_id": attempt });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let reply = server.call("POST", &path, &body.to_string()).await;
        assert_eq!((reply.status, reply.pointers()), (422, vec![place.to_owned()]), "{body}");
    }
    let good = json!({"attempt_id": attempt, "status": 200}).to_string();
    let other = bearer(&server.key("other", "manage").await);
    let foreign = server.call_with("POST", &path, &other, good.as_bytes()).await;
    assert_eq!(foreign.code(), "not_found");
    assert_eq!(server.call("POST", &path, &good).await.status, 204, "it still waits");
}

#[tokio::test]
async fn a_header_that_is_sent_back_as_it_is_shown_keeps_its_value() {
    let server = Server::start().await;
    let mut listener = Listener::start(&server).await;
    let patch = async |headers: &str| {
        server.call("PATCH", &listener.path, &format!(r#"{{"headers":{headers}}}"#)).await
    };
    assert_eq!(patch(r#"{"X-Key":"hidden","x-old":"a"}"#).await.status, 200);
    assert_eq!(patch(r#"{"X-KEY":"***","x-new":"b"}"#).await.status, 200);
    let unknown = patch(r#"{"x-key":"***","X-Old":"***"}"#).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (422, "invalid_header"));
    assert_eq!(unknown.pointers(), ["/headers/X-Old"]);
    let body = r#"{"url":"https://a.example","events":["*"],"headers":{"x-key":"***"}}"#;
    let made = server.call("POST", "/v1/webhooks", body).await;
    assert_eq!((made.status, made.pointers()), (422, vec!["/headers/x-key".to_owned()]));

    publish(&server).await;
    let attempt = listener.line().await;
    let headers = attempt["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-key", "hidden"])), "{attempt}");
    assert!(headers.contains(&json!(["x-new", "b"])), "{attempt}");
    assert!(!headers.iter().any(|header| header[0] == "x-old"), "{attempt}");
}
