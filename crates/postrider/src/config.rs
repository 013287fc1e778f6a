//! The server's settings: from a TOML file, `POSTRIDER_*` variables and flags, into values that
//! cannot be wrong.
//!
//! Flags win over variables, variables over the file, the file over the defaults. Whatever is not
//! known, not readable or not safe refuses to start, with the setting's name and how to mend it.
//! Only `--dev` changes defaults, and it never loosens a setting that was given.
//!
//! This module reads files and variables; it opens no store and no socket.

pub mod keys;
mod look;
pub(crate) mod nearest;
mod network;
mod profile;
mod setting;
mod source;
mod unsafe_settings;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use postrider_core::address::Network;
use postrider_core::health::HealthPolicy;

use crate::dashboard::Look;
use crate::engine::UnknownEventTypes;
use crate::profile::Profile;

pub use keys::{AdminKey, KeyError, Keys, SealingKey};
pub use setting::{SETTINGS, Setting};
pub use source::{Settled, Sources};
pub use value::PublicUrl;

/// How a server runs. Every field was checked; they were checked against each other too.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--dev`: loopback and plain HTTP receivers, a kept admin key, `/dev/inbox`, pretty logs.
    pub is_dev: bool,
    /// Port 0 lets the system choose.
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// As given; see [`Config::public_url`].
    pub given_public_url: Option<PublicUrl>,
    /// The bootstrap admin key, where one is given.
    pub admin_key: Option<AdminKey>,
    /// The key that seals from now on; `None`: the file `sealing-key` in the data directory.
    pub sealing_key: Option<SealingKey>,
    /// Keys that still open what they sealed.
    pub old_sealing_keys: Vec<SealingKey>,
    /// A built-in profile or one of `profiles`.
    pub default_profile: String,
    pub danger_allow_networks: Vec<Network>,
    /// Whether `http://` receivers are allowed.
    pub allow_http: bool,
    /// Of a request to the API.
    pub body_limit_bytes: usize,
    /// How long events and attempts are kept.
    pub retention_days: u16,
    pub log: LogConfig,
    /// How long a graceful stop waits for attempts in flight.
    pub drain: Duration,
    /// One deadline over a whole attempt, where the webhook names none.
    pub attempt_timeout: Duration,
    pub webhooks_per_tenant_max: usize,
    /// When a run of failures has consequences.
    pub health: HealthPolicy,
    /// Whose dashboard it is.
    pub look: Look,
    pub metrics: MetricsAccess,
    pub unknown_event_types: UnknownEventTypes,
    /// The profiles that this server adds to the built-in ones, in the order of their names.
    pub profiles: Vec<Profile>,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever has an admin key.
    Admin,
    /// Anybody who reaches the server.
    Open,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: short, coloured on a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
    /// One line of `key=value` a record, without colours.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Why the server doesn't start: `setting (where it was given): problem; mend`.
///
/// Never holds the value of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} ({origin}): {problem}; {mend}")]
pub struct ConfigError {
    /// As in the file, `profiles.NAME.key` for a profile's.
    pub setting: String,
    pub origin: Origin,
    pub problem: String,
    pub mend: String,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Variable(String),
    File(PathBuf),
    Default,
}

impl Config {
    /// Reads the process's variables and the file that they or the flags name.
    ///
    /// `flags` are values by setting name (see [`SETTINGS`]), and `config` for the file.
    pub fn load(flags: BTreeMap<&'static str, String>) -> Result<Self, ConfigError> {
        Self::from_sources(&Sources::read(flags, std::env::vars_os())?)
    }

    /// The configuration that these sources make.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigError> {
        sources.refuse_unknown()?;
        let is_dev = sources.or_default("dev", value::boolean)?;
        let profiles = sources.profiles()?;
        let config = Self {
            is_dev,
            listen: sources.or_default("listen", value::listen)?,
            data_dir: sources.or_default("data_dir", value::directory)?,
            given_public_url: sources.optional("public_url", value::public_url)?,
            admin_key: sources.optional("admin_key", value::admin_key)?,
            sealing_key: sources.optional("sealing_key", value::sealing_key)?,
            old_sealing_keys: sources
                .optional("old_sealing_keys", value::sealing_keys)?
                .unwrap_or_default(),
            default_profile: sources
                .or_default("default_profile", |given| profile::known(given, &profiles))?,
            danger_allow_networks: sources
                .optional("danger_allow_networks", network::list)?
                .unwrap_or_else(|| network::defaults(is_dev)),
            allow_http: sources.optional("allow_http", value::boolean)?.unwrap_or(is_dev),
            body_limit_bytes: sources
                .or_default("body_limit_bytes", |g| g.whole(1_024..=16 << 20))?,
            retention_days: sources.or_default("retention_days", |g| g.whole(1..=3_650))?,
            log: LogConfig {
                format: sources.optional("log_format", value::log_format)?.unwrap_or(if is_dev {
                    LogFormat::Pretty
                } else {
                    LogFormat::Text
                }),
                level: sources.or_default("log_level", value::log_level)?,
            },
            drain: Duration::from_secs(sources.or_default("drain_seconds", |g| g.whole(0..=300))?),
            attempt_timeout: Duration::from_secs(
                sources.or_default("attempt_timeout_seconds", |g| g.whole(1..=30))?,
            ),
            webhooks_per_tenant_max: sources
                .or_default("webhooks_per_tenant_max", |g| g.whole(1..=1_000_000))?,
            health: HealthPolicy {
                disable_after_ms: sources.or_default("disable_failing_after_s", value::bearing)?,
                report_at: sources
                    .or_default("report_failures_in_a_row", |g| g.whole(1..=1_000))?,
            },
            look: look::read(sources)?,
            metrics: sources.or_default("metrics", value::metrics_access)?,
            unknown_event_types: sources
                .or_default("unknown_event_types", value::unknown_event_types)?,
            profiles,
        };
        unsafe_settings::refuse(&config, sources)?;
        Ok(config)
    }

    /// Where the server is reached from outside: the setting, else `http://` and the address that
    /// was bound. Without a slash at the end.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        match &self.given_public_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{bound}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

#[cfg(test)]
mod tests;
