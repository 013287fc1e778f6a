//! How far a measurement is, on a terminal. Elsewhere nothing is shown and no thread looks.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::ledger::Ledger;

/// Between two looks at how many have arrived; each costs the publisher's process a little.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Does `work` and shows meanwhile how many of the `expected` deliveries `ledger` knows.
pub(super) fn watch<T>(
    title: String,
    ledger: &Ledger,
    expected: u64,
    work: impl FnOnce() -> T,
) -> T {
    let bar = ProgressBar::new(expected);
    if bar.is_hidden() {
        return work();
    }
    if let Ok(style) =
        ProgressStyle::with_template("{msg}: {bar:30} {pos}/{len} delivered, {eta} left")
    {
        bar.set_style(style);
    }
    bar.set_message(title);
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let is_done = is_done;
            while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(ledger.delivered());
            }
            bar.finish_and_clear();
        });
        let found = work();
        drop(done);
        found
    })
}
