//! What the attempts of one delivery must look like.

use super::ledger::{Delivery, ListedAttempt, Retry, State};
use super::{Rule, Violation};

pub(super) fn check(row: &Delivery, retries: &[&Retry], violations: &mut Vec<Violation>) {
    let mut report = |rule, what: &str| {
        let detail = format!("{} to {}: {what}: {row:?}", row.event, row.webhook);
        violations.push(Violation { rule, detail });
    };
    if !(1..).zip(&row.attempts).all(|(number, attempt)| attempt.number == number) {
        report(Rule::AttemptsDense, "its attempts have gaps");
    }
    if has_early(row) {
        report(Rule::NoneEarly, "an attempt was made before its time");
    }
    let mut after_success = row.attempts.iter().skip_while(|attempt| !attempt.is_success()).skip(1);
    if after_success.any(|attempt| !attempt.is_manual) {
        report(Rule::NoneAfterSuccess, "it was tried again after a success");
    }
    let scheduled = row.attempts.iter().filter(|attempt| !attempt.is_manual).count();
    let manual = row.attempts.len() - scheduled;
    if scheduled > row.delays_ms.len() {
        report(Rule::WholeSchedule, "it was tried more often than its schedule says");
    }
    if manual > retries.len() {
        report(Rule::ManualAsAsked, "it was tried by hand more often than somebody asked");
    }
    check_state(row, scheduled, &mut report);
    let asked = retries.iter().filter_map(|retry| retry.acknowledged_at).max();
    let is_made = |at| row.attempts.iter().any(|attempt| attempt.started_at >= at);
    let may_wait = matches!(row.state, State::Pending | State::Cancelled);
    if asked.is_some_and(|at| !is_made(at) && !may_wait) {
        report(Rule::ManualAsAsked, "a retry was acknowledged and never made");
    }
}

fn check_state(row: &Delivery, scheduled: usize, report: &mut impl FnMut(Rule, &str)) {
    let last = row.attempts.last();
    match row.state {
        State::Succeeded => {
            if !last.is_some_and(ListedAttempt::is_success) {
                report(Rule::RecordsAreTrue, "it succeeded without a success");
            }
        }
        State::Failed => {
            let is_gone = row.attempts.iter().any(|attempt| attempt.status == Some(410));
            let was_final = row.attempts.iter().any(ListedAttempt::is_success);
            if last.is_none_or(ListedAttempt::is_success) {
                report(Rule::RecordsAreTrue, "it failed without a failure");
            }
            let is_used_up = scheduled == row.delays_ms.len();
            // One that was cancelled may be retried by hand, which ends it without its schedule.
            let is_manual = last.is_some_and(|attempt| attempt.is_manual);
            if !is_used_up && !is_gone && !was_final && !is_manual {
                report(Rule::WholeSchedule, "it failed before its schedule was used up");
            }
        }
        State::Cancelled | State::Pending => {}
    }
}

/// Whether a scheduled attempt began before its delay after the one before had passed.
fn has_early(row: &Delivery) -> bool {
    let scheduled: Vec<_> = row.attempts.iter().filter(|attempt| !attempt.is_manual).collect();
    let pairs = scheduled.windows(2).zip(row.delays_ms.iter().skip(1));
    pairs.into_iter().any(|(pair, &delay_ms)| {
        let wait_ms = delay_ms.max(pair[0].retry_after_ms);
        pair[1].started_at < pair[0].ended_at.saturating_add_unsigned(wait_ms)
    })
}
