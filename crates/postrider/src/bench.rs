//! `postrider bench`: how fast this machine delivers, beside a process that only signs and forwards.
//!
//! Publisher and receiver run in this process, the server (or the forwarder) in one of its own,
//! so that its CPU time is its own. Absolute figures say little on a shared machine; the ratio to
//! the forwarder, measured in the same run on the same load, says more.

mod curve;
mod event;
mod figures;
mod forward;
mod latency;
mod ledger;
mod load;
mod measure;
mod process;
mod progress;
mod receiver;
mod report;
mod stock;
mod webhooks;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;

use self::figures::{Comparison, Figures, Findings, Settings};
use self::measure::Plan;
use self::process::Kind;
use self::stock::{Stock, Stocked};
use self::webhooks::Webhooks;

/// Requests to the receiver at once, over all webhooks: what keeps both sides busy without
/// letting the latency run away.
const CONCURRENCY: usize = 128;
/// Events of a measurement flat out, and seconds of one at a rate, unless told otherwise.
const EVENTS: usize = 50_000;
const RATE_S: usize = 10;
/// Events before the measurement begins, and never fewer than there are connections.
const WARM_UP_MAX: usize = 2_000;

#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Publisher connections; several values, separated by commas, are measured in turn
    #[arg(long, value_delimiter = ',', default_values_t = [16, 100])]
    connections: Vec<usize>,
    /// Events published per second; flat out without it
    #[arg(long, value_name = "PER_S", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Events published for each measurement [default: 50000, with --rate those of 10 seconds]
    #[arg(long)]
    events: Option<usize>,
    /// Webhooks that each event goes to
    #[arg(long, default_value_t = 1)]
    fan_out: usize,
    /// Webhooks in all; events go to groups of the fan-out in turn [default: the fan-out, with
    /// --failing or --hanging 20 times as many]
    #[arg(long)]
    webhooks: Option<usize>,
    /// Share of the webhooks whose receiver answers 500, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    failing: f64,
    /// Share of the webhooks whose receiver takes requests and never answers, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    hanging: f64,
    /// Webhooks beside those, which want none of the events
    #[arg(long, value_name = "N", default_value_t = 0)]
    registered: usize,
    /// Deliveries that wait in the store, which failed once and are due again in hours
    #[arg(long, value_name = "N", default_value_t = 0)]
    backlog: usize,
    /// Bytes of each event's data; it takes 31 to tell events apart
    #[arg(long, default_value_t = 1_024)]
    payload: usize,
    /// Measure something else on the same load, and print the ratio
    #[arg(long, value_enum)]
    compare: Option<Compare>,
    /// Rounds of each measurement; the median by CPU is shown
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a page with the latency curve to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Compare {
    /// A bare sign-and-forward process
    Forward,
    /// The same server without failing and hanging receivers, other webhooks and backlog
    Plain,
}

/// Run as a child of the benchmark.
#[derive(Args, Debug)]
pub struct ForwardArgs {
    /// Where requests go, host and port, once for each of the fan-out
    #[arg(long)]
    to: SocketAddr,
    #[arg(long)]
    fan_out: usize,
}

/// Runs the benchmark, prints what it found, and fails when anything was lost.
pub fn main(args: &BenchArgs) -> anyhow::Result<()> {
    let webhooks = Webhooks::parse(args)?;
    let other = other(args)?;
    let settings = settings(args, webhooks);
    let stocked = stock(&settings).make().context("stocking the store")?;
    let mut all = Findings { settings, figures: Vec::new(), comparisons: Vec::new() };
    for &connections in &args.connections {
        let connections = connections.max(1);
        // In turn, round by round, so that whatever else the machine does falls on both.
        let (mut server, mut others) = (Vec::new(), Vec::new());
        for round in 1..=all.settings.rounds {
            let measure =
                |kind| measure(&all.settings, webhooks, kind, stocked.as_ref(), connections, round);
            server.push(measure(Kind::Server)?);
            others.extend(other.map(measure).transpose()?);
        }
        let compared = figures::compare(&server, &others);
        for rounds in [server, others] {
            all.figures.extend(figures::median(rounds).inspect(|figures| show(args, figures)));
        }
        all.comparisons.extend(compared.inspect(|compared| show_comparison(args, compared)));
    }
    if args.json {
        say(&serde_json::to_string_pretty(&all).context("writing JSON")?);
    }
    if let Some(file) = &args.report {
        fs::write(file, report::html(&all))
            .with_context(|| format!("writing the report to {}", file.display()))?;
    }
    let lost: u64 = all.figures.iter().map(|figures| figures.lost).sum();
    ensure!(lost == 0, "{lost} deliveries never arrived");
    Ok(())
}

