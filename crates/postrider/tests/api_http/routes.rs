//! Each route: what it answers when all is well, and when something in the request is not.

use postrider_store::Scope;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Reply, Server, bearer};

pub(crate) const HOOK: &str = r#"{"url":"https://example.com/a","events":["code.*"]}"#;

pub(crate) async fn create(server: &Server, body: &str) -> Value {
    let reply = server.call("POST", "/v1/webhooks", body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

pub(crate) async fn publish(server: &Server, body: &str) -> Value {
    let reply = server.call("POST", "/v1/events", body).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()
}

pub(crate) fn refused(reply: &Reply, status: u16, code: &str, pointers: &[&str]) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.pointers(), pointers, "{reply:?}");
}

/// Reads a delivery again and again until it is as wanted. Each reading lets the server go on.
pub(crate) async fn until(
    server: &Server,
    path: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Value {
    for _ in 0..10_000 {
        let found = server.call("GET", path, "").await.json();
        if is_wanted(&found) {
            return found;
        }
    }
    panic!("{path} never came to be as wanted");
}

#[tokio::test]
async fn the_published_curl_command_registers_a_webhook() {
    let server = Server::start().await;
    let body = r#"{"url": "https://your-domain.com/webhooks/autonoma", "events": ["code.generated", "deployment.completed"], "secret": "your-webhook-secret"}"#;
    let headers = format!(
        "User-Agent: curl/8.5.0\r\nAccept: */*\r\n{}Content-Type: application/x-www-form-urlencoded\r\n",
        bearer(ADMIN_KEY)
    );
    let reply = server.call_with("POST", "/v1/webhooks", &headers, body.as_bytes()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let made = reply.json();
    assert_eq!(made["url"], "https://your-domain.com/webhooks/autonoma");
    assert_eq!(made["events"], json!(["code.generated", "deployment.completed"]));
    assert_eq!(made["secret"], "your-webhook-secret");
    assert_eq!(made["profile"], "autonoma");
    assert_eq!(made["state"], "enabled");
    let created_at = made["created_at"].as_str().unwrap();
    assert!(created_at.len() == 24 && created_at.ends_with('Z'), "{created_at}");
}

#[tokio::test]
async fn a_url_with_form_characters_survives() {
    let server = Server::start().await;
    let made =
        create(&server, r#"{"url":"https://example.com/?a=1&b=%2B+c","events":["*"]}"#).await;
    assert_eq!(made["url"], "https://example.com/?a=1&b=%2B+c");
}

#[tokio::test]
async fn a_webhook_is_read_changed_and_deleted() {
    let server = Server::start().await;
    let body = r#"{"url":"https://example.com/a","events":["code.*"],"description":"d",
        "headers":{"X-Api-Key":"hidden-value"},"timeout_ms":5000,"concurrency":2,"rate_limit":9,
        "retry_schedule":[0,60]}"#;
    let made = create(&server, body).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let read = server.call("GET", &path, "").await;
    assert!(!String::from_utf8_lossy(&read.body).contains("hidden-value"));
    let read = read.json();
    assert_eq!(read["secret"], Value::Null, "shown only when made and at its route");
    assert_eq!(read["headers"], json!({"x-api-key": "***"}));
    assert_eq!(read["retry_schedule"], json!([0.0, 60.0]));
    let settings = ["description", "timeout_ms", "concurrency", "rate_limit"];
    assert_eq!(
        settings.map(|name| read[name].clone()),
        [json!("d"), 5000.into(), 2.into(), 9.into()]
    );

    let secret = server.call("GET", &format!("{path}/secret"), "").await.json();
    assert_eq!(secret["secret"], made["secret"]);

    let change = r#"{"description":null,"timeout_ms":null,"headers":{},"retry_schedule":null,
        "state":"disabled","url":"https://example.com/b"}"#;
    let changed = server.call("PATCH", &path, change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!(changed["state"], "disabled");
    assert_eq!(changed["disabled_reason"], "requested");
    assert_eq!(changed["url"], "https://example.com/b");
    assert_eq!(changed["description"], Value::Null);
    assert_eq!(changed["rate_limit"], 9, "left out, so left alone");
    assert_eq!(changed["retry_schedule"].as_array().unwrap().len(), 10, "the profile's");

    let again = server.call("PATCH", &path, r#"{"state":"enabled"}"#).await.json();
    assert_eq!(again["state"], "enabled");

    assert_eq!(server.call("DELETE", &path, "").await.status, 204);
    refused(&server.call("GET", &path, "").await, 404, "not_found", &[]);
    refused(&server.call("DELETE", &path, "").await, 404, "not_found", &[]);
    refused(&server.call("PATCH", &path, "{}").await, 404, "not_found", &[]);
}

#[tokio::test]
async fn everything_wrong_with_a_webhook_is_told_at_once() {
    let server = Server::start().await;
    let body = r#"{"events":["a..b"],"timeout_ms":1,"colour":"red"}"#;
    let reply = server.call("POST", "/v1/webhooks", body).await;
    refused(&reply, 422, "validation", &["/url", "/events/0", "/timeout_ms", "/colour"]);
    let unknown = r#"{"url":"https://example.com","events":["*"],"profile":"nope"}"#;
    let reply = server.call("POST", "/v1/webhooks", unknown).await;
    refused(&reply, 422, "validation", &["/profile"]);
    assert!(!String::from_utf8_lossy(&reply.body).contains("nope"), "input is not echoed");
    let reserved = r#"{"url":"https://example.com","events":["*"],"headers":{"Host":"a"}}"#;
    let reply = server.call("POST", "/v1/webhooks", reserved).await;
    refused(&reply, 422, "reserved_header", &["/headers/Host"]);
}

#[tokio::test]
async fn lists_are_paged_to_their_end() {
    let server = Server::start().await;
    for n in 0..5 {
        create(&server, HOOK).await;
        publish(&server, &format!(r#"{{"type":"a.b","data":{n}}}"#)).await;
    }
    for path in ["/v1/webhooks", "/v1/events"] {
        let mut ids = Vec::new();
        let mut next = format!("{path}?limit=2");
        loop {
            let page = server.call("GET", &next, "").await.json();
            let data = page["data"].as_array().unwrap();
            ids.extend(data.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            assert_eq!(data.len(), 2);
            next = format!("{path}?limit=2&cursor={cursor}");
        }
        assert_eq!(ids.len(), 5, "{path}");
        let mut sorted = ids.clone();
        sorted.sort();
        if path == "/v1/events" {
            sorted.reverse();
        }
        assert_eq!(ids, sorted, "{path}: webhooks oldest first, events newest first");
    }
    let cursor = server.call("GET", "/v1/webhooks?limit=2", "").await.json();
    let stolen = format!("/v1/events?cursor={}", cursor["next_cursor"].as_str().unwrap());
    refused(&server.call("GET", &stolen, "").await, 422, "bad_cursor", &[]);
}

#[tokio::test]
async fn events_are_listed_by_the_time_they_were_accepted() {
    let server = Server::start().await;
    publish(&server, r#"{"type":"a.b","data":1,"timestamp":"2001-02-03T04:05:06Z"}"#).await;
    let count = async |query: &str| {
        let page = server.call("GET", &format!("/v1/events?{query}"), "").await.json();
        page["data"].as_array().unwrap().len()
    };
    assert_eq!(count("after=2020-01-01T00:00:00Z").await, 1);
    assert_eq!(count("before=2020-01-01T00:00:00Z").await, 0);
    assert_eq!(count("after=9999-01-01T00:00:00Z").await, 0);
    assert_eq!(count("before=9999-01-01T00:00:00%2B01:00").await, 1);
    let backwards = "after=2020-01-02T00:00:00Z&before=2020-01-01T00:00:00Z";
    for list in ["events", "deliveries"] {
        let reply = server.call("GET", &format!("/v1/{list}?{backwards}"), "").await;
        refused(&reply, 422, "validation", &[]);
    }
}

#[tokio::test]
async fn an_event_keeps_the_bytes_of_its_data_and_is_accepted_once() {
    let server = Server::start().await;
    let body = r#" { "id" : "e-1", "type":"code.generated", "timestamp":"2025-07-28T06:58:00.9999+02:00",
        "data" : { "n" : 1.10, "big": 123456789012345678901234567890, "é":"\u0041" } } "#;
    let event = publish(&server, body).await;
    assert_eq!(
        event,
        json!({"id":"e-1","type":"code.generated","timestamp":"2025-07-28T04:58:00.999Z","matched":0})
    );
    let again = server.call("POST", "/v1/events", body).await;
    assert_eq!((again.status, again.json()), (200, event));
    let other = r#"{"id":"e-1","type":"code.generated","data":1}"#;
    refused(&server.call("POST", "/v1/events", other).await, 409, "id_conflict", &["/id"]);
    let read = server.call("GET", "/v1/events/e-1", "").await;
    let text = String::from_utf8(read.body).unwrap();
    let data = r#""data":{"n":1.10,"big":123456789012345678901234567890,"é":"\u0041"}"#;
    assert!(text.contains(data), "{text}");
}

#[tokio::test]
async fn an_idempotency_key_is_an_event_id() {
    let server = Server::start().await;
    let body = br#"{"type":"a.b","data":1}"#;
    let call = async |key: &str, body: &[u8]| {
        let headers = format!("{}Idempotency-Key: {key}\r\n", bearer(ADMIN_KEY));
        server.call_with("POST", "/v1/events", &headers, body).await
    };
    let first = call("k-1", body).await;
    assert_eq!((first.status, first.json()["id"].clone()), (202, json!("k-1")));
    assert_eq!(call("\"k-1\"", body).await.status, 200);
    refused(&call("k.1", body).await, 422, "validation", &["/id"]);
    let other = br#"{"type":"a.b","data":1,"id":"k-2"}"#;
    refused(&call("k-1", other).await, 422, "validation", &["/id"]);
    refused(&call("k-1", b"[1]").await, 422, "validation", &[]);
}

#[tokio::test]
async fn data_that_a_receiver_would_misread_is_refused_with_its_place() {
    let server = Server::start().await;
    create(&server, r#"{"url":"https://example.com","events":["*"],"profile":"autonoma"}"#).await;
    let body = r#"{"type":"a.b","data":{"a":[0,9007199254740993]}}"#;
    let reply = server.call("POST", "/v1/events", body).await;
    refused(&reply, 422, "validation", &["/data/a/1"]);
    let batch = server.call("POST", "/v1/events", &format!("[{body}]")).await.json();
    assert_eq!(batch["results"][0]["status"], 422);
    assert_eq!(batch["results"][0]["error"]["errors"][0]["pointer"], "/0/data/a/1");
}

#[tokio::test]
async fn a_batch_answers_for_each_event_in_order() {
    let server = Server::start().await;
    let batch = r#"[{"type":"a.b","data":1,"id":"x"},{"type":"a.b","data":1,"id":"x"},
        {"type":"a.b","data":2,"id":"x"},{"type":"a..b","data":1},7,{"type":"a.b","data":1,"x":1}]"#;
    let reply = server.call("POST", "/v1/events", batch).await;
    assert_eq!(reply.status, 202);
    let reply = reply.json();
    let results = reply["results"].as_array().unwrap();
    let statuses: Vec<_> =
        results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 200, 409, 422, 422, 422]);
    assert_eq!(results[0]["event"]["id"], "x");
    assert_eq!(results[3]["error"]["errors"][0]["pointer"], "/3/type");
    assert_eq!(results[4]["error"]["errors"][0]["pointer"], "/4");
    assert_eq!(results[5]["error"]["code"], "unknown_field");
}

#[tokio::test]
async fn a_large_body_is_accepted_with_a_warning() {
    let server = Server::start().await;
    let body = format!(r#"{{"type":"a.b","data":"{}"}}"#, "a".repeat(101 << 10));
    let event = publish(&server, &body).await;
    assert_eq!(event["warnings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_explains_where_it_goes_and_where_not() {
    let server = Server::start().await;
    let wants = create(&server, HOOK).await;
    let other = create(&server, r#"{"url":"https://example.com","events":["x.y"]}"#).await;
    let off = create(&server, HOOK).await;
    let off_path = format!("/v1/webhooks/{}", off["id"].as_str().unwrap());
    server.call("PATCH", &off_path, r#"{"state":"disabled"}"#).await;
    let event = publish(&server, r#"{"type":"code.generated","data":{}}"#).await;
    assert_eq!(event["matched"], 1);
    let path = format!("/v1/events/{}", event["id"].as_str().unwrap());
    let read = server.call("GET", &path, "").await.json();
    let explanation = &read["explanation"];
    assert_eq!(explanation["matched"], 1);
    assert_eq!(explanation["matched_webhooks"][0]["webhook_id"], wants["id"]);
    assert_eq!(explanation["matched_webhooks"][0]["text"], "it wants code.*");
    let outcome = |id: &Value| {
        let unmatched = explanation["unmatched_webhooks"].as_array().unwrap();
        let found = unmatched.iter().find(|webhook| webhook["webhook_id"] == *id);
        found.unwrap()["outcome"].clone()
    };
    assert_eq!(outcome(&other["id"]), "type_not_wanted");
    assert_eq!(outcome(&off["id"]), "disabled");
    assert_eq!(read["deliveries"]["data"][0]["webhook_id"], wants["id"]);
    assert_eq!(read["body_bytes"]["ecma"], Value::Null);
}

#[tokio::test]
async fn a_delivery_tells_its_history_and_takes_a_retry() {
    let server = Server::start().await;
    let webhook =
        create(&server, r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0]}"#)
            .await;
    let event = publish(&server, r#"{"type":"code.generated","data":{}}"#).await;
    let list = format!("/v1/events/{}/deliveries", event["id"].as_str().unwrap());
    let page = server.call("GET", &list, "").await.json();
    let delivery = &page["data"][0];
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(delivery["webhook_id"], webhook["id"]);
    assert_eq!(delivery["event_id"], event["id"]);

    let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    let failed = until(&server, &path, |found| found["state"] == "failed").await;
    assert_eq!((&failed["attempts"], &failed["next_attempt_at"]), (&json!(1), &Value::Null));
    let attempt = &failed["history"][0];
    assert_eq!((&attempt["kind"], &attempt["number"]), (&json!("attempt"), &json!(1)));
    assert_eq!(attempt["error"]["class"], "dns_failure", "no name resolves in these tests");
    assert!(attempt["error"]["mend"].as_str().unwrap().contains("DNS"));
    let headers = attempt["request_headers"].as_array().unwrap();
    assert!(headers.iter().any(|header| header["name"] == "webhook-signature"), "{headers:?}");

    let retried = server.call("POST", &format!("{path}/retry"), "").await;
    assert_eq!(retried.status, 202, "{retried:?}");
    let again =
        until(&server, &path, |found| found["attempts"] == 2 && found["state"] == "failed").await;
    let kinds: Vec<_> =
        again["history"].as_array().unwrap().iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, ["attempt", "retry_requested", "attempt"]);
    assert_eq!(again["history"][2]["is_manual"], true);

    let hook = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    let recent = server.call("GET", &format!("{hook}/attempts?limit=2"), "").await.json();
    assert_eq!(recent["data"][0]["number"], 2, "newest first");
    assert!(recent["next_cursor"].is_string());

    server.call("DELETE", &hook, "").await;
    refused(&server.call("POST", &format!("{path}/retry"), "").await, 409, "conflict", &[]);
}

#[tokio::test]
async fn tenants_and_keys_are_made_listed_and_revoked() {
    let server = Server::start().await;
    let made = server.call("POST", "/v1/tenants", r#"{"name":"acme"}"#).await;
    assert_eq!(made.status, 201);
    let taken = server.call("POST", "/v1/tenants", r#"{"name":"acme"}"#).await;
    refused(&taken, 409, "conflict", &["/name"]);
    let bad = server.call("POST", "/v1/tenants", r#"{"name":"A b"}"#).await;
    refused(&bad, 422, "validation", &["/name"]);
    let tenants = server.call("GET", "/v1/tenants?limit=1", "").await.json();
    assert_eq!(tenants["data"][0]["name"], "default");
    assert!(tenants["next_cursor"].is_string());

    let body =
        r#"{"scope":"read","tenant":"acme","description":"d","expires_at":"2099-01-01T00:00:00Z"}"#;
    let made = server.call("POST", "/v1/keys", body).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let made = made.json();
    assert_eq!(made["expires_at"], "2099-01-01T00:00:00.000Z");
    let listed = server.call("GET", "/v1/keys", "").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(made["key"].as_str().unwrap()));
    assert_eq!(listed.json()["data"][0]["tenant"], "acme");
    let past = r#"{"scope":"read","expires_at":"2001-01-01T00:00:00Z"}"#;
    let past = server.call("POST", "/v1/keys", past).await;
    refused(&past, 422, "validation", &["/expires_at"]);
    let tenant = server.engine.tenant("acme").map(|tenant| tenant.key);
    let (_, past) = server.engine.create_api_key(tenant, Scope::Read, None, Some(1)).await.unwrap();
    let expired = bearer(&past);
    assert_eq!(server.call_with("GET", "/v1/events", &expired, b"").await.status, 401);
    let nobody = server.call("POST", "/v1/keys", r#"{"scope":"read","tenant":"nobody"}"#).await;
    refused(&nobody, 404, "tenant_not_found", &["/tenant"]);
    let admin = server.call("POST", "/v1/keys", r#"{"scope":"admin","tenant":"acme"}"#).await;
    refused(&admin, 422, "validation", &["/tenant"]);
    let scope = server.call("POST", "/v1/keys", r#"{"scope":"root"}"#).await;
    refused(&scope, 422, "validation", &["/scope"]);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, "").await.status, 204);
    refused(&server.call("DELETE", &path, "").await, 404, "not_found", &[]);
}

#[tokio::test]
async fn wrong_methods_and_types_are_problems_too() {
    let server = Server::start().await;
    let reply = server.call("PUT", "/v1/events", "{}").await;
    refused(&reply, 405, "method_not_allowed", &[]);
    let allowed = reply.header("allow").unwrap();
    assert!(allowed.contains("POST") && allowed.contains("GET"), "{allowed}");
    let html = format!("{}Content-Type: text/html\r\n", bearer(ADMIN_KEY));
    let reply = server.call_with("POST", "/v1/events", &html, b"{}").await;
    refused(&reply, 415, "unsupported_media_type", &[]);
    let gzip = format!("{}Content-Encoding: gzip\r\n", bearer(ADMIN_KEY));
    let reply = server.call_with("POST", "/v1/events", &gzip, b"{}").await;
    refused(&reply, 415, "unsupported_media_type", &[]);
    refused(&server.call("GET", "/v1/nothing", "").await, 404, "not_found", &[]);
    refused(&server.call("GET", "/v1/events/%ff", "").await, 404, "not_found", &[]);
}

#[tokio::test]
async fn a_stopping_server_is_alive_but_not_ready() {
    let server = Server::start().await;
    assert_eq!(server.call_with("GET", "/healthz", "", b"").await.status, 200);
    assert_eq!(server.call_with("GET", "/readyz", "", b"").await.status, 200);
    server.state.set_ready(false);
    assert_eq!(server.call_with("GET", "/healthz", "", b"").await.status, 200);
    refused(&server.call_with("GET", "/readyz", "", b"").await, 503, "unavailable", &[]);
}
