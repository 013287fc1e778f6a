//! Webhooks as bytes. The key and the version are columns and not repeated here.

use std::collections::BTreeMap;

use postrider_core::event_type::Patterns;
use postrider_core::id::{Key, TenantKey, WebhookKey};
use postrider_core::schedule::{Jitter, RetrySchedule};
use postrider_core::webhook::{DisabledReason, StoredSecret, Webhook, WebhookKind, WebhookState};

use super::wire::{Decoded, Reader, Undecodable, Writer};

/// Written by the first versions: without kind, filter, metadata and time of disabling.
const VERSION_1: u8 = 1;
const VERSION: u8 = 2;

const ENABLED: u8 = 0;
const DISABLED_REQUESTED: u8 = 1;
const DISABLED_GONE: u8 = 2;
const DELETED: u8 = 3;
const DISABLED_FAILING: u8 = 4;

const KIND_URL: u8 = 0;
const KIND_LISTENER: u8 = 1;

pub(crate) fn encode_webhook(webhook: &Webhook, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    writer.uint(webhook.tenant.raw());
    writer.str(&webhook.url);
    write_patterns(&mut writer, &webhook.patterns);
    writer.str(&webhook.profile);
    writer.option(webhook.description.as_deref(), Writer::str);
    writer.len(webhook.headers.len());
    for (name, sealed) in &webhook.headers {
        writer.str(name);
        writer.bytes(sealed);
    }
    writer.option(webhook.timeout_ms.map(u64::from), Writer::uint);
    writer.option(webhook.concurrency.map(u64::from), Writer::uint);
    writer.option(webhook.rate_per_s.map(u64::from), Writer::uint);
    writer.option(webhook.schedule.as_ref(), write_schedule);
    writer.len(webhook.secrets.len());
    for secret in &webhook.secrets {
        writer.bytes(&secret.sealed);
        writer.option(secret.live_until, Writer::int);
    }
    writer.byte(match webhook.state {
        WebhookState::Enabled => ENABLED,
        WebhookState::Disabled(DisabledReason::Requested) => DISABLED_REQUESTED,
        WebhookState::Disabled(DisabledReason::Gone) => DISABLED_GONE,
        WebhookState::Disabled(DisabledReason::Failing) => DISABLED_FAILING,
        WebhookState::Deleted => DELETED,
    });
    writer.int(webhook.created_at);
    writer.int(webhook.updated_at);
    writer.byte(match webhook.kind {
        WebhookKind::Url => KIND_URL,
        WebhookKind::Listener => KIND_LISTENER,
    });
    writer.option(webhook.filter.as_deref(), Writer::str);
    writer.len(webhook.metadata.len());
    for (name, value) in &webhook.metadata {
        writer.str(name);
        writer.str(value);
    }
    writer.option(webhook.disabled_at, Writer::int);
}

pub(crate) fn decode_webhook(key: WebhookKey, version: u64, bytes: &[u8]) -> Decoded<Webhook> {
    let is_first = bytes.first() == Some(&VERSION_1);
    let version_byte = if is_first { VERSION_1 } else { VERSION };
    let mut reader = Reader::versioned(bytes, version_byte)?;
    let mut webhook = Webhook {
        key,
        version,
        kind: WebhookKind::Url,
        filter: None,
        metadata: BTreeMap::new(),
        disabled_at: None,
        tenant: TenantKey::from_raw(reader.uint()?),
        url: reader.str()?.to_owned(),
        patterns: read_patterns(&mut reader)?,
        profile: reader.str()?.to_owned(),
        description: reader.option(|reader| reader.str().map(str::to_owned))?,
        headers: reader.list(|reader| Ok((reader.str()?.to_owned(), reader.bytes()?.to_vec())))?,
        timeout_ms: reader.option(Reader::narrow)?,
        concurrency: reader.option(Reader::narrow)?,
        rate_per_s: reader.option(Reader::narrow)?,
        schedule: reader.option(read_schedule)?,
        secrets: reader.list(|reader| {
            Ok(StoredSecret {
                sealed: reader.bytes()?.to_vec(),
                live_until: reader.option(Reader::int)?,
            })
        })?,
        state: match reader.byte()? {
            ENABLED => WebhookState::Enabled,
            DISABLED_REQUESTED => WebhookState::Disabled(DisabledReason::Requested),
            DISABLED_GONE => WebhookState::Disabled(DisabledReason::Gone),
            DISABLED_FAILING => WebhookState::Disabled(DisabledReason::Failing),
            DELETED => WebhookState::Deleted,
            _ => return Err(Undecodable("an unknown webhook state")),
        },
        created_at: reader.int()?,
        updated_at: reader.int()?,
    };
    if !is_first {
        webhook.kind = match reader.byte()? {
            KIND_URL => WebhookKind::Url,
            KIND_LISTENER => WebhookKind::Listener,
            _ => return Err(Undecodable("an unknown kind of webhook")),
        };
        webhook.filter = reader.option(|reader| reader.str().map(str::to_owned))?;
        let metadata =
            reader.list(|reader| Ok((reader.str()?.to_owned(), reader.str()?.to_owned())))?;
        webhook.metadata = metadata.into_iter().collect();
        webhook.disabled_at = reader.option(Reader::int)?;
    }
    reader.end()?;
    Ok(webhook)
}

