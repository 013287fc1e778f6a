//! How quickly a server answers what the dashboard asks, from a data folder that holds much.
//!
//! `cargo run --release --example dashboard_bench -- --data-dir FOLDER [--rounds 40]`
//!
//! Serves a folder that `seed_dashboard` filled and asks over HTTP, as one person after the other
//! would, about things of every age: the API, then the pages, signed in. Prints the middle and the
//! 95th percentile of each question, and fails when one is beyond 200 ms. Figures depend on the
//! machine; not a test.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use postrider::clock::Clock;
use postrider::config::{Config, Keys};
use postrider::engine::Engine;
use postrider::serve::{self, ServeParts};
use postrider_core::id::{TenantKey, UnixMs};
use postrider_signature::timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const KEY: &str = "prk_a_key_for_measuring_and_nothing_else";
const TENANT: &str = "acme";
const BOUND: Duration = Duration::from_millis(200);
const HOUR_MS: UnixMs = 3_600_000;
const DAY_MS: UnixMs = 24 * HOUR_MS;
/// Things of different ages that are asked about in turn.
const SAMPLES: usize = 20;

/// Measure what the dashboard asks of a server.
#[derive(Parser)]
struct Args {
    /// Filled by `seed_dashboard`.
    #[arg(long)]
    data_dir: PathBuf,
    /// How often each question is asked.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Ask only what has this in its name.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (address, engine) = serve(&args)?;
    let mut server =
        Server { address, rounds: args.rounds, only: args.only, cookie: String::new() };
    let samples = Samples::gather(&server)?;
    let mut is_slow = false;
    for (name, targets) in questions(&samples) {
        is_slow |= server.ask(name, &targets)?;
    }
    server.sign_in()?;
    for (name, targets) in pages(&samples) {
        is_slow |= server.ask(name, &targets)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    is_slow |= runtime.block_on(ask_engine(&server, &engine))?;
    anyhow::ensure!(!is_slow, "something takes longer than {BOUND:?}");
    Ok(())
}

/// Starts a server on the folder, in this process.
fn serve(args: &Args) -> anyhow::Result<(SocketAddr, Engine)> {
    let flags = [
        ("data_dir", args.data_dir.display().to_string()),
        ("admin_key", KEY.to_owned()),
        ("retention_days", "120".to_owned()),
        ("public_url", "http://127.0.0.1".to_owned()),
    ];
    let config = Config::load(BTreeMap::from(flags))?;
    let keys = Keys::settle(&config)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let (starts, started) = mpsc::channel();
    thread::spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let parts = ServeParts { config, keys, listener, clock: Clock::system() };
            let tell = |started: serve::Started| starts.send(started.engine).unwrap_or_default();
            serve::run(parts, CancellationToken::new(), tell).await
        })
    });
    let engine = started.recv().context("the server did not start")?;
    Ok((address, engine))
}

/// What there is to ask about.
struct Samples {
    webhooks: Vec<String>,
    events: Vec<String>,
    deliveries: Vec<String>,
    times: Vec<String>,
}

impl Samples {
    fn gather(server: &Server) -> anyhow::Result<Self> {
        let now = Clock::system().now();
        let mut samples = Self {
            webhooks: ids(&server.get("/v1/webhooks?limit=250")?.1),
            events: Vec::new(),
            deliveries: Vec::new(),
            times: Vec::new(),
        };
        for at in (1..).take(SAMPLES) {
            let time = timestamp::format_ms(now - at * 90 * DAY_MS / 21);
            samples
                .events
                .extend(ids(&server.get(&format!("/v1/events?limit=1&before={time}"))?.1));
            samples.times.push(time);
        }
        for event in &samples.events {
            let path = format!("/v1/events/{event}/deliveries?limit=1");
            samples.deliveries.extend(ids(&server.get(&path)?.1));
        }
        anyhow::ensure!(!samples.deliveries.is_empty(), "{TENANT} has no deliveries");
        Ok(samples)
    }
}

fn ids(body: &[u8]) -> Vec<String> {
    let page: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = page["data"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str().map(str::to_owned)).collect()
}

