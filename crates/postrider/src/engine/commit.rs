//! Group commit: whatever arrived while the last commit ran goes into the next.
//!
//! Writes are queued under a mutex that the writer thread swaps empty; it is unparked only when
//! it is parked. Results come back as one batch with one wake. Measured reasons for each of the
//! numbers are in the design, "The hot path".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use postrider_core::delivery::HistoryEntry;
use postrider_core::delivery::Waiting;
use postrider_core::health::Health;
use postrider_store::{
    Accept, Accepted, Batch, Committed, Record, Recorded, Store, StoreError, failpoint,
};
use tokio::sync::{Notify, oneshot};

use super::lock;

/// Accepts queued at most; beyond it publishers are told to come back.
const ACCEPTS_MAX: usize = 16_384;
/// Bytes of bodies queued at most, for the same.
const ACCEPTS_BYTES_MAX: usize = 128 << 20;
/// Bytes of bodies in one batch, beyond its first event: a transaction of some tens of milliseconds.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// A batch takes at most this much, so that a commit stays short.
const BATCH_MAX: usize = 4_096;
/// How long a busy writer waits for as many accepts as came last time, for each of them: what a server
/// needs to answer one and to take the next. An unconditional wait costs a third of the
/// throughput; none costs small commits.
const GATHER_EACH: Duration = Duration::from_micros(60);
/// However many are waited for.
const GATHER_MAX: Duration = Duration::from_millis(4);
/// Of more than so many only two of three are waited for: the others come while these are committed and
/// are the next batch. If all were in one, everybody would wait for the disk at the same time.
const GATHER_ALL: usize = 24;
/// How long outcomes may wait for an accept to ride with, when all is quiet. The price is a
/// wider window of re-sending after a crash.
const OUTCOMES_WAIT: Duration = Duration::from_millis(50);
/// So many outcomes are worth a commit of their own.
const OUTCOMES_ENOUGH: usize = 256;
/// Pause before outcomes are tried again when the store could not take them.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Where the answer to an accept goes.
type Reply = oneshot::Sender<Result<Accepted, StoreError>>;

/// The queue before the writer thread, and the writer thread.
pub(super) struct Commits {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    done: Mutex<Vec<Done>>,
    done_notify: Notify,
}

#[derive(Default)]
struct Queue {
    batch: Batch,
    /// Who waits for each of the batch's accepts.
    replies: Vec<Reply>,
    /// Of the bodies of the batch's accepts.
    bytes: usize,
    /// The writer, when it waits; unparked once the queue holds `wanted` accepts or enough records.
    parked: Option<Thread>,
    wanted_accepts: usize,
    is_stopping: bool,
}

/// What came of one batch.
pub(super) struct Done {
    pub(super) accepts: Vec<AcceptDone>,
    pub(super) records: Vec<(Record, Recorded)>,
}

pub(super) struct AcceptDone {
    pub(super) accept: Accept,
    pub(super) result: Result<Accepted, StoreError>,
    pub(super) reply: Reply,
}

/// The queue is full.
#[derive(Debug)]
pub(super) struct Full;

