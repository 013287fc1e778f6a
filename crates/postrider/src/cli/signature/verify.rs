//! `signature verify`: goes through a delivery step by step, as a receiver would, and says at each
//! what is right and what differs.

use clap::Args;
use postrider_signature::canonical::{self, NumberPolicy};
use postrider_signature::{
    BodyForm, Content, HexHeader, PublicKey, Secret, SigningProfile, Tolerance, Verified,
    VerifyError, VerifyKey, json as strict_json, sign, verify,
};
use serde_json::{Value, json};

use super::reading::{self, Delivery};
use super::{BodyClaims, ProfileArgs, instant_ms};
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::input::{duration_s, given_bytes, header, now_ms, read_input, secret};
use crate::cli::output::{Output, items, table_of};

#[derive(Args)]
pub(in crate::cli) struct VerifyArgs {
    /// A secret, or a public key `whpk_…`; `-` for stdin; may be given several times
    #[arg(long, required = true)]
    secret: Vec<String>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// A header as it arrived; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// File with the headers as they arrived, one a line, or `-` for stdin
    #[arg(long, value_name = "FILE|-")]
    headers: Option<String>,
    /// The body, byte for byte as it arrived: as it is, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "BODY|@FILE|-")]
    body: String,
    /// How old it may be
    #[arg(long, default_value = "300s", value_name = "DURATION", value_parser = duration_s)]
    tolerance: i64,
    /// Accept every age
    #[arg(long, conflicts_with = "tolerance")]
    any_age: bool,
    /// When it arrived: seconds since 1970, or RFC 3339; now unless given
    #[arg(long, value_name = "TIME", value_parser = instant_ms)]
    at: Option<i64>,
    /// table: for people; json, ndjson: for programs
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "POSTRIDER_OUTPUT",
        hide_env_values = true
    )]
    output: Output,
}

/// What a receiver verifies with.
pub(super) enum HeldKey {
    Secret(Secret),
    Public(PublicKey),
}

/// One thing that a receiver checks.
struct Step {
    name: &'static str,
    outcome: Outcome,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    /// Right, but not for every receiver.
    Warning,
    Differs,
}

pub(super) fn run(args: VerifyArgs) -> Result<(), Failure> {
    let texts: Result<Vec<String>, Failure> =
        args.secret.iter().map(|text| Ok(secret(Some(text))?.unwrap_or_default())).collect();
    let texts = texts?;
    let profile = args.profile.settle(texts.first().map_or("", String::as_str))?;
    let keys: Result<Vec<HeldKey>, Failure> =
        texts.iter().map(|text| HeldKey::parse(text, &profile)).collect();
    let keys = keys?;
    let mut headers = args.header;
    if let Some(source) = &args.headers {
        // the first line of a request is none of them
        headers.extend(read_input(source)?.lines().filter_map(|line| header(line).ok()));
    }
    let body = given_bytes(&args.body)?;
    let tolerance_s = (!args.any_age).then_some(args.tolerance);
    let delivery = Delivery { profile: &profile, headers: &headers, body: &body };
    let now = args.at.unwrap_or_else(now_ms);
    let steps = steps(&delivery, &texts, &keys, now, tolerance_s);
    let differs: Vec<&str> = steps
        .iter()
        .filter(|step| step.outcome == Outcome::Differs)
        .map(|step| step.name)
        .collect();
    let rows: Vec<Value> = steps
        .iter()
        .map(|step| json!({ "step": step.name, "outcome": step.outcome.name(), "text": step.text }))
        .collect();
    let verified =
        json!({ "verified": differs.is_empty(), "profile": profile.name, "steps": rows });
    args.output.print_value(&verified, |verified| {
        table_of(items(verified, "steps"), &["outcome", "step", "text"])
    })?;
    if differs.is_empty() {
        return Ok(());
    }
    let text = format!("a receiver refuses this: {}", differs.join(", "));
    Err(Failure::new(FailureKind::Refused, text).hint("the steps above say what differs"))
}

