//! Tasks that make attempts, one after another.
//!
//! A task of its own for each attempt would cost a microsecond: the future is some kilobytes, which
//! have to be found, moved and given back each time. So a task that has made its attempt waits for the next.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::deliver::Beginning;
use super::{Engine, lock};

/// Tasks that wait for an attempt at most: 2 MB. What a burst needs beyond them is started anew.
const IDLE_MAX: usize = 256;

/// The tasks that wait, the last one to have worked first.
#[derive(Default)]
pub(super) struct Runners {
    idle: Mutex<Vec<Arc<Runner>>>,
}

struct Runner {
    next: Mutex<Option<Beginning>>,
    given: Notify,
}

impl Engine {
    /// Has a task make an attempt.
    pub(super) fn begin(&self, beginning: Beginning) {
        let idle = lock(&self.inner.runners.idle).pop();
        if let Some(runner) = idle {
            *lock(&runner.next) = Some(beginning);
            runner.given.notify_one();
            return;
        }
        let runner = Runner { next: Mutex::new(Some(beginning)), given: Notify::new() };
        self.spawn(self.clone().make_attempts(Arc::new(runner)));
    }

    async fn make_attempts(self, runner: Arc<Runner>) {
        loop {
            let next = lock(&runner.next).take();
            if let Some(beginning) = next {
                self.attempt(beginning).await;
                let mut idle = lock(&self.inner.runners.idle);
                if idle.len() == IDLE_MAX {
                    return;
                }
                idle.push(runner.clone());
            }
            runner.given.notified().await;
        }
    }
}
