//! Logs: what goes to stderr while a server runs.
//!
//! The dispatcher reports each attempt as an event of the target `delivery` with the fields
//! `webhook`, `event`, `type`, `url`, `status` or `error`, `ms` and `attempt`. The pretty format writes it as
//! one line that can be read at a glance; the others write it like every other record.

mod pretty;

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;

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
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    let installed = match config.format {
        LogFormat::Pretty => {
            builder.with_ansi(is_coloured).event_format(pretty::Pretty { is_coloured }).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("another subscriber takes the records already");
    }
}