fn steps(
    delivery: &Delivery<'_>,
    texts: &[String],
    keys: &[HeldKey],
    now_ms: i64,
    tolerance_s: Option<i64>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let names = &delivery.profile.list_headers;
    let hex = delivery.profile.hex_header.as_ref();
    let has_list = delivery.header(&names.signature).is_some();
    let hex_value = hex.and_then(|hex| Some((hex, delivery.header(&hex.name)?)));
    if has_list || hex_value.is_none() {
        steps.push(id_step(delivery));
        steps.push(age_step(delivery, now_ms, tolerance_s));
        steps.push(list_step(delivery, texts, keys));
    }
    if let Some((hex, value)) = hex_value {
        steps.push(hex_step(delivery, hex, value, texts, keys));
    }
    steps.push(form_step(delivery));
    steps
}

fn id_step(delivery: &Delivery<'_>) -> Step {
    let name = &delivery.profile.list_headers.id;
    let in_body = BodyClaims::of(delivery.body).id;
    let (outcome, text) = match (delivery.header(name), in_body) {
        (None, _) => (Outcome::Differs, format!("the header {name} is missing")),
        (Some(id), _) if id.is_empty() || id.contains('.') => {
            (Outcome::Differs, format!("the header {name} is empty or has a dot"))
        }
        (Some(id), Some(in_body)) if id != in_body => {
            (Outcome::Differs, format!("the header {name} is {id}, but the body's id is {in_body}"))
        }
        (Some(id), _) => (Outcome::Ok, id.to_owned()),
    };
    Step { name: "id", outcome, text }
}

fn age_step(delivery: &Delivery<'_>, now_ms: i64, tolerance_s: Option<i64>) -> Step {
    let name = &delivery.profile.list_headers.timestamp;
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let given = delivery.header(name);
    let seconds = given.filter(is_number).and_then(|text| text.parse::<i64>().ok());
    let (outcome, text) = match (given, seconds) {
        (None, _) => (Outcome::Differs, format!("the header {name} is missing")),
        (Some(_), None) => {
            (Outcome::Differs, format!("the header {name} is no number of seconds since 1970"))
        }
        (Some(_), Some(seconds)) => age(seconds, now_ms, tolerance_s),
    };
    Step { name: "timestamp", outcome, text }
}

/// `None` accepts every age.
fn age(seconds: i64, now_ms: i64, tolerance_s: Option<i64>) -> (Outcome, String) {
    let age_s = now_ms.div_euclid(1_000).saturating_sub(seconds);
    let signed = postrider_signature::timestamp::format_ms(seconds.saturating_mul(1_000));
    let when = match age_s {
        0.. => format!("{age_s} s ago"),
        _ => format!("{} s from now", age_s.saturating_neg()),
    };
    let is_tolerated = tolerance_s.is_none_or(|most| age_s.saturating_abs() <= most);
    if is_tolerated {
        return (Outcome::Ok, format!("signed at {signed}, {when}"));
    }
    let why = match age_s {
        0.. => "too old: it is a replay, it waited on the way, or the clocks differ",
        _ => "too new: the clocks differ",
    };
    (Outcome::Differs, format!("signed at {signed}, {when}, which is {why}"))
}

fn list_step(delivery: &Delivery<'_>, texts: &[String], keys: &[HeldKey]) -> Step {
    let name = "signature";
    let header = &delivery.profile.list_headers.signature;
    // the age is a step of its own
    let outcomes: Vec<Result<Verified, VerifyError>> =
        keys.iter().map(|key| delivery.verified(key.as_key())).collect();
    let holding: Vec<String> = (1..)
        .zip(&outcomes)
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(at, _)| at.to_string())
        .collect();
    if !holding.is_empty() {
        let text = match texts.len() {
            1 => "made with this secret".to_owned(),
            _ => format!("made with secret {}", holding.join(" and ")),
        };
        return Step { name, outcome: Outcome::Ok, text };
    }
    let text = match outcomes.into_iter().next() {
        Some(Err(VerifyError::NoMatch)) | None => {
            reading::list(delivery, texts).unwrap_or_else(|| {
                "none of the listed signatures fits: the secret is another one, or the body's \
                 content was changed"
                    .to_owned()
            })
        }
        Some(Err(VerifyError::MalformedHeader(malformed))) if malformed == **header => {
            format!("the header {header} holds no signature such as v1,BASE64")
        }
        Some(Err(error)) => error.to_string(),
        Some(Ok(_)) => String::new(),
    };
    Step { name, outcome: Outcome::Differs, text }
}

