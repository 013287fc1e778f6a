//! Proof: kill -9 at any moment loses no event that was answered 202, stores none twice, and
//! sends again only what was in flight.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider::serve::DATABASE_FILE;
use postrider_store::{MaintenanceStore as _, SqliteOptions, SqliteStore};
use proof::client::{Api, Line};
use proof::process::{Process, own_address};
use proof::receiver::{Receiver, Request};
use proof::{PATIENCE, Random, until};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

const KILLS: usize = 50;
const PUBLISHERS: u64 = 6;
/// Where the webhooks' requests go; each event goes to both.
const PATHS: [&str; 2] = ["/one", "/other"];
/// Attempts of one webhook under way at once.
const CONCURRENCY: usize = 8;
/// How long the outcome of an attempt may wait for a commit to ride with (design §4).
const OUTCOMES_WAIT: Duration = Duration::from_millis(50);
/// For threads that want to run and can't, on a busy machine.
const SCHEDULING: Duration = Duration::from_millis(50);

/// When a life of the server ends.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after the process was started, whether it listens or not.
    StartedFor(Duration),
    /// So long after it listens.
    ListenedFor(Duration),
    /// Right after so many events were answered 202.
    Answered(u64),
}

/// What the publishers know.
#[derive(Default)]
struct Ledger {
    answered: watch::Sender<u64>,
    /// Requests without an answer yet.
    calling: AtomicU64,
    /// The longest that a publisher waited for an answer or a broken connection in this life: no
    /// commit of it took longer, not even the one that the kill interrupted.
    slowest_us: AtomicU64,
    accepted: Mutex<Vec<Accepted>>,
    /// Events without an id whose publisher can't know what became of them.
    unknown: AtomicU64,
    /// Times that an event with an id was published again because the connection broke.
    republished: AtomicU64,
}

/// An event that was answered 202, or 200 because it was there already.
struct Accepted {
    number: u64,
    id: String,
}

/// The end of one life.
struct Kill {
    /// Before the signal was sent.
    at: Instant,
    /// All that the process had sent was received.
    over_at: Instant,
    /// An attempt that the receiver saw this long before may have no durable outcome.
    window: Duration,
}

impl Moment {
    fn draw(random: &mut Random) -> Self {
        match random.below(5) {
            0 => Self::StartedFor(Duration::from_micros(random.below(100_000))),
            1 | 2 => Self::ListenedFor(Duration::from_micros(random.below(300_000))),
            _ => Self::Answered(1 + random.below(300)),
        }
    }
}

