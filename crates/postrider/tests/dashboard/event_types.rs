//! The catalogue, and sending an example.

use serde_json::json;

use crate::person::{Person, leads_to, text};
use crate::support::receiver::Receiver;
use crate::support::server::TestServer;
use crate::webhooks::form;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_catalogue_says_what_there_is_and_how_many_want_it() {
    let server = TestServer::start();
    server.create_webhook(&json!({ "url": "http://127.0.0.1:1/", "events": ["code.*"] }));
    let person = Person::at(&server);
    let page = text(&person.sees("/event-types?q=CODE.generated"));
    assert!(page.contains("code.generated") && page.contains("1\u{a0}webhook"), "{page}");
    assert!(!page.contains("task.created"));
    let page = person.sees("/event-types/code.generated");
    assert!(page.contains("j-key") && text(&page).contains("by code.*"), "{page}");
    assert_eq!(person.status_of("/event-types/no.such"), 404);
    assert_eq!(person.status_of("/event-types/a..b"), 404);
}

#[test]
fn an_event_type_is_made_changed_archived_and_brought_back() {
    let server = TestServer::start();
    let person = Person::at(&server);
    let sent = form(&[
        ("name", "invoice.paid"),
        ("description", "<b>Paid</b>"),
        ("schema", r#"{ "type": "object" }"#),
        ("example", r#"{"amount": 12345678901234567890.50}"#),
        ("validation", "warn"),
    ]);
    let created = person.sends("/event-types/new", &sent);
    assert_eq!(leads_to(&created), "/event-types/invoice.paid?notice=created");
    let page = person.sees("/event-types/invoice.paid");
    assert!(page.contains("12345678901234567890.50") && !page.contains("<b>Paid"), "{page}");
    let again = person.sends("/event-types/new", &sent);
    assert_eq!(again.status(), 422);
    assert!(again.text().contains("id=\"name-fault\""), "{}", again.text());

    let path = "/event-types/invoice.paid";
    let sent = form(&[
        ("description", "Paid"),
        ("schema", ""),
        ("example", "{\"n\":1}"),
        ("validation", "off"),
    ]);
    assert_eq!(
        leads_to(&person.sends(format_args!("{path}/edit"), &sent)),
        format!("{path}?notice=saved")
    );
    let now = server.get("/v1/event-types/invoice.paid");
    assert_eq!((&now["description"], &now["schema"]), (&json!("Paid"), &json!(null)));
    assert_eq!((&now["example"], &now["validation"]), (&json!({ "n": 1 }), &json!("off")));
    let refused =
        person.sends(format_args!("{path}/edit"), &form(&[("schema", "{"), ("example", "nul")]));
    for field in ["schema", "example"] {
        assert!(refused.text().contains(&format!("id=\"{field}-fault\"")), "{field}");
    }

    let archived = person.sends(format_args!("{path}/archive"), "");
    assert_eq!(leads_to(&archived), format!("{path}?notice=archived"));
    assert!(!person.sees("/event-types").contains(">invoice.paid<"));
    assert!(person.sees("/event-types?archived=yes").contains(">invoice.paid<"));
    assert_eq!(person.status_of(format_args!("{path}/send")), 404);
    person.sends(format_args!("{path}/unarchive"), "");
    assert_eq!(server.get("/v1/event-types/invoice.paid")["archived_at"], json!(null));
}

#[test]
fn saving_a_built_in_type_as_it_is_keeps_following_the_server() {
    let server = TestServer::start();
    let person = Person::at(&server);
    let page = person.sees("/event-types/code.generated/edit");
    let area = |name: &str| {
        let (_, rest) = page.split_once(&format!("<textarea id=\"{name}\"")).unwrap();
        let (_, rest) = rest.split_once(">\n").unwrap();
        text(rest.split_once("</textarea>").unwrap().0)
    };
    let (description, schema, example) = (area("description"), area("schema"), area("example"));
    let sent = form(&[("description", &description), ("schema", &schema), ("example", &example)]);
    let before = server.get("/v1/event-types/code.generated");
    person.sends("/event-types/code.generated/edit", &sent);
    let after = server.get("/v1/event-types/code.generated");
    for member in ["description", "schema", "example"] {
        assert_eq!(before[member], after[member], "{member}");
    }
    // clearing goes back to what is built in, whatever was saved between
    let sent = form(&[("description", "Mine"), ("schema", &schema), ("example", &example)]);
    person.sends("/event-types/code.generated/edit", &sent);
    assert_eq!(server.get("/v1/event-types/code.generated")["description"], "Mine");
    person.sends("/event-types/code.generated/edit", &form(&[("description", "")]));
    assert_eq!(server.get("/v1/event-types/code.generated")["description"], before["description"]);
}

#[test]
fn an_example_goes_to_everybody_or_as_a_test_to_one() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.webhook(&receiver.url(), SECRET);
    let person = Person::at(&server);
    let page = person.sees("/event-types/code.generated/send");
    assert!(
        page.contains(&format!("value=\"{webhook}\"")) && page.contains("repository"),
        "{page}"
    );
    let path = "/event-types/code.generated/send";
    let sent = person.sends(path, &form(&[("data", "{ \"n\" : 1.50 }"), ("to", "everybody")]));
    assert!(leads_to(&sent).starts_with("/events/evt_"), "{}", leads_to(&sent));
    let arrived = receiver.wait_for(1).remove(0).request;
    assert!(arrived.text().contains(r#""data":{"n":1.50}"#), "{}", arrived.text());
    let sent = person.sends(path, &form(&[("data", "2"), ("to", &webhook)]));
    assert!(leads_to(&sent).starts_with("/deliveries/dlv_"), "{}", leads_to(&sent));
    let arrived = receiver.wait_for(2).remove(1).request;
    assert!(arrived.header("webhook-id").starts_with("test_"));

    for (data, to, field) in
        [("{", "everybody", "data"), ("", "everybody", "data"), ("1", "wh_x", "to")]
    {
        let refused = person.sends(path, &form(&[("data", data), ("to", to)]));
        assert_eq!(refused.status(), 422, "{data} {to}");
        assert!(refused.text().contains(&format!("id=\"{field}-fault\"")), "{data} {to}");
    }
}

#[test]
fn who_may_only_look_can_change_and_send_nothing() {
    let server = TestServer::start();
    let reader = Person::of_tenant(&server, "default", "read");
    let (_, page) = reader
        .sees("/event-types/code.generated")
        .split_once("<main")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(!page.contains("method=\"post\""), "{page}");
    for path in
        ["/event-types/new", "/event-types/code.generated/edit", "/event-types/code.generated/send"]
    {
        assert_eq!(reader.status_of(path), 404, "{path}");
        assert_eq!(reader.sends(path, "").status(), 403, "{path}");
    }
    assert_eq!(reader.sends("/event-types/code.generated/archive", "").status(), 403);
}
