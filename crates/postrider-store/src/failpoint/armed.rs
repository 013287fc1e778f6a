//! What happens at the failpoints that the environment names.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::Failpoint;

/// The environment variable that arms failpoints: `NAME:NTH:ACTION`, several with commas between.
///
/// `NTH` counts the passes from 1. `kill` and `stall-MS` happen at that one, `error-COUNT` at it and
/// those after it, so many times. It does not begin with `POSTRIDER_`, for the server refuses settings
/// that it doesn't know.
pub const VARIABLE: &str = "FAULTS_FAILPOINTS";

#[derive(Debug)]
struct Armed {
    at: Failpoint,
    nth: u32,
    action: Action,
    passes: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Kill,
    Stall(Duration),
    Error(u32),
}

impl Failpoint {
    /// Passes a place that can't fail by itself.
    pub fn pass(self) {
        self.fails();
    }

    /// Passes a place; whether it is to fail now.
    pub fn fails(self) -> bool {
        let mut is_failing = false;
        for armed in armed().iter().filter(|armed| armed.at == self) {
            let pass = armed.passes.fetch_add(1, Ordering::SeqCst) + 1;
            match armed.action {
                Action::Kill if pass == armed.nth => die(),
                Action::Stall(time) if pass == armed.nth => std::thread::sleep(time),
                Action::Error(count) => {
                    is_failing |= (armed.nth..armed.nth + count).contains(&pass);
                }
                Action::Kill | Action::Stall(_) => {}
            }
        }
        is_failing
    }
}

/// SIGKILL, not `abort`: it is what an operator's `kill -9` and the kernel's out-of-memory killer
/// send. No handler, no exit hook and no core dump gets a turn.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

fn armed() -> &'static [Armed] {
    static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();
    ARMED.get_or_init(|| {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        let entries = text.split(',').filter(|entry| !entry.is_empty());
        entries.map(|entry| read(entry).unwrap_or_else(|| wrong(entry))).collect()
    })
}

fn read(entry: &str) -> Option<Armed> {
    let mut parts = entry.split(':');
    let (name, nth, action) = (parts.next()?, parts.next()?, parts.next()?);
    let at = Failpoint::ALL.iter().copied().find(|point| point.name() == name)?;
    let action = match action.split_once('-') {
        None if action == "kill" => Action::Kill,
        Some(("stall", ms)) => Action::Stall(Duration::from_millis(ms.parse().ok()?)),
        Some(("error", count)) => Action::Error(count.parse().ok()?),
        _ => return None,
    };
    Some(Armed { at, nth: nth.parse().ok()?, action, passes: AtomicU32::new(0) })
}

/// A test that arms nothing would prove nothing.
fn wrong(entry: &str) -> ! {
    panic!("{VARIABLE} has {entry:?}, which is not NAME:NTH:ACTION")
}
