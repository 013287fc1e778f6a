//! Queued mode's other half: takes what was accepted, and runs the handler.

use std::time::Duration;

use super::lease;
use super::store::{Failed, Settled, StoreError, Taken};
use super::{Inbox, Lease};
use crate::{Event, now_ms};

/// Handles what an inbox has accepted, one event at a time; run several for more. Workers may run
/// in the process that receives or in others.
#[derive(Clone, Debug)]
pub struct Worker {
    inbox: Inbox,
    pause: Duration,
}

/// How one event ended in a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Handled, and recorded.
    Done,
    /// The handler failed; see [`Failed`] for what comes of it.
    Failed(Failed),
    /// Somebody else took the event over.
    Lost,
    /// Nothing is due.
    Empty,
}

impl Worker {
    /// Looks for work every second when there is none.
    pub fn new(inbox: Inbox) -> Self {
        Self { inbox, pause: Duration::from_secs(1) }
    }

    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Runs until `stop` is ready; an event in hand is handled to its end. Errors of the store are
    /// given to `on_error`, and the worker goes on.
    pub async fn run<E: std::fmt::Display>(
        &self,
        stop: impl Future<Output = ()>,
        mut handler: impl AsyncFnMut(&Event, &Lease) -> Result<u16, E>,
        mut on_error: impl FnMut(StoreError),
    ) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let is_idle = match self.next(&mut handler).await {
                Ok(ended) => ended == Handled::Empty,
                Err(error) => {
                    on_error(error);
                    true
                }
            };
            let pause = if is_idle { self.pause } else { Duration::ZERO };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Handles one event, if one is due.
    pub async fn next<E: std::fmt::Display>(
        &self,
        handle: impl AsyncFnOnce(&Event, &Lease) -> Result<u16, E>,
    ) -> Result<Handled, StoreError> {
        let Inbox { store, scope, settings } = &self.inbox;
        let attempts_max =
            u32::try_from(settings.retry_delays.len()).unwrap_or(u32::MAX).saturating_add(1);
        let taken = store.take(scope, attempts_max, settings.lease, now_ms()).await?;
        let Some(Taken { claim, id, body, signed_at_seconds }) = taken else {
            return Ok(Handled::Empty);
        };
        let lease = Lease::new(&claim, scope.effect_key(&id));
        let timestamp_seconds = signed_at_seconds.unwrap_or_else(|| now_ms().div_euclid(1_000));
        let event = Event { id, timestamp_seconds, body };
        let working =
            lease::keep(&**store, &claim.token, settings.lease, &lease, || handle(&event, &lease));
        match working.await {
            Ok(status) => Ok(match store.finish(&claim.token, status, now_ms()).await? {
                Settled::Finished => Handled::Done,
                Settled::Lost => Handled::Lost,
            }),
            Err(error) => {
                let delays = Some(&*settings.retry_delays);
                Ok(match store.fail(&claim.token, &error.to_string(), delays, now_ms()).await? {
                    Failed::Lost => Handled::Lost,
                    failed => Handled::Failed(failed),
                })
            }
        }
    }
}
