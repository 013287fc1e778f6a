//! One data folder, the servers that live on it one after the other, and everything around them.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_sim::checker::{
    Answer, Arrival, Change, Ledger, Rule, Setting, Violation, check, digest,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Api;
use crate::figures::Figures;
use crate::process::{Launch, Process, own_address};
use crate::publishers::{Publishers, TENANT, TYPES, Told};
use crate::receiver::{Receiver, Reply, Request};
use crate::{LOOK_EVERY, PATIENCE, Random, stored, until};

/// Attempts of one webhook under way at once.
const CONCURRENCY: usize = 8;
/// So often is a delivery tried, a second apart: longer than any fault lasts here.
const ATTEMPTS: usize = 60;
/// How long the outcome of an attempt may wait for a commit to ride with (design §4).
const OUTCOMES_WAIT: Duration = Duration::from_millis(50);
/// For threads that want to run and can't, on a busy machine.
const SCHEDULING: Duration = Duration::from_millis(50);
/// How much later than it started an attempt may reach the receiver.
const SLACK: Duration = Duration::from_mins(1);
/// All that was accepted has come to an end after this, once faults are over.
const SETTLING: Duration = Duration::from_mins(2);

/// Takes everything, always 200.
pub const STEADY: &str = "/steady";
/// Takes what is even, and answers 500 now and then.
pub const MOODY: &str = "/moody";
/// One in so many requests to [`MOODY`] fails.
const MOODS: u64 = 8;

/// See the module's text.
pub struct Rig {
    pub launch: Launch,
    pub receiver: Receiver,
    pub told: Arc<Told>,
    pub random: Random,
    pub kills: Vec<Kill>,
    pub recoveries: Vec<Duration>,
    /// Clocks that jump say nothing about how long an attempt took.
    pub is_clock_true: bool,
    webhooks: Vec<Registered>,
    changes: Vec<Change>,
    seed: u64,
    dir: TempDir,
}

/// A webhook of the rig, whose deliveries are checked in the end.
#[derive(Clone, Debug)]
struct Registered {
    id: String,
    path: String,
}

/// The end of one life.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// Before the signal was sent.
    pub at: Instant,
    /// All that the process had sent was received.
    pub over_at: Instant,
    /// An attempt that the receiver saw this long before may have no durable outcome.
    pub window: Duration,
}

impl Rig {
    /// A data folder with the webhooks [`STEADY`] and [`MOODY`]; no server runs.
    pub async fn new(program: &Path, seed: u64) -> Self {
        Self::in_dir(program, seed, tempfile::tempdir().unwrap()).await
    }

