//! The settings that registering and changing a webhook have in common.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::cli::input::{header, pair};

#[derive(Args)]
pub(super) struct SettingsArgs {
    /// Wire format; follows from the secret unless given
    #[arg(long)]
    profile: Option<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// For programs; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Only events for which this expression holds, such as data.severity == "high"
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,
    /// Kind of the secret that is made
    #[arg(long, value_enum)]
    signing_key: Option<SigningKey>,
    /// Header to send along; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Deadline of an attempt in milliseconds, 1000 to 30000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u32>,
    /// Most attempts under way at once
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Most attempts started a second
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,
    /// Seconds before each attempt, the first included, such as 0,60,600
    #[arg(long, value_delimiter = ',', value_name = "SECONDS,…")]
    retry_schedule: Vec<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SigningKey {
    Hmac,
    Ed25519,
}

/// Settings that have a default to go back to.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Clearable {
    Description,
    Metadata,
    Filter,
    Header,
    TimeoutMs,
    Concurrency,
    RateLimit,
    RetrySchedule,
}

impl SigningKey {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl Clearable {
    /// Its name in the API.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Metadata => "metadata",
            Self::Filter => "filter",
            Self::Header => "headers",
            Self::TimeoutMs => "timeout_ms",
            Self::Concurrency => "concurrency",
            Self::RateLimit => "rate_limit",
            Self::RetrySchedule => "retry_schedule",
        }
    }
}

impl SettingsArgs {
    /// Adds those that were given to a body of the API.
    pub(super) fn put_into(self, body: &mut Map<String, Value>) {
        let signing_key = self.signing_key.map(SigningKey::name);
        let settings = [
            ("profile", self.profile.map(Value::from)),
            ("description", self.description.map(Value::from)),
            ("metadata", object(self.metadata)),
            ("filter", self.filter.map(Value::from)),
            ("signing_key", signing_key.map(Value::from)),
            ("headers", object(self.header)),
            ("timeout_ms", self.timeout_ms.map(Value::from)),
            ("concurrency", self.concurrency.map(Value::from)),
            ("rate_limit", self.rate_limit.map(Value::from)),
            (
                "retry_schedule",
                (!self.retry_schedule.is_empty()).then(|| self.retry_schedule.into()),
            ),
        ];
        for (name, value) in settings {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        }
    }
}

fn object(pairs: Vec<(String, String)>) -> Option<Value> {
    let pairs = pairs.into_iter().map(|(name, value)| (name, value.into()));
    let object: Map<String, Value> = pairs.collect();
    (!object.is_empty()).then_some(Value::Object(object))
}
