//! What an event costs in the embedded store: CPU and bytes written, accept and outcome.
//!
//! `cargo run --release --example commit_cost -- FOLDER` prints a line for each batch size,
//! on an empty store and then with a million finished deliveries in it. Reads `/proc`, so
//! Linux only. Not a test: figures depend on the machine.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, Happening, HistoryEntry, Mode, Outline, Progress, Standing,
    Timing, Trigger, Verdict, Waiting,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::id::{DeliveryKey, KeyMaker, TenantKey, WebhookKey};
use postrider_core::matching::{Matching, Unmatched};
use postrider_signature::{BodyForm, NumberPolicy};
use postrider_store::{
    Accept, Batch, EventStore, MaintenanceStore, Record, SqliteOptions, SqliteStore,
};

const WEBHOOKS: usize = 100;
const EVENTS: usize = 40_000;
const HISTORY: usize = 1_000_000;
/// Ticks a second of `/proc/self/stat`, the same on every Linux that matters.
const TICKS_PER_S: f64 = 100.0;

type Fallible<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let folder = std::env::args().nth(1).ok_or("name a folder to write in")?;
    let path = Path::new(&folder).join("commit_cost.db");
    let mut load = Load::open(&path)?;
    for batch in [128, 16] {
        load.measure(EVENTS, batch, "empty store").await?;
    }
    load = load.reopen(&path, true)?;
    load.run(HISTORY, 1_024).await?;
    // what was filled without waiting would be waited for while measuring
    std::fs::File::open(&path)?.sync_all()?;
    load = load.reopen(&path, false)?;
    eprintln!("filled with {HISTORY} finished deliveries");
    for batch in [128, 16] {
        load.measure(EVENTS, batch, "1M finished").await?;
    }
    let began = Instant::now();
    let swept = load.store.sweep(load.now + 48 * 3_600_000).await?;
    eprintln!("dropping {swept:?} took {:?}", began.elapsed());
    Ok(())
}

struct Load {
    store: SqliteStore,
    maker: KeyMaker,
    now: i64,
    tenant: TenantKey,
    matchings: Vec<Arc<Matching>>,
    body: Bytes,
    /// What was accepted by the batch before: attempted meanwhile.
    accepted: Vec<(Arc<Event>, WebhookKey)>,
}

impl Load {
    fn open(path: &Path) -> Fallible<Self> {
        let store = SqliteStore::open(path, SqliteOptions::default())?;
        let now = 1_795_000_000_000;
        let mut maker = KeyMaker::new(0, now);
        let matchings = (0..WEBHOOKS).map(|_| {
            Arc::new(Matching {
                matched: vec![maker.next(now)],
                key: maker.next(now),
                unmatched: Unmatched::Named(vec![]),
            })
        });
        Ok(Self {
            store,
            matchings: matchings.collect(),
            tenant: maker.next(now),
            maker,
            now,
            body: Bytes::from(vec![b'x'; 1_024]),
            accepted: vec![],
        })
    }

    fn reopen(self, path: &Path, danger_skip_sync: bool) -> Fallible<Self> {
        let Self { store, .. } = self;
        drop(store);
        let options = SqliteOptions { danger_skip_sync, ..SqliteOptions::default() };
        let store = SqliteStore::open(path, options)?;
        Ok(Self { store, ..self })
    }

    async fn measure(&mut self, events: usize, batch: usize, what: &str) -> Fallible<()> {
        let (cpu, bytes, began) = (cpu_ms()?, written_bytes()?, Instant::now());
        self.run(events, batch).await?;
        let count = u32::try_from(events)?;
        let per_event = |total: f64| total / f64::from(count);
        eprintln!(
            "{what}, batches of {batch}: {:.1} CPU-ms per 1,000 events, {:.0} bytes each, {:.0}/s",
            per_event(cpu_ms()? - cpu) * 1_000.0,
            per_event(written_bytes()? - bytes),
            f64::from(count) / began.elapsed().as_secs_f64(),
        );
        Ok(())
    }

    /// Accepts `events` in batches, each with the outcomes of the batch before.
    async fn run(&mut self, events: usize, batch: usize) -> Fallible<()> {
        let mut made = 0;
        while made < events || !self.accepted.is_empty() {
            self.now += 1;
            let before = std::mem::take(&mut self.accepted);
            let records = before
                .iter()
                .map(|(event, webhook)| succeeded(&mut self.maker, self.now, event, *webhook));
            let records = records.collect::<Fallible<Vec<_>>>()?;
            let accepts = (0..batch.min(events - made))
                .map(|at| self.accept((made + at) % WEBHOOKS))
                .collect::<Vec<_>>();
            made += accepts.len();
            self.accepted = (accepts.iter())
                .map(|accept| (Arc::clone(&accept.event), accept.matching.matched[0]))
                .collect();
            self.store.commit(&Batch { accepts, records }).await?;
        }
        Ok(())
    }

    fn accept(&mut self, at: usize) -> Accept {
        let matching = Arc::clone(&self.matchings[at]);
        let event = Event {
            key: self.maker.next(self.now),
            tenant: self.tenant,
            given_id: None,
            event_type: "code.generated".parse().expect("a name in the contract"),
            occurred_at: self.now,
            bodies: Bodies { verbatim: self.body.clone(), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        };
        Accept { event: Arc::new(event), matching, fingerprint: [0; 16] }
    }
}

fn succeeded(
    maker: &mut KeyMaker,
    now: i64,
    event: &Event,
    webhook: WebhookKey,
) -> Fallible<Record> {
    let was =
        Waiting { due: event.accepted_at(), progress: Progress::default(), mode: Mode::Scheduled };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let entry = HistoryEntry {
        key: maker.next(now),
        delivery: DeliveryKey { event: event.key, webhook },
        what: Happening::Attempt(Box::new(Attempt {
            number: 1,
            is_manual: false,
            started_at: now,
            timing: Timing::default(),
            address: Some(([127, 0, 0, 1], 8_080).into()),
            outline: Some(Arc::new(Outline {
                url: "http://127.0.0.1:8080/hook".into(),
                header_names: vec![],
                body_form: BodyForm::Verbatim,
            })),
            signed_headers: vec![
                header("webhook-id", &event.id()),
                header("webhook-timestamp", "1795000000"),
                header("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ],
            result: AttemptResult::Answered(Answer {
                status: 200,
                headers: vec![("content-type".to_owned(), b"text/plain".to_vec())],
                body: Bytes::from_static(b"ok"),
                is_body_cut: false,
            }),
        })),
        standing: Standing::Pending(was).after(Trigger::Attempted(Verdict::Success))?,
    };
    Ok(Record { was, entry, health: None })
}

/// User and system time of this process.
fn cpu_ms() -> Fallible<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("no name in stat")?;
    // fields 14 and 15 of proc(5), counted from the third
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks * 1_000.0 / TICKS_PER_S)
}

/// Bytes that this process caused to be sent to the disk.
fn written_bytes() -> Fallible<f64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes")?.parse()?)
}
