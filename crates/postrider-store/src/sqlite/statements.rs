//! The statements that a transaction runs for every row, at hand for as long as it lasts.
//!
//! The connection's own cache finds a statement by its text, which has to be put together first: for
//! a statement that takes a microsecond that is a fifth on top.

use rusqlite::{CachedStatement, Connection};

use super::failure::Outcome;
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
        Each::InsertPending => "INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)".to_owned(),
        // only the row that stands exactly so: compare and set
        Each::DeletePending => {
            "DELETE FROM pending WHERE webhook = ?1 AND due = ?2 AND event = ?3 \
             AND attempts = ?4 AND scheduled = ?5 AND mode = ?6 AND resume IS ?7"
                .to_owned()
        }
        Each::InsertEvent(n) => format!("INSERT OR IGNORE INTO event_{n} VALUES (?1, ?2, ?3)"),
        Each::InsertHistory(n) => format!("INSERT INTO history_{n} VALUES (?1, ?2, ?3, ?4)"),
    }
}
