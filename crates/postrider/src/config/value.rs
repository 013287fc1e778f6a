//! One value as it was given, and the readings of it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use http::Uri;
use postrider_core::id::UnixMs;

use super::{AdminKey, ConfigError, LogFormat, LogLevel, MetricsAccess, Origin, SealingKey};
use crate::engine::UnknownEventTypes;

/// Most sealing keys kept for what they sealed: more rotations than anyone leaves half done.
const OLD_SEALING_KEYS_MAX: usize = 16;
/// A year: whoever wants to bear failing for longer wants to bear it for ever.
const BEARING_S_MAX: i64 = 365 * 86_400;

/// Text from flags and variables, typed from a file.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Toml(toml::Value),
}

/// A setting's value and where it was given.
#[derive(Clone)]
pub(super) struct Given<'a> {
    pub(super) name: String,
    pub(super) origin: Origin,
    value: &'a Value,
}

/// `http` or `https`, a host, perhaps a port, and nothing behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl<'a> Given<'a> {
    pub(super) fn new(name: impl Into<String>, origin: Origin, value: &'a Value) -> Self {
        Self { name: name.into(), origin, value }
    }

    /// As it was given.
    pub(super) fn shown(&self) -> String {
        match self.value {
            Value::Text(text) => text.clone(),
            Value::Toml(value) => shown(value),
        }
    }

    pub(super) fn refuse(
        &self,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            setting: self.name.clone(),
            origin: self.origin.clone(),
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, ConfigError> {
        match self.value {
            Value::Text(text) | Value::Toml(toml::Value::String(text)) => Ok(text),
            Value::Toml(other) => Err(self.wrong_type(other, "write it as a text in quotes")),
        }
    }

    /// A whole number of a range whose ends fit into `T`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &self,
        range: RangeInclusive<i64>,
    ) -> Result<T, ConfigError> {
        let number = match self.value {
            Value::Text(text) => text.parse().ok(),
            Value::Toml(toml::Value::Integer(number)) => Some(*number),
            Value::Toml(other) => {
                return Err(self.wrong_type(other, "write a whole number, without quotes"));
            }
        };
        let fitting =
            number.filter(|number| range.contains(number)).and_then(|n| T::try_from(n).ok());
        fitting.ok_or_else(|| {
            let problem = match self.value {
                Value::Text(text) => format!("{text:?} is out of range"),
                Value::Toml(_) => "the number is out of range".to_owned(),
            };
            self.refuse(
                problem,
                format!("give a whole number from {} to {}", range.start(), range.end()),
            )
        })
    }

    /// The parts of a text between commas, or an array of texts.
    pub(super) fn list(&self) -> Result<Vec<&'a str>, ConfigError> {
        match self.value {
            Value::Text(text) => Ok(text.split(',').map(str::trim).collect()),
            Value::Toml(toml::Value::Array(items)) => items
                .iter()
                .map(|item| {
                    item.as_str().ok_or_else(|| self.wrong_type(item, "write texts in quotes"))
                })
                .collect(),
            Value::Toml(other) => {
                Err(self.wrong_type(other, "write an array of texts, such as [\"…\", \"…\"]"))
            }
        }
    }

    pub(super) fn toml(&self) -> Option<&'a toml::Value> {
        match self.value {
            Value::Toml(value) => Some(value),
            Value::Text(_) => None,
        }
    }

    pub(super) fn wrong_type(&self, found: &toml::Value, mend: &str) -> ConfigError {
        self.refuse(format!("a TOML {} can't be meant here", found.type_str()), mend)
    }

    /// The one of `choices` that the text names.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(format!("{text:?} is unknown"), format!("give one of {}", names.join(", ")))
        })
    }
}

pub(super) fn boolean(given: &Given<'_>) -> Result<bool, ConfigError> {
    match given.value {
        Value::Toml(toml::Value::Boolean(is)) => Ok(*is),
        Value::Text(text) if text == "true" => Ok(true),
        Value::Text(text) if text == "false" => Ok(false),
        Value::Text(text) => {
            Err(given.refuse(format!("{text:?} is neither"), "give true or false"))
        }
        Value::Toml(other) => Err(given.wrong_type(other, "write true or false, without quotes")),
    }
}

