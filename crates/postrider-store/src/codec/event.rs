//! Events as bytes. Key and tenant are columns of their own and not repeated here.

use bytes::Bytes;
use postrider_core::event::{Bodies, Event};
use postrider_core::event_type::EventType;
use postrider_core::id::{EventKey, Key, MatchingKey, TenantKey};
use postrider_signature::NumberPolicy;

use super::wire::{Decoded, Reader, Undecodable, Writer};

/// Before event types said what becomes of large integers; still read.
const VERSION_1: u8 = 1;
const VERSION: u8 = 2;

const BODY_ABSENT: u8 = 0;
/// Byte for byte the verbatim body, as most bodies are: stored and held once.
const BODY_AS_VERBATIM: u8 = 1;
const BODY_OWN: u8 = 2;

pub(crate) fn encode_event(event: &Event, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    writer.option(event.given_id.as_deref(), Writer::str);
    writer.str(event.event_type.as_str());
    writer.int(event.occurred_at);
    writer.uint(event.matching.raw());
    writer.bytes(&event.bodies.verbatim);
    for form in [&event.bodies.ecma, &event.bodies.jcs] {
        match form {
            None => writer.byte(BODY_ABSENT),
            Some(body) if *body == event.bodies.verbatim => writer.byte(BODY_AS_VERBATIM),
            Some(body) => {
                writer.byte(BODY_OWN);
                writer.bytes(body);
            }
        }
    }
    write_numbers(&mut writer, event.numbers);
}

pub(crate) fn decode_event(key: EventKey, tenant: TenantKey, bytes: &[u8]) -> Decoded<Event> {
    let whole = Bytes::copy_from_slice(bytes);
    let is_first = bytes.first() == Some(&VERSION_1);
    let mut reader = Reader::versioned(&whole, if is_first { VERSION_1 } else { VERSION })?;
    let given_id = reader.option(|reader| reader.str().map(Box::from))?;
    let event_type = type_of(reader.str()?)?;
    let occurred_at = reader.int()?;
    let matching = MatchingKey::from_raw(reader.uint()?);
    let verbatim = whole.slice_ref(reader.bytes()?);
    let mut form = || match reader.byte()? {
        BODY_ABSENT => Ok(None),
        BODY_AS_VERBATIM => Ok(Some(verbatim.clone())),
        BODY_OWN => Ok(Some(whole.slice_ref(reader.bytes()?))),
        _ => Err(Undecodable("an unknown kind of body")),
    };
    let (ecma, jcs) = (form()?, form()?);
    let numbers = if is_first { NumberPolicy::Refuse } else { read_numbers(&mut reader)? };
    reader.end()?;
    Ok(Event {
        key,
        tenant,
        given_id,
        event_type,
        occurred_at,
        bodies: Bodies { verbatim, ecma, jcs },
        numbers,
        matching,
    })
}

pub(super) fn write_numbers(writer: &mut Writer<'_>, numbers: NumberPolicy) {
    writer.byte(match numbers {
        NumberPolicy::Refuse => 0,
        NumberPolicy::Stringify => 1,
        NumberPolicy::Round => 2,
    });
}

pub(super) fn read_numbers(reader: &mut Reader<'_>) -> Decoded<NumberPolicy> {
    match reader.byte()? {
        0 => Ok(NumberPolicy::Refuse),
        1 => Ok(NumberPolicy::Stringify),
        2 => Ok(NumberPolicy::Round),
        _ => Err(Undecodable("an unknown choice for large integers")),
    }
}

pub(super) fn type_of(text: &str) -> Decoded<EventType> {
    text.parse().map_err(|_| Undecodable("a text that is no event type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_with_every_kind_of_body() {
        let verbatim = Bytes::from_static(b"{\"data\":1.0}");
        let own = Some(Bytes::from_static(b"{\"data\":1}"));
        for (given_id, ecma, jcs, numbers) in [
            (None, None, None, NumberPolicy::Refuse),
            (Some(Box::from("mine")), own.clone(), Some(verbatim.clone()), NumberPolicy::Stringify),
            (None, Some(verbatim.clone()), own, NumberPolicy::Round),
        ] {
            let event = Event {
                key: EventKey::from_raw(7),
                tenant: TenantKey::from_raw(8),
                given_id,
                event_type: type_of("code.generated").unwrap(),
                occurred_at: -62_000,
                bodies: Bodies { verbatim: verbatim.clone(), ecma, jcs },
                numbers,
                matching: MatchingKey::from_raw(9),
            };
            let mut bytes = Vec::new();
            encode_event(&event, &mut bytes);
            let read = decode_event(event.key, event.tenant, &bytes).unwrap();
            assert_eq!(read, event);
            if numbers == NumberPolicy::Refuse {
                let mut first = bytes.clone();
                first[0] = VERSION_1;
                first.pop();
                assert_eq!(decode_event(event.key, event.tenant, &first).unwrap(), event);
            }
            for cut in 0..bytes.len() {
                let part = &bytes[..cut];
                assert!(decode_event(event.key, event.tenant, part).is_err());
            }
        }
    }
}
