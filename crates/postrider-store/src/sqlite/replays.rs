//! Replays at rest, and what a step of one does to deliveries.

use postrider_core::delivery::{AlreadyFinal, Happening, HistoryEntry, Standing, Trigger};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, ReplayKey, TenantKey, UnixMs, WebhookKey};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::commit::Work;
use super::entries::Entries;
use super::failure::{Failure, Outcome};
use super::search::Fanouts;
use super::view::{View, key, sql, sql_limit};
use super::{pending, queries};
use crate::codec::{decode_replay, encode_replay};
use crate::error::StoreError;
use crate::replay::{Replay, ReplayMove, ReplayState, ReplayStep, ReplayStepped};

/// Moves whose standings are read together.
const MOVES_AT_ONCE: usize = 64;

pub(super) fn insert(connection: &Connection, replay: &Replay) -> Outcome<()> {
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO replay VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let is_running = replay.state == ReplayState::Running;
    let row = params![
        sql(replay.key),
        sql(replay.tenant),
        replay.filter.webhook.map(sql),
        is_running,
        replay.finished_at,
        encoded(replay)
    ];
    if insert.execute(row)? == 1 || stored(connection, replay.key)?.as_ref() == Some(replay) {
        return Ok(());
    }
    Err(StoreError::Conflict("another replay has this key").into())
}

pub(super) fn end(
    connection: &Connection,
    replay: ReplayKey,
    state: ReplayState,
    at: UnixMs,
) -> Outcome<Option<Replay>> {
    let found = stored(connection, replay)?.filter(|r| r.state == ReplayState::Running);
    let Some(running) = found else {
        return Ok(None);
    };
    let ended = Replay { state, finished_at: Some(at), ..running };
    update(connection, &ended)?;
    Ok(Some(ended))
}

pub(super) fn stored(connection: &Connection, replay: ReplayKey) -> Outcome<Option<Replay>> {
    let mut statement = connection.prepare_cached(queries::REPLAY)?;
    let found = statement.query_row([sql(replay)], |row| Ok(read_row(row)));
    found.optional()?.transpose()
}

/// Replays of a tenant before `before`, newest first.
pub(super) fn list(
    connection: &Connection,
    tenant: TenantKey,
    webhook: Option<WebhookKey>,
    before: Option<ReplayKey>,
    limit: usize,
) -> Outcome<Vec<Replay>> {
    let upto = before.map_or(i64::MAX, sql);
    let (tenant, limit) = (sql(tenant), sql_limit(limit));
    match webhook {
        None => read_all(connection, queries::REPLAYS_OF_TENANT, (tenant, upto, limit)),
        Some(webhook) => {
            let arguments = (tenant, upto, limit, sql(webhook));
            read_all(connection, queries::REPLAYS_OF_WEBHOOK, arguments)
        }
    }
}

pub(super) fn running(
    connection: &Connection,
    after: Option<ReplayKey>,
    limit: usize,
) -> Outcome<Vec<Replay>> {
    let after = after.map_or(-1, sql);
    read_all(connection, queries::REPLAYS_RUNNING, (after, sql_limit(limit)))
}

/// Lets go of replays that ended before `keep_from`.
pub(super) fn forget_finished(connection: &Connection, keep_from: UnixMs) -> Outcome<()> {
    let forget = "DELETE FROM replay WHERE finished_at IS NOT NULL AND finished_at < ?1";
    connection.prepare_cached(forget)?.execute([keep_from])?;
    Ok(())
}

fn update(connection: &Connection, replay: &Replay) -> Outcome<()> {
    let mut update = connection.prepare_cached(
        "UPDATE replay SET is_running = ?2, finished_at = ?3, replay = ?4 WHERE key = ?1",
    )?;
    let is_running = replay.state == ReplayState::Running;
    update.execute(params![sql(replay.key), is_running, replay.finished_at, encoded(replay)])?;
    Ok(())
}

fn encoded(replay: &Replay) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_replay(replay, &mut bytes);
    bytes
}

