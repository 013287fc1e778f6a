//! Payload filters, from saving to the explanation.

use serde_json::{Value, json};

use crate::support::{Reply, Server, bearer};

const FILTER: &str = "data.severity == 'high' && data.repository.startsWith('acme/')";

fn refused(reply: &Reply, status: u16, code: &str, pointers: &[&str]) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.pointers(), pointers, "{reply:?}");
}

async fn webhook(server: &Server, filter: Option<&str>) -> Value {
    register(
        server,
        &json!({"url": "https://example.com/a", "events": ["code.*"], "filter": filter}),
    )
    .await
}

async fn register(server: &Server, body: &Value) -> Value {
    let reply = server.call("POST", "/v1/webhooks", &body.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

async fn publish(server: &Server, data: &Value) -> Value {
    let body = json!({"type": "code.generated", "data": data}).to_string();
    let reply = server.call("POST", "/v1/events", &body).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()
}

async fn explanation(server: &Server, event: &Value) -> Value {
    let path = format!("/v1/events/{}/explanation", event["id"].as_str().unwrap());
    server.call("GET", &path, "").await.json()
}

#[tokio::test]
async fn a_filter_narrows_what_a_webhook_gets_and_the_explanation_says_so() {
    let server = Server::start().await;
    let plain = webhook(&server, None).await;
    let filtered = webhook(&server, Some(FILTER)).await;
    assert_eq!(filtered["filter"], FILTER);

    let wanted = json!({"severity": "high", "repository": "acme/web"});
    let both = publish(&server, &wanted).await;
    assert_eq!(both["matched"], 2);
    let explained = explanation(&server, &both).await;
    assert_eq!(
        explained["matched_webhooks"][1]["text"],
        "it wants code.*, and its filter said yes"
    );
    assert_eq!(explained["matched_webhooks"][1]["filter"], FILTER);

    let unwanted = publish(&server, &json!({"severity": "low", "repository": "acme/web"})).await;
    assert_eq!(unwanted["matched"], 1);
    let explained = explanation(&server, &unwanted).await;
    assert_eq!(explained["matched_webhooks"][0]["webhook_id"], plain["id"]);
    let no = &explained["unmatched_webhooks"][0];
    assert_eq!((&no["webhook_id"], &no["outcome"]), (&filtered["id"], &json!("filter_said_no")));
    assert_eq!(no["filter"], FILTER);
    assert!(no["text"].as_str().unwrap().contains("when the event was accepted, at 2"), "{no}");
    assert_eq!(explained["unmatched_counts"]["filter_said_no"], 1);
    assert!(explained["summary"].as_str().unwrap().contains("1 did not want it by its filter"));

    let broken = publish(&server, &json!({"repository": "acme/web"})).await;
    assert_eq!(broken["matched"], 1);
    let explained = explanation(&server, &broken).await;
    let failed = &explained["unmatched_webhooks"][0];
    assert_eq!(failed["outcome"], "filter_failed");
    assert!(failed["text"].as_str().unwrap().ends_with("there is no severity in it"), "{failed}");

    // what the event itself tells is the same
    let path = format!("/v1/events/{}", broken["id"].as_str().unwrap());
    assert_eq!(server.call("GET", &path, "").await.json()["explanation"], explained);
}

#[tokio::test]
async fn an_old_explanation_shows_the_filter_as_it_was_then() {
    let server = Server::start().await;
    let made = webhook(&server, Some("data.n > 5")).await;
    let event = publish(&server, &json!({"n": 1})).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let changed = server.call("PATCH", &path, r#"{"filter":"data.n < 5"}"#).await.json();
    assert_eq!(changed["filter"], "data.n < 5");
    let explained = explanation(&server, &event).await;
    assert_eq!(explained["unmatched_webhooks"][0]["filter"], "data.n > 5");
    assert_eq!(publish(&server, &json!({"n": 1})).await["matched"], 1, "the new one counts now");

    let cleared = server.call("PATCH", &path, r#"{"filter":null}"#).await.json();
    assert_eq!(cleared["filter"], Value::Null);
    assert_eq!(publish(&server, &json!({"n": 9})).await["matched"], 1);
}

#[tokio::test]
async fn a_bad_filter_is_refused_with_its_place() {
    let server = Server::start().await;
    let draft = |filter: &str| {
        json!({"url": "https://example.com", "events": ["*"], "filter": filter}).to_string()
    };
    for (filter, place) in [
        ("data.a ==", "line 1, column 10"),
        ("data.a == 1 &&\n dta.b == 2", "line 2, column 2"),
        ("data.a.all(x, data.b.all(y, data.c.all(z, true)))", "nest at most 2"),
        (&"(".repeat(200_000), "at most 2048 bytes"),
        (&format!("{}1{}", "(".repeat(1_000), ")".repeat(1_000)), "line 1"),
    ] {
        let reply = server.call("POST", "/v1/webhooks", &draft(filter)).await;
        refused(&reply, 422, "validation", &["/filter"]);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(place), "{detail}");
        assert!(detail.len() < 400, "{detail}");
    }
    let made = webhook(&server, None).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let reply = server.call("PATCH", &path, r#"{"filter":"1 +"}"#).await;
    refused(&reply, 422, "validation", &["/filter"]);
    let reply = server.call("PATCH", &path, r#"{"filter":7}"#).await;
    refused(&reply, 422, "validation", &["/filter"]);
}

#[tokio::test]
async fn hostile_filters_hold_up_neither_publishing_nor_the_others() {
    let server = Server::start().await;
    let plain = webhook(&server, None).await;
    for _ in 0..20 {
        webhook(&server, Some("data.l.all(x, data.l.all(y, x + y >= 0))")).await;
        webhook(&server, Some("data.l.map(x, data.l.map(y, data)) != []")).await;
    }
    let modest = webhook(&server, Some("data.l[0] == 1 && data.s.startsWith('x')")).await;
    let data = json!({"l": vec![1; 20_000], "s": "x".repeat(100_000)});
    let event = publish(&server, &data).await;
    assert_eq!(event["matched"], 2);
    let explained = explanation(&server, &event).await;
    let matched = explained["matched_webhooks"].as_array().unwrap();
    let ids: Vec<_> = matched.iter().map(|found| found["webhook_id"].clone()).collect();
    assert_eq!(ids, [plain["id"].clone(), modest["id"].clone()]);
    assert_eq!(explained["unmatched_counts"]["filter_failed"], 40);
    let text = explained["unmatched_webhooks"][0]["text"].as_str().unwrap();
    assert!(text.ends_with("too long on an event as large as this one"), "{text}");
}

#[tokio::test]
async fn equal_outcomes_share_one_stored_matching() {
    let server = Server::start().await;
    webhook(&server, Some("data.n > 5")).await;
    let tenant = server.engine.tenant("default").unwrap().key;
    let mut matchings = Vec::new();
    for n in [1, 9, 2, 8, 3] {
        let event = publish(&server, &json!({"n": n})).await;
        let id = event["id"].as_str().unwrap();
        let event = server.engine.store().event(tenant, id).await.unwrap().unwrap();
        matchings.push(event.matching);
    }
    assert_eq!(matchings[0], matchings[2]);
    assert_eq!(matchings[0], matchings[4]);
    assert_eq!(matchings[1], matchings[3]);
    assert_ne!(matchings[0], matchings[1]);
}

#[tokio::test]
async fn a_filter_is_tried_on_a_past_event_or_on_a_given_one() {
    let server = Server::start().await;
    let event = publish(&server, &json!({"n": 7})).await;
    let id = event["id"].as_str().unwrap();
    let test = async |body: Value| server.call("POST", "/v1/filters/test", &body.to_string()).await;
    let past =
        test(json!({"filter": "data.n == 7 && type == 'code.generated'", "event_id": id})).await;
    assert_eq!((past.status, past.json()), (200, json!({"matches": true, "error": null})));
    let given = json!({"type": "a.b", "data": {"n": 1}, "timestamp": "2020-01-01T00:00:00Z"});
    let filter = "data.n == 1 && timestamp < '2021'";
    let answer = test(json!({"filter": filter, "event": given})).await.json();
    assert_eq!(answer, json!({"matches": true, "error": null}));
    let answer = test(json!({"filter": "data.m == 1", "event": given})).await.json();
    assert_eq!(answer, json!({"matches": false, "error": "there is no m in it"}));

    refused(&test(json!({"filter": "1 +", "event": given})).await, 422, "validation", &["/filter"]);
    refused(&test(json!({"filter": "true"})).await, 422, "validation", &["/event"]);
    let both = json!({"filter": "true", "event": given, "event_id": id});
    refused(&test(both).await, 422, "validation", &["/event"]);
    let bad = json!({"filter": "true", "event": {"type": "a..b"}});
    refused(&test(bad).await, 422, "validation", &["/event/type", "/event/data"]);
    let unknown = json!({"filter": "true", "event_id": "evt_0000000000001"});
    refused(&test(unknown).await, 422, "validation", &["/event_id"]);

    let stranger = bearer(&server.key("stranger", "read").await);
    let body = json!({"filter": "true", "event_id": id}).to_string();
    let foreign = server.call_with("POST", "/v1/filters/test", &stranger, body.as_bytes()).await;
    refused(&foreign, 422, "validation", &["/event_id"]);
}

/// Beyond 1,000 webhooks, who does not get an event is counted by reason and no longer named.
#[tokio::test]
async fn a_tenant_of_many_webhooks_is_told_how_many_do_not_get_an_event_and_why() {
    let server = Server::start().await;
    let counts = [("type_not_wanted", 600), ("filter_said_no", 250), ("filter_failed", 149)];
    let drafts = [
        json!({"url": "https://example.com/a", "events": ["task.*"]}),
        json!({"url": "https://example.com/a", "events": ["*"], "filter": "data.a == 'b'"}),
        json!({"url": "https://example.com/a", "events": ["*"], "filter": "data.none == 1"}),
    ];
    for ((_, count), draft) in counts.iter().zip(&drafts) {
        for _ in 0..*count {
            register(&server, draft).await;
        }
    }
    let plain = json!({"url": "https://example.com/a", "events": ["*"]});
    let disabled = register(&server, &plain).await;
    let path = format!("/v1/webhooks/{}", disabled["id"].as_str().unwrap());
    server.call("PATCH", &path, r#"{"state":"disabled"}"#).await;

    let event = publish(&server, &json!({"a": "c"})).await;
    let named = explanation(&server, &event).await;
    assert_eq!(named["unmatched_webhooks"].as_array().unwrap().len(), 1_000);

    register(&server, &drafts[0]).await;
    let wanting = webhook(&server, None).await;
    let event = publish(&server, &json!({"a": "c"})).await;
    let counted = explanation(&server, &event).await;
    assert_eq!(counted["unmatched_webhooks"], json!([]));
    assert_eq!(
        counted["unmatched_counts"],
        json!({
            "type_not_wanted": 601, "filter_said_no": 250, "filter_failed": 149,
            "disabled": 1, "deleted": 0,
        })
    );
    assert_eq!(
        counted["summary"],
        "1 webhook gets code.generated; of the others, 601 did not want this event type, 250 did \
         not want it by its filter, 149 had a filter that came to no answer, 1 wanted it but was \
         disabled."
    );
    assert_eq!(counted["matched_webhooks"][0]["webhook_id"], wanting["id"]);
}