fn hex_step(
    delivery: &Delivery<'_>,
    hex: &HexHeader,
    value: &str,
    texts: &[String],
    keys: &[HeldKey],
) -> Step {
    let fits = |key: &HeldKey| match key {
        HeldKey::Secret(secret) => {
            hex_of(delivery.profile, secret, delivery.body).as_deref() == Some(value)
        }
        HeldKey::Public(_) => false,
    };
    // its receivers compare with one value, so which secret made it counts
    let (outcome, text) = match keys.iter().position(fits) {
        Some(_) if texts.len() == 1 => (Outcome::Ok, "made with this secret".to_owned()),
        Some(at) => (Outcome::Ok, format!("made with secret {}", at + 1)),
        None if !value.starts_with(&*hex.value_prefix) => (
            Outcome::Differs,
            format!("the header {} does not begin with {}", hex.name, hex.value_prefix),
        ),
        None => {
            let reading = reading::hex(delivery, value, texts);
            let other = "it does not fit: the secret is another one, or the body was changed";
            (Outcome::Differs, reading.unwrap_or_else(|| other.to_owned()))
        }
    };
    Step { name: "hex signature", outcome, text }
}

/// The value of a profile's hex header over a body.
pub(super) fn hex_of(profile: &SigningProfile, secret: &Secret, body: &[u8]) -> Option<String> {
    let name = &*profile.hex_header.as_ref()?.name;
    let content = Content { id: "-", event_time_ms: 0, now_ms: 0, body, server_host: None };
    let headers = sign(profile, secret, &[], &content);
    headers.into_iter().find(|(header, _)| *header == name).map(|(_, value)| value)
}

/// Receivers that write the parsed body anew get the same bytes only if it is in its form.
fn form_step(delivery: &Delivery<'_>) -> Step {
    let form = delivery.profile.body_form;
    let name = "body form";
    let minified = match strict_json::minify_within(delivery.body, 1) {
        Ok(minified) => minified,
        Err(error) => {
            return Step { name, outcome: Outcome::Warning, text: format!("not JSON: {error}") };
        }
    };
    let canonical = match form {
        BodyForm::Verbatim => Ok(minified.clone().into()),
        BodyForm::Ecma => canonical::ecma(&minified, NumberPolicy::Refuse),
        BodyForm::Jcs => canonical::jcs(&minified, NumberPolicy::Refuse),
    };
    let (outcome, text) = match canonical {
        Ok(canonical) if *canonical == *delivery.body => (Outcome::Ok, form_text(form).to_owned()),
        Ok(_) => (
            Outcome::Warning,
            format!(
                "not {}: a receiver that writes the parsed body anew refuses it",
                form_text(form)
            ),
        ),
        Err(error) => (Outcome::Warning, error.to_string()),
    };
    Step { name, outcome, text }
}

fn form_text(form: BodyForm) -> &'static str {
    match form {
        BodyForm::Verbatim => "without white space",
        BodyForm::Ecma => "as JSON.stringify writes it",
        BodyForm::Jcs => "with sorted keys (RFC 8785)",
    }
}

impl HeldKey {
    fn parse(text: &str, profile: &SigningProfile) -> Result<Self, Failure> {
        if text.starts_with("whpk_") {
            return PublicKey::parse(text).map(Self::Public).map_err(|error| {
                Failure::usage(error.to_string()).hint("give the whole key, whpk_ included")
            });
        }
        super::parse(text, profile).map(Self::Secret)
    }

    pub(super) fn as_key(&self) -> VerifyKey<'_> {
        match self {
            Self::Secret(secret) => secret.into(),
            Self::Public(key) => key.into(),
        }
    }
}

impl Delivery<'_> {
    fn verified(&self, key: VerifyKey<'_>) -> Result<Verified, VerifyError> {
        let any_age = Tolerance::danger_any_age();
        verify(self.profile, &[key], |name| self.header(name), self.body, 0, any_age)
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Differs => "differs",
        }
    }
}
