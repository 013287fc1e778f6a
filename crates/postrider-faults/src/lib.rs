//! Faults on the real binary.
//!
//! A [`rig`] runs servers as processes on one data folder, one after the other; publishers note what
//! they were told and a receiver what it saw, and in the end both are compared with what is stored
//! by the checker that the simulator uses. Each [`scenario`] brings one kind of fault about.
//! `docs/faults.md` says what is covered. The parts also serve the server's own proofs.
//!
//! All of it speaks HTTP by hand over sockets, so that no library smooths over what is proved.

#![expect(clippy::unwrap_used, reason = "a panic is how a proof fails")]

pub mod client;
pub mod figures;
pub mod name_server;
pub mod process;
pub mod publishers;
pub mod receiver;
pub mod rig;
pub mod scenario;
pub mod stored;

use std::time::Duration;

/// For what takes milliseconds when all is well: long enough for the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what sends no signal.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks again and again until there is something to see; fails after [`PATIENCE`].
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

/// The same with a patience of one's own.
pub async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = async {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let Ok(found) = tokio::time::timeout(patience, found).await else {
        panic!("waited in vain: {what}");
    };
    found
}

/// Numbers that look random and come again from the same seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// At least zero and below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
