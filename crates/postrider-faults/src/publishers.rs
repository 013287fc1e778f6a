//! Publishers that keep a server busy through all its lives, and note what they were told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postrider_sim::checker::{Answer, Moment, Publish, digest};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::LOOK_EVERY;
use crate::client::{Api, Line};

/// The tenant of everything.
pub const TENANT: &str = "default";
/// What is published, by turns.
pub const TYPES: [&str; 2] = ["proof.even", "proof.odd"];

/// What publishers know, and how they fare.
#[derive(Debug)]
pub struct Told {
    began: Instant,
    /// Events that were answered 200 or 202.
    pub answered: watch::Sender<u64>,
    /// Requests without an answer yet.
    calling: AtomicU64,
    slowest_us: AtomicU64,
    publishes: Mutex<Vec<Publish>>,
}

impl Told {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            answered: watch::Sender::new(0),
            calling: AtomicU64::new(0),
            slowest_us: AtomicU64::new(0),
            publishes: Mutex::default(),
        }
    }

    /// Microseconds since the rig was made.
    pub fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.began);
        u64::try_from(since.as_micros()).unwrap_or(Moment::MAX)
    }

    pub fn publishes(&self) -> Vec<Publish> {
        self.publishes.lock().unwrap().clone()
    }

    pub fn is_calling(&self) -> bool {
        self.calling.load(Ordering::SeqCst) > 0
    }

    /// The longest that a publisher waited for an answer or a broken connection since this was
    /// asked last: no commit took longer, not even one that a kill interrupted.
    pub fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest_us.swap(0, Ordering::SeqCst))
    }

    /// An event outside the publishers' numbers was accepted.
    pub fn note_one(&self, event_type: &str, data: &str, asked: Instant, accepted: &Value) {
        let publish = Publish {
            tenant: TENANT.to_owned(),
            given_id: None,
            event_type: event_type.to_owned(),
            content: digest(data.as_bytes()),
            asked: self.moment(asked),
            ended: self.moment(Instant::now()),
            answer: heard(accepted, false),
        };
        self.publishes.lock().unwrap().push(publish);
    }

    fn note(&self, number: u64, given_id: Option<String>, asked: Instant, answer: Answer) {
        if matches!(answer, Answer::Accepted { .. }) {
            self.answered.send_modify(|answered| *answered += 1);
        }
        let publish = Publish {
            tenant: TENANT.to_owned(),
            given_id,
            event_type: event_type(number).to_owned(),
            content: digest(data(number).as_bytes()),
            asked: self.moment(asked),
            ended: self.moment(Instant::now()),
            answer,
        };
        self.publishes.lock().unwrap().push(publish);
    }
}

impl Default for Told {
    fn default() -> Self {
        Self::new()
    }
}

fn heard(accepted: &Value, is_repeat: bool) -> Answer {
    let id = accepted["id"].as_str().unwrap().to_owned();
    let matched = usize::try_from(accepted["matched"].as_u64().unwrap()).unwrap();
    Answer::Accepted { id, is_repeat, matched }
}

/// What the publisher says of an event.
fn data(number: u64) -> String {
    format!(r#"{{"number":{number}}}"#)
}

fn event_type(number: u64) -> &'static str {
    TYPES[usize::from(number % 2 == 1)]
}

/// Publishers at work.
#[derive(Debug)]
pub struct Publishers {
    is_over: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Publishers {
    /// So many of them, each with a pause after each event.
    pub fn start(api: Api, told: &Arc<Told>, count: u64, pause: Duration) -> Self {
        let is_over = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        // numbers of earlier publishers on the same rig don't come again
        let first = told.publishes.lock().unwrap().len() as u64 * count;
        for publisher in first..first + count {
            let (told, is_over) = (told.clone(), is_over.subscribe());
            tasks.spawn(publish(api, told, (publisher, count), pause, is_over));
        }
        Self { is_over, tasks }
    }

    /// Lets them come to know what became of the events that are in doubt, and ends them.
    pub async fn end(mut self) {
        self.is_over.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Publishes one event after the other, half of them with an id; those again until they are
/// answered 200 or 202.
async fn publish(
    api: Api,
    told: Arc<Told>,
    (publisher, count): (u64, u64),
    pause: Duration,
    is_over: watch::Receiver<bool>,
) {
    let mut line = None;
    let mut in_doubt = None;
    let mut turn = 0;
    while in_doubt.is_some() || !*is_over.borrow() {
        let number = in_doubt.take().unwrap_or_else(|| {
            turn += 1;
            turn * count + publisher
        });
        let given_id = (turn % 2 == 0).then(|| format!("given-{number}"));
        let id = given_id.as_ref().map(|id| format!(r#","id":"{id}""#)).unwrap_or_default();
        let event = format!(r#"{{"type":"{}","data":{}{id}}}"#, event_type(number), data(number));
        let mut open = match line.take() {
            Some(open) => open,
            None => Line::open_once_reachable(api.address).await,
        };
        told.calling.fetch_add(1, Ordering::SeqCst);
        let asked = Instant::now();
        let answer = open.call("POST", "/v1/events", &event).await;
        let took_us = u64::try_from(asked.elapsed().as_micros()).unwrap();
        told.slowest_us.fetch_max(took_us, Ordering::SeqCst);
        told.calling.fetch_sub(1, Ordering::SeqCst);
        let heard = match answer {
            Ok(answer) if matches!(answer.status, 200 | 202) => {
                line = Some(open);
                let json = answer.json();
                let is_given = given_id.as_ref().is_none_or(|given| json["id"] == given.as_str());
                assert!(is_given, "{}", answer.text);
                heard(&json, answer.status == 200)
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text);
                line = Some(open);
                tokio::time::sleep(LOOK_EVERY).await;
                Answer::Unknown
            }
            Err(_) => Answer::Unknown,
        };
        in_doubt = (heard == Answer::Unknown && given_id.is_some()).then_some(number);
        told.note(number, given_id, asked, heard);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}