impl Commits {
    pub(super) fn start(store: Arc<dyn Store>) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            done: Mutex::default(),
            done_notify: Notify::new(),
        });
        let runtime = tokio::runtime::Handle::current();
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn({
                let shared = shared.clone();
                move || {
                    let write = AssertUnwindSafe(|| write(&shared, &*store, &runtime));
                    if catch_unwind(write).is_err() {
                        end_process();
                    }
                }
            })
            .expect("a thread can be started at start-up");
        Self { shared, writer: Mutex::new(Some(writer)) }
    }

    /// Queues an event; the answer comes once it is durable.
    pub(super) fn accept(
        &self,
        accept: Accept,
    ) -> Result<oneshot::Receiver<Result<Accepted, StoreError>>, Full> {
        let (reply, answer) = oneshot::channel();
        let mut queue = lock(&self.shared.queue);
        let is_full = queue.replies.len() >= ACCEPTS_MAX || queue.bytes >= ACCEPTS_BYTES_MAX;
        if is_full || queue.is_stopping {
            return Err(Full);
        }
        queue.bytes += accept.event.bodies.size_bytes();
        queue.batch.accepts.push(accept);
        queue.replies.push(reply);
        if queue.replies.len() >= queue.wanted_accepts {
            queue.unpark();
        }
        Ok(answer)
    }

    /// Queues what became of a delivery, and how its webhook fares where that is to be kept.
    /// Bounded by the attempts in flight.
    pub(super) fn record(&self, was: Waiting, entry: HistoryEntry, health: Option<Health>) {
        let mut queue = lock(&self.shared.queue);
        queue.batch.records.push(Record { was, entry, health });
        failpoint!(OutcomeQueued);
        let records = queue.batch.records.len();
        if records == 1 || records == OUTCOMES_ENOUGH {
            queue.unpark();
        }
    }

    /// Waits for finished batches.
    pub(super) async fn done(&self) -> Vec<Done> {
        loop {
            let done = std::mem::take(&mut *lock(&self.shared.done));
            if !done.is_empty() {
                return done;
            }
            self.shared.done_notify.notified().await;
        }
    }

    /// Writes what is queued and ends the writer.
    pub(super) async fn stop(&self) {
        {
            let mut queue = lock(&self.shared.queue);
            queue.is_stopping = true;
            queue.unpark();
        }
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            // The thread ends after its queue; a panic in it was reported by the panic hook.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

impl Queue {
    fn unpark(&mut self) {
        if let Some(thread) = self.parked.take() {
            thread.unpark();
        }
    }
}

/// The writer thread: takes what is there, commits it, hands over what came of it.
fn write(shared: &Shared, store: &dyn Store, runtime: &tokio::runtime::Handle) {
    let mut last_accepts = 0;
    while let Some((batch, replies)) = next_batch(shared, last_accepts) {
        last_accepts = replies.len();
        failpoint!(BatchTaken);
        match runtime.block_on(store.commit(&batch)) {
            Ok(Committed { accepts, records }) => {
                failpoint!(Committed);
                let accepts = accepts.into_iter().map(Ok).collect();
                hand_over(shared, done(batch, accepts, replies, records));
            }
            Err(error) => {
                let Batch { accepts, records } = batch;
                tracing::error!(%error, accepts = accepts.len(), outcomes = records.len(), "a commit failed");
                if store.is_broken() {
                    end_process();
                }
                let results = vec![Err(error); accepts.len()];
                let is_stopping = put_back(shared, records);
                let batch = Batch { accepts, records: Vec::new() };
                hand_over(shared, done(batch, results, replies, Vec::new()));
                if is_stopping {
                    // What was attempted and could not be recorded is attempted again after the
                    // next start: at least once, under the same webhook-id.
                    return;
                }
                std::thread::sleep(RETRY_PAUSE);
            }
        }
    }
}

/// After a failed sync nobody knows what is on the disk but a process that reads it anew; and
/// without its writer a server would take events and never answer.
pub(super) fn end_process() -> ! {
    tracing::error!("the store can't write any more; ending the process so that it is restarted");
    std::process::exit(74);
}

fn done(
    batch: Batch,
    results: Vec<Result<Accepted, StoreError>>,
    replies: Vec<Reply>,
    recorded: Vec<Recorded>,
) -> Done {
    let accepts = batch.accepts.into_iter().zip(results).zip(replies);
    Done {
        accepts: accepts
            .map(|((accept, result), reply)| AcceptDone { accept, result, reply })
            .collect(),
        records: batch.records.into_iter().zip(recorded).collect(),
    }
}

fn hand_over(shared: &Shared, done: Done) {
    lock(&shared.done).push(done);
    shared.done_notify.notify_one();
}

/// Outcomes are never dropped: they go first in the next batch. Returns whether the writer is to end.
fn put_back(shared: &Shared, mut records: Vec<Record>) -> bool {
    let mut queue = lock(&shared.queue);
    records.append(&mut queue.batch.records);
    queue.batch.records = records;
    queue.is_stopping
}

type Taken = (Batch, Vec<Reply>);

/// Waits until a batch is worth committing, and takes it. `None` to end.
fn next_batch(shared: &Shared, last_accepts: usize) -> Option<Taken> {
    // Whoever was answered just now will be back soon, beside those who wait already.
    let present = last_accepts + lock(&shared.queue).replies.len();
    let expected = present.min(GATHER_ALL.max(present * 2 / 3));
    let gather = (GATHER_EACH * u32::try_from(expected).unwrap_or(u32::MAX)).min(GATHER_MAX);
    let gather_until = (last_accepts >= 2).then(|| Instant::now() + gather);
    let mut outcomes_until = None;
    loop {
        let wait = {
            let mut queue = lock(&shared.queue);
            let now = Instant::now();
            let (accepts, records) = (queue.replies.len(), queue.batch.records.len());
            if queue.is_stopping && accepts + records == 0 {
                return None;
            }
            let is_gathered = accepts >= expected || gather_until.is_none_or(|until| now >= until);
            if records > 0 && outcomes_until.is_none() {
                outcomes_until = Some(now + OUTCOMES_WAIT);
            }
            let are_outcomes_due =
                records >= OUTCOMES_ENOUGH || outcomes_until.is_some_and(|until| now >= until);
            if queue.is_stopping || (accepts > 0 && is_gathered) || are_outcomes_due {
                return Some(queue.take());
            }
            queue.parked = Some(std::thread::current());
            queue.wanted_accepts = if accepts == 0 || is_gathered { 1 } else { expected };
            let gathering = gather_until.filter(|_| !is_gathered && accepts > 0);
            [gathering, outcomes_until].into_iter().flatten().min().map(|until| until - now)
        };
        match wait {
            Some(time) => std::thread::park_timeout(time),
            None => std::thread::park(),
        }
    }
}

impl Queue {
    fn take(&mut self) -> Taken {
        self.parked = None;
        let Batch { accepts, records } = &mut self.batch;
        if accepts.len() + records.len() <= BATCH_MAX && self.bytes <= BATCH_BYTES_MAX {
            self.bytes = 0;
            return (std::mem::take(&mut self.batch), std::mem::take(&mut self.replies));
        }
        let mut bytes = 0;
        let fits = accepts.iter().take(BATCH_MAX).take_while(|accept| {
            let is_first = bytes == 0;
            bytes += accept.event.bodies.size_bytes();
            is_first || bytes <= BATCH_BYTES_MAX
        });
        let accepts_taken = fits.count();
        let records_taken = records.len().min(BATCH_MAX);
        let batch = Batch {
            accepts: accepts.drain(..accepts_taken).collect(),
            records: records.drain(..records_taken).collect(),
        };
        let taken = batch.accepts.iter().map(|accept| accept.event.bodies.size_bytes());
        self.bytes -= taken.sum::<usize>();
        (batch, self.replies.drain(..accepts_taken).collect())
    }
}