/// Every question with its variants.
fn questions(samples: &Samples) -> Vec<(&'static str, Vec<String>)> {
    let Samples { webhooks, events, deliveries, times } = samples;
    let with = |names: &[String], path: &dyn Fn(&str) -> String| -> Vec<String> {
        names.iter().map(|name| path(name)).collect()
    };
    let one = |path: &str| vec![path.to_owned()];
    vec![
        ("overview: 1 h", one("/v1/stats?window=1h")),
        ("overview: 24 h", one("/v1/stats?window=24h")),
        ("overview: 7 d", one("/v1/stats?window=7d")),
        ("webhooks", one("/v1/webhooks?limit=250")),
        ("webhook", with(webhooks, &|id| format!("/v1/webhooks/{id}"))),
        ("webhook: health", with(webhooks, &|id| format!("/v1/webhooks/{id}/health"))),
        ("webhook: attempts", with(webhooks, &|id| format!("/v1/webhooks/{id}/attempts"))),
        ("events", one("/v1/events")),
        ("events: before a time", with(times, &|at| format!("/v1/events?before={at}"))),
        ("events: of a rare type", one("/v1/events?type=security.compliance_check")),
        ("events: by id", with(events, &|id| format!("/v1/events?id_prefix={id}"))),
        ("events: by an unknown id", one("/v1/events?id_prefix=evt_zzzz")),
        ("event", with(events, &|id| format!("/v1/events/{id}"))),
        ("event: deliveries", with(events, &|id| format!("/v1/events/{id}/deliveries"))),
        ("event: explanation", with(events, &|id| format!("/v1/events/{id}/explanation"))),
        ("deliveries", one("/v1/deliveries")),
        ("deliveries: before a time", with(times, &|at| format!("/v1/deliveries?before={at}"))),
        ("deliveries: succeeded", one("/v1/deliveries?state=succeeded")),
        ("deliveries: failed", one("/v1/deliveries?state=failed")),
        ("deliveries: pending", one("/v1/deliveries?state=pending")),
        ("deliveries: cancelled", one("/v1/deliveries?state=cancelled")),
        ("deliveries: 5xx", one("/v1/deliveries?status_class=5xx")),
        ("deliveries: 3xx, of which there are none", one("/v1/deliveries?status_class=3xx")),
        ("deliveries: not answered", one("/v1/deliveries?status_class=none")),
        ("deliveries: of a rare type", one("/v1/deliveries?event_type=security.compliance_check")),
        (
            "deliveries: of a webhook",
            with(webhooks, &|id| format!("/v1/deliveries?webhook_id={id}")),
        ),
        (
            "deliveries: failed, of a webhook",
            with(webhooks, &|id| format!("/v1/deliveries?webhook_id={id}&state=failed")),
        ),
        (
            "deliveries: failed, before a time",
            with(times, &|at| format!("/v1/deliveries?before={at}&state=failed")),
        ),
        ("delivery", with(deliveries, &|id| format!("/v1/deliveries/{id}"))),
        ("delivery: attempts", with(deliveries, &|id| format!("/v1/deliveries/{id}/attempts"))),
        ("event types", one("/v1/event-types?limit=250")),
        ("replays", one("/v1/replays")),
    ]
}

/// Every page, with what makes it costly.
fn pages(samples: &Samples) -> Vec<(&'static str, Vec<String>)> {
    let Samples { webhooks, events, deliveries, times } = samples;
    let at = |path: &str| format!("/dashboard/t/{TENANT}/{path}");
    let one = |path: &str| vec![at(path)];
    let each = |names: &[String], path: &str| -> Vec<String> {
        names.iter().map(|name| at(&path.replace("{}", name))).collect()
    };
    let (first, last) = (&times[times.len() - 1], &times[0]);
    vec![
        ("page: overview, 1 h", one("?range=1h")),
        ("page: overview, 24 h", one("?range=24h")),
        ("page: overview, 7 d", one("?range=7d")),
        ("page: overview, three months", vec![at(&format!("?after={first}&before={last}"))]),
        ("page: search for an event", each(events, "search?q={}")),
        ("page: search for a delivery", each(deliveries, "search?q={}")),
        ("page: search for a URL's text", one("search?q=warehouse")),
        ("page: search in vain", one("search?q=nobody")),
        ("page: webhooks", one("webhooks")),
        ("page: webhook", each(webhooks, "webhooks/{}")),
        ("page: webhook, 7 d", each(webhooks, "webhooks/{}?range=7d")),
        ("page: events", one("events")),
        ("page: events of a rare type", one("events?type=security.compliance_check")),
        ("page: event", each(events, "events/{}")),
        ("page: deliveries", one("deliveries")),
        ("page: deliveries, failed", one("deliveries?state=failed")),
        ("page: deliveries, pending", one("deliveries?state=pending")),
        ("page: deliveries, 5xx", one("deliveries?status_class=5xx")),
        ("page: deliveries, 3xx of which there are none", one("deliveries?status_class=3xx")),
        ("page: deliveries of a rare type", one("deliveries?event_type=security.compliance_check")),
        ("page: deliveries of a webhook", each(webhooks, "deliveries?webhook_id={}")),
        ("page: failed ones of a webhook", each(webhooks, "deliveries?webhook_id={}&state=failed")),
        ("page: delivery", each(deliveries, "deliveries/{}")),
        ("page: event types", one("event-types")),
        ("page: keys", one("keys")),
    ]
}

