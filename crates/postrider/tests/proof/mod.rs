//! What the proofs share: a server in this process or as a process of its own, a client of its
//! API, and a receiver that behaves as badly as it is told.
//!
//! All of it speaks HTTP by hand over sockets, so that no library smooths over what is proved.

pub(crate) mod client;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod receiver;
pub(crate) mod server;

use std::time::Duration;

/// For what takes milliseconds when all is well: long enough for the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what sends no signal.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks again and again until there is something to see; fails after [`PATIENCE`].
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let Ok(found) = tokio::time::timeout(PATIENCE, found).await else {
        panic!("waited in vain: {what}");
    };
    found
}

/// Numbers that look random and come again from the same seed (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// At least zero and below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
