//! Registering a webhook.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use super::filter_trial;
use super::form::{self, Subject, WebhookForm};
use super::secret::revealed;
use crate::api::{webhook_input, webhooks};
use crate::dashboard::faults::Faults;
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Deed, Visit};

/// `GET /dashboard/t/{tenant}/webhooks/new`
pub(super) async fn show(visit: Visit) -> Answer {
    if !visit.rights.may_manage {
        return Err(visit.not_found());
    }
    Ok(page(&visit, &Form::default(), &Faults::default(), html! {}))
}

/// `POST /dashboard/t/{tenant}/webhooks/new`
pub(super) async fn create(deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    if form.text("do") == Some("try") {
        return Ok(match filter_trial::run(&visit, &form).await {
            Ok(trial) => page(&visit, &form, &Faults::default(), trial),
            Err(error) => page(&visit, &form, &Faults::new(error), html! {}),
        });
    }
    let created = match webhook_input::draft(&form::draft_text(&form)) {
        Ok(draft) => visit.engine().create_webhook(visit.tenant_key(), draft).await,
        Err(error) => return Ok(page(&visit, &form, &Faults::new(error), html! {})),
    };
    match created.map_err(|error| webhooks::refusal(&error)) {
        Ok(live) => revealed(&visit, &live, "Webhook created", StatusCode::CREATED),
        Err(error) if Faults::is_of_form(&error) => {
            Ok(page(&visit, &form, &Faults::new(error), html! {}))
        }
        Err(error) => Err(visit.refuse(&error)),
    }
}

fn page(visit: &Visit, form: &Form, faults: &Faults, trial: Markup) -> Response {
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let body = WebhookForm { visit, subject: Subject::New, form, faults, trial }.show();
    let (title, actions) = ("New webhook", html! {});
    Page { visit, place: Place::Webhooks, title, actions, body }.answer_with(status)
}