    /// The same on a folder of one's own.
    pub async fn in_dir(program: &Path, seed: u64, dir: TempDir) -> Self {
        let mut moods = Random::from_seed(seed);
        let receiver = Receiver::start(move |request| {
            let is_moody = request.path == MOODY && moods.below(MOODS) == 0;
            Reply::Answer(if is_moody { 500 } else { 200 })
        })
        .await;
        let mut rig = Self {
            launch: Launch::new(program, dir.path(), own_address()),
            receiver,
            told: Arc::default(),
            random: Random::from_seed(seed),
            kills: Vec::new(),
            recoveries: Vec::new(),
            is_clock_true: true,
            webhooks: Vec::new(),
            changes: Vec::new(),
            seed,
            dir,
        };
        let first = rig.launch.start_reachable().await;
        rig.register(first.api, STEADY, &TYPES, json!({})).await;
        rig.register(first.api, MOODY, &TYPES[..1], json!({})).await;
        first.kill();
        rig
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn api(&self) -> Api {
        Api { address: self.launch.address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.receiver.address)
    }

    /// Makes a webhook for some event types at a path of the receiver; what `more` says counts.
    pub async fn register(&mut self, api: Api, path: &str, types: &[&str], more: Value) -> String {
        let asked = Instant::now();
        let mut delays = vec![1; ATTEMPTS];
        delays[0] = 0;
        let mut webhook = json!({
            "url": self.url(path), "events": types, "concurrency": CONCURRENCY,
            "retry_schedule": delays,
        });
        for (name, value) in more.as_object().unwrap() {
            webhook[name] = value.clone();
        }
        let id = api.create_webhook(&webhook).await;
        let setting = Setting {
            tenant: TENANT.to_owned(),
            url: path.to_owned(),
            secret: id.clone(),
            wants: Some(types.iter().map(|&name| name.to_owned()).collect()),
            is_enabled: true,
            is_closed: false,
        };
        self.changes.push(Change {
            webhook: id.clone(),
            asked: self.told.moment(asked),
            ended: self.told.moment(Instant::now()),
            is_certain: true,
            cancels: false,
            setting,
        });
        self.webhooks.push(Registered { id: id.clone(), path: path.to_owned() });
        id
    }

    pub fn publishers(&self, count: u64, pause: Duration) -> Publishers {
        Publishers::start(self.api(), &self.told, count, pause)
    }

    /// Publishes one event and returns its id.
    pub async fn publish(&self, event_type: &str) -> String {
        let (asked, data) = (Instant::now(), json!({"is": "alone"}));
        let event = json!({"type": event_type, "data": data});
        let answer = self.api().call("POST", "/v1/events", &event.to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let accepted = answer.json();
        self.told.note_one(event_type, &data.to_string(), asked, &accepted);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// Waits until so many more events were answered.
    pub async fn answered(&self, count: u64) {
        let mut answered = self.told.answered.subscribe();
        let enough = *answered.borrow() + count;
        let waited = answered.wait_for(|now| *now >= enough);
        let Ok(heard) = tokio::time::timeout(PATIENCE, waited).await else {
            panic!("seed {}: publishers are not answered", self.seed);
        };
        heard.unwrap();
    }

    /// Waits until so many more requests to a path have come.
    pub async fn delivered(&self, path: &str, count: usize) {
        let at = |requests: &[Arc<Request>]| requests.iter().filter(|r| r.path == path).count();
        let enough = at(&self.receiver.requests()) + count;
        self.receiver.until(|requests| at(requests) >= enough).await;
    }

    /// Starts a server that is to be killed; [`Self::note_kill`] must follow.
    pub fn start(&self, launch: &Launch) -> Life {
        self.told.slowest();
        Life { began: Instant::now(), requests: self.receiver.count(), process: launch.start() }
    }

    /// Kills a server and notes when.
    pub async fn kill(&mut self, life: Life) {
        let Life { began, requests, process } = life;
        let at = Instant::now();
        process.kill();
        self.note_end(at, began, requests).await;
    }

    /// Waits until a server has died by itself, of SIGKILL or as `is_right` says.
    pub async fn until_dead(
        &mut self,
        life: Life,
        what: &str,
        is_right: impl Fn(std::process::ExitStatus) -> bool,
    ) {
        let Life { began, requests, mut process } = life;
        let mut at = Instant::now();
        let status = until(&format!("seed {}: death at {what}", self.seed), async || {
            let ended = process.has_ended();
            if ended.is_none() {
                at = Instant::now();
            }
            ended
        })
        .await;
        let (_, log) = process.ended().await;
        assert!(is_right(status), "seed {}: {what}: {status}: {log}", self.seed);
        self.note_end(at, began, requests).await;
    }

    async fn note_end(&mut self, at: Instant, began: Instant, requests: usize) {
        let is_over = || self.receiver.connections() == 0 && !self.told.is_calling();
        until("what was sent is received", async || is_over().then_some(())).await;
        let window = OUTCOMES_WAIT + 2 * self.told.slowest() + SCHEDULING;
        if let Some(first) = self.receiver.requests().get(requests) {
            self.recoveries.push(first.at.saturating_duration_since(began));
        }
        self.kills.push(Kill { at, over_at: Instant::now(), window });
    }

    /// Ends all faults: starts a server as it should be, waits until everything has come to an
    /// end, stops it in order, and compares. Everything found is a panic.
    pub async fn conclude(self, publishers: Publishers) -> Figures {
        let began = Instant::now();
        let requests = self.receiver.count();
        let last = self.launch.start_reachable().await;
        self.conclude_with(last, publishers, Some((began, requests))).await
    }

    /// The same with a server that runs and has survived.
    pub async fn conclude_with(
        mut self,
        last: Process,
        publishers: Publishers,
        started: Option<(Instant, usize)>,
    ) -> Figures {
        self.settle(&last, publishers).await;
        if let Some((began, requests)) = started
            && let Some(first) = self.receiver.requests().get(requests)
        {
            self.recoveries.push(first.at.saturating_duration_since(began));
        }
        last.terminate();
        let (status, log) = last.ended().await;
        assert!(status.success(), "seed {}: {log}", self.seed);
        self.compare().await
    }

    /// Ends all faults like [`Self::conclude`], and sees only that everything comes to an end: where
    /// retention has taken a part, there is nothing to compare.
    pub async fn conclude_uncompared(self, publishers: Publishers) {
        let last = self.launch.start_reachable().await;
        self.settle(&last, publishers).await;
        last.terminate();
        let (status, log) = last.ended().await;
        assert!(status.success(), "seed {}: {log}", self.seed);
        self.verify();
        let counts = stored::read(self.dir(), &[], &[]).await.counts;
        assert_eq!(counts.deliveries_created, counts.deliveries_finished, "seed {}", self.seed);
        assert_eq!(counts.deliveries_pending, 0, "seed {}", self.seed);
    }

    /// Lets publishers end and receivers get well, and waits until nothing is pending.
    async fn settle(&self, server: &Process, publishers: Publishers) {
        publishers.end().await;
        self.receiver.behave(|_| Reply::Answer(200));
        self.receiver.release();
        let began = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let pending = pending(server.api).await;
            if pending == 0 {
                return;
            }
            let log = || server.log();
            let is_late = began.elapsed() > SETTLING;
            assert!(
                !is_late,
                "seed {}: {pending} deliveries are pending still: {}",
                self.seed,
                log()
            );
        }
    }

    /// Has the binary look through the store once more, by rules of its own.
    fn verify(&self) {
        if let Err(said) = self.launch.verify() {
            panic!("seed {}: the store is not in order: {said}", self.seed);
        }
    }

    async fn compare(self) -> Figures {
        if self.is_clock_true {
            self.verify();
        }
        let ids: Vec<String> = self.webhooks.iter().map(|webhook| webhook.id.clone()).collect();
        let mut schedule_ms = vec![1_000; ATTEMPTS];
        schedule_ms[0] = 0;
        let mut stored = stored::read(self.dir(), &ids, &schedule_ms).await;
        if !self.is_clock_true {
            let attempts = stored.deliveries.iter_mut().flat_map(|row| &mut row.attempts);
            attempts.for_each(|attempt| attempt.ended_at = i64::MIN);
        }
        let requests = self.receiver.requests();
        let in_flight: Vec<usize> =
            self.kills.iter().map(|kill| in_window(&requests, kill)).collect();
        let ledger = Ledger {
            publishes: self.told.publishes(),
            changes: self.changes.clone(),
            retries: Vec::new(),
            arrivals: requests.iter().filter_map(|request| self.arrival(request)).collect(),
            deliveries: stored.deliveries,
            cut_off: in_flight.iter().sum(),
            slack: u64::try_from(SLACK.as_micros()).unwrap(),
        };
        let violations = check(&ledger);
        let first: Vec<&Violation> = violations.iter().take(5).collect();
        assert!(
            violations.is_empty(),
            "seed {}: {} broken: {first:#?}",
            self.seed,
            violations.len()
        );
        let counts = stored.counts;
        assert_eq!(counts.deliveries_created, counts.deliveries_finished, "seed {}", self.seed);
        assert_eq!(counts.deliveries_pending, 0, "seed {}", self.seed);
        let duplicates = self.duplicates(&requests);
        for (kill, (again, bound)) in duplicates.iter().zip(&in_flight).enumerate() {
            assert!(again <= bound, "seed {}: kill {kill}: {again} of {bound}", self.seed);
        }
        Figures {
            kills: self.kills.len(),
            accepted: accepted(&ledger),
            deliveries: ledger.deliveries.len(),
            lost: violations.iter().filter(|found| found.rule == Rule::NothingLost).count(),
            duplicates,
            in_flight,
            recoveries: self.recoveries,
        }
    }

    fn arrival(&self, request: &Request) -> Option<Arrival> {
        let webhook = self.webhooks.iter().find(|webhook| webhook.path == request.path)?;
        Some(Arrival {
            webhook: webhook.id.clone(),
            event: request.id().to_owned(),
            started: self.told.moment(request.at),
            url: webhook.path.clone(),
            secret: webhook.id.clone(),
            body: digest(&request.body),
            content: digest(request.json()["data"].to_string().as_bytes()),
            answered: request.answered.get().copied(),
        })
    }

    /// By kill, the deliveries that came again although they had come before it and had not failed.
    fn duplicates(&self, requests: &[Arc<Request>]) -> Vec<usize> {
        let life = |at: Instant| self.kills.partition_point(|kill| kill.over_at < at);
        let mut last_came: HashMap<(&str, &str), &Request> = HashMap::new();
        let mut again = vec![0_usize; self.kills.len()];
        for request in requests {
            let Some(before) = last_came.insert((request.id(), &request.path), request) else {
                continue;
            };
            let ended = life(before.at);
            let had_failed = before.answered.get().is_some_and(|status| *status >= 300);
            if !had_failed && ended < life(request.at) {
                again[ended] += 1;
            }
        }
        again
    }
}

impl std::fmt::Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rig").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// A server that runs, and when that began.
#[derive(Debug)]
pub struct Life {
    began: Instant,
    /// Those that the receiver had seen before.
    requests: usize,
    pub process: Process,
}

/// How many deliveries are pending, as the metrics say.
async fn pending(api: Api) -> u64 {
    let text = api.call("GET", "/metrics", "").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix("postrider_deliveries_pending "));
    line.unwrap().trim().parse().unwrap()
}

/// What may be sent again because of a kill: what was under way to the receiver and what it had
/// answered without the outcome being durable. An outcome waits for company, then for the commit
/// that runs, then for its own.
fn in_window(requests: &[Arc<Request>], kill: &Kill) -> usize {
    let since = |at: Instant| kill.at.saturating_duration_since(at) <= kill.window;
    requests.iter().filter(|request| request.at <= kill.over_at && since(request.at)).count()
}

fn accepted(ledger: &Ledger) -> usize {
    let ids: BTreeSet<&str> = (ledger.publishes.iter())
        .filter_map(|publish| match &publish.answer {
            Answer::Accepted { id, .. } => Some(id.as_str()),
            Answer::Conflict | Answer::Unknown => None,
        })
        .collect();
    ids.len()
}
