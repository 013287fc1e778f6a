//! Matchings as bytes. Webhook keys ascend, so each is written as its distance from the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use postrider_core::id::{Key, MatchingKey, WebhookKey};
use postrider_core::matching::{Matching, Reason, Unmatched, UnmatchedCounts};

use super::wire::{Decoded, Reader, Undecodable, Writer};

/// Before filters; still read.
const VERSION_1: u8 = 1;
const VERSION: u8 = 2;

const NAMED: u8 = 0;
const COUNTED: u8 = 1;

const DISABLED: u8 = 0;
const TYPE_NOT_WANTED: u8 = 1;
const DELETED: u8 = 2;
const FILTER_SAID_NO: u8 = 3;
const FILTER_FAILED: u8 = 4;

pub(crate) fn encode_matching(matching: &Matching, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    writer.len(matching.matched.len());
    let mut last = 0;
    for webhook in &matching.matched {
        writer.uint(webhook.raw().wrapping_sub(last));
        last = webhook.raw();
    }
    match &matching.unmatched {
        Unmatched::Named(named) => {
            writer.byte(NAMED);
            let texts = Texts::of(named);
            writer.len(texts.0.len());
            for text in texts.0.keys() {
                writer.str(text);
            }
            writer.len(named.len());
            let mut last = 0;
            for (webhook, reason) in named {
                writer.uint(webhook.raw().wrapping_sub(last));
                last = webhook.raw();
                write_reason(&mut writer, reason, &texts);
            }
        }
        Unmatched::Counted(counts) => {
            writer.byte(COUNTED);
            for count in [
                counts.disabled,
                counts.type_not_wanted,
                counts.deleted,
                counts.filter_said_no,
                counts.filter_failed,
            ] {
                writer.uint(count);
            }
        }
    }
}

pub(crate) fn decode_matching(key: MatchingKey, bytes: &[u8]) -> Decoded<Matching> {
    let is_first = bytes.first() == Some(&VERSION_1);
    let mut reader = Reader::versioned(bytes, if is_first { VERSION_1 } else { VERSION })?;
    let mut last = 0;
    let matched = reader.list(|reader| webhook(reader, &mut last))?;
    let unmatched = match reader.byte()? {
        NAMED => {
            let texts: Vec<Arc<str>> = if is_first {
                Vec::new()
            } else {
                reader.list(|reader| Ok(reader.str()?.into()))?
            };
            let mut last = 0;
            Unmatched::Named(reader.list(|reader| {
                let webhook = webhook(reader, &mut last)?;
                Ok((webhook, read_reason(reader, &texts)?))
            })?)
        }
        COUNTED => {
            let mut counts = UnmatchedCounts {
                disabled: reader.uint()?,
                type_not_wanted: reader.uint()?,
                deleted: reader.uint()?,
                ..UnmatchedCounts::default()
            };
            if !is_first {
                counts.filter_said_no = reader.uint()?;
                counts.filter_failed = reader.uint()?;
            }
            Unmatched::Counted(counts)
        }
        _ => return Err(Undecodable("an unknown kind of explanation")),
    };
    reader.end()?;
    Ok(Matching { key, matched, unmatched })
}

/// The different texts in a list of reasons, each with its place among them: many webhooks have
/// the same filter, so each text is written once.
struct Texts<'a>(BTreeMap<&'a str, usize>);

impl<'a> Texts<'a> {
    fn of(named: &'a [(WebhookKey, Reason)]) -> Self {
        let texts = named.iter().flat_map(|(_, reason)| match reason {
            Reason::FilterSaidNo { filter } => [filter.as_deref(), None],
            Reason::FilterFailed { filter, error } => [filter.as_deref(), error.as_deref()],
            Reason::Disabled | Reason::TypeNotWanted | Reason::Deleted => [None, None],
        });
        let mut places: BTreeMap<_, _> = texts.flatten().map(|text| (text, 0)).collect();
        for (place, of) in places.values_mut().enumerate() {
            *of = place;
        }
        Self(places)
    }

    fn write(&self, writer: &mut Writer<'_>, text: Option<&Arc<str>>) {
        writer.option(text.and_then(|text| self.0.get(&**text)), |writer, &at| writer.len(at));
    }
}

