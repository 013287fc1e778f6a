//! Reading what a client says about a webhook, when creating and when changing one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use postrider_core::event_type::{Patterns, PatternsError};
use postrider_core::limits::LANE_CONCURRENCY_MAX;
use postrider_core::schedule::{Jitter, RetrySchedule, ScheduleError};

use crate::engine::{
    OVERLAP_MS_DEFAULT, Rotation, SigningKey, WantedState, WebhookDraft, WebhookPatch,
};
use crate::http::fields::{Fields, Given, pointer};
use crate::http::problem::{ApiError, Code};

/// What a webhook's description may be long: a paragraph.
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// A platform's own notes on a webhook: room for references and labels, not for documents.
const METADATA_ENTRIES_MAX: usize = 50;
const METADATA_KEY_BYTES_MAX: usize = 64;
const METADATA_VALUE_BYTES_MAX: usize = 512;
/// How long a replaced secret may sign too: a week (contract §3).
const OVERLAP_S_MAX: i64 = 7 * 86_400;
/// Attempts a second that a webhook may ask for.
const RATE_LIMIT_MAX: i64 = 10_000;
/// The deadline of an attempt (contract §3).
const TIMEOUT_MS_MIN: i64 = 1_000;
const TIMEOUT_MS_MAX: i64 = 30_000;
/// A schedule of one's own is spread as the built-in ones are, so that a receiver that was down
/// isn't hit by everything at once.
const SCHEDULE_JITTER: Jitter = Jitter::Proportional { percent: 10 };

/// Reads a webhook to register.
pub(crate) fn draft(text: &str) -> Result<WebhookDraft, ApiError> {
    let mut fields = Fields::of(text)?;
    let url = fields.required_text("url").map(Cow::into_owned);
    let events = required_events(&mut fields);
    let settings = Settings::read(&mut fields);
    let profile = fields.text("profile").map(Cow::into_owned).value();
    let secret = fields.text("secret").map(Cow::into_owned).value();
    let signing_key = signing_key(&mut fields).value();
    fields.finish()?;
    let (Some(url), Some(events)) = (url, events) else {
        return Err(ApiError::new(Code::Validation, "url and events are required"));
    };
    Ok(WebhookDraft {
        url,
        events,
        filter: settings.filter.value(),
        secret,
        signing_key,
        profile,
        description: settings.description.value(),
        metadata: settings.metadata.value().unwrap_or_default(),
        headers: settings.headers.value().unwrap_or_default(),
        timeout_ms: settings.timeout_ms.value(),
        concurrency: settings.concurrency.value(),
        rate_per_s: settings.rate_limit.value(),
        schedule: settings.retry_schedule.value(),
    })
}

/// Reads what to listen for.
pub(super) fn listener(text: &str) -> Result<WebhookDraft, ApiError> {
    let mut fields = Fields::of(text)?;
    let events = required_events(&mut fields);
    let filter = fields.text("filter").map(Cow::into_owned).value();
    let profile = fields.text("profile").map(Cow::into_owned).value();
    let secret = fields.text("secret").map(Cow::into_owned).value();
    fields.finish()?;
    let events = events.ok_or_else(|| ApiError::new(Code::Validation, "events is required"))?;
    Ok(WebhookDraft { filter, secret, profile, ..WebhookDraft::new(String::new(), events) })
}

/// Reads what to change of a webhook.
pub(crate) fn patch(text: &str) -> Result<WebhookPatch, ApiError> {
    let mut fields = Fields::of(text)?;
    let url = not_null(&mut fields, "url", |fields| fields.text("url"));
    let events = not_null(&mut fields, "events", events);
    let settings = Settings::read(&mut fields);
    let profile = not_null(&mut fields, "profile", |fields| fields.text("profile"));
    let secret = not_null(&mut fields, "secret", |fields| fields.text("secret"));
    let signing_key = signing_key(&mut fields).change();
    let state = wanted_state(&mut fields);
    fields.finish()?;
    Ok(WebhookPatch {
        url: url.map(Cow::into_owned),
        events,
        filter: settings.filter.change(),
        description: settings.description.change(),
        metadata: settings.metadata.change().map(Option::unwrap_or_default),
        headers: settings.headers.change().map(Option::unwrap_or_default),
        timeout_ms: settings.timeout_ms.change(),
        concurrency: settings.concurrency.change(),
        rate_per_s: settings.rate_limit.change(),
        schedule: settings.retry_schedule.change(),
        profile: profile.map(Cow::into_owned),
        secret: secret.map(Cow::into_owned),
        signing_key: signing_key.map(|kind| kind.unwrap_or(SigningKey::Hmac)),
        state,
    })
}

