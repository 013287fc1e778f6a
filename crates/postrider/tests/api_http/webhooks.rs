//! Webhooks beyond creating and changing: lists by filter, notes, kinds of secrets, rotation,
//! enabling and disabling.

use serde_json::{Value, json};

use crate::support::{Reply, Server, bearer};

const ED25519: &str = r#"{"url":"https://example.com","events":["*"],"signing_key":"ed25519"}"#;

async fn create(server: &Server, body: &Value) -> Value {
    let reply = server.call("POST", "/v1/webhooks", &body.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

async fn path_of_a_new_one(server: &Server) -> String {
    let made = create(server, &json!({"url": "https://example.com", "events": ["*"]})).await;
    format!("/v1/webhooks/{}", made["id"].as_str().unwrap())
}

async fn post(server: &Server, path: &str, body: &str) -> Value {
    let reply = server.call("POST", path, body).await;
    assert_eq!(reply.status, 200, "{path} {reply:?}");
    reply.json()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, pointers: &[&str]) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.pointers(), pointers, "{reply:?}");
}

#[tokio::test]
async fn a_list_is_narrowed_by_state_event_type_and_url() {
    let server = Server::start().await;
    let mut urls = Vec::new();
    for (url, events, state) in [
        ("https://one.example/In", "code.*", "enabled"),
        ("https://two.example/in", "code.merged", "disabled"),
        ("https://three.example/out", "*", "enabled"),
    ] {
        let made = create(&server, &json!({"url": url, "events": [events]})).await;
        if state == "disabled" {
            let path = format!("/v1/webhooks/{}/disable", made["id"].as_str().unwrap());
            post(&server, &path, "").await;
        }
        urls.push(url);
    }
    let listed = async |query: &str| {
        let page = server.call("GET", &format!("/v1/webhooks?{query}"), "").await.json();
        let urls = page["data"].as_array().unwrap().iter();
        urls.map(|row| row["url"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("").await, urls);
    assert_eq!(listed("state=enabled").await, [urls[0], urls[2]]);
    assert_eq!(listed("state=disabled").await, [urls[1]]);
    assert_eq!(listed("event_type=code.merged").await, urls);
    assert_eq!(listed("event_type=code.generated").await, [urls[0], urls[2]]);
    assert_eq!(listed("url=/IN").await, [urls[0], urls[1]], "whatever the case");
    assert_eq!(listed("url=example&state=enabled&event_type=a.b").await, [urls[2]]);
    for bad in ["state=deleted", "event_type=a..b", "state=enabled&state=disabled"] {
        let reply = server.call("GET", &format!("/v1/webhooks?{bad}"), "").await;
        refused(&reply, 422, "validation", &[]);
    }
}

#[tokio::test]
async fn a_cursor_of_a_narrowed_list_is_bound_to_its_filter() {
    let server = Server::start().await;
    for _ in 0..3 {
        path_of_a_new_one(&server).await;
    }
    let first = server.call("GET", "/v1/webhooks?limit=1&state=enabled", "").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("/v1/webhooks?limit=5&state=enabled&cursor={cursor}");
    let rest = server.call("GET", &path, "").await.json();
    assert_eq!(rest["data"].as_array().unwrap().len(), 2);
    let other = server.call("GET", &format!("/v1/webhooks?cursor={cursor}"), "").await;
    refused(&other, 422, "bad_cursor", &[]);
}

#[tokio::test]
async fn metadata_is_kept_replaced_and_cleared() {
    let server = Server::start().await;
    let body = json!({
        "url": "https://example.com", "events": ["*"],
        "metadata": {"customer": "c_17", "note": "é"}
    });
    let made = create(&server, &body).await;
    assert_eq!(made["metadata"], body["metadata"]);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let change = async |body: &str| server.call("PATCH", &path, body).await;
    assert_eq!(change("{}").await.json()["metadata"], body["metadata"]);
    let replaced = change(r#"{"metadata":{"b":"2"}}"#).await.json();
    assert_eq!(replaced["metadata"], json!({"b": "2"}));
    assert_eq!(change(r#"{"metadata":null}"#).await.json()["metadata"], json!({}));

    let many: Value =
        (0..51).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>().into();
    for (metadata, place) in [
        (many, "/metadata"),
        (json!({"": "a"}), "/metadata/"),
        (json!({"a": "v".repeat(513)}), "/metadata/a"),
        (json!({"a": 1}), "/metadata/a"),
        (json!([]), "/metadata"),
    ] {
        let reply = change(&json!({ "metadata": metadata }).to_string()).await;
        refused(&reply, 422, "validation", &[place]);
    }
}

#[tokio::test]
async fn a_webhook_can_sign_with_a_key_whose_public_half_is_shown() {
    let server = Server::start().await;
    let made = create(&server, &serde_json::from_str(ED25519).unwrap()).await;
    assert_eq!(made["signing_key"], "ed25519");
    assert!(made["secret"].as_str().unwrap().starts_with("whsk_"), "{made}");
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let shown = server.call("GET", &format!("{path}/secret"), "").await.json();
    assert_eq!(shown["secret"], made["secret"]);
    assert!(shown["public_key"].as_str().unwrap().starts_with("whpk_"), "{shown}");

    let changed = server.call("PATCH", &path, r#"{"signing_key":null}"#).await.json();
    assert_eq!(changed["signing_key"], "hmac", "back to the default");
    let shown = server.call("GET", &format!("{path}/secret"), "").await.json();
    assert!(shown["secret"].as_str().unwrap().starts_with("whsec_"), "{shown}");
    assert_eq!(shown["public_key"], Value::Null);
    let again = server.call("PATCH", &path, r#"{"signing_key":"hmac"}"#).await;
    assert_eq!(again.status, 200);
    let same = server.call("GET", &format!("{path}/secret"), "").await.json();
    assert_eq!(same, shown, "what it is already makes no new secret");
}

#[tokio::test]
async fn a_kind_of_secret_that_does_not_fit_is_refused() {
    let server = Server::start().await;
    for members in [
        json!({"signing_key": "ed25519", "profile": "autonoma"}),
        json!({"signing_key": "ed25519", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
        json!({"signing_key": "rsa"}),
    ] {
        let mut body = json!({"url": "https://example.com", "events": ["*"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let reply = server.call("POST", "/v1/webhooks", &body.to_string()).await;
        refused(&reply, 422, "validation", &["/signing_key"]);
    }
}

#[tokio::test]
async fn a_secret_is_rotated_with_an_overlap() {
    let server = Server::start().await;
    let path = path_of_a_new_one(&server).await;
    let rotate = format!("{path}/secret/rotate");
    let first = post(&server, &rotate, "").await;
    assert_eq!(first["live_secrets"], 2);
    assert!(first["old_live_until"].is_string(), "a day by default: {first}");
    let secret = server.call("GET", &format!("{path}/secret"), "").await.json();
    assert_eq!(secret["secret"], first["secret"]);

    let own = r#"{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","overlap_s":60}"#;
    let second = post(&server, &rotate, own).await;
    assert_eq!(second["secret"], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(second["live_secrets"], 3);
    for _ in 0..4 {
        assert!(post(&server, &rotate, "{}").await["live_secrets"].as_u64() <= Some(5));
    }
    let asymmetric = post(&server, &rotate, r#"{"signing_key":"ed25519"}"#).await;
    assert_eq!(asymmetric["live_secrets"], 5, "no more than that");
    assert!(asymmetric["public_key"].is_string(), "{asymmetric}");
    let same_kind = post(&server, &rotate, "").await;
    assert!(same_kind["secret"].as_str().unwrap().starts_with("whsk_"), "{same_kind}");
    let alone = post(&server, &rotate, r#"{"overlap_s":0}"#).await;
    assert_eq!((&alone["live_secrets"], &alone["old_live_until"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn a_rotation_that_is_wrong_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let path = path_of_a_new_one(&server).await;
    let before = server.call("GET", &format!("{path}/secret"), "").await.body;
    for (body, code, place) in [
        (r#"{"overlap_s":-1}"#, "validation", "/overlap_s"),
        (r#"{"overlap_s":604801}"#, "validation", "/overlap_s"),
        (r#"{"secret":""}"#, "validation", "/secret"),
        (r#"{"secret":"whsec_YQ=="}"#, "weak_secret", "/secret"),
        (r#"{"colour":1}"#, "unknown_field", "/colour"),
    ] {
        let reply = server.call("POST", &format!("{path}/secret/rotate"), body).await;
        refused(&reply, 422, code, &[place]);
    }
    assert_eq!(server.call("GET", &format!("{path}/secret"), "").await.body, before);
}

#[tokio::test]
async fn a_webhook_is_disabled_and_enabled_by_name() {
    let server = Server::start().await;
    let path = path_of_a_new_one(&server).await;
    let publish = async || {
        let event = r#"{"type":"a.b","data":1}"#;
        server.call("POST", "/v1/events", event).await.json()["matched"].clone()
    };
    let disabled = post(&server, &format!("{path}/disable"), "").await;
    assert_eq!(
        (&disabled["state"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("requested"))
    );
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    assert_eq!(publish().await, 0);
    let again = post(&server, &format!("{path}/disable"), r#"{"cancel_pending":true}"#).await;
    assert_eq!(again["disabled_at"], disabled["disabled_at"], "since the first time");
    let enabled = post(&server, &format!("{path}/enable"), "").await;
    assert_eq!(
        (&enabled["state"], &enabled["disabled_reason"], &enabled["disabled_at"]),
        (&json!("enabled"), &Value::Null, &Value::Null)
    );
    assert_eq!(publish().await, 1);
    let bad = server.call("POST", &format!("{path}/disable"), r#"{"cancel_pending":1}"#).await;
    refused(&bad, 422, "validation", &["/cancel_pending"]);
}

#[tokio::test]
async fn a_request_with_a_body_takes_no_query_parameters() {
    let server = Server::start().await;
    let path = path_of_a_new_one(&server).await;
    for path in ["/v1/webhooks?a=b", &format!("{path}/disable?a=b")] {
        let reply = server.call("POST", path, ED25519).await;
        refused(&reply, 422, "validation", &[]);
    }
    let read = bearer(&server.key("default", "read").await);
    let reply = server.call_with("POST", &format!("{path}/disable"), &read, b"").await;
    refused(&reply, 403, "forbidden", &[]);
}
