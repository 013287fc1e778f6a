//! The blindness check: mistakes made on purpose, each of which the seeds must find.

use postrider_core::mutation;

use crate::run::{Failure, finds};

/// Every mistake that core, memory store and simulator can be told to make.
pub const MUTATIONS: &[&str] = &[
    "a failed load's room is kept",
    "a gone receiver's slot is kept",
    "a former receiver's 410 counts as the present one's",
    "settled before it is durable",
    "the node's slots are not bounded",
    "due a second early",
    "what is in flight is cancelled",
    "a success is tried again",
    "the schedule skips an attempt",
    "a pause is not heard",
    "an accepted delivery is taken twice",
    "a page may be older than what changed",
    "rates are ignored",
    "a rate waits for a clock that went back",
    "a lane's memory is not bounded",
    "concurrency is ignored",
    "the allowance is ignored",
    "what is in hand is loaded again",
    "a void page counts",
    "what comes while cancelling is forgotten",
    "what lies beyond a page is forgotten",
    "a rate's wake is lost",
    "another id for each attempt",
    "another body for each attempt",
    "signed with the first secret for ever",
    "no deadline",
    "handed over before the commit",
    "outcomes of a failed commit dropped",
    "unknown commits not looked for",
    "acknowledged before it is told",
    "only the first lanes are found",
    "acknowledged before the commit",
    "matched across tenants",
    "cancelled ones are not counted",
    "a repeated outcome is refused",
    "the list of exceptions is ignored",
    "a given id is not known again",
];

/// What a seed finds of a mistake.
pub fn finding(seed: u64, mistake: &'static str) -> Option<Failure> {
    mutation::activate(Some(mistake));
    let found = finds(seed);
    mutation::activate(None);
    found
}