/// Runs the bare forwarder until its standard input closes.
pub fn forward(args: &ForwardArgs) -> anyhow::Result<()> {
    forward::main(args.to, args.fan_out)
}

/// What is measured beside the server.
fn other(args: &BenchArgs) -> anyhow::Result<Option<Kind>> {
    let has_unhealthy = args.failing > 0.0 || args.hanging > 0.0;
    match args.compare {
        None => Ok(None),
        Some(Compare::Plain) => Ok(Some(Kind::Plain)),
        Some(Compare::Forward) if has_unhealthy => bail!(
            "--compare forward can't be used with --failing or --hanging: the forwarder has no time-outs"
        ),
        Some(Compare::Forward) => Ok(Some(Kind::Forwarder)),
    }
}

fn stock(settings: &Settings) -> Stock {
    let Settings { registered, backlog, payload_bytes, .. } = *settings;
    Stock { registered, backlog, payload_bytes }
}

fn settings(args: &BenchArgs, webhooks: Webhooks) -> Settings {
    let of_rate = |rate| usize::try_from(rate).unwrap_or(usize::MAX).saturating_mul(RATE_S);
    let events = args.events.unwrap_or_else(|| args.rate.map_or(EVENTS, of_rate)).max(1);
    Settings {
        events,
        rate: args.rate,
        fan_out: webhooks.fan_out,
        webhooks: webhooks.count(),
        failing: args.failing,
        hanging: args.hanging,
        registered: args.registered,
        backlog: args.backlog,
        payload_bytes: args.payload,
        rounds: args.rounds.max(1),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn measure(
    settings: &Settings,
    webhooks: Webhooks,
    kind: Kind,
    stocked: Option<&Stocked>,
    connections: usize,
    round: usize,
) -> anyhow::Result<Figures> {
    let (webhooks, stocked) = match kind {
        Kind::Server => (webhooks, stocked),
        Kind::Plain => (webhooks.healthy(), None),
        Kind::Forwarder => (webhooks.of_forwarder(), None),
    };
    let plan = Plan {
        kind,
        webhooks,
        connections,
        events: settings.events,
        warm_up: (settings.events / 20).min(WARM_UP_MAX).max(connections),
        rate: settings.rate,
        payload_bytes: settings.payload_bytes,
    };
    let ledger = plan.ledger(stocked);
    let of_rounds = settings.rounds;
    let title = format!("{}, {connections} connections, round {round} of {of_rounds}", kind.name());
    progress::watch(title, &ledger, plan.expected(stocked)?, || plan.run(&ledger, stocked))
}

fn show(args: &BenchArgs, figures: &Figures) {
    if args.json {
        return;
    }
    let latency = figures.latency_ms;
    say(&format!(
        "{}, {} connections\n  \
         {:.4} CPU-s per 1,000 deliveries, {:.0} MiB at most, {:.0} MiB before\n  \
         {:.0} accepted/s, {:.0} delivered/s\n  \
         latency p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, at most {:.1} ms\n  \
         ready after {:.0} ms; {} deliveries, {} duplicates, {} lost",
        figures.process,
        figures.connections,
        figures.cpu_s_per_1000,
        figures.peak_rss_mib,
        figures.idle_rss_mib,
        figures.accepted_per_s,
        figures.delivered_per_s,
        latency.p50,
        latency.p90,
        latency.p99,
        latency.p99_9,
        latency.max,
        figures.ready_ms,
        figures.deliveries,
        figures.duplicates,
        figures.lost,
    ));
    if let Some(ms) = figures.first_attempt_ms {
        say(&format!("  first attempt {ms:.0} ms after the start"));
    }
    if args.failing > 0.0 || args.hanging > 0.0 {
        say(&format!("  {} attempts at failing and hanging receivers", figures.unhealthy_attempts));
    }
}

fn show_comparison(args: &BenchArgs, compared: &Comparison) {
    if args.json {
        return;
    }
    say(&format!(
        "{} connections, against {}: CPU per delivery {:.2} x ({:.2} to {:.2}), throughput {:.2} x, p99 {:.2} x",
        compared.connections,
        compared.with,
        compared.cpu,
        compared.cpu_least,
        compared.cpu_most,
        compared.throughput,
        compared.p99,
    ));
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "give a share such as 0.25".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("give a share from 0 to 1".into()) }
}

#[expect(clippy::print_stdout, reason = "the figures are what the command is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "stdout may be JSON")]
fn complain(line: &str) {
    eprintln!("{line}");
}
