//! The list indexes against the tables: up to its mark each row is in each index once, and beyond
//! it none is, for lists read those from the table.

use postrider_core::id::{EventKey, HistoryKey, Key};

use super::{Look, count};
use crate::bucket::Bucket;
use crate::sqlite::failure::Outcome;
use crate::sqlite::view::{Marks, key};
use crate::verification::ViolationKind;

pub(super) fn all(look: &mut Look<'_>) -> Outcome<()> {
    for (&n, &marks) in look.view.live {
        let done = of_bucket(look, n, marks);
        look.or_unreadable(&format!("bucket {n}"), done)?;
    }
    Ok(())
}

fn of_bucket(look: &mut Look<'_>, n: Bucket, marks: Marks) -> Outcome<()> {
    let by_tenant = Listed {
        table: format!("event_{n}"),
        index: format!("event_by_tenant_{n}"),
        names: "event",
        same: "i.tenant = t.tenant",
        mark: marks.event,
    };
    by_tenant.compare::<EventKey>(look)?;
    let by_delivery = Listed {
        table: format!("history_{n}"),
        index: format!("history_by_delivery_{n}"),
        names: "history",
        same: "i.event = t.event AND i.webhook = t.webhook",
        mark: marks.history,
    };
    by_delivery.compare::<HistoryKey>(look)?;
    let by_webhook = Listed {
        index: format!("history_by_webhook_{n}"),
        same: "i.webhook = t.webhook",
        ..by_delivery
    };
    by_webhook.compare::<HistoryKey>(look)
}

struct Listed {
    table: String,
    index: String,
    /// The column with the row's key.
    names: &'static str,
    /// When the other columns of a row of both are the same.
    same: &'static str,
    mark: i64,
}

impl Listed {
    fn compare<K: Key + std::fmt::Display>(&self, look: &mut Look<'_>) -> Outcome<()> {
        let Self { table, index, names, same, mark } = self;
        look.checked.index_rows += count(look.view.connection, index)?;
        let missing = format!(
            "SELECT t.key FROM {table} t WHERE t.key <= {mark} \
             AND NOT EXISTS (SELECT 1 FROM {index} i WHERE {same} AND i.{names} = t.key)"
        );
        look.each(&missing, |row| {
            let about = key::<K>(row.get(0)?).to_string();
            Ok((ViolationKind::IndexMissing, about, format!("it is not in {index}")))
        })?;
        let stray = format!(
            "SELECT i.{names} FROM {index} i WHERE i.{names} > {mark} \
             OR NOT EXISTS (SELECT 1 FROM {table} t WHERE t.key = i.{names} AND {same})"
        );
        look.each(&stray, |row| {
            let about = key::<K>(row.get(0)?).to_string();
            Ok((ViolationKind::IndexStray, about, format!("{index} has it")))
        })
    }
}
