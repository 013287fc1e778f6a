//! Ids: time-ordered 64-bit keys, and the prefixed text that the outside world sees.
//!
//! A key is `0 | 41 bits of milliseconds since 2020 | 8 bits of node | 14 bits of counter`.
//! Keys of one maker ascend strictly, even when the clock goes back, so tables keyed by them
//! are append-only and "newer than" is an integer comparison. The text form carries the whole
//! key, so looking an id up needs no index.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z. Negative before it.
pub type UnixMs = i64;

/// 2020-01-01T00:00:00Z, where the clock of the keys starts; they last until 2089.
const KEY_EPOCH_MS: UnixMs = 1_577_836_800_000;
const COUNTER_BITS: u32 = 14;
const NODE_BITS: u32 = 8;
const MS_MAX: u64 = (1 << 41) - 1;

/// Crockford's base 32 in lower case: no letter looks like a digit, and the text sorts as the key does.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 digits of 5 bits hold 64 bits.
const TEXT_LEN: usize = 13;

/// What every kind of key has in common.
pub trait Key: Copy + Ord {
    /// What stands before the digits in the text form, such as `evt_`.
    const PREFIX: &'static str;

    /// Wraps a raw key, as read back from storage.
    fn from_raw(raw: u64) -> Self;

    /// The raw key. Below 2^63, so it fits a signed SQL integer.
    fn raw(self) -> u64;

    /// When the key was made, to the millisecond.
    fn made_at(self) -> UnixMs {
        KEY_EPOCH_MS + i64::try_from(self.raw() >> (COUNTER_BITS + NODE_BITS)).expect("41 bits fit")
    }

    /// The smallest key that could have been made at `at`; the bound for time-range scans.
    fn first_at(at: UnixMs) -> Self {
        let ms = u64::try_from(at - KEY_EPOCH_MS).unwrap_or(0).min(MS_MAX);
        Self::from_raw(ms << (COUNTER_BITS + NODE_BITS))
    }

