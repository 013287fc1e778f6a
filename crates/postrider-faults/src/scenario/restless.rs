//! An operator who does everything that can be done to a webhook, again and again, beside the
//! publishers. What comes of it is not compared; that it is possible at every moment is the point.

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::LOOK_EVERY;
use crate::client::{Api, Line};
use crate::rig::Rig;

/// Its receiver answers 500 as long as faults last, so that there is something to cancel and retry.
pub(super) const PATH: &str = "/restless";
const TYPE: &str = "restless.happened";
/// Big enough to fill the log and the list indexes soon.
const BULK_EVENTS: usize = 250;
const BULK_BYTES: usize = 3_000;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Operator {
    is_over: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What the operator does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Changes, retries, replays and cancels.
    Webhooks,
    /// Publishes batches of events that nobody wants.
    Bulk,
}

impl Operator {
    /// Starts on a rig whose server runs.
    pub(super) fn start(rig: &Rig, work: Work) -> Self {
        let is_over = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let (api, url, mut over) = (rig.api(), rig.url(PATH), is_over.subscribe());
        tasks.spawn(async move {
            loop {
                let round = async {
                    let mut line = Line::open_once_reachable(api.address).await;
                    // ends when the server dies in the middle, and begins again with the next one
                    let worked = match work {
                        Work::Webhooks => webhooks(&mut line, &url).await,
                        Work::Bulk => bulk(&mut line).await,
                    };
                    if worked.is_none() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                };
                tokio::select! {
                    () = round => {}
                    _ = over.wait_for(|is| *is) => return,
                }
            }
        });
        Self { is_over, tasks }
    }

    /// Ends, and lets go of the webhooks that it made.
    pub(super) async fn end(mut self, api: Api) {
        self.is_over.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        for webhook in api.all("/v1/webhooks").await {
            if webhook["url"].as_str().unwrap().ends_with(PATH) {
                let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
                api.call("DELETE", &path, "").await;
            }
        }
    }
}

/// A webhook's life, from making it to deleting it.
async fn webhooks(line: &mut Line, url: &str) -> Option<()> {
    let webhook = json!({"url": url, "events": [TYPE], "retry_schedule": [0, 1, 1, 1, 1]});
    let made = call(line, "POST", "/v1/webhooks", &webhook.to_string()).await?;
    let id = made["id"].as_str()?.to_owned();
    let one = json!({"type": TYPE, "data": {}}).to_string();
    let event = call(line, "POST", "/v1/events", &one).await?;
    let event = event["id"].as_str()?.to_owned();
    for description in 0..2 {
        let change = json!({"description": format!("version {description}")});
        call(line, "PATCH", &format!("/v1/webhooks/{id}"), &change.to_string()).await?;
    }
    let deliveries = call(line, "GET", &format!("/v1/events/{event}/deliveries"), "").await?;
    let delivery = deliveries["data"][0]["id"].as_str()?.to_owned();
    call(line, "POST", &format!("/v1/deliveries/{delivery}/retry"), "").await?;
    for state in ["disable", "enable"] {
        let body = if state == "disable" { r#"{"cancel_pending":true}"# } else { "" };
        call(line, "POST", &format!("/v1/webhooks/{id}/{state}"), body).await?;
    }
    let replay = json!({"since": "2020-01-01T00:00:00Z", "states": ["cancelled", "failed"]});
    call(line, "POST", &format!("/v1/webhooks/{id}/replay"), &replay.to_string()).await?;
    call(line, "POST", "/v1/events", &one).await?;
    call(line, "DELETE", &format!("/v1/webhooks/{id}"), "").await?;
    Some(())
}

async fn bulk(line: &mut Line) -> Option<()> {
    let event = json!({"type": "bulk.happened", "data": "x".repeat(BULK_BYTES)});
    let batch = serde_json::Value::from(vec![event; BULK_EVENTS]).to_string();
    call(line, "POST", "/v1/events", &batch).await?;
    Some(())
}

/// `None` when the connection breaks, for the server may have died.
async fn call(line: &mut Line, method: &str, path: &str, body: &str) -> Option<serde_json::Value> {
    let answer = line.call(method, path, body).await.ok()?;
    serde_json::from_str(&answer.text).ok().or(Some(serde_json::Value::Null))
}
