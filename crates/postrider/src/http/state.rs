//! What every handler shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::limits::BODIES_BYTES_MAX;
use super::throttle::WrongKeys;
use crate::engine::Engine;

/// The engine, and what the HTTP side keeps in memory for itself. A cheap clone.
#[derive(Clone, Debug)]
pub struct ServerState {
    pub engine: Engine,
    is_metrics_open: bool,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    wrong_keys: WrongKeys,
    is_ready: AtomicBool,
    bodies_bytes: AtomicUsize,
    body_bytes_max: usize,
}

impl ServerState {
    /// Ready from the start. Bodies longer than `body_bytes_max` are refused.
    pub fn new(engine: Engine, body_bytes_max: usize) -> Self {
        let inner = Inner {
            wrong_keys: WrongKeys::default(),
            is_ready: AtomicBool::new(true),
            bodies_bytes: AtomicUsize::new(0),
            body_bytes_max,
        };
        Self { engine, is_metrics_open: false, inner: Arc::new(inner) }
    }

    /// Lets anybody who reaches the server read its metrics.
    #[must_use]
    pub fn with_open_metrics(self) -> Self {
        Self { is_metrics_open: true, ..self }
    }

    pub(super) fn is_metrics_open(&self) -> bool {
        self.is_metrics_open
    }

    /// Whether `/readyz` says so. A server that drains says no, so that balancers look elsewhere.
    pub fn is_ready(&self) -> bool {
        self.inner.is_ready.load(Ordering::Relaxed)
    }

    /// See [`Self::is_ready`].
    pub fn set_ready(&self, is_ready: bool) {
        self.inner.is_ready.store(is_ready, Ordering::Relaxed);
    }

    pub(super) fn body_bytes_max(&self) -> usize {
        self.inner.body_bytes_max
    }

    pub(super) fn wrong_keys(&self) -> &WrongKeys {
        &self.inner.wrong_keys
    }

    /// Room for a large body, held until it is dropped; `None` when others hold it all.
    pub(super) fn reserve_body(&self, bytes: usize) -> Option<BodyRoom> {
        let held = &self.inner.bodies_bytes;
        if held.fetch_add(bytes, Ordering::Relaxed) + bytes > BODIES_BYTES_MAX {
            held.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        }
        Some(BodyRoom { inner: Arc::clone(&self.inner), bytes })
    }
}

/// See [`ServerState::reserve_body`].
#[derive(Debug)]
pub(super) struct BodyRoom {
    inner: Arc<Inner>,
    bytes: usize,
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        self.inner.bodies_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