    /// Reads the text form. `None` when it is not one of ours; ids are case-sensitive.
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(Self::PREFIX).and_then(decode).map(Self::from_raw)
    }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl Key for $name {
            const PREFIX: &'static str = $prefix;
            fn from_raw(raw: u64) -> Self {
                Self(raw)
            }
            fn raw(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // in one piece, for which a string makes room at once
                let mut text = [0; $prefix.len() + TEXT_LEN];
                let (prefix, digits) = text.split_at_mut($prefix.len());
                prefix.copy_from_slice($prefix.as_bytes());
                digits.copy_from_slice(&encode(self.0).0);
                f.write_str(std::str::from_utf8(&text).expect("prefix and alphabet are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

key!(/// Names a tenant.
    TenantKey, "ten_");
key!(/// Names a webhook.
    WebhookKey, "wh_");
key!(/// Names an event, beside the id that its publisher may have given.
    EventKey, "evt_");
key!(/// Names one entry of a delivery's history; the attempts among them are shown with it.
    HistoryKey, "att_");
key!(/// Names the outcome of matching one event type against one state of a tenant's webhooks.
    MatchingKey, "mat_");
key!(/// Names an API key. The secret part is not in it.
    ApiKeyKey, "key_");
key!(/// Names a replay: past events on their way to webhooks once more.
    ReplayKey, "rpl_");

/// One event on its way to one webhook. There is no row for it: the pair is the name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    pub event: EventKey,
    pub webhook: WebhookKey,
}

impl DeliveryKey {
    const PREFIX: &'static str = "dlv_";

    /// Reads `dlv_` and 26 digits. `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(Self::PREFIX)?;
        let (event, webhook) = digits.split_at_checked(TEXT_LEN)?;
        Some(Self { event: EventKey(decode(event)?), webhook: WebhookKey(decode(webhook)?) })
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            Self::PREFIX,
            encode(self.event.0).as_str(),
            encode(self.webhook.0).as_str()
        )
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes keys of every kind for one node, strictly ascending.
#[derive(Debug)]
pub struct KeyMaker {
    node: u8,
    last_ms: u64,
    counter: u64,
}

impl KeyMaker {
    /// A maker whose keys are all greater than those made up to `resume_after`, the time part
    /// of the greatest key in the store: a clock that went back over a restart repeats nothing.
    pub fn new(node: u8, resume_after: UnixMs) -> Self {
        let last_ms = u64::try_from(resume_after - KEY_EPOCH_MS).unwrap_or(0).min(MS_MAX);
        Self { node, last_ms, counter: (1 << COUNTER_BITS) - 1 }
    }

    /// The next key. Beyond 16,384 in one millisecond it borrows from the next one.
    pub fn next<K: Key>(&mut self, now: UnixMs) -> K {
        let ms = u64::try_from(now - KEY_EPOCH_MS).unwrap_or(0).min(MS_MAX);
        if ms > self.last_ms {
            self.last_ms = ms;
            self.counter = 0;
        } else {
            self.counter += 1;
            if self.counter >> COUNTER_BITS != 0 {
                self.last_ms += 1;
                self.counter = 0;
            }
        }
        let node = u64::from(self.node) << COUNTER_BITS;
        K::from_raw(self.last_ms << (COUNTER_BITS + NODE_BITS) | node | self.counter)
    }
}

struct Text([u8; TEXT_LEN]);

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

fn encode(raw: u64) -> Text {
    let mut text = [0; TEXT_LEN];
    let mut rest = raw;
    for digit in text.iter_mut().rev() {
        *digit = ALPHABET[usize::try_from(rest & 31).expect("5 bits fit")];
        rest >>= 5;
    }
    Text(text)
}

fn decode(text: &str) -> Option<u64> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut raw = 0u64;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|&known| known == byte)?;
        if raw >> 59 != 0 {
            return None;
        }
        raw = raw << 5 | u64::try_from(digit).expect("below 32");
    }
    (raw >> 63 == 0).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMs = 1_795_000_000_000;

    #[test]
    fn text_carries_the_key_and_sorts_as_it_does() {
        let mut maker = KeyMaker::new(3, 0);
        let first: EventKey = maker.next(NOW);
        let second: EventKey = maker.next(NOW);
        assert!(first < second);
        assert!(first.to_string() < second.to_string());
        assert_eq!(EventKey::parse(&first.to_string()), Some(first));
        assert_eq!(first.made_at(), NOW);
    }

    #[test]
    fn keys_ascend_when_the_clock_goes_back() {
        let mut maker = KeyMaker::new(0, 0);
        let before: EventKey = maker.next(NOW);
        let after: EventKey = maker.next(NOW - 3_600_000);
        assert!(after > before);
    }

    #[test]
    fn a_restarted_maker_repeats_nothing() {
        let mut maker = KeyMaker::new(0, 0);
        let mut last: EventKey = maker.next(NOW);
        for _ in 0..40_000 {
            last = maker.next(NOW);
        }
        let resumed: EventKey = KeyMaker::new(0, last.made_at()).next(NOW - 1);
        assert!(resumed > last);
    }

    #[test]
    fn foreign_and_malformed_texts_are_no_ids() {
        let key: EventKey = KeyMaker::new(0, 0).next(NOW);
        let text = key.to_string();
        for bad in ["", "evt_", "not-an-id", &text.to_uppercase(), &text[..16], &format!("{text}0")]
        {
            assert_eq!(EventKey::parse(bad), None, "{bad}");
        }
        assert_eq!(WebhookKey::parse(&text), None);
        assert_eq!(EventKey::parse("evt_zzzzzzzzzzzzz"), None, "over 63 bits");
    }

    proptest! {
        #[test]
        fn every_key_survives_its_text(raw in 0u64..1 << 63, other in 0u64..1 << 63) {
            let event = EventKey::from_raw(raw);
            prop_assert_eq!(EventKey::parse(&event.to_string()), Some(event));
            let delivery = DeliveryKey { event, webhook: WebhookKey::from_raw(other) };
            prop_assert_eq!(DeliveryKey::parse(&delivery.to_string()), Some(delivery));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = EventKey::parse(&text);
            let _ = DeliveryKey::parse(&format!("dlv_{text}"));
        }
    }
}
