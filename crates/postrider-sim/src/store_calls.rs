//! Calls to the memory store: answered on the spot, and sometimes made to fail.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::random::Random;
use crate::world::World;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Nothing is done, and the caller is told so.
    Fails,
    /// It is done, and the caller is told that it failed.
    Unknown,
}

/// What a future of the memory store gives: it never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the memory store never waits"),
    }
}

impl World {
    pub(crate) fn fault(&mut self) -> Fault {
        if self.quiet.is_some() {
            return Fault::None;
        }
        if self.random.percent(self.plan.store_fails) {
            Fault::Fails
        } else if self.random.percent(self.plan.store_unknown) {
            Fault::Unknown
        } else {
            Fault::None
        }
    }

    /// How long a way to the store or back takes.
    pub(crate) fn store_delay(&mut self) -> i64 {
        let is_slow = self.quiet.is_none() && self.random.percent(self.plan.store_slow);
        let longest = if is_slow { 3_000 } else { 10 };
        Random::between(&mut self.random, 0, longest)
    }
}
