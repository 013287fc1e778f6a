//! Cursors: where a list goes on, bound to the list they came from.
//!
//! A cursor is a key and a checksum over tenant, route and filter. The checksum keeps a cursor
//! from being used on another list by mistake; it is no protection and needs none, because every
//! list is confined to its tenant whatever the cursor says.

use postrider_core::id::{DeliveryKey, EventKey, Key, TenantKey, WebhookKey};

use super::problem::{ApiError, Code, Faults};

/// Hexadecimal digits of a key, and of the checksum.
const DIGITS: usize = 16;

/// The list that a cursor belongs to.
#[derive(Clone, Copy, Debug)]
pub struct List(u64);

impl List {
    /// `filter` is whatever changes which items the list has; not its page size.
    pub fn new(tenant: TenantKey, route: &str, filter: &[&str]) -> Self {
        let mut sum = Fnv::default();
        sum.write(&tenant.raw().to_be_bytes());
        for part in std::iter::once(&route).chain(filter) {
            sum.write(&(part.len() as u64).to_be_bytes());
            sum.write(part.as_bytes());
        }
        Self(sum.0)
    }

    /// The cursor of the page after the item with this key.
    pub fn cursor(self, last: impl Key) -> String {
        self.write([last.raw()])
    }

    /// The same of a list of deliveries.
    pub fn delivery_cursor(self, last: DeliveryKey) -> String {
        self.write([last.event.raw(), last.webhook.raw()])
    }

    /// Reads a cursor of this list.
    pub fn position<K: Key>(self, cursor: &str) -> Result<K, ApiError> {
        self.read(cursor).map(|[raw]| K::from_raw(raw)).ok_or_else(not_ours)
    }

    /// Reads a cursor of this list of deliveries.
    pub fn delivery_position(self, cursor: &str) -> Result<DeliveryKey, ApiError> {
        let [event, webhook] = self.read(cursor).ok_or_else(not_ours)?;
        let (event, webhook) = (EventKey::from_raw(event), WebhookKey::from_raw(webhook));
        Ok(DeliveryKey { event, webhook })
    }

    fn write<const N: usize>(self, keys: [u64; N]) -> String {
        let digits: Vec<String> = (keys.iter().copied())
            .chain([self.checksum(&keys)])
            .map(|number| format!("{number:016x}"))
            .collect();
        digits.concat()
    }

    fn read<const N: usize>(self, cursor: &str) -> Option<[u64; N]> {
        let is_ours = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if cursor.len() != DIGITS * (N + 1) || !cursor.bytes().all(is_ours) {
            return None;
        }
        let number = |at: usize| {
            let digits = cursor.get(at * DIGITS..(at + 1) * DIGITS)?;
            u64::from_str_radix(digits, 16).ok()
        };
        let mut keys = [0; N];
        for (at, key) in keys.iter_mut().enumerate() {
            *key = number(at).filter(|raw| raw >> 63 == 0)?;
        }
        (number(N)? == self.checksum(&keys)).then_some(keys)
    }

    fn checksum(self, keys: &[u64]) -> u64 {
        let mut sum = Fnv(self.0);
        for raw in keys {
            sum.write(&raw.to_be_bytes());
        }
        sum.0
    }
}

fn not_ours() -> ApiError {
    let mut faults = Faults::default();
    faults.push_parameter(
        Code::BadCursor,
        "cursor",
        "not a cursor of this list; use next_cursor of its last page unchanged",
    );
    faults.into_error()
}

/// FNV-1a, 64 bits: the same on every node and version, which std's hashers don't promise.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tenant: u64, route: &str, filter: &[&str]) -> List {
        List::new(TenantKey::from_raw(tenant), route, filter)
    }

    #[test]
    fn a_cursor_belongs_to_its_tenant_route_and_filter() {
        let own = list(1, "events", &["a"]);
        let key = EventKey::from_raw(77);
        let cursor = own.cursor(key);
        assert_eq!(own.position::<EventKey>(&cursor).unwrap(), key);
        for other in [
            list(2, "events", &["a"]),
            list(1, "webhooks", &["a"]),
            list(1, "events", &["b"]),
            list(1, "events", &[]),
            list(1, "events", &["", "a"]),
        ] {
            assert!(other.position::<EventKey>(&cursor).is_err());
        }
    }

    #[test]
    fn a_cursor_of_deliveries_is_another_than_one_of_keys() {
        let own = list(1, "deliveries", &[]);
        let (event, webhook) = (EventKey::from_raw(77), WebhookKey::from_raw(u64::MAX >> 1));
        let last = DeliveryKey { event, webhook };
        let cursor = own.delivery_cursor(last);
        assert_eq!(own.delivery_position(&cursor).unwrap(), last);
        assert!(own.position::<EventKey>(&cursor).is_err());
        assert!(own.delivery_position(&own.cursor(event)).is_err());
        assert!(own.delivery_position(&cursor.replace('7', "8")).is_err());
    }

    #[test]
    fn a_tampered_cursor_is_none() {
        let own = list(1, "events", &[]);
        let cursor = own.cursor(EventKey::from_raw(77));
        for bad in [
            "AAAA",
            "",
            &cursor.to_uppercase(),
            &cursor.replace('7', "8"),
            &format!("{cursor}0"),
            &"é".repeat(16),
        ] {
            let refused = own.position::<EventKey>(bad).unwrap_err();
            assert_eq!(refused.code(), Code::BadCursor, "{bad}");
        }
    }
}
