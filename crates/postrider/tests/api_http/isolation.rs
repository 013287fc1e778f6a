//! Who may do what, and that tenants never see each other: over every route.

use crate::support::{ADMIN_KEY, Server, bearer};

/// Every route below `/v1`, a good body, and the scopes that may use it. `{…}` stands for an id.
const ROUTES: &[(&str, &str, &str, &str)] = &[
    ("GET", "/v1/events", "", "manage read"),
    ("GET", "/v1/events/{event}", "", "manage read"),
    ("GET", "/v1/events/{event}/deliveries", "", "manage read"),
    ("POST", "/v1/events", r#"{"type":"a.b","data":1}"#, "manage publish"),
    ("GET", "/v1/webhooks", "", "manage read"),
    ("POST", "/v1/webhooks", r#"{"url":"https://example.com","events":["*"]}"#, "manage"),
    ("GET", "/v1/webhooks/{webhook}", "", "manage read"),
    ("PATCH", "/v1/webhooks/{webhook}", "{}", "manage"),
    ("GET", "/v1/webhooks/{webhook}/secret", "", "manage"),
    ("POST", "/v1/webhooks/{webhook}/secret/rotate", "", "manage"),
    ("POST", "/v1/webhooks/{webhook}/disable", "", "manage"),
    ("POST", "/v1/webhooks/{webhook}/enable", "", "manage"),
    ("GET", "/v1/webhooks/{webhook}/attempts", "", "manage read"),
    ("GET", "/v1/deliveries/{delivery}", "", "manage read"),
    ("POST", "/v1/deliveries/{delivery}/retry", "", "manage"),
    ("DELETE", "/v1/webhooks/{webhook}", "", "manage"),
    ("GET", "/v1/tenants", "", ""),
    ("POST", "/v1/tenants", r#"{"name":"new"}"#, ""),
    ("GET", "/v1/keys", "", ""),
    ("POST", "/v1/keys", r#"{"scope":"admin"}"#, ""),
    ("DELETE", "/v1/keys/{key}", "", ""),
];

/// A webhook, an event and its delivery of the tenant `default`.
struct Ids {
    webhook: String,
    event: String,
    delivery: String,
    key: String,
}

impl Ids {
    async fn make(server: &Server) -> Self {
        let id = |value: &serde_json::Value| value["id"].as_str().unwrap().to_owned();
        let body = r#"{"url":"https://example.com","events":["*"]}"#;
        let webhook = id(&server.call("POST", "/v1/webhooks", body).await.json());
        let body = r#"{"type":"a.b","data":1}"#;
        let event = id(&server.call("POST", "/v1/events", body).await.json());
        let page = server.call("GET", &format!("/v1/events/{event}/deliveries"), "").await.json();
        let key = server.call("POST", "/v1/keys", r#"{"scope":"read"}"#).await.json();
        Self { webhook, event, delivery: id(&page["data"][0]), key: id(&key) }
    }

    fn fill(&self, path: &str) -> String {
        path.replace("{webhook}", &self.webhook)
            .replace("{event}", &self.event)
            .replace("{delivery}", &self.delivery)
            .replace("{key}", &self.key)
    }
}

#[tokio::test]
async fn every_route_asks_for_its_scope() {
    let server = Server::start().await;
    let ids = Ids::make(&server).await;
    for scope in ["manage", "publish", "read"] {
        let key = bearer(&server.key("default", scope).await);
        for (method, path, body, allowed) in ROUTES {
            // deleting ends what the other scopes are tried on
            if *method == "DELETE" && allowed.contains(scope) {
                continue;
            }
            let path = ids.fill(path);
            let reply = server.call_with(method, &path, &key, body.as_bytes()).await;
            if allowed.split(' ').any(|name| name == scope) {
                assert_ne!(reply.status, 403, "{scope} {method} {path}");
                assert!(
                    reply.status < 300 || reply.status == 409,
                    "{scope} {method} {path} {reply:?}"
                );
            } else {
                assert_eq!(
                    (reply.status, reply.code().as_str()),
                    (403, "forbidden"),
                    "{method} {path}"
                );
            }
            let reply = server.call_with(method, &path, "", body.as_bytes()).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, "unauthenticated"));
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn a_foreign_an_unknown_and_a_malformed_id_get_the_same_answer() {
    let server = Server::start().await;
    let ids = Ids::make(&server).await;
    let stranger = bearer(&server.key("stranger", "manage").await);
    let admin = bearer(ADMIN_KEY);
    let unknown = Ids {
        webhook: "wh_0000000000001".to_owned(),
        event: "evt_0000000000001".to_owned(),
        delivery: "dlv_00000000000010000000000001".to_owned(),
        key: "key_0000000000001".to_owned(),
    };
    let malformed = Ids {
        webhook: "WH_X".to_owned(),
        event: "a%20b".to_owned(),
        delivery: "dlv_%00".to_owned(),
        key: "%".to_owned(),
    };
    let with_id = ROUTES.iter().filter(|(_, path, ..)| path.contains('{'));
    for (method, path, body, _) in with_id {
        let mut bodies = Vec::new();
        let mut tries = vec![(unknown.fill(path), &admin), (malformed.fill(path), &admin)];
        if !path.contains("{key}") {
            tries.push((ids.fill(path), &stranger));
        }
        for (path, key) in tries {
            let reply = server.call_with(method, &path, key, body.as_bytes()).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (404, "not_found"),
                "{method} {path}"
            );
            bodies.push(reply.body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{method} {path}");
    }
}

#[tokio::test]
async fn lists_show_only_what_is_ones_own() {
    let server = Server::start().await;
    Ids::make(&server).await;
    let stranger = bearer(&server.key("stranger", "read").await);
    for path in ["/v1/webhooks", "/v1/events"] {
        let page = server.call_with("GET", path, &stranger, b"").await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), 0, "{path}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_none() {
    let server = Server::start().await;
    Ids::make(&server).await;
    Ids::make(&server).await;
    let page = server.call("GET", "/v1/events?limit=1", "").await.json();
    let path = format!("/v1/events?cursor={}", page["next_cursor"].as_str().unwrap());
    let stranger = bearer(&server.key("stranger", "read").await);
    let reply = server.call_with("GET", &path, &stranger, b"").await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "bad_cursor"));
}

#[tokio::test]
async fn a_tenant_is_named_by_a_header_that_other_keys_cannot_use() {
    let server = Server::start().await;
    let own = server.key("acme", "manage").await;
    server.key("other", "manage").await;
    let named = |key: &str, tenant: &str| format!("{}Postrider-Tenant: {tenant}\r\n", bearer(key));
    let publish = async |headers: &str| {
        let body = br#"{"type":"a.b","data":1,"id":"named"}"#;
        server.call_with("POST", "/v1/events", headers, body).await
    };
    assert_eq!(publish(&named(ADMIN_KEY, "acme")).await.status, 202);
    assert_eq!(publish(&named(&own, "acme")).await.status, 200, "the same tenant's event");
    assert_eq!(publish(&bearer(ADMIN_KEY)).await.status, 202, "the default tenant's own");
    let foreign = publish(&named(&own, "other")).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (404, "tenant_not_found"));
    let unknown = publish(&named(&own, "nobody")).await;
    assert_eq!(foreign.body, unknown.body, "no oracle");
    let twice = format!("{}Postrider-Tenant: acme\r\n", named(ADMIN_KEY, "acme"));
    assert_eq!(publish(&twice).await.status, 400);
}
