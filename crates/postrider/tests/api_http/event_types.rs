//! Event types: the catalogue, and what it means for what is published.

use postrider::engine::UnknownEventTypes;
use serde_json::{Value, json};

use crate::support::{Options, Reply, Server, bearer};

const PAID: &str = r#"{"name":"invoice.paid","description":"An invoice was paid.",
    "schema":{"type":"object","required":["amount"],"properties":{"amount":{"type":"integer"}}},
    "example":{"amount":1}}"#;

async fn strict() -> Server {
    let unknown_event_types = UnknownEventTypes::Refuse;
    Server::start_with(Options { unknown_event_types, ..Options::default() }).await
}

fn refused(reply: &Reply, status: u16, code: &str, pointers: &[&str]) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.pointers(), pointers, "{reply:?}");
}

async fn publish(server: &Server, event_type: &str, data: &str) -> Reply {
    let body = format!(r#"{{"type":"{event_type}","data":{data}}}"#);
    server.call("POST", "/v1/events", &body).await
}

async fn change(server: &Server, name: &str, change: &str) -> Value {
    let reply = server.call("PATCH", &format!("/v1/event-types/{name}"), change).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[tokio::test]
async fn every_tenant_has_the_built_in_types_from_the_start() {
    let server = strict().await;
    let key = bearer(&server.key("acme", "read").await);
    let page = server.call_with("GET", "/v1/event-types", &key, b"").await.json();
    let types = page["data"].as_array().unwrap();
    assert_eq!((types.len(), &page["next_cursor"]), (16, &Value::Null));
    for known in types {
        assert_eq!((&known["is_builtin"], &known["validation"]), (&json!(true), &json!("off")));
        assert!(known["schema"].is_object() && known["example"].is_object(), "{known}");
        assert_eq!((&known["created_at"], &known["archived_at"]), (&Value::Null, &Value::Null));
    }
    let one = server.call("GET", "/v1/event-types/security.vulnerability_detected", "").await;
    assert_eq!(one.json()["example"]["severity"], "high");
    assert_eq!(publish(&server, "code.generated", "{}").await.status, 202);
}

#[tokio::test]
async fn an_unknown_type_is_refused_until_it_is_created() {
    let server = strict().await;
    let reply = publish(&server, "invoice.paid", "{}").await;
    refused(&reply, 422, "unknown_event_type", &["/type"]);
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("POST /v1/event-types") && detail.contains("unknown_event_types"));

    let made = server.call("POST", "/v1/event-types", PAID).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!((&made["is_builtin"], &made["large_integers"]), (&json!(false), &json!("refuse")));
    assert!(made["created_at"].is_string());
    assert_eq!(publish(&server, "invoice.paid", "{}").await.status, 202);
    refused(&server.call("POST", "/v1/event-types", PAID).await, 409, "conflict", &["/name"]);
    let builtin = r#"{"name":"code.generated"}"#;
    refused(&server.call("POST", "/v1/event-types", builtin).await, 409, "conflict", &["/name"]);

    let stranger = bearer(&server.key("stranger", "manage").await);
    let event = br#"{"type":"invoice.paid","data":{}}"#;
    let reply = server.call_with("POST", "/v1/events", &stranger, event).await;
    refused(&reply, 422, "unknown_event_type", &["/type"]);
}

#[tokio::test]
async fn a_batch_says_which_of_its_events_has_an_unknown_type() {
    let server = strict().await;
    let batch = r#"[{"type":"code.merged","data":{}},{"type":"no.such","data":{}}]"#;
    let reply = server.call("POST", "/v1/events", batch).await.json();
    assert_eq!(reply["results"][0]["status"], 202);
    assert_eq!(reply["results"][1]["error"]["code"], "unknown_event_type");
    assert_eq!(reply["results"][1]["error"]["errors"][0]["pointer"], "/1/type");
}

#[tokio::test]
async fn everything_wrong_with_an_event_type_is_told_with_its_place() {
    let server = strict().await;
    let body = r#"{"name":"a..b","validation":"maybe","large_integers":1,"description":2,"x":3}"#;
    let reply = server.call("POST", "/v1/event-types", body).await;
    let places = ["/name", "/description", "/validation", "/large_integers", "/x"];
    assert_eq!(reply.status, 422);
    let mut found = reply.pointers();
    found.sort();
    let mut expected = places.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
    let reserved = r#"{"name":"postrider.mine"}"#;
    refused(&server.call("POST", "/v1/event-types", reserved).await, 422, "validation", &["/name"]);
    let bad = r#"{"name":"a.b","schema":{"properties":{"a":{"type":"strin"}}}}"#;
    let place = "/schema/properties/a/type";
    refused(&server.call("POST", "/v1/event-types", bad).await, 422, "validation", &[place]);
    let outside = r#"{"name":"a.b","schema":{"$ref":"https://example.com/s"}}"#;
    refused(
        &server.call("POST", "/v1/event-types", outside).await,
        422,
        "validation",
        &["/schema/$ref"],
    );
    let bad = r#"{"name":"a.b","schema":{"type":"object"},"example":1,"validation":"reject"}"#;
    let reply = server.call("POST", "/v1/event-types", bad).await;
    refused(&reply, 422, "validation", &["/example"]);
    let path = "/v1/event-types/code.generated";
    let bad = r#"{"schema":{"type":"object"},"example":1,"validation":"reject"}"#;
    refused(&server.call("PATCH", path, bad).await, 422, "validation", &["/example"]);
    change(&server, "code.generated", &bad.replace("reject", "warn")).await;
    let reply = server.call("PATCH", path, r#"{"validation":"reject"}"#).await;
    refused(&reply, 422, "validation", &["/example"]);
    let bad = r#"{"schema":{"type":7}}"#;
    refused(&server.call("PATCH", path, bad).await, 422, "validation", &["/schema/type"]);
    let reply = server.call("PATCH", path, r#"{"name":"new"}"#).await;
    refused(&reply, 422, "unknown_field", &["/name"]);
}

#[tokio::test]
async fn data_is_checked_as_its_type_says() {
    let server = strict().await;
    server.call("POST", "/v1/event-types", PAID).await;
    let bad = r#"{"amount":"a secret"}"#;
    let accepted = publish(&server, "invoice.paid", bad).await;
    assert_eq!((accepted.status, &accepted.json()["warnings"]), (202, &Value::Null));

    change(&server, "invoice.paid", r#"{"validation":"warn"}"#).await;
    let warned = publish(&server, "invoice.paid", bad).await;
    assert_eq!(warned.status, 202);
    let warnings = warned.json()["warnings"].as_array().unwrap().clone();
    assert!(warnings[0].as_str().unwrap().starts_with("/data/amount is not"), "{warnings:?}");

    change(&server, "invoice.paid", r#"{"validation":"reject"}"#).await;
    let reply = publish(&server, "invoice.paid", bad).await;
    refused(&reply, 422, "schema_mismatch", &["/data/amount"]);
    assert!(!String::from_utf8_lossy(&reply.body).contains("secret"), "input is not echoed");
    assert_eq!(publish(&server, "invoice.paid", r#"{"amount":5}"#).await.status, 202);
    let batch = format!(r#"[{{"type":"invoice.paid","data":{bad}}}]"#);
    let reply = server.call("POST", "/v1/events", &batch).await.json();
    assert_eq!(reply["results"][0]["error"]["errors"][0]["pointer"], "/0/data/amount");

    change(&server, "invoice.paid", r#"{"schema":null}"#).await;
    assert_eq!(publish(&server, "invoice.paid", bad).await.status, 202);
}

#[tokio::test]
async fn built_in_types_are_changed_for_one_tenant_and_go_back() {
    let server = strict().await;
    let own = r#"{"description":"Ours.","schema":{"required":["a"]},"validation":"reject"}"#;
    let changed = change(&server, "code.generated", own).await;
    assert_eq!((&changed["description"], &changed["is_builtin"]), (&json!("Ours."), &json!(true)));
    assert!(changed["updated_at"].is_string() && changed["created_at"].is_null());
    assert_eq!(publish(&server, "code.generated", "{}").await.status, 422);
    assert_eq!(publish(&server, "code.generated", r#"{"a":1}"#).await.status, 202);

    let stranger = bearer(&server.key("stranger", "manage").await);
    let path = "/v1/event-types/code.generated";
    let theirs = server.call_with("GET", path, &stranger, b"").await.json();
    assert_eq!(theirs["validation"], "off");

    let back = r#"{"description":null,"schema":null,"validation":null}"#;
    let back = change(&server, "code.generated", back).await;
    assert_eq!(
        (&back["description"], &back["schema"]),
        (&theirs["description"], &theirs["schema"])
    );
    assert_eq!(publish(&server, "code.generated", "{}").await.status, 202);
}

#[tokio::test]
async fn nothing_of_an_archived_type_is_published() {
    let server = strict().await;
    let path = "/v1/event-types/code.merged";
    let archived = server.call("POST", &format!("{path}/archive"), "").await;
    assert_eq!(archived.status, 200);
    let since = archived.json()["archived_at"].clone();
    assert!(since.is_string());
    let again = server.call("POST", &format!("{path}/archive"), "").await.json();
    assert_eq!(again["archived_at"], since, "archiving again changes nothing");
    refused(&publish(&server, "code.merged", "{}").await, 422, "archived_event_type", &["/type"]);

    let listed = async |query: &str| {
        let page = server.call("GET", &format!("/v1/event-types{query}"), "").await.json();
        page["data"].as_array().unwrap().iter().any(|known| known["name"] == "code.merged")
    };
    assert!(!listed("").await);
    assert!(listed("?include_archived=true").await);
    let reply = server.call("GET", "/v1/event-types?include_archived=1", "").await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "validation"));

    let back = server.call("POST", &format!("{path}/unarchive"), "").await.json();
    assert_eq!(back["archived_at"], Value::Null);
    assert_eq!(publish(&server, "code.merged", "{}").await.status, 202);
}

#[tokio::test]
async fn a_repeat_is_answered_whatever_became_of_its_type() {
    let server = strict().await;
    let body = |data: u32| format!(r#"{{"type":"code.merged","data":{data},"id":"mine"}}"#);
    assert_eq!(server.call("POST", "/v1/events", &body(1)).await.status, 202);
    server.call("POST", "/v1/event-types/code.merged/archive", "").await;
    let repeat = server.call("POST", "/v1/events", &body(1)).await;
    assert_eq!((repeat.status, &repeat.json()["id"]), (200, &json!("mine")), "{repeat:?}");
    let other = server.call("POST", "/v1/events", &body(2)).await;
    refused(&other, 422, "archived_event_type", &["/type"]);
}

#[tokio::test]
async fn event_types_are_paged_by_name_to_their_end() {
    let server = strict().await;
    for name in ["a.z", "zz", "Abc", "m-1"] {
        server.call("POST", "/v1/event-types", &format!(r#"{{"name":"{name}"}}"#)).await;
    }
    let mut names = Vec::new();
    let mut next = "/v1/event-types?limit=3".to_owned();
    loop {
        let page = server.call("GET", &next, "").await.json();
        let data = page["data"].as_array().unwrap();
        names.extend(data.iter().map(|known| known["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/v1/event-types?limit=3&cursor={cursor}");
    }
    assert_eq!(names.len(), 20);
    assert!(names.is_sorted(), "{names:?}");
    let reply = server.call("GET", &next.replace("limit=3", "include_archived=true"), "").await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "bad_cursor"), "another list's");
}

#[tokio::test]
async fn large_integers_are_treated_as_their_type_says() {
    let server = strict().await;
    let webhook = r#"{"url":"https://example.com","events":["*"],"profile":"autonoma"}"#;
    server.call("POST", "/v1/webhooks", webhook).await;
    let data = r#"{"id":9007199254740993}"#;
    let reply = publish(&server, "code.generated", data).await;
    refused(&reply, 422, "validation", &["/data/id"]);
    assert!(reply.json()["detail"].as_str().unwrap().contains("large_integers"));
    for (choice, written) in [("stringify", "\"9007199254740993\""), ("round", "9007199254740992")]
    {
        change(&server, "code.generated", &format!(r#"{{"large_integers":"{choice}"}}"#)).await;
        let published = publish(&server, "code.generated", data).await;
        assert_eq!(published.status, 202, "{published:?}");
        let id = published.json()["id"].as_str().unwrap().to_owned();
        let tenant = server.engine.tenant("default").unwrap().key;
        let event = server.engine.store().event(tenant, &id).await.unwrap().unwrap();
        let body = String::from_utf8(event.bodies.ecma.clone().unwrap().to_vec()).unwrap();
        assert!(body.ends_with(&format!("{{\"id\":{written}}}}}")), "{body}");
        assert!(event.bodies.verbatim.ends_with(b"{\"id\":9007199254740993}}"));
    }
}