pub(super) fn listen(given: &Given<'_>) -> Result<SocketAddr, ConfigError> {
    let text = given.text()?;
    text.parse().map_err(|_| {
        given.refuse(
            format!("{text:?} is not an IP address and a port"),
            "give one such as 127.0.0.1:8080 or [::1]:8080",
        )
    })
}

pub(super) fn directory(given: &Given<'_>) -> Result<PathBuf, ConfigError> {
    match given.text()? {
        "" => Err(given.refuse("is empty", "give a path such as ./postrider-data")),
        path => Ok(PathBuf::from(path)),
    }
}

pub(super) fn public_url(given: &Given<'_>) -> Result<PublicUrl, ConfigError> {
    let text = given.text()?;
    let refuse = |problem: &str| {
        let mend = "give scheme, host and perhaps a port, such as https://hooks.example.com";
        given.refuse(format!("{text:?} {problem}"), mend)
    };
    let uri: Uri = text.parse().map_err(|_| refuse("is no URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(refuse("does not begin with https:// or http://")),
    }
    let authority = uri.authority().ok_or_else(|| refuse("has no host"))?;
    if authority.as_str().contains('@') {
        // may hold a password, so it is not repeated
        return Err(given.refuse("holds a user name", "give the address alone"));
    }
    if authority.host().is_empty() {
        return Err(refuse("has no host"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
        return Err(refuse("has something behind the host"));
    }
    Ok(PublicUrl(text.trim_end_matches('/').to_owned()))
}

pub(super) fn admin_key(given: &Given<'_>) -> Result<AdminKey, ConfigError> {
    AdminKey::parse(given.text()?).map_err(|problem| {
        given.refuse(
            problem,
            "give 24 to 256 visible ASCII characters, such as `openssl rand -hex 32` makes",
        )
    })
}

pub(super) fn sealing_key(given: &Given<'_>) -> Result<SealingKey, ConfigError> {
    sealing_key_of(given, given.text()?)
}

pub(super) fn sealing_keys(given: &Given<'_>) -> Result<Vec<SealingKey>, ConfigError> {
    let texts = given.list()?;
    if texts.len() > OLD_SEALING_KEYS_MAX {
        return Err(given.refuse(
            format!("more than {OLD_SEALING_KEYS_MAX} keys"),
            "remove those that nothing is sealed with any more",
        ));
    }
    texts.into_iter().map(|text| sealing_key_of(given, text)).collect()
}

pub(super) fn unknown_event_types(given: &Given<'_>) -> Result<UnknownEventTypes, ConfigError> {
    given.choice(&[("refuse", UnknownEventTypes::Refuse), ("accept", UnknownEventTypes::Accept)])
}

pub(super) fn log_format(given: &Given<'_>) -> Result<LogFormat, ConfigError> {
    given.choice(&[
        ("pretty", LogFormat::Pretty),
        ("json", LogFormat::Json),
        ("text", LogFormat::Text),
    ])
}

pub(super) fn log_level(given: &Given<'_>) -> Result<LogLevel, ConfigError> {
    given.choice(&[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ])
}

pub(super) fn metrics_access(given: &Given<'_>) -> Result<MetricsAccess, ConfigError> {
    given.choice(&[("admin", MetricsAccess::Admin), ("open", MetricsAccess::Open)])
}

/// How long failing is borne, in milliseconds; for ever when it is 0.
pub(super) fn bearing(given: &Given<'_>) -> Result<Option<UnixMs>, ConfigError> {
    let seconds: UnixMs = given.whole(0..=BEARING_S_MAX)?;
    Ok((seconds > 0).then_some(seconds * 1_000))
}

fn sealing_key_of(given: &Given<'_>, text: &str) -> Result<SealingKey, ConfigError> {
    SealingKey::parse(text).ok_or_else(|| {
        given.refuse("is not Base64 of 32 bytes", "make one with `openssl rand -base64 32`")
    })
}

/// A value of a file as a flag would give it.
fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(truth) => truth.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
        toml::Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        toml::Value::Table(table) => {
            format!("[{}]", table.keys().cloned().collect::<Vec<_>>().join(","))
        }
    }
}
