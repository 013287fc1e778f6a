//! What several answers have in common: times as text, and pages of lists.

use postrider_core::id::{Key, UnixMs};
use postrider_signature::timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::cursor::List;
use crate::http::problem::ApiError;
use crate::http::query::Query;

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`.
pub(super) fn time(ms: UnixMs) -> String {
    timestamp::format_ms(ms)
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Give it as `cursor` to get the next page; null when this is the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The only page of a list without items.
    pub(super) fn empty() -> Self {
        Self { data: Vec::new(), next_cursor: None }
    }
}

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging<K> {
    list: List,
    pub(super) limit: usize,
    /// The last item of the page before.
    pub(super) after: Option<K>,
}

impl<K: Key> Paging<K> {
    /// The first page of a list, of `limit` items.
    pub(super) fn first(list: List, limit: usize) -> Self {
        Self { list, limit, after: None }
    }

    /// Takes `limit` and `cursor` from the query and ends its reading.
    pub(super) fn read(mut query: Query, list: List) -> Result<Self, ApiError> {
        let limit = query.limit();
        let cursor = query.text("cursor");
        query.finish()?;
        let after = cursor.map(|cursor| list.position(&cursor)).transpose()?;
        Ok(Self { list, limit, after })
    }

    /// How many items to fetch: one more than a page, to see whether there is another one.
    pub(super) fn fetch(&self) -> usize {
        self.limit + 1
    }

    /// The page of what a search found that goes on at `next`.
    pub(super) fn page_of_search<S, T>(
        &self,
        found: Vec<S>,
        next: Option<K>,
        key: impl Fn(&S) -> K,
        view: impl FnMut(S) -> T,
    ) -> Page<T> {
        let is_short = found.len() <= self.limit;
        let mut page = self.page(found, key, view);
        if is_short {
            page.next_cursor = next.map(|next| self.list.cursor(next));
        }
        page
    }

    /// The page of what was fetched.
    pub(super) fn page<S, T>(
        &self,
        mut fetched: Vec<S>,
        key: impl Fn(&S) -> K,
        view: impl FnMut(S) -> T,
    ) -> Page<T> {
        let has_more = fetched.len() > self.limit;
        fetched.truncate(self.limit);
        let last = fetched.last().filter(|_| has_more);
        let next_cursor = last.map(|last| self.list.cursor(key(last)));
        Page { data: fetched.into_iter().map(view).collect(), next_cursor }
    }
}