/// Reads how a secret is to be replaced.
pub(crate) fn rotation(text: &str) -> Result<Rotation, ApiError> {
    let mut fields = Fields::of(text)?;
    let secret = fields.text("secret").map(Cow::into_owned).value();
    let signing_key = signing_key(&mut fields).value();
    let overlap: Option<i64> = fields.integer("overlap_s", 0..=OVERLAP_S_MAX).value();
    fields.finish()?;
    let overlap_ms = overlap.map_or(OVERLAP_MS_DEFAULT, |seconds| seconds * 1_000);
    Ok(Rotation { secret, signing_key, overlap_ms })
}

/// Reads whether disabling is to cancel what is pending.
pub(super) fn disabling(text: &str) -> Result<WantedState, ApiError> {
    let mut fields = Fields::of(text)?;
    let cancel_pending = fields.flag("cancel_pending").value().unwrap_or(false);
    fields.finish()?;
    Ok(WantedState::Disabled { cancel_pending })
}

/// What creating and changing have in common; null is allowed for each.
struct Settings {
    filter: Given<String>,
    description: Given<String>,
    metadata: Given<BTreeMap<String, String>>,
    headers: Given<Vec<(String, String)>>,
    timeout_ms: Given<u32>,
    concurrency: Given<u16>,
    rate_limit: Given<u32>,
    retry_schedule: Given<RetrySchedule>,
}

impl Settings {
    fn read(fields: &mut Fields<'_>) -> Self {
        let description = fields.text("description").map(Cow::into_owned);
        if let Given::Value(text) = &description
            && text.len() > DESCRIPTION_BYTES_MAX
        {
            let message = format!("description may have at most {DESCRIPTION_BYTES_MAX} bytes");
            fields.fault("description", message);
        }
        Self {
            filter: fields.text("filter").map(Cow::into_owned),
            description,
            metadata: metadata(fields),
            headers: fields.pairs("headers"),
            timeout_ms: fields.integer("timeout_ms", TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX),
            concurrency: fields.integer("concurrency", 1..=LANE_CONCURRENCY_MAX.into()),
            rate_limit: fields.integer("rate_limit", 1..=RATE_LIMIT_MAX),
            retry_schedule: retry_schedule(fields),
        }
    }
}

fn metadata(fields: &mut Fields<'_>) -> Given<BTreeMap<String, String>> {
    let pairs = match fields.pairs("metadata") {
        Given::Value(pairs) => pairs,
        Given::Null => return Given::Null,
        Given::Absent => return Given::Absent,
    };
    if pairs.len() > METADATA_ENTRIES_MAX {
        let message = format!("metadata may have at most {METADATA_ENTRIES_MAX} entries");
        fields.fault("metadata", message);
    }
    for (key, value) in &pairs {
        let place = format!("/metadata{}", pointer(key));
        if !(1..=METADATA_KEY_BYTES_MAX).contains(&key.len()) {
            let message = format!("a key has 1 to {METADATA_KEY_BYTES_MAX} bytes");
            fields.faults.push(Code::Validation, place, message);
        } else if value.len() > METADATA_VALUE_BYTES_MAX {
            let message = format!("a value has at most {METADATA_VALUE_BYTES_MAX} bytes");
            fields.faults.push(Code::Validation, place, message);
        }
    }
    Given::Value(pairs.into_iter().collect())
}

fn signing_key(fields: &mut Fields<'_>) -> Given<SigningKey> {
    let kind = match fields.text("signing_key") {
        Given::Value(kind) => kind,
        Given::Null => return Given::Null,
        Given::Absent => return Given::Absent,
    };
    match &*kind {
        "hmac" => Given::Value(SigningKey::Hmac),
        "ed25519" => Given::Value(SigningKey::Ed25519),
        _ => {
            fields.fault("signing_key", "signing_key must be \"hmac\" or \"ed25519\"");
            Given::Absent
        }
    }
}

fn required_events(fields: &mut Fields<'_>) -> Option<Patterns> {
    if !fields.has("events") {
        fields.fault("events", "events is required; name event types, or * for all");
    }
    not_null(fields, "events", events)
}

fn events(fields: &mut Fields<'_>) -> Given<Patterns> {
    let texts = match fields.texts("events") {
        Given::Value(texts) => texts,
        Given::Null => return Given::Null,
        Given::Absent => return Given::Absent,
    };
    match Patterns::parse(&texts) {
        Ok(patterns) => return Given::Value(patterns),
        Err(PatternsError::Pattern { index, source }) => {
            let place = format!("/events/{index}");
            fields.faults.push(Code::Validation, place, source.to_string());
        }
        Err(error @ (PatternsError::Empty | PatternsError::TooMany)) => {
            fields.fault("events", error.to_string());
        }
    }
    Given::Absent
}

