//! Publishers that keep a server busy, and the attempts that came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postrider_core::delivery::{Attempt, Happening, HistoryEntry};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::server::Server;
use postrider_faults::client::Line;

const PUBLISHERS: usize = 3;
/// Events in one request.
const BATCH: usize = 4;

/// Publishers that publish until they are stopped.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    publishers: JoinSet<usize>,
}

impl Load {
    pub(crate) fn start(server: &Server) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut publishers = JoinSet::new();
        for _ in 0..PUBLISHERS {
            let (address, is_over) = (server.api.address, is_over.clone());
            publishers.spawn(async move {
                let event = json!({"type": "proof.published", "data": "x"});
                let batch = Value::from(vec![event; BATCH]).to_string();
                let mut line = Line::open(address).await.unwrap();
                let mut published = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let answer = line.call("POST", "/v1/events", &batch).await.unwrap();
                    assert_eq!(answer.status, 202, "{}", answer.text);
                    published += BATCH;
                }
                published
            });
        }
        Self { is_over, publishers }
    }

    /// How many events were published.
    pub(crate) async fn stop(self) -> usize {
        self.is_over.store(true, Ordering::SeqCst);
        self.publishers.join_all().await.into_iter().sum()
    }
}

/// The attempts in a history, newest first.
pub(crate) fn attempts(history: &[HistoryEntry]) -> Vec<&Attempt> {
    let attempt = |entry: &'_ HistoryEntry| matches!(entry.what, Happening::Attempt(_));
    let attempts = history.iter().filter(|entry| attempt(entry));
    attempts
        .map(|entry| match &entry.what {
            Happening::Attempt(attempt) => &**attempt,
            Happening::Cancelled { .. } | Happening::RetryRequested { .. } => unreachable!(),
        })
        .collect()
}
