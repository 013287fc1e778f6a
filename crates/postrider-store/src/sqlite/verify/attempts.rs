//! What happened to a delivery, step by step, and whether each follows from the one before.

use postrider_core::delivery::{
    Attempt, DeliveryState, Happening, HistoryEntry, Mode, Standing, Trigger, Waiting,
};

use crate::verification::ViolationKind;

/// A violation, and what was found.
pub(super) type Broken = (ViolationKind, String);

/// What an entry breaks, given how its delivery stood before it. `attempts_max` is the length of
/// the retry schedule, where it is known.
pub(super) fn broken(
    before: &Standing,
    entry: &HistoryEntry,
    attempts_max: Option<usize>,
) -> Vec<Broken> {
    match &entry.what {
        Happening::Attempt(attempt) => after_attempt(before, attempt, entry, attempts_max),
        Happening::Cancelled { .. } => after_request(before, Trigger::Cancelled, entry),
        &Happening::RetryRequested { at } => {
            after_request(before, Trigger::RetryRequested { at }, entry)
        }
    }
}

fn after_request(before: &Standing, trigger: Trigger, entry: &HistoryEntry) -> Vec<Broken> {
    if before.after(trigger) == Ok(entry.standing) {
        return Vec::new();
    }
    vec![does_not_follow(before, entry)]
}

fn does_not_follow(before: &Standing, entry: &HistoryEntry) -> Broken {
    let detail = format!("{}: from {before:?} to {:?}", entry.key, entry.standing);
    (ViolationKind::StandingDoesNotFollow, detail)
}

fn after_attempt(
    before: &Standing,
    attempt: &Attempt,
    entry: &HistoryEntry,
    attempts_max: Option<usize>,
) -> Vec<Broken> {
    let mut broken = Vec::new();
    let expected = before.progress().attempts + 1;
    if attempt.number != expected {
        let detail = format!("{} has number {}, not {expected}", entry.key, attempt.number);
        broken.push((ViolationKind::AttemptsNotDense, detail));
    }
    let Standing::Pending(waiting) = before else {
        let detail = format!("{} after it was {}", entry.key, before.state().name());
        broken.push((ViolationKind::AttemptAfterEnd, detail));
        return broken;
    };
    if attempt.started_at < waiting.due {
        let early_ms = waiting.due - attempt.started_at;
        let detail = format!("{} started {early_ms} ms before it was due", entry.key);
        broken.push((ViolationKind::AttemptEarly, detail));
    }
    if !follows(waiting, attempt, &entry.standing) {
        broken.push(does_not_follow(before, entry));
    } else if let Some(max) = attempts_max
        && !keeps_schedule(waiting, attempt, &entry.standing, max)
    {
        let made = entry.standing.progress().scheduled;
        let detail =
            format!("{} is {} after {made} of {max}", entry.key, entry.standing.state().name());
        broken.push((ViolationKind::ScheduleNotKept, detail));
    }
    broken
}

/// Whether the transition table can lead there.
fn follows(waiting: &Waiting, attempt: &Attempt, after: &Standing) -> bool {
    let progress = waiting.after_attempt();
    let ended = |state| *after == Standing::Final { state, progress };
    if attempt.result.is_success() {
        return ended(DeliveryState::Succeeded);
    }
    if attempt.result.is_gone() {
        return ended(DeliveryState::Failed);
    }
    match (after, waiting.mode) {
        (Standing::Pending(next), Mode::Scheduled) => {
            next.mode == Mode::Scheduled && next.progress == progress
        }
        (Standing::Pending(next), Mode::Manual { resume: Some(due) }) => {
            next.mode == Mode::Scheduled && next.progress == progress && next.due >= due
        }
        (Standing::Final { .. }, Mode::Scheduled | Mode::Manual { resume: None }) => {
            ended(DeliveryState::Failed)
        }
        _ => false,
    }
}

/// Whether a scheduled attempt that failed was followed by another exactly when the schedule has
/// one more.
fn keeps_schedule(waiting: &Waiting, attempt: &Attempt, after: &Standing, max: usize) -> bool {
    let is_other = attempt.result.is_success() || attempt.result.is_gone();
    if is_other || waiting.mode != Mode::Scheduled {
        return true;
    }
    let made = usize::try_from(after.progress().scheduled).unwrap_or(usize::MAX);
    after.state().is_final() == (made >= max)
}
