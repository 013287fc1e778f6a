//! The statements that a transaction runs for every row, at hand for as long as it lasts.
//!
//! The connection's own cache finds a statement by its text, which has to be put together first: for
//! a statement that takes a microsecond that is a fifth on top.

use rusqlite::{CachedStatement, Connection};

use super::failure::Outcome;
use super::pending;
use crate::bucket::Bucket;

/// What a batch writes for each event or outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    InsertPending,
    DeletePending,
    InsertEvent(Bucket),
    InsertHistory(Bucket),
}

/// See the module's text.
pub(super) struct Statements<'a> {
    connection: &'a Connection,
    /// Few: a batch writes into one bucket, at its turn into two.
    at_hand: Vec<(Each, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, at_hand: Vec::new() }
    }

    pub(super) fn of(&mut self, each: Each) -> Outcome<&mut CachedStatement<'a>> {
        let at = if let Some(at) = self.at_hand.iter().position(|&(known, _)| known == each) {
            at
        } else {
            let statement = self.connection.prepare_cached(&text_of(each))?;
            self.at_hand.push((each, statement));
            self.at_hand.len() - 1
        };
        Ok(&mut self.at_hand[at].1)
    }
}

fn text_of(each: Each) -> String {
    match each {
        Each::InsertPending => pending::INSERT.to_owned(),
        Each::DeletePending => pending::DELETE.to_owned(),
        Each::InsertEvent(n) => format!("INSERT OR IGNORE INTO event_{n} VALUES (?1, ?2, ?3)"),
        Each::InsertHistory(n) => format!("INSERT INTO history_{n} VALUES (?1, ?2, ?3, ?4)"),
    }
}
