//! Matchings as bytes. Webhook keys ascend, so each is written as its distance from the last.

use postrider_core::id::{Key, MatchingKey, WebhookKey};
use postrider_core::matching::{Matching, Reason, Unmatched};

use super::wire::{Decoded, Reader, Undecodable, Writer};

const VERSION: u8 = 1;

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
            writer.byte(0);
            writer.len(named.len());
            let mut last = 0;
            for (webhook, reason) in named {
                writer.uint(webhook.raw().wrapping_sub(last));
                last = webhook.raw();
                writer.byte(match reason {
                    Reason::Disabled => 0,
                    Reason::TypeNotWanted => 1,
                    Reason::Deleted => 2,
                });
            }
        }
        Unmatched::Counted { disabled, type_not_wanted, deleted } => {
            writer.byte(1);
            writer.uint(*disabled);
            writer.uint(*type_not_wanted);
            writer.uint(*deleted);
        }
    }
}

pub(crate) fn decode_matching(key: MatchingKey, bytes: &[u8]) -> Decoded<Matching> {
    let mut reader = Reader::versioned(bytes, VERSION)?;
    let mut last = 0;
    let matched = reader.list(|reader| webhook(reader, &mut last))?;
    let unmatched = match reader.byte()? {
        0 => {
            let mut last = 0;
            Unmatched::Named(reader.list(|reader| {
                let webhook = webhook(reader, &mut last)?;
                let reason = match reader.byte()? {
                    0 => Reason::Disabled,
                    1 => Reason::TypeNotWanted,
                    2 => Reason::Deleted,
                    _ => return Err(Undecodable("an unknown reason")),
                };
                Ok((webhook, reason))
            })?)
        }
        1 => Unmatched::Counted {
            disabled: reader.uint()?,
            type_not_wanted: reader.uint()?,
            deleted: reader.uint()?,
        },
        _ => return Err(Undecodable("an unknown kind of explanation")),
    };
    reader.end()?;
    Ok(Matching { key, matched, unmatched })
}

fn webhook(reader: &mut Reader<'_>, last: &mut u64) -> Decoded<WebhookKey> {
    *last = last.wrapping_add(reader.uint()?);
    Ok(WebhookKey::from_raw(*last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchings_survive() {
        let webhook = WebhookKey::from_raw;
        for unmatched in [
            Unmatched::Named(vec![]),
            Unmatched::Named(vec![
                (webhook(3), Reason::Disabled),
                (webhook(1 << 62), Reason::TypeNotWanted),
                (webhook(5), Reason::Deleted),
            ]),
            Unmatched::Counted { disabled: 1, type_not_wanted: 2_000_000, deleted: 3 },
        ] {
            let matching = Matching {
                key: MatchingKey::from_raw(1),
                matched: vec![webhook(2), webhook(900), webhook((1 << 63) - 1)],
                unmatched,
            };
            let mut bytes = Vec::new();
            encode_matching(&matching, &mut bytes);
            assert_eq!(decode_matching(matching.key, &bytes), Ok(matching));
        }
    }
}
