//! Sending: one request to one receiver, and what came of it.
//!
//! An attempt takes an idle connection or dials one (resolve, judge, connect, compare, TLS),
//! sends, reads a bounded answer, and says in one [`Sent`] what happened. All of it lies under one
//! deadline. Redirects are not followed, the environment's proxies are not asked, nothing is
//! inflated, no cookie is kept.
//!
//! This module must not know of webhooks, schedules, signatures or storage: it is given a target,
//! headers and bytes.

mod answer;
mod chunks;
mod connection;
mod dial;
mod failure;
mod head;
pub mod limits;
mod pool;
mod progress;
mod request;
mod resolve;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::delivery::{AttemptResult, ErrorClass, Timing};
use postrider_core::target::{Target, TargetPolicy};
use postrider_store::failpoint;
use rustls::pki_types::CertificateDer;

use self::connection::{Afterwards, Connection, Unsent};
use self::dial::Dialler;
use self::failure::Failure;
use self::pool::Pool;
use self::progress::Progress;

pub use self::answer::answered;
pub use self::dial::Budgets;
pub use self::failure::Refusal;
pub use self::pool::Identity;
pub use self::request::{Request, RequestHead, Unwritable};
pub use self::resolve::{Resolve, ResolveError, StaticHosts, SystemResolver, SystemResolverError};
pub use self::tls::ExtraRootError;

/// Sends requests to receivers. Clones share their idle connections.
#[derive(Clone)]
pub struct Sender {
    inner: Arc<Inner>,
}

struct Inner {
    dialler: Dialler,
    pool: Pool,
}

/// How a [`Sender`] behaves for as long as it lives.
pub struct SenderOptions {
    /// What may be reached. Targets are held to it again at every new connection.
    pub policy: TargetPolicy,
    pub budgets: Budgets,
    /// How long a connection may lie idle.
    pub idle_time: Duration,
    /// Certificate authorities that are trusted beside the public ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    pub resolver: Arc<dyn Resolve>,
}

impl SenderOptions {
    /// The defaults of [`limits`].
    pub fn new(policy: TargetPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            policy,
            budgets: Budgets {
                dns: limits::DNS_BUDGET,
                connect: limits::CONNECT_BUDGET,
                tls: limits::TLS_BUDGET,
            },
            idle_time: limits::IDLE_TIME,
            extra_roots: Vec::new(),
            resolver,
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Sent {
    pub timing: Timing,
    /// The address that was dialled; of several, the last.
    pub address: Option<SocketAddr>,
    pub result: AttemptResult,
    /// The answer's `Retry-After` as it came, if it is ASCII and of a sane length.
    pub retry_after: Option<String>,
    /// Set when it was we who refused. For operators: `result` tells outsiders no more than that
    /// the address is not allowed.
    pub refusal: Option<Refusal>,
}

impl Sender {
    pub fn new(options: SenderOptions) -> Result<Self, ExtraRootError> {
        let dialler = Dialler {
            tls: tls::connector(&options.extra_roots)?,
            policy: options.policy,
            budgets: options.budgets,
            resolver: options.resolver,
        };
        Ok(Self { inner: Arc::new(Inner { dialler, pool: Pool::new(options.idle_time) }) })
    }

    /// Makes one attempt. Never fails otherwise than in [`Sent::result`].
    ///
    /// Whatever breaks after the first byte of the request was written ends the attempt, because
    /// the receiver may have acted on it. Only a request that met a closed idle connection before
    /// that goes out again, on a new one. An answer that is not whole by the deadline is a
    /// time-out even where its head said 200. Dropping the future closes the connection.
    pub async fn send(&self, request: Request) -> Sent {
        let started = Instant::now();
        let mut progress = Progress::new(started);
        let deadline = (started + request.deadline).into();
        let attempt = self.attempt(request, &mut progress);
        let outcome = match tokio::time::timeout_at(deadline, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(progress.timed_out()),
        };
        conclude(outcome, progress)
    }

    /// Closes idle connections that lay too long or that their receivers closed. To be called
    /// every few seconds.
    pub fn sweep_idle(&self) {
        self.inner.pool.sweep(Instant::now());
    }

    /// How many connections lie idle, for metrics.
    pub fn idle_count(&self) -> usize {
        self.inner.pool.len()
    }

    async fn attempt(&self, request: Request, progress: &mut Progress) -> Result<(), Failure> {
        let Request { target, head, body, identity, .. } = request;
        let mut outgoing = head.finish(body);
        let Inner { dialler, pool } = &*self.inner;
        if let Some(mut idle) = pool.take(&target, identity, Instant::now()) {
            progress.address = idle.address();
            match idle.exchange(outgoing, progress).await {
                Ok(afterwards) => {
                    self.put_back(&target, identity, idle, afterwards);
                    return Ok(());
                }
                Err(Unsent::Broke(failure)) => return Err(failure),
                Err(Unsent::NeverWritten(again, _)) => outgoing = again,
            }
        }
        // Boxed, for it is large and rare: every attempt's future would have to hold room for it.
        let wire = Box::pin(dialler.dial(&target, progress)).await?;
        failpoint!(Dialled);
        let mut fresh = Box::new(Connection::new(wire, progress.address));
        match fresh.exchange(outgoing, progress).await {
            Ok(afterwards) => {
                self.put_back(&target, identity, fresh, afterwards);
                Ok(())
            }
            Err(Unsent::Broke(failure) | Unsent::NeverWritten(_, failure)) => Err(failure),
        }
    }

    fn put_back(
        &self,
        target: &Target,
        identity: Identity,
        connection: Box<Connection>,
        afterwards: Afterwards,
    ) {
        if let Afterwards::Keep(limit) = afterwards {
            let pool = &self.inner.pool;
            pool.put(target, identity, connection, limit, Instant::now());
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SenderOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SenderOptions")
            .field("policy", &self.policy)
            .field("budgets", &self.budgets)
            .finish_non_exhaustive()
    }
}

const OURS: Failure =
    Failure::new(ErrorClass::Internal, "this server lost the answer; please report it");

fn conclude(outcome: Result<(), Failure>, progress: Progress) -> Sent {
    let address = progress.address;
    let (timing, partial) = progress.into_timing(Instant::now());
    let (answer, retry_after) = match partial.map(answer::Partial::finish) {
        Some((answer, retry_after)) => (Some(answer), retry_after),
        None => (None, None),
    };
    let (result, refusal) = match (outcome, answer) {
        (Ok(()), Some(answer)) => (AttemptResult::Answered(answer), None),
        // an exchange that succeeds has left an answer, so `OURS` never shows
        (outcome, answer) => {
            let failure = outcome.err().unwrap_or(OURS);
            let result = AttemptResult::Broke {
                class: failure.class,
                detail: failure.detail.to_owned(),
                answer,
            };
            (result, failure.refusal)
        }
    };
    Sent { timing, address: address.filter(|_| refusal.is_none()), result, retry_after, refusal }
}
