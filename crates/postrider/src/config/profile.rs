//! Profiles of a server's own: `[profiles.NAME]` in the file (wire contract §3, "Profiles are
//! data"). Each starts from a built-in profile and changes what it names.

use std::path::Path;

use http::HeaderName;
use postrider_core::schedule::{ATTEMPTS_MAX, Jitter, RetrySchedule};
use postrider_signature::{BodyForm, HexHeader, ListHeaders, SigningProfile};

use crate::profile::Profile;

use super::nearest::nearest;
use super::value::{Given, Value};
use super::{ConfigError, Origin};

/// Most profiles of a server; every webhook looks through them when it is made.
const PROFILES_MAX: usize = 100;
const NAME_LEN_MAX: usize = 32;
const KEYS: [&str; 9] = [
    "base",
    "body_form",
    "header_prefix",
    "secret_prefix",
    "hex_header",
    "hex_value_prefix",
    "server_host_header",
    "retry_seconds",
    "retry_jitter_percent",
];
/// Headers that the transport or the sender writes (wire contract §3, "Custom headers").
const TRANSPORT_HEADERS: [&str; 12] = [
    "host",
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "accept",
    "accept-encoding",
    "user-agent",
    "authorization",
];

/// All the tables of a file, in the order of their names.
pub(super) fn read_all(file: &Path, tables: Option<&Value>) -> Result<Vec<Profile>, ConfigError> {
    let Some(value) = tables else {
        return Ok(Vec::new());
    };
    let origin = Origin::File(file.to_owned());
    let given = Given::new("profiles", origin.clone(), value);
    let mend = "write tables such as [profiles.acme]";
    let Some(toml::Value::Table(tables)) = given.toml() else {
        return Err(given.refuse("is no table", mend));
    };
    if tables.len() > PROFILES_MAX {
        return Err(given.refuse(format!("more than {PROFILES_MAX} profiles"), "remove some"));
    }
    tables
        .iter()
        .map(|(name, value)| {
            let value = Value::Toml(value.clone());
            let given = Given::new(format!("profiles.{name}"), origin.clone(), &value);
            match given.toml() {
                Some(toml::Value::Table(table)) => read(name, table, &given),
                _ => Err(given.refuse("is no table", mend)),
            }
        })
        .collect()
}

/// The name of a profile that exists.
pub(super) fn known(given: &Given<'_>, brands: &[Profile]) -> Result<String, ConfigError> {
    let name = given.text()?;
    let names = || crate::profile::BUILTIN.into_iter().chain(brands.iter().map(Profile::name));
    if names().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let mend = match nearest(name, names()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("give one of {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(given.refuse(format!("no profile is named {name:?}"), mend))
}

fn read(name: &str, table: &toml::Table, whole: &Given<'_>) -> Result<Profile, ConfigError> {
    check_name(name, whole)?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let mend = match nearest(key, KEYS) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("remove it; a profile has {}", KEYS.join(", ")),
        };
        let value = Value::Toml(table[key].clone());
        let given = Given::new(format!("profiles.{name}.{key}"), whole.origin.clone(), &value);
        return Err(given.refuse("no such setting", mend));
    }
    let values: Vec<(&str, Value)> =
        table.iter().map(|(key, value)| (key.as_str(), Value::Toml(value.clone()))).collect();
    let given = |key: &str| {
        let value = values.iter().find(|(name, _)| *name == key).map(|(_, value)| value)?;
        Some(Given::new(format!("profiles.{name}.{key}"), whole.origin.clone(), value))
    };

    let base = match given("base") {
        Some(given) => known(&given, &[])?,
        None => "standard".to_owned(),
    };
    let mut profile = Profile::builtin(&base).ok_or_else(|| {
        whole.refuse("its base is unknown", "name a built-in profile as its base")
    })?;
    let signing = &mut profile.signing;
    signing.name = name.to_owned().into();
    if let Some(given) = given("body_form") {
        signing.body_form = given.choice(&[
            ("verbatim", BodyForm::Verbatim),
            ("ecma", BodyForm::Ecma),
            ("jcs", BodyForm::Jcs),
        ])?;
    }
    if let Some(given) = given("header_prefix") {
        signing.list_headers = list_headers(&given)?;
    }
    if let Some(given) = given("secret_prefix") {
        signing.secret_format.prefix = secret_prefix(&given)?.into();
    }
    if let Some(given) = given("hex_header") {
        let value_prefix =
            signing.hex_header.take().map_or("sha256=".into(), |header| header.value_prefix);
        signing.hex_header = Some(HexHeader { name: header_name(&given)?.into(), value_prefix });
    }
    if let Some(given) = given("hex_value_prefix") {
        match &mut signing.hex_header {
            Some(header) => header.value_prefix = value_prefix(&given)?.into(),
            None => return Err(given.refuse("there is no hex_header", "set hex_header too")),
        }
    }
    if let Some(given) = given("server_host_header") {
        signing.server_host_header = Some(header_name(&given)?.into());
    }
    refuse_same_headers(signing, whole)?;
    profile.schedule =
        schedule(given("retry_seconds"), given("retry_jitter_percent"), profile.schedule)?;
    Ok(profile)
}

