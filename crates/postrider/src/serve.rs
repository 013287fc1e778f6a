//! A running server: configuration in, everything joined, and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use postrider_core::address::AddressPolicy;
use postrider_core::target::TargetPolicy;
use postrider_signature::seal::{SealingKey, SealingKeys};
use postrider_store::{Scope, SqliteOptions, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::greeting::Greeting;
use crate::clock::Clock;
use crate::config::{Config, Keys, MetricsAccess};
use crate::engine::{Engine, EngineParts};
use crate::http::state::ServerState;
use crate::profile::Profiles;
use crate::send::{Resolve, Sender, SenderOptions, SystemResolver};
use crate::{api, dashboard, dev, http};

/// The database in the data directory.
pub const DATABASE_FILE: &str = "postrider.db";

/// What a server is started with. The caller owns the socket, the clock and the end.
#[derive(Debug)]
pub struct ServeParts {
    pub config: Config,
    pub keys: Keys,
    pub listener: TcpListener,
    pub clock: Clock,
}

/// What is known once a server has started.
#[derive(Debug)]
pub struct Started {
    pub engine: Engine,
    /// Where the server is reached from outside.
    pub public_url: String,
    /// An admin key that was made at this start, to be shown once; only its hash is kept.
    pub made_admin_key: Option<String>,
}

/// Runs the server of the binary: takes the keys, the socket and the signals, and blocks until
/// the server has ended.
///
/// The first SIGTERM or SIGINT ends it in order, a second one at once.
pub fn main(config: Config) -> anyhow::Result<()> {
    // Events are nobody else's business, wherever the data directory lies.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let keys = Keys::settle(&config)?;
    raise_descriptor_limit();
    // One thread for HTTP in and out beats several on few cores (design, "The hot path").
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!("listen: {} can't be bound; is another server running there?", config.listen)
        })?;
        let bound = listener.local_addr().context("listen: the socket has no address")?;
        let greeting = Greeting::new(&config, &keys, bound);
        let shutdown = CancellationToken::new();
        let signals = tokio::spawn(watch_signals(shutdown.clone())?);
        #[cfg(feature = "failpoints")]
        let clock = crate::faults::clock();
        #[cfg(not(feature = "failpoints"))]
        let clock = Clock::system();
        let parts = ServeParts { config, keys, listener, clock };
        let outcome = run(parts, shutdown, |started| {
            greeting.tell(&started);
        })
        .await;
        greeting.end();
        signals.abort();
        outcome
    })
}

/// Cancels `shutdown` at the first signal, ends the process at the second.
fn watch_signals(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("watching SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching SIGINT")?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                tracing::warn!("second signal: ending at once");
                std::process::exit(130);
            }
            shutdown.cancel();
        }
    })
}

/// Every attempt in flight is a socket; the usual limit of 1,024 files is for interactive use.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Runs a server until `shutdown`, then lets requests and attempts in hand end.
///
/// `started` is called once requests are taken. Errors are those of starting; what goes wrong
/// later is logged, retried and answered.
pub async fn run(
    parts: ServeParts,
    shutdown: CancellationToken,
    started: impl FnOnce(Started),
) -> anyhow::Result<()> {
    let ServeParts { config, keys, listener, clock } = parts;
    let bound = listener.local_addr().context("listen: the socket has no address")?;
    let public_url = config.public_url(bound);
    let store = open_store(&config).await?;
    let engine = start_engine(&config, &keys, store, clock, bound, &public_url).await?;
    let made_admin_key = make_admin_key(&engine, &keys).await?;

    let state = server_state(&config, engine.clone());
    let inbox = if config.is_dev { dev::router(engine.clone(), bound) } else { Router::new() };
    let pages = dashboard::router(state.clone(), config.look.clone())?;
    let table = api::router(state.clone(), pages.merge(inbox));
    started(Started { engine: engine.clone(), public_url, made_admin_key });

    // Phase one: requests in hand end, new ones find a closed door. Phase two: attempts in hand
    // end and their outcomes become durable. Both together stay within the drain time.
    let until = tokio::time::Instant::now;
    let limits = http::limits::HttpLimits::default();
    let stopping = async {
        shutdown.cancelled().await;
        state.set_ready(false);
        engine.stop_starting();
        tracing::info!("stopping: no new requests; finishing what is under way");
    };
    let all = api::Routes::new(state.clone(), table);
    let serving = http::serve::run(listener, all, limits, stopping);
    let cut = async {
        shutdown.cancelled().await;
        tokio::time::sleep(config.drain / 2).await;
    };
    let began = tokio::select! {
        () = serving => until(),
        () = cut => {
            tracing::warn!("some requests did not end in time and were cut off");
            until()
        }
    };
    let cut_off = engine.stop(config.drain.saturating_sub(began.elapsed())).await;
    if cut_off > 0 {
        tracing::warn!(cut_off, "attempts were cut off; they are made again at the next start");
    }
    tracing::info!("stopped");
    Ok(())
}

