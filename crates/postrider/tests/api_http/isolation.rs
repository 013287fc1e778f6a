//! Tenants and who names them. What holds for every route is in `every_route`.

use crate::support::{ADMIN_KEY, Server, bearer};

#[tokio::test]
async fn a_cursor_of_another_tenant_is_none() {
    let server = Server::start().await;
    for _ in 0..2 {
        server.call("POST", "/v1/events", r#"{"type":"a.b","data":1}"#).await;
    }
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
