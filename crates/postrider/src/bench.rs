//! `postrider bench`: how fast this machine delivers, beside a process that only signs and forwards.
//!
//! Publisher and receiver run in this process, the server (or the forwarder) in one of its own,
//! so that its CPU time is its own. Absolute figures say little on a shared machine; the ratio to
//! the forwarder, measured in the same run on the same load, says more.

mod forward;
mod load;
mod process;
mod receiver;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use self::load::Load;
use self::process::{Child, Kind};
use self::receiver::Receiver;

/// Requests to the receiver at once, over all webhooks: what keeps both sides busy without
/// letting the latency run away.
const CONCURRENCY: usize = 128;
/// Deliveries that must have arrived before the clock of a phase may stop, at the most this late.
const ARRIVAL_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Publisher connections; several values, separated by commas, are measured in turn
    #[arg(long, value_delimiter = ',', default_values_t = [16, 100])]
    connections: Vec<usize>,
    /// Events published for each measurement
    #[arg(long, default_value_t = 50_000)]
    events: usize,
    /// Webhooks that each event goes to
    #[arg(long, default_value_t = 1)]
    fan_out: usize,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    payload: usize,
    /// Measure a bare sign-and-forward process on the same load, and print the ratio
    #[arg(long, value_enum)]
    compare: Option<Compare>,
    /// Rounds of each measurement; the median by CPU is shown
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Compare {
    Forward,
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

/// What one measurement found.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    process: &'static str,
    connections: usize,
    fan_out: usize,
    /// CPU seconds of the whole process for 1,000 deliveries.
    cpu_s_per_1000: f64,
    accepted_per_s: f64,
    delivered_per_s: f64,
    peak_rss_mib: f64,
    duplicates: u64,
}

/// The server against the forwarder: the median over the rounds, and for CPU the extremes.
#[derive(Clone, Debug, Serialize)]
struct Comparison {
    connections: usize,
    cpu: f64,
    cpu_least: f64,
    cpu_most: f64,
    throughput: f64,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    figures: Vec<Figures>,
    comparisons: Vec<Comparison>,
}

/// Runs the benchmark and prints what it found.
pub fn main(args: &BenchArgs) -> anyhow::Result<()> {
    let mut all = Report::default();
    for &connections in &args.connections {
        // In turn, round by round, so that whatever else the machine does falls on both.
        let (mut server, mut forward) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds.max(1) {
            server.push(measure(args, connections, Kind::Server)?);
            if args.compare.is_some() {
                forward.push(measure(args, connections, Kind::Forwarder)?);
            }
        }
        let compared = compare(connections, &server, &forward);
        let server = median(server);
        show(args, &server);
        if let Some(compared) = compared {
            let forward = median(forward);
            show(args, &forward);
            if !args.json {
                say(&format!(
                    "{connections:>4} connections: CPU per delivery {:.2} x the forwarder's ({:.2} to {:.2}), throughput {:.2} x",
                    compared.cpu, compared.cpu_least, compared.cpu_most, compared.throughput,
                ));
            }
            all.comparisons.push(compared);
            all.figures.push(forward);
        }
        all.figures.push(server);
    }
    if args.json {
        say(&serde_json::to_string_pretty(&all).context("writing JSON")?);
    }
    Ok(())
}

/// Runs the bare forwarder until its standard input closes.
pub fn forward(args: &ForwardArgs) -> anyhow::Result<()> {
    forward::main(args.to, args.fan_out)
}

/// Holds each round of the server against the forwarder's of the same round: what else the machine
/// does changes from round to round, and falls on both. `None` without a forwarder.
fn compare(connections: usize, server: &[Figures], forward: &[Figures]) -> Option<Comparison> {
    let ratios = |of: fn(&Figures) -> f64| {
        let rounds = server.iter().zip(forward);
        let mut ratios: Vec<f64> =
            rounds.map(|(server, forward)| of(server) / of(forward)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    let cpu = ratios(|figures| figures.cpu_s_per_1000);
    let throughput = ratios(|figures| figures.delivered_per_s);
    Some(Comparison {
        connections,
        cpu: *cpu.get(cpu.len() / 2)?,
        cpu_least: *cpu.first()?,
        cpu_most: *cpu.last()?,
        throughput: *throughput.get(throughput.len() / 2)?,
    })
}

/// The middle one by CPU; `rounds` holds at least one.
fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.cpu_s_per_1000.total_cmp(&b.cpu_s_per_1000));
    rounds.swap_remove(rounds.len() / 2)
}

fn measure(args: &BenchArgs, connections: usize, kind: Kind) -> anyhow::Result<Figures> {
    let receiver = Receiver::start()?;
    let child = Child::start(kind, receiver.address(), args.fan_out)?;
    let load = Load::new(child.address(), child.key(), args.payload);
    // Connections are opened and caches filled before anything is counted.
    let warm_up = (args.events / 20).clamp(connections, 2_000);
    load.run(connections, warm_up)?;
    receiver.wait_for(warm_up * args.fan_out, ARRIVAL_TIMEOUT)?;
    receiver.reset();

    let cpu_before = child.cpu()?;
    let started = Instant::now();
    load.run(connections, args.events)?;
    let accepted = started.elapsed();
    let expected = args.events * args.fan_out;
    if let Err(error) = receiver.wait_for(expected, ARRIVAL_TIMEOUT) {
        bail!("{error}; the process said: {}", child.last_words());
    }
    let delivered = started.elapsed();
    child.settle();
    let cpu = child.cpu()?.saturating_sub(cpu_before);
    let figures = Figures {
        process: kind.name(),
        connections,
        fan_out: args.fan_out,
        cpu_s_per_1000: cpu.as_secs_f64() / to_f64(expected) * 1_000.0,
        accepted_per_s: to_f64(args.events) / accepted.as_secs_f64(),
        delivered_per_s: to_f64(expected) / delivered.as_secs_f64(),
        peak_rss_mib: child.peak_rss_mib()?,
        duplicates: receiver.count().saturating_sub(u64::try_from(expected)?),
    };
    child.stop()?;
    Ok(figures)
}

fn show(args: &BenchArgs, figures: &Figures) {
    if args.json {
        return;
    }
    say(&format!(
        "{:>4} connections, fan-out {}: {:<9} {:.4} CPU-s per 1,000 deliveries, {:>6.0} accepted/s, {:>6.0} delivered/s, {:>4.0} MiB, {} duplicates",
        figures.connections,
        figures.fan_out,
        figures.process,
        figures.cpu_s_per_1000,
        figures.accepted_per_s,
        figures.delivered_per_s,
        figures.peak_rss_mib,
        figures.duplicates,
    ));
}

#[expect(clippy::print_stdout, reason = "the figures are what the command is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