/// Publishes one event after the other, half of them with an id, through all lives of the server.
async fn publish(api: Api, ledger: Arc<Ledger>, publisher: u64, is_over: watch::Receiver<bool>) {
    let mut line = None;
    let mut in_doubt = None;
    let mut turn = 0;
    while in_doubt.is_some() || !*is_over.borrow() {
        let number = in_doubt.take().unwrap_or_else(|| {
            turn += 1;
            turn * PUBLISHERS + publisher
        });
        let has_id = turn % 2 == 0;
        let id = if has_id { format!(r#","id":"given-{number}""#) } else { String::new() };
        let event = format!(r#"{{"type":"proof.published","data":{{"number":{number}}}{id}}}"#);
        let mut open = match line.take() {
            Some(open) => open,
            None => Line::open_once_reachable(api.address).await,
        };
        ledger.calling.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        let answer = open.call("POST", "/v1/events", &event).await;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap();
        ledger.slowest_us.fetch_max(took_us, Ordering::SeqCst);
        ledger.calling.fetch_sub(1, Ordering::SeqCst);
        match answer {
            Ok(answer) => {
                assert!(matches!(answer.status, 200 | 202), "{} {}", answer.status, answer.text);
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                assert_eq!(id == format!("given-{number}"), has_id);
                ledger.accepted.lock().unwrap().push(Accepted { number, id });
                ledger.answered.send_modify(|answered| *answered += 1);
                line = Some(open);
            }
            Err(_) if has_id => {
                ledger.republished.fetch_add(1, Ordering::SeqCst);
                in_doubt = Some(number);
            }
            Err(_) => {
                ledger.unknown.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test]
async fn kill_9_at_fifty_moments_loses_nothing_and_repeats_only_what_was_in_flight() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("seed {seed}");
    let mut random = Random::from_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let address = own_address();
    let receiver = Receiver::answering(200).await;
    let first = Process::start_reachable(dir.path(), address, &[]).await;
    let api = first.api;
    for path in PATHS {
        let url = format!("http://{}{path}", receiver.address);
        let webhook = json!({"url": url, "events": ["proof.*"], "concurrency": CONCURRENCY});
        api.create_webhook(&webhook).await;
    }
    first.kill();

    let ledger = Arc::new(Ledger::default());
    let over = watch::Sender::new(false);
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        publishers.spawn(publish(api, ledger.clone(), publisher, over.subscribe()));
    }
    let mut kills = Vec::new();
    for _ in 0..KILLS {
        let moment = Moment::draw(&mut random);
        kills.push(live_and_die(&ledger, &receiver, dir.path(), api, moment).await);
    }
    let last = Process::start_reachable(dir.path(), address, &[]).await;
    over.send_replace(true);
    while let Some(ended) = publishers.join_next().await {
        ended.unwrap();
    }

    let accepted = std::mem::take(&mut *ledger.accepted.lock().unwrap());
    let stored = api.all("/v1/events").await;
    let ids: BTreeSet<&str> = stored.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), stored.len(), "seed {seed}: an id is listed twice");
    let gone = accepted.iter().filter(|event| !ids.contains(event.id.as_str())).count();
    assert_eq!(gone, 0, "seed {seed}: events answered 202 are gone");
    let delivered = |requests: &[Arc<Request>]| {
        let came: BTreeSet<_> = requests.iter().map(|request| delivery(request)).collect();
        ids.iter().all(|id| PATHS.iter().all(|path| came.contains(&(*id, *path))))
    };
    receiver.until(delivered).await;
    last.terminate();
    let (status, log) = last.ended().await;
    assert!(status.success(), "seed {seed}: {log}");

    let requests = receiver.requests();
    let sent_again = only_what_was_in_flight_is_sent_again(&requests, &kills, seed);
    no_event_is_stored_twice(&accepted, &requests, seed);
    let store = SqliteStore::open(dir.path().join(DATABASE_FILE), SqliteOptions::default());
    let counts = store.unwrap().counts().await.unwrap();
    let all = ids.len() as u64;
    assert_eq!(
        (counts.events, counts.deliveries_created, counts.deliveries_finished),
        (all, 2 * all, 2 * all),
        "seed {seed}: each event has its two deliveries, and they have ended"
    );
    println!(
        "{KILLS} kills: {} events answered 202, all delivered, 0 lost; {} more stored and \
         delivered; {sent_again} attempts sent again; {} republished, {} of unknown fate",
        accepted.len(),
        ids.len() - accepted.len(),
        ledger.republished.load(Ordering::SeqCst),
        ledger.unknown.load(Ordering::SeqCst),
    );
}

/// What names a delivery as the receiver sees it.
fn delivery(request: &Request) -> (&str, &str) {
    (request.id(), &request.path)
}

/// One life of the server under load, until its moment has come.
async fn live_and_die(
    ledger: &Ledger,
    receiver: &Receiver,
    data_dir: &Path,
    api: Api,
    moment: Moment,
) -> Kill {
    ledger.slowest_us.store(0, Ordering::SeqCst);
    let process = match moment {
        Moment::StartedFor(_) => Process::start(data_dir, api.address, &[]),
        Moment::ListenedFor(_) | Moment::Answered(_) => {
            Process::start_reachable(data_dir, api.address, &[]).await
        }
    };
    match moment {
        // the random moment itself; nothing is waited for
        Moment::StartedFor(time) | Moment::ListenedFor(time) => tokio::time::sleep(time).await,
        Moment::Answered(count) => {
            let mut answered = ledger.answered.subscribe();
            let enough = *answered.borrow() + count;
            let waited = answered.wait_for(|now| *now >= enough);
            tokio::time::timeout(PATIENCE, waited).await.unwrap().unwrap();
        }
    }
    let at = Instant::now();
    process.kill();
    let is_over = || receiver.connections() == 0 && ledger.calling.load(Ordering::SeqCst) == 0;
    until("what was sent is received", async || is_over().then_some(())).await;
    let slowest = Duration::from_micros(ledger.slowest_us.load(Ordering::SeqCst));
    let window = OUTCOMES_WAIT + 2 * slowest + SCHEDULING;
    Kill { at, over_at: Instant::now(), window }
}

/// Each number that was published belongs to one event, although some were published again and
/// again.
fn no_event_is_stored_twice(accepted: &[Accepted], requests: &[Arc<Request>], seed: u64) {
    let mut ids: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for request in requests {
        let number = request.json()["data"]["number"].as_u64().unwrap();
        ids.entry(number).or_default().insert(request.id());
    }
    for event in accepted {
        ids.entry(event.number).or_default().insert(&event.id);
    }
    for (number, ids) in ids {
        assert_eq!(ids.len(), 1, "seed {seed}: event {number} is stored as {ids:?}");
    }
}

/// Checks the bound on repeats and returns how many there were.
///
/// What a kill may cause to be sent again is what was under way to the receiver (at most the
/// webhooks' concurrency) and what the receiver had answered without the outcome being durable.
/// An outcome waits at most [`OUTCOMES_WAIT`] for company, then for the commit that runs, then for
/// its own; so every request that comes again came for the first time within the window before
/// the kill that ended its life, and never twice in one life.
#[expect(clippy::print_stdout, reason = "the figures of the proof")]
fn only_what_was_in_flight_is_sent_again(
    requests: &[Arc<Request>],
    kills: &[Kill],
    seed: u64,
) -> usize {
    let life = |at: Instant| kills.partition_point(|kill| kill.over_at < at);
    let mut last_came: HashMap<(&str, &str), Instant> = HashMap::new();
    let mut again = vec![0_usize; kills.len()];
    let mut oldest = Duration::ZERO;
    for request in requests {
        let Some(before) = last_came.insert(delivery(request), request.at) else { continue };
        let ended = life(before);
        assert!(ended < life(request.at), "seed {seed}: {} came twice in a life", request.id());
        let age = kills[ended].at.saturating_duration_since(before);
        let window = kills[ended].window;
        assert!(age <= window, "seed {seed}: sent again {age:?} after it came, not {window:?}");
        oldest = oldest.max(age);
        again[ended] += 1;
    }
    let in_window = |kill: &Kill| {
        let since = |at: Instant| kill.at.saturating_duration_since(at) <= kill.window;
        requests.iter().filter(|request| request.at <= kill.over_at && since(request.at)).count()
    };
    let bound: usize = kills.iter().map(in_window).sum();
    let sent_again = again.iter().sum();
    println!(
        "sent again by kill {again:?}, together {sent_again} of {bound} allowed; the longest ago \
         was {oldest:?}, the widest window {:?}",
        kills.iter().map(|kill| kill.window).max().unwrap_or_default()
    );
    assert!(sent_again <= bound, "seed {seed}");
    sent_again
}