fn retry_schedule(fields: &mut Fields<'_>) -> Given<RetrySchedule> {
    let seconds = match fields.integers("retry_schedule") {
        Given::Value(seconds) => seconds,
        Given::Null => return Given::Null,
        Given::Absent => return Given::Absent,
    };
    let delays_ms: Vec<_> = seconds.iter().map(|seconds| seconds.saturating_mul(1_000)).collect();
    match RetrySchedule::list(&delays_ms, SCHEDULE_JITTER) {
        Ok(schedule) => return Given::Value(schedule),
        Err(
            error
            @ (ScheduleError::NegativeDelay { index } | ScheduleError::DelayTooLong { index }),
        ) => {
            let place = format!("/retry_schedule/{index}");
            fields.faults.push(Code::Validation, place, error.to_string());
        }
        Err(error) => fields.fault("retry_schedule", error.to_string()),
    }
    Given::Absent
}

fn wanted_state(fields: &mut Fields<'_>) -> Option<WantedState> {
    let state = not_null(fields, "state", |fields| fields.text("state"));
    let cancel_pending = fields.flag("cancel_pending").value();
    match state.as_deref() {
        Some("disabled") => {
            let cancel_pending = cancel_pending.unwrap_or(false);
            return Some(WantedState::Disabled { cancel_pending });
        }
        Some("enabled") if cancel_pending.is_none() => return Some(WantedState::Enabled),
        Some("enabled") | None if cancel_pending.is_some() => {
            fields.fault("cancel_pending", "this goes with \"state\": \"disabled\" only");
        }
        Some(_) => fields.fault("state", "state must be \"enabled\" or \"disabled\""),
        None => {}
    }
    None
}

fn not_null<'a, T>(
    fields: &mut Fields<'a>,
    name: &str,
    read: impl FnOnce(&mut Fields<'a>) -> Given<T>,
) -> Option<T> {
    match read(fields) {
        Given::Value(value) => Some(value),
        Given::Absent => None,
        Given::Null => {
            fields.fault(name, format!("{name} has no default to go back to; give a value"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(error: &ApiError) -> Vec<&str> {
        let faults = error.problem().errors.iter();
        faults.filter_map(|fault| fault.pointer.as_deref()).collect()
    }

    #[test]
    fn each_setting_out_of_bounds_is_pointed_at() {
        let text = r#"{"url":1,"events":["a","b..c"],"timeout_ms":999,"concurrency":257,
            "rate_limit":0,"retry_schedule":[0,-1],"headers":{"X-A":1},"description":[]}"#;
        let text: String = text.split_whitespace().collect();
        let error = draft(&text).unwrap_err();
        assert_eq!(
            places(&error),
            [
                "/url",
                "/events/1",
                "/description",
                "/headers/X-A",
                "/timeout_ms",
                "/concurrency",
                "/rate_limit",
                "/retry_schedule/1",
            ]
        );
    }

    #[test]
    fn schedules_have_bounds() {
        let long = vec!["1"; 101].join(",");
        for schedule in ["[]", &format!("[{long}]"), "[-1]", "[34560000]", "[1.5]", "3", "[null]"] {
            let text = format!(r#"{{"retry_schedule":{schedule}}}"#);
            assert_eq!(patch(&text).unwrap_err().code(), Code::Validation, "{schedule}");
        }
        let patch = patch(r#"{"retry_schedule":[0,60]}"#).unwrap();
        assert_eq!(patch.schedule.unwrap().unwrap().delays_ms(), [0, 60_000]);
    }

    #[test]
    fn a_change_tells_leaving_alone_from_clearing() {
        let change = patch(r#"{"description":null,"rate_limit":5,"headers":null}"#).unwrap();
        assert_eq!(change.description, Some(None));
        assert_eq!(change.rate_per_s, Some(Some(5)));
        assert_eq!(change.headers, Some(Vec::new()));
        assert_eq!(change.timeout_ms, None);
        let error = patch(r#"{"url":null,"secret":null,"state":null}"#).unwrap_err();
        assert_eq!(places(&error), ["/url", "/secret", "/state"]);
    }

    #[test]
    fn states_are_wanted_by_name() {
        let state = |text: &str| patch(text).map(|patch| patch.state);
        assert!(matches!(state(r#"{"state":"enabled"}"#), Ok(Some(WantedState::Enabled))));
        assert!(matches!(
            state(r#"{"state":"disabled","cancel_pending":true}"#),
            Ok(Some(WantedState::Disabled { cancel_pending: true }))
        ));
        for bad in [
            r#"{"state":"deleted"}"#,
            r#"{"cancel_pending":true}"#,
            r#"{"state":"enabled","cancel_pending":false}"#,
        ] {
            assert!(state(bad).is_err(), "{bad}");
        }
    }
}
