//! Keys and tenants: what operators do, and that nobody else gets there.

use serde_json::json;

use crate::person::{Person, leads_to, text};
use crate::support::http;
use crate::support::server::TestServer;
use crate::webhooks::form;

#[test]
fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let server = TestServer::start();
    let person = Person::at(&server);
    let sent = form(&[
        ("scope", "read"),
        ("tenant", "default"),
        ("description", "<i>ops</i>"),
        ("expires_in_days", "30"),
    ]);
    let made = person.sends("/keys", &sent);
    assert_eq!(made.status(), 201, "{}", made.text());
    let (_, key) = made.text().split_once("data-copy=\"").unwrap();
    let key = key.split('"').next().unwrap();
    let reads = || {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", &*authorization)];
        http::send(server.address(), "GET", "/v1/webhooks", &headers, b"").status()
    };
    assert_eq!(reads(), 200);
    let list = person.sees("/keys");
    assert!(!list.contains(key) && !list.contains("<i>ops"), "{list}");
    assert!(text(&list).contains("<i>ops</i>"), "{list}");
    let kept = &server.get("/v1/keys")["data"][0];
    assert!(kept["expires_at"].is_string(), "{kept}");
    let id = kept["id"].as_str().unwrap().to_owned();
    let revoked = person.sends(format_args!("/keys/{id}/revoke"), "");
    assert_eq!(leads_to(&revoked), "/keys?notice=revoked");
    assert_eq!(reads(), 401);
    assert_eq!(person.sends(format_args!("/keys/{id}/revoke"), "").status(), 404);
    let refused = person.sends("/keys", &form(&[("scope", "king"), ("expires_in_days", "0")]));
    assert_eq!(refused.status(), 422);
    for field in ["scope", "expires_at"] {
        assert!(refused.text().contains(&format!("id=\"{field}-fault\"")), "{field}");
    }
}

#[test]
fn tenants_are_listed_made_and_deleted_by_typing_their_name() {
    let server = TestServer::start();
    server.create_webhook(&json!({ "url": "http://127.0.0.1:1/", "events": ["*"] }));
    let person = Person::at(&server);
    let made = person.sends("/tenants", "name=acme");
    assert_eq!(leads_to(&made), "/tenants?notice=created");
    let again = person.sends("/tenants", "name=acme");
    assert!(again.status() == 422 && again.text().contains("id=\"name-fault\""));
    let list = person.sees("/tenants");
    assert!(list.contains("/dashboard/t/acme/") && list.matches("data-row").count() == 2, "{list}");
    assert_eq!(person.looks_at("/dashboard/t/acme/webhooks").status, 200);

    let wrong = person.sends("/tenants/acme/delete", "confirm=acne");
    assert!(wrong.status() == 422 && wrong.text().contains("id=\"confirm-fault\""));
    assert_eq!(person.looks_at("/dashboard/t/acme/webhooks").status, 200);
    let deleted = person.sends("/tenants/acme/delete", "confirm=acme");
    assert_eq!(leads_to(&deleted), "/tenants?notice=deleted");
    assert_eq!(person.looks_at("/dashboard/t/acme/webhooks").status, 404);
    assert_eq!(person.status_of("/tenants/acme"), 404);
    let default = person.sends("/tenants/default/delete", "confirm=default");
    assert_eq!(default.status(), 409, "it is always there");
}

#[test]
fn a_portal_link_lets_in_to_one_tenant() {
    let server = TestServer::start();
    let person = Person::at(&server);
    person.sends("/tenants", "name=acme");
    let made = person.sends("/tenants/acme/link", "is_read_only=yes&expires_in_s=900");
    assert_eq!(made.status(), 201, "{}", made.text());
    let (_, token) = made.text().split_once("/dashboard/portal#").unwrap();
    let token = token.split(['<', '"']).next().unwrap();
    let body = form(&[("token", token)]);
    let headers = [("sec-fetch-site", "same-origin")];
    let path = "/dashboard/portal";
    let entered = http::send(server.address(), "POST", path, &headers, body.as_bytes());
    assert_eq!(entered.header("location"), "/dashboard/t/acme/");
    let refused = person.sends("/tenants/acme/link", "expires_in_s=1");
    assert_eq!(refused.status(), 422);
}

#[test]
fn nobody_but_operators_gets_there() {
    let server = TestServer::start();
    let manager = Person::of_tenant(&server, "default", "manage");
    for path in ["/keys", "/tenants", "/tenants/default"] {
        assert_eq!(manager.status_of(path), 404, "{path}");
    }
    for path in ["/keys", "/keys/key_0000000000001/revoke", "/tenants", "/tenants/default/link"] {
        assert_eq!(manager.sends(path, "name=x&scope=admin").status(), 404, "{path}");
    }
    assert_eq!(server.get("/v1/tenants")["data"].as_array().unwrap().len(), 1);
}
