//! What an attempt's end means for its delivery.

use super::Ended;
use crate::delivery::{Mode, Standing, Trigger, Verdict};
use crate::lane::{Gate, LaneSettings, Ready};

/// What an attempt leads to: the schedule's next, an end, or — when the lane closed meanwhile —
/// the end instead of another try. A test event gets one attempt.
pub(super) fn standing_after(
    ready: &Ready,
    settings: &LaneSettings,
    gate: Gate,
    ended: &Ended,
) -> Standing {
    let waiting = &ready.waiting;
    let result = &ended.attempt.result;
    let verdict = if result.is_success() && !mutated!("a success is tried again") {
        Verdict::Success
    } else if ended.is_gone() {
        Verdict::Permanent
    } else {
        let retry_at = match waiting.mode {
            Mode::Manual { .. } => None,
            Mode::Scheduled if ready.event.is_test() => None,
            Mode::Scheduled => settings.schedule.next_attempt(
                waiting.after_attempt().scheduled as usize
                    + usize::from(mutated!("the schedule skips an attempt")),
                ended.ended_at,
                ended.random,
                ended.retry_after,
            ),
        };
        Verdict::Failure { ended_at: ended.ended_at, retry_at }
    };
    let standing = Standing::Pending(*waiting);
    let after =
        standing.after(Trigger::Attempted(verdict)).expect("a pending delivery can be attempted");
    match gate {
        Gate::Closed(_) if !after.state().is_final() => {
            after.after(Trigger::Cancelled).expect("a pending delivery can be cancelled")
        }
        _ => after,
    }
}
