//! Deleting a tenant: what it takes with it, and what it leaves.

use serde_json::json;

use crate::support::{Server, bearer};

const WEBHOOK: &[u8] = br#"{"url":"https://example.com","events":["*"]}"#;
const EVENT: &[u8] = br#"{"type":"a.b","data":1,"id":"one"}"#;

#[tokio::test]
async fn a_deleted_tenant_is_gone_with_its_keys_webhooks_and_deliveries() {
    let server = Server::start().await;
    let key = bearer(&server.key("acme", "manage").await);
    let call = async |method: &str, path: &str, body: &[u8]| {
        server.call_with(method, path, &key, body).await
    };
    assert_eq!(call("POST", "/v1/webhooks", WEBHOOK).await.status, 201);
    // no name resolves here, so its delivery stays pending
    assert_eq!(call("POST", "/v1/events", EVENT).await.json()["matched"], 1);

    assert_eq!(server.call("DELETE", "/v1/tenants/acme", "").await.status, 204);
    assert_eq!(call("GET", "/v1/webhooks", b"").await.code(), "unauthenticated");
    assert_eq!(server.call("DELETE", "/v1/tenants/acme", "").await.code(), "not_found");
    let keys = server.call("GET", "/v1/keys", "").await.json();
    assert_eq!(keys["data"], json!([]));
    let tenants = server.call("GET", "/v1/tenants", "").await.json();
    assert_eq!(tenants["data"].as_array().unwrap().len(), 1, "default: {tenants}");
    for _ in 0..10_000 {
        let counts = server.engine.store().counts().await.unwrap();
        if counts.deliveries_pending == 0 {
            assert_eq!(counts.deliveries_finished, 1);
            return;
        }
        // a request lets the server go on
        server.call("GET", "/healthz", "").await;
    }
    panic!("its delivery was never cancelled");
}

#[tokio::test]
async fn the_name_of_a_deleted_tenant_is_free_for_one_that_sees_nothing_of_it() {
    let server = Server::start().await;
    let old = bearer(&server.key("acme", "manage").await);
    let webhook = server.call_with("POST", "/v1/webhooks", &old, WEBHOOK).await.json();
    server.call_with("POST", "/v1/events", &old, EVENT).await;
    assert_eq!(server.call("DELETE", "/v1/tenants/acme", "").await.status, 204);

    let new = bearer(&server.key("acme", "manage").await);
    let get = async |path: &str| server.call_with("GET", path, &new, b"").await;
    assert_eq!(get("/v1/events/one").await.code(), "not_found");
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    assert_eq!(get(&path).await.code(), "not_found");
    for path in ["/v1/events", "/v1/webhooks"] {
        assert_eq!(get(path).await.json()["data"], json!([]), "{path}");
    }
    let again = server.call_with("POST", "/v1/events", &new, EVENT).await;
    assert_eq!(again.status, 202, "its ids are its own: {again:?}");
    let old = server.call_with("GET", "/v1/events", &old, b"").await;
    assert_eq!(old.code(), "unauthenticated", "a key of the tenant before");
}

#[tokio::test]
async fn the_default_tenant_is_always_there() {
    let server = Server::start().await;
    let refused = server.call("DELETE", "/v1/tenants/default", "").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "conflict"));
    for unknown in ["nobody", "A%20b", "%"] {
        let reply = server.call("DELETE", &format!("/v1/tenants/{unknown}"), "").await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{unknown}");
    }
}
