//! A whole server in this process, on a thread of its own as in the binary.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use postrider::clock::Clock;
use postrider::config::{Config, Keys, Sources};
use postrider::engine::Engine;
use postrider::serve::{ServeParts, run};
use postrider_core::delivery::HistoryEntry;
use postrider_core::id::{Key as _, WebhookKey};
use postrider_store::Counts;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use postrider_faults::client::{ADMIN_KEY, Api};
use postrider_faults::until;

/// Name of every thread of servers under proof, but for the writer.
const THREAD: &str = "proved-server";

/// Panics on threads of servers.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// See the module's text.
pub(crate) struct Server {
    pub(crate) api: Api,
    /// Shared with the server: what moves it moves the server's time.
    pub(crate) clock: Clock,
    engine: Engine,
    shutdown: CancellationToken,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Starts a server on a data directory. Receivers on loopback are allowed.
    pub(crate) async fn start(data_dir: &Path) -> Self {
        count_panics();
        let config = config(data_dir);
        let (clock, shutdown) = (Clock::system(), CancellationToken::new());
        let (told, started) = oneshot::channel();
        let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn({
            let (clock, shutdown) = (clock.clone(), shutdown.clone());
            move || serve(config, clock, shutdown, told)
        });
        let (engine, api) = started.await.unwrap();
        Self { api, clock, engine, shutdown, thread: thread.unwrap() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Puts the clock forward to `time`.
    pub(crate) fn advance_to(&self, time: i64) {
        let by_ms = u64::try_from(time - self.now()).unwrap_or(0);
        self.clock.advance(Duration::from_millis(by_ms));
    }

    /// The store's count of deliveries by how they stand.
    pub(crate) async fn counts(&self) -> Counts {
        self.engine.store().counts().await.unwrap()
    }

    /// Everything that happened to the deliveries of a webhook, deleted or not.
    pub(crate) async fn history(&self, webhook: &str) -> Vec<HistoryEntry> {
        let webhook = WebhookKey::parse(webhook).unwrap();
        self.engine.store().history_of_webhook(webhook, None, usize::MAX >> 8).await.unwrap()
    }

    /// Waits until so many deliveries are pending.
    pub(crate) async fn until_pending(&self, pending: u64) {
        let look = async || (self.counts().await.deliveries_pending == pending).then_some(());
        until(&format!("{pending} deliveries pending"), look).await;
    }

    /// Ends the server in order: nothing has panicked, and every delivery is accounted for.
    pub(crate) async fn stop(self) {
        let Self { engine, shutdown, thread, .. } = self;
        let counts = engine.store().counts().await.unwrap();
        let accounted = counts.deliveries_pending + counts.deliveries_finished;
        assert_eq!(counts.deliveries_created, accounted, "{counts:?}");
        drop(engine);
        shutdown.cancel();
        let ended = tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
        ended.expect("the server's thread ended without a panic").unwrap();
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a server panicked");
    }
}

fn config(data_dir: &Path) -> Config {
    let flags = BTreeMap::from([
        ("data_dir", data_dir.to_str().unwrap().to_owned()),
        ("allow_http", "true".to_owned()),
        ("danger_allow_networks", "127.0.0.0/8".to_owned()),
        ("unknown_event_types", "accept".to_owned()),
    ]);
    let variables = [("POSTRIDER_ADMIN_KEY".into(), ADMIN_KEY.into())];
    Config::from_sources(&Sources::read(flags, variables).unwrap()).unwrap()
}

fn serve(
    config: Config,
    clock: Clock,
    shutdown: CancellationToken,
    told: oneshot::Sender<(Engine, Api)>,
) -> anyhow::Result<()> {
    let keys = Keys::settle(&config)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().thread_name(THREAD).build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let parts = ServeParts { config, keys, listener, clock };
        run(parts, shutdown, |started| {
            // the proof may have ended meanwhile
            let _ = told.send((started.engine, Api { address }));
        })
        .await
    })
}

/// Counts panics of servers from now on; those of tests are none of its business.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if matches!(thread.name(), Some(THREAD | "writer")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            tell(panic);
        }));
    });
}
