//! Replays as bytes. Key and tenant are columns of their own and not repeated here.

use postrider_core::delivery::DeliveryState;
use postrider_core::id::{DeliveryKey, EventKey, Key, ReplayKey, TenantKey, WebhookKey};

use super::history::{class_code, class_of};
use super::standing::{state_code, state_of};
use super::webhook::{read_patterns, write_patterns};
use super::wire::{Decoded, Reader, Undecodable, Writer};
use crate::replay::{Replay, ReplayState};
use crate::search::{DeliveryFilter, StatusClass};

/// Without an error class in the filter.
const VERSION_1: u8 = 1;
const VERSION: u8 = 2;

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const CANCELLED: u8 = 2;

/// Stands where a status class is that has no hundreds.
const NO_ANSWER: u8 = 0;

pub(crate) fn encode_replay(replay: &Replay, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    write_filter(&mut writer, &replay.filter);
    writer.bool(replay.with_missed);
    writer.byte(match replay.state {
        ReplayState::Running => RUNNING,
        ReplayState::Done => DONE,
        ReplayState::Cancelled => CANCELLED,
    });
    writer.option(replay.position, |writer, position| {
        writer.uint(position.event.raw());
        writer.uint(position.webhook.raw());
    });
    writer.uint(replay.considered);
    writer.uint(replay.replayed);
    writer.int(replay.created_at);
    writer.option(replay.finished_at, Writer::int);
}

pub(crate) fn decode_replay(key: ReplayKey, tenant: TenantKey, bytes: &[u8]) -> Decoded<Replay> {
    let is_first = bytes.first() == Some(&VERSION_1);
    let mut reader = Reader::versioned(bytes, if is_first { VERSION_1 } else { VERSION })?;
    let replay = Replay {
        key,
        tenant,
        filter: read_filter(&mut reader, is_first)?,
        with_missed: reader.bool()?,
        state: match reader.byte()? {
            RUNNING => ReplayState::Running,
            DONE => ReplayState::Done,
            CANCELLED => ReplayState::Cancelled,
            _ => return Err(Undecodable("an unknown state of a replay")),
        },
        position: reader.option(|reader| {
            let event = EventKey::from_raw(reader.uint()?);
            Ok(DeliveryKey { event, webhook: WebhookKey::from_raw(reader.uint()?) })
        })?,
        considered: reader.uint()?,
        replayed: reader.uint()?,
        created_at: reader.int()?,
        finished_at: reader.option(Reader::int)?,
    };
    reader.end()?;
    Ok(replay)
}

fn write_filter(writer: &mut Writer<'_>, filter: &DeliveryFilter) {
    writer.option(filter.webhook, |writer, webhook| writer.uint(webhook.raw()));
    writer.option(filter.event, |writer, event| writer.uint(event.raw()));
    writer.option(filter.types.as_ref(), write_patterns);
    writer.option(filter.after, Writer::int);
    writer.option(filter.before, Writer::int);
    writer.len(filter.states.len());
    for &state in &filter.states {
        writer.byte(state_code(state));
    }
    writer.option(filter.status, |writer, class| {
        writer.byte(match class {
            StatusClass::NoAnswer => NO_ANSWER,
            StatusClass::Hundreds(first) => first,
        });
    });
    writer.option(filter.error, |writer, class| writer.byte(class_code(class)));
}

fn read_filter(reader: &mut Reader<'_>, is_first: bool) -> Decoded<DeliveryFilter> {
    Ok(DeliveryFilter {
        webhook: reader.option(|reader| Ok(WebhookKey::from_raw(reader.uint()?)))?,
        event: reader.option(|reader| Ok(EventKey::from_raw(reader.uint()?)))?,
        types: reader.option(read_patterns)?,
        after: reader.option(Reader::int)?,
        before: reader.option(Reader::int)?,
        states: reader.list(read_state)?,
        status: reader.option(|reader| {
            Ok(match reader.byte()? {
                NO_ANSWER => StatusClass::NoAnswer,
                first => StatusClass::Hundreds(first),
            })
        })?,
        error: if is_first { None } else { reader.option(|reader| class_of(reader.byte()?))? },
    })
}

fn read_state(reader: &mut Reader<'_>) -> Decoded<DeliveryState> {
    state_of(reader.byte()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::delivery::ErrorClass;
    use postrider_core::event_type::Patterns;

    #[test]
    fn replays_survive_in_every_state() {
        let everything = DeliveryFilter {
            webhook: Some(WebhookKey::from_raw(3)),
            event: Some(EventKey::from_raw(4)),
            types: Some(Patterns::parse(&["code.*", "deployment.failed"]).unwrap()),
            after: Some(-5),
            before: Some(1_795_000_000_000),
            status: Some(StatusClass::Hundreds(5)),
            ..DeliveryFilter::all()
        };
        let no_answer = DeliveryFilter {
            states: vec![],
            status: Some(StatusClass::NoAnswer),
            error: Some(ErrorClass::Timeout),
            ..DeliveryFilter::all()
        };
        for (filter, state, finished_at) in [
            (DeliveryFilter::all(), ReplayState::Running, None),
            (everything, ReplayState::Done, Some(9)),
            (no_answer, ReplayState::Cancelled, Some(10)),
        ] {
            let (event, webhook) = (EventKey::from_raw(8), WebhookKey::from_raw(u64::MAX >> 1));
            let replay = Replay {
                key: ReplayKey::from_raw(1),
                tenant: TenantKey::from_raw(2),
                filter,
                with_missed: finished_at.is_some(),
                state,
                position: finished_at.map(|_| DeliveryKey { event, webhook }),
                considered: 50_000,
                replayed: 300,
                created_at: 6,
                finished_at,
            };
            let mut bytes = Vec::new();
            encode_replay(&replay, &mut bytes);
            assert_eq!(decode_replay(replay.key, replay.tenant, &bytes), Ok(replay));
        }
    }

    #[test]
    fn a_replay_of_before_error_classes_is_read() {
        let (key, tenant) = (ReplayKey::from_raw(1), TenantKey::from_raw(2));
        // no webhook, event, types, times, states, status; not of missed ones; running
        let bytes = [VERSION_1, 0, 0, 0, 0, 0, 0, 0, 0, RUNNING, 0, 7, 3, 0, 0];
        let replay = decode_replay(key, tenant, &bytes).unwrap();
        assert_eq!((replay.considered, replay.replayed), (7, 3));
        assert_eq!((replay.filter.status, replay.filter.error), (None, None));
    }
}