/// What pages ask of the engine and no route of the API does.
async fn ask_engine(server: &Server, engine: &Engine) -> anyhow::Result<bool> {
    let tenants = engine.tenants();
    let tenant = tenants.iter().find(|tenant| tenant.name == TENANT).context("the tenant")?.key;
    let webhooks: Vec<_> = engine.webhooks(tenant, None, usize::MAX, |_| true);
    let webhooks: Vec<_> = webhooks.iter().map(|live| live.webhook.key).collect();
    let now = Clock::system().now();
    let mut is_slow = false;
    let mut took = Vec::new();
    for _ in 0..server.rounds {
        let began = Instant::now();
        engine.webhook_summaries(webhooks.clone()).await?;
        took.push(began.elapsed());
    }
    is_slow |= server.tell("webhooks: health of all", took);
    for (name, length_ms) in [
        ("engine: tenant, 1 h", HOUR_MS),
        ("engine: tenant, 24 h", DAY_MS),
        ("engine: tenant, 7 d", 7 * DAY_MS),
        ("engine: tenant, 31 d", 31 * DAY_MS),
        ("engine: tenant, 92 d", 92 * DAY_MS),
    ] {
        is_slow |=
            server.tell(name, ask_series(server, engine, tenant, now - length_ms..now).await?);
    }
    for (name, length_ms) in
        [("engine: webhook, 7 d", 7 * DAY_MS), ("engine: webhook, 31 d", 31 * DAY_MS)]
    {
        let mut took = Vec::new();
        for webhook in webhooks.iter().cycle().take(server.rounds) {
            let began = Instant::now();
            engine.webhook_series(*webhook, now - length_ms..now).await?;
            took.push(began.elapsed());
        }
        is_slow |= server.tell(name, took);
    }
    Ok(is_slow)
}

async fn ask_series(
    server: &Server,
    engine: &Engine,
    tenant: TenantKey,
    range: std::ops::Range<UnixMs>,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..server.rounds {
        let began = Instant::now();
        engine.tenant_series(tenant, range.clone()).await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

struct Server {
    address: SocketAddr,
    rounds: usize,
    only: String,
    /// Of a session, once there is one.
    cookie: String,
}

impl Server {
    /// Asks a question in all its variants; whether it is too slow.
    fn ask(&self, name: &str, targets: &[String]) -> anyhow::Result<bool> {
        if !name.contains(&self.only) {
            return Ok(false);
        }
        let mut took = Vec::new();
        for target in targets.iter().cycle().take(self.rounds) {
            let began = Instant::now();
            let (status, _) = self.get(target)?;
            took.push(began.elapsed());
            match status {
                // a search leads on to what it found
                200 | 303 => {}
                404 if target.starts_with("/dashboard") => {
                    eprintln!("{name:44} is not there");
                    return Ok(false);
                }
                _ => anyhow::bail!("{target} answered {status}"),
            }
        }
        Ok(self.tell(name, took))
    }

    fn tell(&self, name: &str, mut took: Vec<Duration>) -> bool {
        if !name.contains(&self.only) {
            return false;
        }
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() * percent).div_ceil(100).max(1) - 1];
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let (middle, late) = (at(50), at(95));
        let mark = if late > BOUND { "  TOO SLOW" } else { "" };
        eprintln!("{name:44} p50 {:7.1} ms  p95 {:7.1} ms{mark}", ms(middle), ms(late));
        late > BOUND
    }

    fn sign_in(&mut self) -> anyhow::Result<()> {
        let (status, answer) =
            self.exchange("POST", "/dashboard/sign-in", &format!("key={KEY}"))?;
        let head = String::from_utf8_lossy(&answer);
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.with_context(|| format!("signing in answered {status}"))?;
        cookie.clone_into(&mut self.cookie);
        Ok(())
    }

    fn get(&self, target: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let (status, mut answer) = self.exchange("GET", target, "")?;
        let body = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
        Ok((status, answer.split_off(body)))
    }

    /// The status, and all that came.
    fn exchange(&self, method: &str, target: &str, body: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut connection = TcpStream::connect(self.address)?;
        write!(
            connection,
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {KEY}\r\n\
             postrider-tenant: {TENANT}\r\ncookie: {}\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.address,
            self.cookie,
            body.len()
        )?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
        let status = status.and_then(|status| status.parse().ok()).context("no answer")?;
        Ok((status, answer))
    }
}
