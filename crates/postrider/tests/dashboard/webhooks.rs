//! The list of webhooks, registering one, and changing one.

use serde_json::json;

use crate::person::{Person, leads_to, text};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ELSEWHERE: &str = "http://127.0.0.1:1/elsewhere";

/// A form as a browser sends it.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[test]
fn the_list_shows_how_each_webhook_fares() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    receiver.script([Answer::Status(500)]);
    let webhook = server.webhook(&receiver.url(), SECRET);
    let event = server.publish("code.generated", "{}");
    server.delivery(&event, 1);
    server.create_webhook(&json!({
        "url": ELSEWHERE, "events": ["a", "b", "c"], "filter": "data.n > 1", "description": "Quiet",
    }));
    let person = Person::at(&server);
    let page = text(&person.sees("/webhooks"));
    assert!(page.contains("failing") && page.contains("enabled"), "{page}");
    assert!(page.contains("0\u{a0}% of 1") && page.contains("no attempts"), "{page}");
    assert!(page.contains("and 1 more, filtered"), "{page}");

    let rows =
        |query: &str| person.sees(format_args!("/webhooks?{query}")).matches("data-row").count();
    assert_eq!(rows("q=&state="), 2);
    assert_eq!(rows("q=ELSEWHERE"), 1);
    assert_eq!(rows("q=quiet"), 1, "descriptions are looked at too");
    assert_eq!(rows("q=nowhere"), 0);
    assert_eq!(rows("state=failing"), 1);
    assert_eq!(rows("state=enabled"), 2);
    let disabled = server.request("POST", &format!("/v1/webhooks/{webhook}/disable"), b"");
    assert_eq!(disabled.status(), 200);
    assert_eq!((rows("state=disabled"), rows("state=failing")), (1, 0));
    for wrong in ["state=lost", "cursor=x"] {
        assert_eq!(person.status_of(format_args!("/webhooks?{wrong}")), 422, "{wrong}");
    }
}

#[test]
fn a_long_list_goes_on_where_it_ended() {
    let server = TestServer::start();
    let ids: Vec<_> =
        (0..51).map(|n| server.webhook(&format!("{ELSEWHERE}/{n}"), SECRET)).collect();
    let person = Person::at(&server);
    let first = person.sees("/webhooks");
    assert_eq!(first.matches("data-row").count(), 50);
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = person.looks_at(next.replace("&amp;", "&"));
    assert_eq!(second.html.matches("data-row").count(), 1);
    assert!(second.html.contains(ids.last().unwrap()) && !second.html.contains("rel=\"next\""));
}

#[test]
fn a_webhook_is_registered_and_its_secret_shown_once_and_on_demand() {
    let server = TestServer::start();
    let person = Person::at(&server);
    let offered = person.sees("/webhooks/new");
    for expected in ["value=\"code.*\"", "value=\"code.generated\"", "postrider.webhook.failing"] {
        assert!(offered.contains(expected), "{expected}");
    }
    let sent = form(&[
        ("url", "http://127.0.0.1:1/hooks"),
        ("description", "Mine"),
        ("events", "code.*"),
        ("patterns", "invoice.paid"),
        ("filter", "data.files > 2"),
        ("profile", "standard"),
        ("secret_kind", "own"),
        ("secret", SECRET),
        ("headers", "X-Team: platform\r\nAuthorization: Bearer abc"),
        ("timeout_ms", "2000"),
        ("retry_schedule", "0, 60"),
    ]);
    let created = person.sends("/webhooks/new", &sent);
    assert_eq!(created.status(), 201, "{}", created.text());
    assert!(text(created.text()).contains(SECRET));
    assert_eq!(created.header("cache-control"), "no-store");

    let made = &server.get("/v1/webhooks")["data"][0];
    assert_eq!(made["events"], json!(["code.*", "invoice.paid"]));
    assert_eq!((&made["description"], &made["filter"]), (&json!("Mine"), &json!("data.files > 2")));
    assert_eq!(made["headers"], json!({ "x-team": "***", "authorization": "***" }));
    assert_eq!(
        (&made["timeout_ms"], &made["retry_schedule"]),
        (&json!(2_000), &json!([0.0, 60.0]))
    );

    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    assert!(!person.sees(&path).contains(SECRET));
    let shown = person.sends(format_args!("{path}/secret"), "");
    assert!(shown.status() == 200 && shown.text().contains(SECRET), "{}", shown.text());
}

#[test]
fn faults_are_told_beside_their_fields_and_nothing_is_lost() {
    let server = TestServer::start();
    let person = Person::at(&server);
    let sent = form(&[
        ("url", "ftp://\"><script>alert(1)</script>"),
        ("description", "kept <b>"),
        ("patterns", "a..b"),
        ("filter", "data."),
        ("timeout_ms", "soon"),
    ]);
    let refused = person.sends("/webhooks/new", &sent);
    let page = refused.text();
    assert_eq!(refused.status(), 422);
    for field in ["events", "timeout_ms"] {
        assert!(page.contains(&format!("id=\"{field}-fault\"")), "{field}: {page}");
    }
    assert!(page.contains("aria-invalid=\"true\"") && page.contains("role=\"alert\""));
    assert!(page.contains("value=\"kept &lt;b&gt;\"") && !page.contains("<script>alert"), "{page}");
    // what only the engine judges
    let sent = form(&[("url", "ftp://a.example"), ("events", "*")]);
    let refused = person.sends("/webhooks/new", &sent);
    assert_eq!(refused.status(), 422);
    assert!(refused.text().contains("id=\"url-fault\""), "{}", refused.text());
    assert_eq!(server.get("/v1/webhooks")["data"], json!([]));
}