pub(super) fn write_patterns(writer: &mut Writer<'_>, patterns: &Patterns) {
    writer.len(patterns.as_slice().len());
    for pattern in patterns.as_slice() {
        writer.str(&pattern.to_string());
    }
}

pub(super) fn read_patterns(reader: &mut Reader<'_>) -> Decoded<Patterns> {
    let texts = reader.list(Reader::str)?;
    Patterns::parse(&texts).map_err(|_| Undecodable("texts that are no patterns"))
}

fn write_schedule(writer: &mut Writer<'_>, schedule: &RetrySchedule) {
    writer.len(schedule.delays_ms().len());
    for &delay in schedule.delays_ms() {
        writer.uint(delay);
    }
    match schedule.jitter() {
        Jitter::None => writer.byte(0),
        Jitter::Proportional { percent } => {
            writer.byte(1);
            writer.byte(percent);
        }
    }
}

fn read_schedule(reader: &mut Reader<'_>) -> Decoded<RetrySchedule> {
    let delays_ms: Vec<i64> = reader.list(Reader::narrow)?;
    let jitter = match reader.byte()? {
        0 => Jitter::None,
        1 => Jitter::Proportional { percent: reader.byte()? },
        _ => return Err(Undecodable("an unknown kind of jitter")),
    };
    RetrySchedule::list(&delays_ms, jitter).map_err(|_| Undecodable("an impossible retry schedule"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(state: WebhookState, schedule: &RetrySchedule) -> Webhook {
        Webhook {
            key: WebhookKey::from_raw(1),
            tenant: TenantKey::from_raw(2),
            version: 3,
            kind: WebhookKind::Url,
            url: "https://example.com/in?a=b&c+d".to_owned(),
            patterns: Patterns::parse(&["code.*", "deployment.failed", "*"]).unwrap(),
            filter: None,
            profile: "standard".to_owned(),
            description: Some("first".to_owned()),
            metadata: BTreeMap::new(),
            headers: vec![("x-team".to_owned(), vec![1, 2, 3])],
            timeout_ms: Some(15_000),
            concurrency: Some(256),
            rate_per_s: None,
            schedule: Some(schedule.clone()),
            secrets: vec![
                StoredSecret { sealed: vec![4], live_until: None },
                StoredSecret { sealed: vec![], live_until: Some(9) },
            ],
            state,
            disabled_at: None,
            created_at: 5,
            updated_at: 6,
        }
    }

    fn encoded(webhook: &Webhook) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_webhook(webhook, &mut bytes);
        bytes
    }

    #[test]
    fn webhooks_survive_in_every_state() {
        for (state, schedule) in [
            (WebhookState::Enabled, RetrySchedule::standard()),
            (WebhookState::Disabled(DisabledReason::Requested), RetrySchedule::automa()),
            (WebhookState::Disabled(DisabledReason::Gone), RetrySchedule::automa()),
            (WebhookState::Disabled(DisabledReason::Failing), RetrySchedule::automa()),
            (WebhookState::Deleted, RetrySchedule::standard()),
        ] {
            let webhook = webhook(state, &schedule);
            assert_eq!(decode_webhook(webhook.key, 3, &encoded(&webhook)), Ok(webhook));
        }
    }

    #[test]
    fn what_came_with_the_second_form_survives() {
        let metadata = [("team", "blue"), ("ticket", "é 12")];
        let webhook = Webhook {
            kind: WebhookKind::Listener,
            filter: Some("data.severity == \"high\"".to_owned()),
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            disabled_at: Some(1_795_000_000_000),
            ..webhook(WebhookState::Enabled, &RetrySchedule::standard())
        };
        assert_eq!(decode_webhook(webhook.key, 3, &encoded(&webhook)), Ok(webhook));
    }

    #[test]
    fn the_first_form_is_still_read() {
        let webhook = webhook(WebhookState::Enabled, &RetrySchedule::standard());
        let mut bytes = encoded(&webhook);
        bytes[0] = VERSION_1;
        // kind, filter, length of metadata, time of disabling: a byte each where there is none
        bytes.truncate(bytes.len() - 4);
        assert_eq!(decode_webhook(webhook.key, 3, &bytes), Ok(webhook));
    }
}