fn read_all(
    connection: &Connection,
    query: &str,
    arguments: impl rusqlite::Params,
) -> Outcome<Vec<Replay>> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(arguments)?;
    let mut replays = Vec::new();
    while let Some(row) = rows.next()? {
        replays.push(read_row(row)?);
    }
    Ok(replays)
}

/// Reads key, tenant and replay.
pub(super) fn read_row(row: &Row<'_>) -> Outcome<Replay> {
    let replay: ReplayKey = key(row.get(0)?);
    let bytes = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    decode_replay(replay, key(row.get(1)?), bytes)
        .map_err(|what| Failure::undecodable("replay", replay, what))
}

/// What the moves of one step read once.
struct Stepping<'a> {
    replay: &'a Replay,
    fanouts: Fanouts,
    entries: Entries,
    at: UnixMs,
}

impl Work<'_> {
    pub(super) fn step_replay(&mut self, step: &ReplayStep) -> Outcome<ReplayStepped> {
        let stands =
            |replay: &Replay| replay.state == ReplayState::Running && replay.position == step.from;
        let replay = stored(self.connection, step.replay)?.filter(stands);
        let replay = replay.ok_or(StoreError::Conflict("the replay stands elsewhere"))?;
        let entries = Entries::read(&self.ledger.view(self.connection))?;
        let fanouts = Fanouts::default();
        let mut stepping = Stepping { replay: &replay, fanouts, entries, at: step.at };
        let mut moved = Vec::new();
        for moves in step.moves.chunks(MOVES_AT_ONCE) {
            let keys = || moves.iter().map(|wanted| wanted.delivery.event);
            if let (Some(oldest), Some(newest)) = (keys().min(), keys().max()) {
                stepping.entries.turn_to(&self.ledger.view(self.connection), oldest, newest)?;
            }
            for &wanted in moves {
                if self.replay_one(&mut stepping, wanted)? {
                    moved.push(wanted.delivery);
                }
            }
        }
        let replay = replay.after(step, moved.len());
        update(self.connection, &replay)?;
        Ok(ReplayStepped { replay, moved })
    }

    /// Whether it is pending now because of this.
    fn replay_one(&mut self, stepping: &mut Stepping<'_>, wanted: ReplayMove) -> Outcome<bool> {
        let ReplayMove { delivery, key } = wanted;
        let view = self.ledger.view(self.connection);
        let Some(event) = view.event_by_key(delivery.event)? else {
            return Ok(false);
        };
        match standing(&view, stepping, &event, delivery.webhook)? {
            Some(before) if stepping.replay.moves(before.state()) => {
                let at = stepping.at;
                let standing =
                    before.after(Trigger::RetryRequested { at }).map_err(|AlreadyFinal(_)| {
                        StoreError::Conflict("the delivery can't be retried")
                    })?;
                let what = Happening::RetryRequested { at };
                self.move_on(before, &HistoryEntry { key, delivery, what, standing })?;
                Ok(true)
            }
            None if stepping.replay.adds(delivery) => {
                self.add(delivery, stepping.at)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Adds a delivery to an event that did not go to its webhook.
    fn add(&mut self, delivery: DeliveryKey, at: UnixMs) -> Outcome<()> {
        let mut insert = self.connection.prepare_cached("INSERT INTO added VALUES (?1, ?2, ?3)")?;
        insert.execute((sql(delivery.event), sql(delivery.webhook), at))?;
        let Standing::Pending(waiting) = Standing::accepted(at) else {
            unreachable!("what is accepted is pending");
        };
        pending::insert(&mut self.statements, delivery, &waiting)?;
        self.tally.created += 1;
        self.count_kept(delivery.event, 1)
    }
}

fn standing(
    view: &View<'_>,
    stepping: &mut Stepping<'_>,
    event: &Event,
    webhook: WebhookKey,
) -> Outcome<Option<Standing>> {
    let mut targets = stepping.fanouts.of(view, event)?;
    targets.retain(|target| target.webhook == webhook);
    let found = view.standings(event, &targets, Some(&stepping.entries))?;
    Ok(found.first().map(|stood| stood.standing))
}
