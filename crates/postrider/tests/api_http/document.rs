//! The OpenAPI document says what the routes do.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::support::Server;

pub(crate) async fn document(server: &Server) -> Value {
    let reply = server.call_with("GET", "/openapi.json", "", b"").await;
    assert_eq!(reply.status, 200);
    reply.json()
}

/// Path, method in capitals and description of each operation.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (path.clone(), method.to_uppercase(), operation.clone())
        })
    });
    each.collect()
}

#[tokio::test]
async fn the_document_and_the_router_have_the_same_routes() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert!(operations.len() > 20, "routes were lost: {operations:?}");
    for path in document["paths"].as_object().unwrap().keys() {
        let documented: BTreeSet<_> = operations
            .iter()
            .filter(|(of, ..)| of == path)
            .map(|(_, method, _)| method.as_str())
            .collect();
        let path = path.replace("{id}", "x").replace("{name}", "x");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = server.call_with(method, &path, "", b"").await;
            let is_routed = reply.status != 405;
            assert_eq!(is_routed, documented.contains(method), "{method} {path} {reply:?}");
        }
    }
}

#[tokio::test]
async fn every_operation_names_its_answers_and_every_reference_leads_somewhere() {
    let server = Server::start().await;
    let document = document(&server).await;
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        for (status, response) in responses {
            assert!(
                !response["description"].as_str().unwrap().is_empty(),
                "{method} {path} {status}"
            );
        }
        if path.starts_with("/v1/") {
            for status in ["400", "401", "403", "404", "422", "429", "503"] {
                assert!(responses.contains_key(status), "{method} {path} {status}");
            }
        }
        let has_body = !operation["requestBody"].is_null();
        assert_eq!(has_body, responses.contains_key("413"), "{method} {path}");
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

/// An example of what a schema allows, with every member.
fn example(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return example(document, document.pointer(&reference[1..]).unwrap());
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let real = choices.iter().find(|choice| choice["type"] != "null");
        return example(document, real.unwrap());
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.last()) {
        return first.clone();
    }
    let of = match &schema["type"] {
        Value::Array(types) => types[0].clone(),
        one => one.clone(),
    };
    match of.as_str() {
        Some("object") if schema["properties"].is_object() => {
            let properties = schema["properties"].as_object().unwrap().iter();
            let members: Map<_, _> =
                properties.map(|(name, of)| (name.clone(), example(document, of))).collect();
            Value::Object(members)
        }
        Some("object") => json!({"X-A": "a"}),
        Some("array") => json!([example(document, &schema["items"])]),
        Some("integer") => schema["minimum"].as_i64().unwrap_or(0).into(),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2099-01-01T00:00:00Z"),
        Some("string") => schema.get("example").cloned().unwrap_or_else(|| json!("a")),
        None => json!({}),
        other => panic!("{other:?} in {schema}"),
    }
}

/// An example of a body that is good beyond what its schema says.
pub(crate) fn good_example(document: &Value, schema: &Value) -> Value {
    let own = [
        ("events", json!(["a.*"])),
        ("since", json!("2020-01-01T00:00:00Z")),
        ("url", json!("https://example.com")),
        ("scope", json!("read")),
        ("signing_key", json!("hmac")),
        ("tenant", json!("default")),
        ("profile", json!("autonoma")),
        ("name", json!("acme")),
    ];
    let mut full = example(document, schema);
    for (field, value) in own {
        if let Some(member) = full.get_mut(field) {
            *member = value;
        }
    }
    full
}

/// What the schemas of bodies name is what is read: a request with every member is not refused
/// for an unknown field or a wrong shape, and one without a required member is.
#[tokio::test]
async fn the_schemas_of_bodies_agree_with_what_is_read() {
    let server = Server::start().await;
    let document = document(&server).await;
    let made = server
        .call("POST", "/v1/webhooks", r#"{"url":"https://example.com","events":["*"]}"#)
        .await
        .json();
    let id = made["id"].as_str().unwrap();
    let webhook = format!("/v1/webhooks/{id}");
    for (name, method, path) in [
        ("EventInput", "POST", "/v1/events".to_owned()),
        ("WebhookInput", "POST", "/v1/webhooks".to_owned()),
        ("TestInput", "POST", format!("{webhook}/test")),
        ("ReplayInput", "POST", format!("{webhook}/replay")),
        ("BulkRetryInput", "POST", "/v1/deliveries/retry".to_owned()),
        ("WebhookChange", "PATCH", webhook.clone()),
        ("DisablingInput", "POST", format!("{webhook}/disable")),
        ("RotationInput", "POST", format!("{webhook}/secret/rotate")),
        ("EventTypeInput", "POST", "/v1/event-types".to_owned()),
        ("EventTypeChange", "PATCH", "/v1/event-types/code.generated".to_owned()),
        ("FilteredEventInput", "POST", "/v1/events".to_owned()),
        ("TenantInput", "POST", "/v1/tenants".to_owned()),
        ("KeyInput", "POST", "/v1/keys".to_owned()),
    ] {
        let schema = &document["components"]["schemas"][name];
        let mut full = good_example(&document, schema);
        if let Some(member) = full.get_mut("webhook_id") {
            *member = json!(id);
        }
        let reply = server.call(method, &path, &full.to_string()).await;
        assert!(reply.status < 300, "{name} {full} {reply:?}");
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for field in &required {
            let mut without = full.clone();
            without.as_object_mut().unwrap().remove(field.as_str().unwrap());
            let reply = server.call(method, &path, &without.to_string()).await;
            assert_eq!(reply.status, 422, "{name} without {field}");
        }
        let needless = full.as_object().unwrap().keys().any(|key| !required.contains(&json!(key)));
        assert!(needless || name == "TenantInput", "{name}: is all of it really required?");
    }
}
