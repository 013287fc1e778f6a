//! The pages, a file for each, and the one table of their addresses.

mod overview;
mod search;

use axum::Router;
use axum::routing::get;

use super::Dashboard;

/// Everything below `/dashboard/t/{tenant}`.
pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/dashboard/t/{tenant}/", get(overview::show))
        .route("/dashboard/t/{tenant}/search", get(search::find))
}
