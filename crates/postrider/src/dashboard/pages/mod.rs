//! The pages, a file for each, and the one table of their addresses.

mod deliveries;
mod delivery;
mod event;
mod events;
mod overview;
mod replays;
mod search;
mod tenants;
mod webhooks;

use axum::Router;
use axum::routing::{get, post};

use super::Dashboard;

/// Everything below `/dashboard/t/{tenant}`.
pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/dashboard/t/{tenant}/", get(overview::show))
        .route("/dashboard/t/{tenant}/search", get(search::find))
        .route("/dashboard/t/{tenant}/events", get(events::show))
        .route("/dashboard/t/{tenant}/events/{id}", get(event::show))
        .route("/dashboard/t/{tenant}/deliveries", get(deliveries::show))
        .route(
            "/dashboard/t/{tenant}/deliveries/retry",
            get(deliveries::retry::ask).post(deliveries::retry::start),
        )
        .route("/dashboard/t/{tenant}/deliveries/{id}", get(delivery::show))
        .route("/dashboard/t/{tenant}/deliveries/{id}/retry", post(delivery::deeds::retry))
        .route("/dashboard/t/{tenant}/deliveries/{id}/cancel", post(delivery::deeds::cancel))
}
