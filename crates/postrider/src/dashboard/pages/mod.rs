//! The pages, a file for each, and the one table of their addresses.

mod deliveries;
mod delivery;
mod event;
mod event_types;
mod events;
mod keys;
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
        .route("/dashboard/t/{tenant}/replays/{id}", get(replays::show))
        .route("/dashboard/t/{tenant}/replays/{id}/cancel", post(replays::cancel))
        .route("/dashboard/t/{tenant}/keys", get(keys::list).post(keys::create))
        .route("/dashboard/t/{tenant}/keys/{id}/revoke", post(keys::revoke))
        .route("/dashboard/t/{tenant}/tenants", get(tenants::list).post(tenants::create))
        .route("/dashboard/t/{tenant}/tenants/{name}", get(tenants::show))
        .route("/dashboard/t/{tenant}/tenants/{name}/link", post(tenants::link))
        .route("/dashboard/t/{tenant}/tenants/{name}/delete", post(tenants::delete))
        .merge(event_types::router())
        .merge(webhooks::router())
}
