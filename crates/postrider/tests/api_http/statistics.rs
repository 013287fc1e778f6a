//! Health, statistics and metrics: what they answer, and to whom. Attempts fail here, for no name
//! resolves.

use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Server, bearer};

async fn webhook(server: &Server) -> String {
    let body = r#"{"url":"https://example.com","events":["*"],"retry_schedule":[0,3600]}"#;
    let made = server.call("POST", "/v1/webhooks", body).await.json();
    made["id"].as_str().unwrap().to_owned()
}

/// Publishes an event and waits until its one attempt is on record.
async fn publish(server: &Server) {
    let event = server.call("POST", "/v1/events", r#"{"type":"a.b","data":1}"#).await.json();
    let path = format!("/v1/events/{}/deliveries", event["id"].as_str().unwrap());
    for _ in 0..10_000 {
        let page = server.call("GET", &path, "").await.json();
        if page["data"][0]["attempts"] == 1 {
            return;
        }
    }
    panic!("{path} never showed an attempt");
}

fn no_answers(times: u32) -> Value {
    json!({"2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, "none": times})
}

async fn get(server: &Server, path: &str) -> Value {
    let reply = server.call("GET", path, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[tokio::test]
async fn the_health_of_a_webhook_that_was_never_attempted_is_empty() {
    let server = Server::start().await;
    let key = webhook(&server).await;
    let empty = json!({
        "attempts": 0, "succeeded": 0, "failed": 0, "retrying": 0, "answers": no_answers(0),
        "success_rate": null, "response_ms": null
    });
    let expected = json!({
        "webhook_id": key,
        "failures_in_a_row": 0,
        "failing_since": null,
        "last_success_at": null,
        "last_failure_at": null,
        "pending": {"count": 0, "is_more": false, "oldest_at": null},
        "windows": {"1h": empty, "24h": empty, "7d": empty},
    });
    assert_eq!(get(&server, &format!("/v1/webhooks/{key}/health")).await, expected);
}

#[tokio::test]
async fn a_failure_shows_in_health_and_statistics_at_once() {
    let server = Server::start().await;
    let key = webhook(&server).await;
    publish(&server).await;
    let health = get(&server, &format!("/v1/webhooks/{key}/health")).await;
    assert_eq!(health["failures_in_a_row"], 1);
    assert_eq!(health["failing_since"], health["last_failure_at"]);
    assert_eq!(
        (&health["pending"]["count"], &health["pending"]["is_more"]),
        (&json!(1), &json!(false))
    );
    let failed = json!({
        "attempts": 1, "succeeded": 0, "failed": 1, "retrying": 1, "answers": no_answers(1),
        "success_rate": 0.0, "response_ms": null
    });
    assert_eq!(health["windows"]["7d"], failed);
    for (window, slots) in [("1h", 60), ("24h", 96), ("7d", 84)] {
        let stats = get(&server, &format!("/v1/stats?window={window}")).await;
        assert_eq!(stats["window"], window);
        assert_eq!(stats["totals"], failed);
        assert_eq!((&stats["events"], &stats["pending"]["count"]), (&json!(1), &json!(1)));
        let shown = stats["slots"].as_array().unwrap();
        assert_eq!(shown.len(), slots);
        let of_all = |name: &str| shown.iter().filter_map(|slot| slot[name].as_u64()).sum::<u64>();
        assert_eq!(["attempts", "succeeded", "failed", "events"].map(of_all), [1, 0, 1, 1]);
        assert!(shown.is_sorted_by_key(|slot| slot["at"].as_str().unwrap()));
    }
    assert_eq!(get(&server, "/v1/stats").await["window"], "24h");
}

#[tokio::test]
async fn statistics_are_of_ones_own_tenant() {
    let server = Server::start().await;
    webhook(&server).await;
    publish(&server).await;
    let stranger = bearer(&server.key("stranger", "read").await);
    let stats = server.call_with("GET", "/v1/stats", &stranger, b"").await.json();
    assert_eq!((&stats["events"], &stats["totals"]["attempts"]), (&json!(0), &json!(0)));
    assert_eq!(stats["pending"]["count"], 0);
}

#[tokio::test]
async fn queries_that_mean_nothing_are_refused() {
    let server = Server::start().await;
    let key = webhook(&server).await;
    for path in [
        "/v1/stats?window=2h".to_owned(),
        "/v1/stats?window=".to_owned(),
        "/v1/stats?window=1h&window=1h".to_owned(),
        "/v1/stats?limit=1".to_owned(),
        format!("/v1/webhooks/{key}/health?window=1h"),
    ] {
        let reply = server.call("GET", &path, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "validation"), "{path}");
    }
}

#[tokio::test]
async fn metrics_are_for_admins_unless_they_are_open() {
    let server = Server::start().await;
    let read = bearer(&server.key("default", "read").await);
    let manage = bearer(&server.key("default", "manage").await);
    for (headers, status) in [
        ("", 401),
        (&*bearer("prk_wrong"), 401),
        (&*read, 403),
        (&*manage, 403),
        (&*bearer(ADMIN_KEY), 200),
    ] {
        let reply = server.call_with("GET", "/metrics", headers, b"").await;
        assert_eq!(reply.status, status, "{headers} {reply:?}");
    }
    let reply = server.call("POST", "/metrics", "").await;
    assert_eq!(reply.status, 405, "{reply:?}");
}