fn write_reason(writer: &mut Writer<'_>, reason: &Reason, texts: &Texts<'_>) {
    match reason {
        Reason::Disabled => writer.byte(DISABLED),
        Reason::TypeNotWanted => writer.byte(TYPE_NOT_WANTED),
        Reason::Deleted => writer.byte(DELETED),
        Reason::FilterSaidNo { filter } => {
            writer.byte(FILTER_SAID_NO);
            texts.write(writer, filter.as_ref());
        }
        Reason::FilterFailed { filter, error } => {
            writer.byte(FILTER_FAILED);
            texts.write(writer, filter.as_ref());
            texts.write(writer, error.as_ref());
        }
    }
}

fn read_reason(reader: &mut Reader<'_>, texts: &[Arc<str>]) -> Decoded<Reason> {
    let text = |reader: &mut Reader<'_>| {
        reader.option(|reader| {
            let at: usize = reader.narrow()?;
            texts.get(at).cloned().ok_or(Undecodable("a text that is not there"))
        })
    };
    Ok(match reader.byte()? {
        DISABLED => Reason::Disabled,
        TYPE_NOT_WANTED => Reason::TypeNotWanted,
        DELETED => Reason::Deleted,
        FILTER_SAID_NO => Reason::FilterSaidNo { filter: text(reader)? },
        FILTER_FAILED => Reason::FilterFailed { filter: text(reader)?, error: text(reader)? },
        _ => return Err(Undecodable("an unknown reason")),
    })
}

fn webhook(reader: &mut Reader<'_>, last: &mut u64) -> Decoded<WebhookKey> {
    *last = last.wrapping_add(reader.uint()?);
    Ok(WebhookKey::from_raw(*last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(unmatched: Unmatched) -> Matching {
        let webhook = WebhookKey::from_raw;
        let matched = vec![webhook(2), webhook(900), webhook((1 << 63) - 1)];
        Matching { key: MatchingKey::from_raw(1), matched, unmatched }
    }

    fn encoded(matching: &Matching) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_matching(matching, &mut bytes);
        bytes
    }

    #[test]
    fn matchings_survive() {
        let webhook = WebhookKey::from_raw;
        let text = |text: &str| Some(Arc::from(text));
        for unmatched in [
            Unmatched::Named(vec![]),
            Unmatched::Named(vec![
                (webhook(3), Reason::Disabled),
                (webhook(1 << 62), Reason::TypeNotWanted),
                (webhook(5), Reason::Deleted),
                (webhook(6), Reason::FilterSaidNo { filter: text("data.a > 1") }),
                (webhook(7), Reason::FilterSaidNo { filter: None }),
                (webhook(8), Reason::FilterFailed { filter: text("a"), error: text("why") }),
                (webhook(9), Reason::FilterFailed { filter: text("a"), error: None }),
            ]),
            Unmatched::Counted(UnmatchedCounts {
                disabled: 1,
                type_not_wanted: 2_000_000,
                deleted: 3,
                filter_said_no: 4,
                filter_failed: 5,
            }),
        ] {
            let matching = matching(unmatched);
            assert_eq!(decode_matching(matching.key, &encoded(&matching)), Ok(matching));
        }
    }

    #[test]
    fn equal_texts_are_written_once() {
        let filter: Arc<str> = "x".repeat(1_000).into();
        let reason = Reason::FilterSaidNo { filter: Some(filter) };
        let named = (1..100).map(|n| (WebhookKey::from_raw(n), reason.clone()));
        assert!(encoded(&matching(Unmatched::Named(named.collect()))).len() < 2_000);
    }

    #[test]
    fn the_first_form_is_still_read() {
        let webhook = WebhookKey::from_raw;
        let named = vec![(webhook(3), Reason::Disabled), (webhook(4), Reason::Deleted)];
        let bytes = [VERSION_1, 1, 2, NAMED, 2, 3, DISABLED, 1, DELETED];
        let read = decode_matching(MatchingKey::from_raw(1), &bytes).unwrap();
        assert_eq!((read.matched, read.unmatched), (vec![webhook(2)], Unmatched::Named(named)));
        let bytes = [VERSION_1, 0, COUNTED, 1, 2, 3];
        let read = decode_matching(MatchingKey::from_raw(1), &bytes).unwrap();
        let counts =
            UnmatchedCounts { disabled: 1, type_not_wanted: 2, deleted: 3, ..Default::default() };
        assert_eq!(read.unmatched, Unmatched::Counted(counts));
    }
}
