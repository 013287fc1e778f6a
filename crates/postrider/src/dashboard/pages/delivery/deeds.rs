//! What people do to one delivery.

use axum::extract::Path;

use crate::api::deliveries::{cancel_refusal, find, retry_refusal};
use crate::dashboard::layout::Notice;
use crate::dashboard::visit::{Answer, Deed};

/// `POST /dashboard/t/{tenant}/deliveries/{id}/retry`
pub(in crate::dashboard::pages) async fn retry(
    Path((_, id)): Path<(String, String)>,
    Deed { visit, .. }: Deed,
) -> Answer {
    let found = find(&visit.dashboard.server, visit.tenant_key(), &id).await;
    let (key, _) = found.map_err(|error| visit.refuse(&error))?;
    let retried = visit.engine().retry(visit.tenant_key(), key).await;
    retried.map_err(|error| visit.refuse(&retry_refusal(error)))?;
    Ok(visit.go_to(format_args!("/deliveries/{key}"), Notice::Retried))
}

/// `POST /dashboard/t/{tenant}/deliveries/{id}/cancel`
pub(in crate::dashboard::pages) async fn cancel(
    Path((_, id)): Path<(String, String)>,
    Deed { visit, .. }: Deed,
) -> Answer {
    let found = find(&visit.dashboard.server, visit.tenant_key(), &id).await;
    let (key, _) = found.map_err(|error| visit.refuse(&error))?;
    let cancelled = visit.engine().cancel_delivery(visit.tenant_key(), key).await;
    cancelled.map_err(|error| visit.refuse(&cancel_refusal(error)))?;
    Ok(visit.go_to(format_args!("/deliveries/{key}"), Notice::Cancelled))
}
