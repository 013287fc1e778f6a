//! Counts wrong keys by address, in a table that never grows.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use postrider_core::id::UnixMs;

use super::limits::{WRONG_KEYS_MAX, WRONG_KEYS_SLOTS, WRONG_KEYS_WINDOW};

/// Addresses share slots by a hash that nobody outside can predict. Sharing one with an attacker
/// is harmless: only wrong keys are ever counted or slowed down.
#[derive(Debug)]
pub(super) struct WrongKeys {
    hasher: RandomState,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    window: i64,
    count: u32,
}

impl Default for WrongKeys {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: Mutex::new(vec![Slot::default(); WRONG_KEYS_SLOTS]),
        }
    }
}

impl WrongKeys {
    /// Counts one more; whether that is more than an address may send in a window.
    pub(super) fn is_one_too_many(&self, from: IpAddr, now: UnixMs) -> bool {
        let window_ms = i64::try_from(WRONG_KEYS_WINDOW.as_millis()).unwrap_or(i64::MAX);
        let window = now.div_euclid(window_ms);
        let index = self.hasher.hash_one(network(from)) % WRONG_KEYS_SLOTS as u64;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = usize::try_from(index).ok().and_then(|index| slots.get_mut(index)) else {
            return false;
        };
        if slot.window != window {
            *slot = Slot { window, count: 0 };
        }
        slot.count = slot.count.saturating_add(1);
        slot.count > WRONG_KEYS_MAX
    }
}

/// Whom an address stands for: a home or server gets a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_slowed_down_until_its_window_ends() {
        let wrong_keys = WrongKeys::default();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let refused = (0..1_000).filter(|_| wrong_keys.is_one_too_many(from, 5_000)).count();
        assert_eq!(refused, 900);
        assert!(!wrong_keys.is_one_too_many(from, 10_000));
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_ne!(network(address("192.0.2.1")), network(address("192.0.2.2")));
    }
}