#[test]
fn a_filter_is_tried_on_a_past_event_without_saving_anything() {
    let server = TestServer::start();
    let small = server.publish("code.generated", r#"{"files":1}"#);
    let newest = server.publish("code.generated", r#"{"files":9}"#);
    let person = Person::at(&server);
    let tries = |filter: &str, event: &str| {
        let sent =
            form(&[("do", "try"), ("events", "code.*"), ("filter", filter), ("try_event", event)]);
        text(person.sends("/webhooks/new", &sent).text())
    };
    let page = tries("data.files > 5", "");
    assert!(page.contains(&newest) && page.contains("matches"), "{page}");
    let page = tries("data.files > 5", &small);
    assert!(page.contains(&small) && page.contains("does not match"), "{page}");
    assert!(tries("data.missing > 5", "").contains("no answer"));
    assert!(tries("data.files > 5", "evt_unknown").contains("There is no such event"));
    assert!(tries("data.", "").contains("line 1, column"), "{}", tries("data.", ""));
    assert!(tries("", "").contains("Write a filter first"));
    assert_eq!(server.get("/v1/webhooks")["data"], json!([]));
}

#[test]
fn a_webhook_is_changed_and_hidden_values_stay() {
    let server = TestServer::start();
    let webhook = server.create_webhook(&json!({
        "url": ELSEWHERE, "events": ["code.*", "own.type"], "headers": { "x-team": "our-team-7" },
        "rate_limit": 5, "description": "Before",
    }));
    let path = format!("/webhooks/{}", webhook["id"].as_str().unwrap());
    let person = Person::at(&server);
    let shown = person.sees(format_args!("{path}/edit"));
    assert!(shown.contains("x-team: ***") && !shown.contains("our-team-7"), "{shown}");
    assert!(shown.contains("value=\"code.*\" checked") && shown.contains("own.type"), "{shown}");
    let sent = form(&[
        ("url", "http://127.0.0.1:1/other"),
        ("description", ""),
        ("events", "*"),
        ("profile", "standard"),
        ("headers", "x-team: ***\nx-new: 1"),
        ("rate_limit", ""),
    ]);
    let saved = person.sends(format_args!("{path}/edit"), &sent);
    assert_eq!(leads_to(&saved), format!("{path}?notice=saved"));
    let now = server.get(&format!("/v1{path}"));
    assert_eq!(now["url"], "http://127.0.0.1:1/other");
    assert_eq!((&now["description"], &now["rate_limit"]), (&json!(null), &json!(null)));
    assert_eq!(now["headers"], json!({ "x-team": "***", "x-new": "***" }));
    assert_eq!(now["events"], json!(["*"]));
    let refused = person.sends(format_args!("{path}/edit"), &form(&[("url", ""), ("events", "*")]));
    assert_eq!(refused.status(), 422);
}

#[test]
fn who_may_only_look_sees_no_buttons_and_can_do_nothing() {
    let server = TestServer::start();
    let webhook = server.webhook(ELSEWHERE, SECRET);
    let reader = Person::of_tenant(&server, "default", "read");
    for page in [reader.sees("/webhooks"), reader.sees(format_args!("/webhooks/{webhook}"))] {
        let (_, page) = page.split_once("<main").unwrap();
        assert!(!page.contains("method=\"post\"") && !page.contains("/webhooks/new"), "{page}");
    }
    for path in ["/webhooks/new", &format!("/webhooks/{webhook}/edit")] {
        assert_eq!(reader.status_of(path), 404, "{path}");
    }
    for deed in ["edit", "secret", "rotate", "test", "enable", "disable", "delete", "replay"] {
        let refused = reader.sends(format_args!("/webhooks/{webhook}/{deed}"), "");
        assert_eq!(refused.status(), 403, "{deed}");
    }
    assert_eq!(reader.sends("/webhooks/new", "").status(), 403);
}

#[test]
fn a_webhook_of_another_tenant_is_not_there() {
    let server = TestServer::start();
    let webhook = server.webhook(ELSEWHERE, SECRET);
    let stranger = Person::of_tenant(&server, "acme", "manage");
    let own = format!("/dashboard/t/acme/webhooks/{webhook}");
    for rest in ["", "/edit", "/rotate", "/replay"] {
        assert_eq!(stranger.looks_at(format_args!("{own}{rest}")).status, 404, "{rest}");
        assert_eq!(stranger.status_of(format_args!("/webhooks/{webhook}{rest}")), 404, "{rest}");
    }
    assert!(!stranger.looks_at("/dashboard/t/acme/webhooks").html.contains(&webhook));
    let refused = stranger.sends(format_args!("/webhooks/{webhook}/delete"), "");
    assert_eq!(refused.status(), 404);
}
