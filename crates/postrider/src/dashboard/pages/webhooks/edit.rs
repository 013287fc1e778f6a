//! Changing a webhook's settings.

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use super::form::{self, Subject, WebhookForm};
use super::{filter_trial, find};
use crate::api::{webhook_input, webhooks};
use crate::dashboard::faults::Faults;
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::engine::LiveWebhook;

/// `GET /dashboard/t/{tenant}/webhooks/{id}/edit`
pub(super) async fn show(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let live = find(&visit, &id)?;
    if !visit.rights.may_manage {
        return Err(visit.not_found());
    }
    Ok(page(&visit, &live, &form::of_webhook(&live), &Faults::default(), html! {}))
}

/// `POST /dashboard/t/{tenant}/webhooks/{id}/edit`
pub(super) async fn save(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let live = find(&visit, &id)?;
    if form.text("do") == Some("try") {
        return Ok(match filter_trial::run(&visit, &form).await {
            Ok(trial) => page(&visit, &live, &form, &Faults::default(), trial),
            Err(error) => page(&visit, &live, &form, &Faults::new(error), html! {}),
        });
    }
    let key = live.webhook.key;
    let changed = match webhook_input::patch(&form::patch_text(&form, &live)) {
        Ok(patch) => visit.engine().patch_webhook(visit.tenant_key(), key, patch).await,
        Err(error) => return Ok(page(&visit, &live, &form, &Faults::new(error), html! {})),
    };
    match changed.map_err(|error| webhooks::refusal(&error)) {
        Ok(_) => Ok(visit.go_to(format_args!("/webhooks/{key}"), Notice::Saved)),
        Err(error) if Faults::is_of_form(&error) => {
            Ok(page(&visit, &live, &form, &Faults::new(error), html! {}))
        }
        Err(error) => Err(visit.refuse(&error)),
    }
}

fn page(
    visit: &Visit,
    live: &LiveWebhook,
    form: &Form,
    faults: &Faults,
    trial: Markup,
) -> Response {
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let body = WebhookForm { visit, subject: Subject::Present(live), form, faults, trial }.show();
    let (title, actions) = ("Edit webhook", html! {});
    Page { visit, place: Place::Webhooks, title, actions, body }.answer_with(status)
}
