//! What is going to happen, in the order of true time; at one moment in the order of planning.

use std::collections::BTreeMap;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(i64, u64), T>,
    planned: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), planned: 0 }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn plan(&mut self, at: i64, what: T) {
        self.planned += 1;
        self.entries.insert((at, self.planned), what);
    }

    /// The next thing and its time.
    pub(crate) fn next(&mut self) -> Option<(i64, T)> {
        self.entries.pop_first().map(|((at, _), what)| (at, what))
    }

    /// Drops what nobody waits for any more.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        self.entries.retain(|_, what| keeps(what));
    }
}
