//! Proof: kill -9 takes nothing from a run of failures.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use postrider_faults::process::own_address;
use postrider_faults::receiver::Receiver;
use proof::process;
use serde_json::{Value, json};

const LIVES: u64 = 4;

#[tokio::test]
async fn a_run_of_failures_goes_on_over_kills_until_the_webhook_is_disabled() {
    let dir = tempfile::tempdir().unwrap();
    let address = own_address();
    let receiver = Receiver::answering(500).await;
    let mut created = None;
    let mut since = Value::Null;
    for life in 1..=LIVES {
        // in the last life any failure is one too many
        let bearing = if life == LIVES { "1" } else { "432000" };
        let flags = ["--disable-failing-after-s", bearing];
        let server = process::start_reachable(dir.path(), address, &flags).await;
        let api = server.api;
        let webhook = if let Some(webhook) = created.take() {
            webhook
        } else {
            let draft = json!({
                "url": receiver.url(), "events": ["proof.*"], "retry_schedule": [0, 86_400]
            });
            api.create_webhook(&draft).await
        };
        let path = format!("/v1/webhooks/{webhook}");
        let before = api.get(&format!("{path}/health")).await;
        assert_eq!(before["failures_in_a_row"], life - 1, "what was on record");
        assert_eq!(before["failing_since"], since);
        if life == LIVES {
            // a second has passed since the first failure once its time is another
            postrider_faults::until("the run is a second old", async || {
                let age_ms = now_ms() - postrider_faults::client::time_ms(&since)?;
                (age_ms > 1_000).then_some(())
            })
            .await;
        }
        let event = api.publish("proof.published").await;
        let delivery = api.sole_delivery(&event).await;
        // shown once it is durable
        api.delivery_after(&delivery, 1).await;
        let after = api.get(&format!("{path}/health")).await;
        assert_eq!(after["failures_in_a_row"], life);
        since = after["failing_since"].clone();
        if life == LIVES {
            let disabled = postrider_faults::until("the webhook is disabled", async || {
                let webhook = api.get(&path).await;
                (webhook["state"] == "disabled").then_some(webhook)
            });
            assert_eq!(disabled.await["disabled_reason"], "failing");
        }
        server.kill();
        created = Some(webhook);
    }
}

fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since_epoch.unwrap().as_millis()).unwrap()
}
