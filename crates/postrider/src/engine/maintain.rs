//! What is done from time to time: list indexes filled, old buckets dropped, idle connections closed.

use std::time::Duration;

use super::Engine;
use super::commit::end_process;

/// Between two rounds. Indexes are also filled by the writer itself under load.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two pieces of one round, so that commits get their turn.
const BREATH: Duration = Duration::from_millis(20);

impl Engine {
    /// Runs as long as the engine.
    pub(super) async fn maintain(self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.inner.parts.sender.sweep_idle();
            if self.store().is_broken() {
                end_process();
            }
            let retention_ms =
                i64::try_from(self.inner.parts.retention.as_millis()).unwrap_or(i64::MAX);
            loop {
                let keep_from = self.now().saturating_sub(retention_ms);
                match self.store().sweep(keep_from).await {
                    Ok(swept) if swept.indexed + swept.dropped_buckets == 0 => break,
                    Ok(swept) => {
                        if swept.dropped_buckets > 0 {
                            self.inner.registry.forget_deleted(keep_from);
                            tracing::info!(
                                buckets = swept.dropped_buckets,
                                "dropped what is past its retention"
                            );
                        }
                        tokio::time::sleep(BREATH).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "the store could not be swept; trying again");
                        break;
                    }
                }
            }
        }
    }
}
