//! The unfinished deliveries: which are due, and the rows that say so.

use postrider_core::delivery::{Mode, Progress, Waiting};
use postrider_core::id::{DeliveryKey, EventKey, Key, WebhookKey};
use rusqlite::{Connection, OptionalExtension, Row};

use super::failure::{Failure, Outcome};
use super::queries;
use super::recent::Recent;
use super::statements::{Each, Statements};
use super::view::{View, key, sql, sql_limit};
use crate::error::StoreError;
use crate::records::{Backlog, DueDelivery, DuePage, DueQuery, LaneStart};

const SCHEDULED: i64 = 0;
const MANUAL: i64 = 1;

pub(super) const INSERT: &str = "INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
/// Only the row that stands exactly so: compare and set.
pub(super) const DELETE: &str = "DELETE FROM pending WHERE webhook = ?1 AND due = ?2 AND event = ?3 \
     AND attempts = ?4 AND scheduled = ?5 AND mode = ?6 AND resume IS ?7";

/// The same row.
const FIND: &str = "SELECT 1 FROM pending WHERE webhook = ?1 AND due = ?2 AND event = ?3 \
     AND attempts = ?4 AND scheduled = ?5 AND mode = ?6 AND resume IS ?7";

type PendingRow = (i64, i64, i64, u32, u32, i64, Option<i64>);

pub(super) fn insert(
    statements: &mut Statements<'_>,
    delivery: DeliveryKey,
    waiting: &Waiting,
) -> Outcome<()> {
    statements.of(Each::InsertPending)?.execute(row_of(delivery, waiting))?;
    Ok(())
}

/// Whether there was a delivery that stood like this.
pub(super) fn delete(
    statements: &mut Statements<'_>,
    delivery: DeliveryKey,
    waiting: &Waiting,
) -> Outcome<bool> {
    Ok(statements.of(Each::DeletePending)?.execute(row_of(delivery, waiting))? == 1)
}

fn row_of(delivery: DeliveryKey, waiting: &Waiting) -> PendingRow {
    let (mode, resume) = match waiting.mode {
        Mode::Scheduled => (SCHEDULED, None),
        Mode::Manual { resume } => (MANUAL, resume),
    };
    let progress = waiting.progress;
    (
        sql(delivery.webhook),
        waiting.due,
        sql(delivery.event),
        progress.attempts,
        progress.scheduled,
        mode,
        resume,
    )
}

/// Whether a delivery stands exactly like this.
pub(super) fn is_there(
    connection: &Connection,
    delivery: DeliveryKey,
    waiting: &Waiting,
) -> Outcome<bool> {
    Ok(connection.prepare_cached(FIND)?.exists(row_of(delivery, waiting))?)
}

/// Reads due, event, attempts, scheduled, mode and resume, from column `at` on.
pub(super) fn read_row(row: &Row<'_>, at: usize) -> Outcome<(EventKey, Waiting)> {
    let event: EventKey = key(row.get(at + 1)?);
    let mode = match (row.get(at + 4)?, row.get(at + 5)?) {
        (SCHEDULED, None) => Mode::Scheduled,
        (MANUAL, resume) => Mode::Manual { resume },
        (mode, _) => {
            let text = format!("pending {event}: an unknown mode {mode}");
            return Err(Failure::Store(StoreError::Corrupt(text)));
        }
    };
    let waiting = Waiting {
        due: row.get(at)?,
        progress: Progress { attempts: row.get(at + 2)?, scheduled: row.get(at + 3)? },
        mode,
    };
    Ok((event, waiting))
}

impl View<'_> {
    pub(super) fn due(&self, query: &DueQuery, recent: &Recent) -> Outcome<DuePage> {
        let mut page = DuePage::default();
        let mut bytes = 0_usize;
        let mut statement = (self.connection).prepare_cached(queries::PENDING_OF_WEBHOOK)?;
        let mut rows = statement.query([sql(query.webhook)])?;
        while let Some(row) = rows.next()? {
            let (event, waiting) = read_row(row, 0)?;
            if query.except.contains(&event) {
                continue;
            }
            if waiting.due > query.until || page.deliveries.len() == query.limit {
                page.next_due = Some(waiting.due);
                break;
            }
            let event = recent.get_or_read(event, || {
                let found = self.event_by_key(event)?;
                found.ok_or_else(|| Failure::missing("event of pending", event))
            })?;
            bytes = bytes.saturating_add(event.bodies.size_bytes());
            if bytes > query.bytes_max && !page.deliveries.is_empty() {
                page.next_due = Some(waiting.due);
                break;
            }
            page.deliveries.push(DueDelivery { event, waiting });
        }
        Ok(page)
    }

    /// Steps from webhook to webhook, never over the deliveries of one.
    pub(super) fn lanes(&self, after: Option<WebhookKey>, limit: usize) -> Outcome<Vec<LaneStart>> {
        let mut statement = self.connection.prepare_cached(queries::NEXT_LANE)?;
        let mut lanes = Vec::new();
        // keys are not negative, so every one is after this
        let mut last = after.map_or(-1, sql);
        while lanes.len() < limit {
            let next: Option<(i64, i64)> =
                statement.query_row([last], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((webhook, first_due)) = next else {
                break;
            };
            last = webhook;
            lanes.push(LaneStart { webhook: key(webhook), first_due });
        }
        Ok(lanes)
    }

    /// Looks at `count_max` deliveries and one more, of however many webhooks.
    pub(super) fn backlog(&self, webhooks: &[WebhookKey], count_max: usize) -> Outcome<Backlog> {
        let mut statement = self.connection.prepare_cached(queries::BACKLOG)?;
        let mut backlog = Backlog::default();
        for &webhook in webhooks {
            let limit = sql_limit(count_max - backlog.count + 1);
            let mut rows = statement.query((sql(webhook), limit))?;
            while let Some(row) = rows.next()? {
                if backlog.count == count_max {
                    return Ok(Backlog { is_more: true, ..backlog });
                }
                backlog.count += 1;
                let at = key::<EventKey>(row.get(0)?).made_at();
                backlog.oldest_at = Some(backlog.oldest_at.map_or(at, |oldest| oldest.min(at)));
            }
        }
        Ok(backlog)
    }

    /// The first `limit` pending deliveries of a webhook but `except`, as they are due.
    pub(super) fn first_pending(
        &self,
        webhook: WebhookKey,
        except: &[EventKey],
        limit: usize,
    ) -> Outcome<Vec<(EventKey, Waiting)>> {
        let mut statement = (self.connection).prepare_cached(queries::PENDING_OF_WEBHOOK)?;
        let mut rows = statement.query([sql(webhook)])?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let (event, waiting) = read_row(row, 0)?;
            if !except.contains(&event) {
                found.push((event, waiting));
            }
        }
        Ok(found)
    }
}