fn server_state(config: &Config, engine: Engine) -> ServerState {
    let state = ServerState::new(engine, config.body_limit_bytes);
    match config.metrics {
        MetricsAccess::Admin => state,
        MetricsAccess::Open => state.with_open_metrics(),
    }
}

async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let path = config.data_dir.join(DATABASE_FILE);
    let named = path.clone();
    let opened =
        tokio::task::spawn_blocking(move || SqliteStore::open(&path, SqliteOptions::default()));
    let store = opened.await.context("opening the database")?;
    Ok(Arc::new(store.with_context(|| format!("data_dir: {} can't be opened", named.display()))?))
}

async fn start_engine(
    config: &Config,
    keys: &Keys,
    store: Arc<dyn Store>,
    clock: Clock,
    bound: std::net::SocketAddr,
    public_url: &str,
) -> anyhow::Result<Engine> {
    let policy = policy(config, bound);
    let resolver = resolver()?;
    let sender =
        Sender::new(SenderOptions::new(policy.clone(), resolver)).context("preparing TLS")?;
    let profiles =
        Profiles::new(&config.default_profile, config.profiles.clone()).with_context(|| {
            format!("default_profile: there is no profile {}", config.default_profile)
        })?;
    let parts = EngineParts {
        store,
        clock,
        profiles,
        sealing: sealing_keys(keys),
        sender,
        policy,
        admin_key: keys.admin.as_ref().map(|key| key.expose().to_owned()),
        public_url: public_url.to_owned(),
        attempt_timeout: config.attempt_timeout,
        webhooks_per_tenant_max: config.webhooks_per_tenant_max,
        unknown_event_types: config.unknown_event_types,
        retention: Duration::from_secs(u64::from(config.retention_days) * 86_400),
        health: config.health,
    };
    Engine::start(parts).await.context("reading the database")
}

fn resolver() -> anyhow::Result<Arc<dyn Resolve>> {
    #[cfg(feature = "failpoints")]
    if let Some(resolver) = crate::faults::resolver()? {
        return Ok(Arc::new(resolver));
    }
    Ok(Arc::new(SystemResolver::new().context("reading the system's DNS settings")?))
}

/// Which addresses receivers may have. The server's own is refused, so that no delivery loops;
/// but not in dev mode, whose inbox is at the server itself.
fn policy(config: &Config, bound: std::net::SocketAddr) -> TargetPolicy {
    TargetPolicy {
        allow_http: config.allow_http,
        networks: AddressPolicy {
            danger_allow_networks: config.danger_allow_networks.clone(),
            own_sockets: if config.is_dev { Vec::new() } else { vec![bound] },
            ..AddressPolicy::default()
        },
        ..TargetPolicy::default()
    }
}

fn sealing_keys(keys: &Keys) -> SealingKeys {
    let current = SealingKeys::new(SealingKey::from_bytes(keys.sealing.expose()));
    keys.old_sealing
        .iter()
        .fold(current, |keys, old| keys.with_older(SealingKey::from_bytes(old.expose())))
}

/// Where no admin key is configured and none was ever made, makes one.
async fn make_admin_key(engine: &Engine, keys: &Keys) -> anyhow::Result<Option<String>> {
    if keys.admin.is_some() || engine.api_keys().iter().any(|key| key.scope == Scope::Admin) {
        return Ok(None);
    }
    let description = Some("made at the first start".to_owned());
    let (_, text) = engine.create_api_key(None, Scope::Admin, description, None).await?;
    Ok(Some(text))
}
