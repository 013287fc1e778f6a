//! The overview.

use maud::html;

use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Visit};

/// `GET /dashboard/t/{tenant}/`
pub(super) async fn show(visit: Visit) -> Answer {
    let (actions, body) = (html! {}, html! {});
    Ok(Page { visit: &visit, place: Place::Overview, title: "Overview", actions, body }.answer())
}
