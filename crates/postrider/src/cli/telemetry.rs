//! Logs: what goes to stderr while a server runs.
//!
//! The engine reports each attempt as an event of the target `delivery` with the fields `event`
//! (the type), `webhook`, `id`, `attempt`, `status` or `error`, and `ms`; successes only at the
//! level `debug`, since a busy server makes thousands a second. The pretty format shows all of
//! them, one line each that can be read at a glance.

mod pretty;

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Sends the process's records to stderr from now on. A second call changes nothing: tests run
/// several servers in one process.
pub fn install(config: LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let is_coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let writer = std::io::stderr;
    let installed = match config.format {
        LogFormat::Pretty => {
            let filter = Targets::new()
                .with_default(level)
                .with_target("delivery", level.max(LevelFilter::DEBUG));
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(writer)
                .event_format(pretty::Pretty { is_coloured });
            tracing_subscriber::registry().with(layer).with(filter).try_init()
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
            tracing_subscriber::registry().with(layer.with_writer(writer)).with(level).try_init()
        }
        LogFormat::Text => {
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
            tracing_subscriber::registry().with(layer).with(level).try_init()
        }
    };
    if installed.is_err() {
        tracing::debug!("another subscriber takes the records already");
    }
}