fn check_name(name: &str, given: &Given<'_>) -> Result<(), ConfigError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !starts || name.len() > NAME_LEN_MAX || !name.bytes().all(is_plain) {
        let mend =
            format!("name it with a-z first, then a-z, 0-9 and -, up to {NAME_LEN_MAX} characters");
        return Err(given.refuse("not a profile's name", mend));
    }
    if crate::profile::BUILTIN.contains(&name) {
        return Err(given.refuse("a built-in profile can't be changed", "choose another name"));
    }
    Ok(())
}

fn list_headers(given: &Given<'_>) -> Result<ListHeaders, ConfigError> {
    let headers = ListHeaders::with_prefix(given.text()?);
    for name in [&headers.id, &headers.timestamp, &headers.signature] {
        check_header(name, given)?;
    }
    Ok(headers)
}

fn header_name(given: &Given<'_>) -> Result<String, ConfigError> {
    let name = given.text()?.to_ascii_lowercase();
    check_header(&name, given)?;
    Ok(name)
}

fn check_header(name: &str, given: &Given<'_>) -> Result<(), ConfigError> {
    if name.len() > 64 || HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(given.refuse(
            format!("{name:?} is no header name"),
            "use letters, digits and -, such as acme- or x-acme-signature",
        ));
    }
    let is_transport = TRANSPORT_HEADERS.contains(&name)
        || ["content-", "proxy-", "sec-"].iter().any(|prefix| name.starts_with(prefix));
    if is_transport {
        let problem = format!("the header {name} belongs to HTTP itself");
        return Err(given.refuse(problem, "choose a name of your own"));
    }
    Ok(())
}

/// A receiver could not tell two values under one name apart.
fn refuse_same_headers(signing: &SigningProfile, given: &Given<'_>) -> Result<(), ConfigError> {
    let list = &signing.list_headers;
    let mut names = vec![&*list.id, &*list.timestamp, &*list.signature];
    names.extend(signing.hex_header.as_ref().map(|header| &*header.name));
    names.extend(signing.server_host_header.as_deref());
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(given.refuse(
            format!("the header {} has two meanings", pair[0]),
            "name hex_header and server_host_header apart from each other and from header_prefix's",
        )),
        None => Ok(()),
    }
}

fn secret_prefix(given: &Given<'_>) -> Result<String, ConfigError> {
    let text = given.text()?;
    let is_sound = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if text.is_empty() || text.len() > NAME_LEN_MAX || !text.bytes().all(is_sound) {
        let mend = format!("use 1 to {NAME_LEN_MAX} of A-Z, a-z, 0-9, _ and -, such as acme_");
        return Err(given.refuse(format!("{text:?} can't begin a secret"), mend));
    }
    Ok(text.to_owned())
}

fn value_prefix(given: &Given<'_>) -> Result<String, ConfigError> {
    let text = given.text()?;
    if text.len() > NAME_LEN_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(given.refuse(
            format!("{text:?} can't stand in a header"),
            "use visible ASCII characters, such as sha256=",
        ));
    }
    Ok(text.to_owned())
}

/// Delays in whole seconds, the one before the first attempt included, and their jitter. Each
/// falls back to the base's on its own.
fn schedule(
    seconds: Option<Given<'_>>,
    jitter_percent: Option<Given<'_>>,
    base: RetrySchedule,
) -> Result<RetrySchedule, ConfigError> {
    let Some(seconds) = seconds else {
        return match jitter_percent {
            Some(given) => Err(given.refuse("there is no retry_seconds", "set retry_seconds too")),
            None => Ok(base),
        };
    };
    let jitter = match jitter_percent {
        Some(given) => match given.whole(0..=100)? {
            0 => Jitter::None,
            percent => Jitter::Proportional { percent },
        },
        None => Jitter::Proportional { percent: 10 },
    };
    let mend = format!("write 1 to {ATTEMPTS_MAX} whole seconds, such as [0, 5, 300]");
    let delays_ms: Option<Vec<i64>> = match seconds.toml() {
        Some(toml::Value::Array(items)) => {
            items.iter().map(|item| item.as_integer()?.checked_mul(1_000)).collect()
        }
        _ => None,
    };
    let delays_ms = delays_ms.ok_or_else(|| seconds.refuse("not a list of seconds", &mend))?;
    RetrySchedule::list(&delays_ms, jitter)
        .map_err(|error| seconds.refuse(error.to_string(), &mend))
}
