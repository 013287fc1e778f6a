//! Trying a filter on a past event before it is saved.

use std::sync::Arc;

use maud::{Markup, html};
use postrider_core::event::Event;
use postrider_core::event_type::Patterns;
use postrider_core::matching::Verdict;
use postrider_store::EventSearch;

use super::picker;
use crate::api::filters;
use crate::dashboard::elements::{ago, badge, id};
use crate::dashboard::form::Form;
use crate::dashboard::visit::Visit;
use crate::engine::subject_of;
use crate::filter::Filter;
use crate::http::problem::ApiError;

/// What the form's filter says of the event that it names, or of the newest one that its patterns
/// match.
pub(super) async fn run(visit: &Visit, form: &Form) -> Result<Markup, ApiError> {
    let Some(text) = form.text("filter") else {
        return Ok(told(&html! { "Write a filter first; without one, every event of the chosen \
        types is sent." }));
    };
    let filter = Filter::compile(text).map_err(|error| filters::refusal(&error))?;
    let Some(event) = event(visit, form).await? else {
        return Ok(told(
            &html! { "There is no such event. Give the id of one that was published, or \
            leave it empty." },
        ));
    };
    let verdict = subject_of(&event).verdict(&filter);
    Ok(result(visit, &event, &verdict))
}

async fn event(visit: &Visit, form: &Form) -> Result<Option<Arc<Event>>, ApiError> {
    let (store, tenant) = (visit.engine().store(), visit.tenant_key());
    let failed = |error| ApiError::store(&error);
    if let Some(id) = form.text("try_event") {
        return store.event(tenant, id).await.map_err(failed);
    }
    let search = EventSearch {
        tenant,
        types: Patterns::parse(&picker::chosen(form)).ok(),
        id_prefix: String::new(),
        after: None,
        before: None,
        beyond: None,
        limit: 1,
    };
    let page = store.find_events(search).await.map_err(failed)?;
    Ok(page.events.into_iter().next())
}

fn result(visit: &Visit, event: &Event, verdict: &Verdict) -> Markup {
    let (kind, word) = match verdict {
        Verdict::Yes => ("ok", "matches"),
        Verdict::No => ("idle", "does not match"),
        Verdict::Failed(_) => ("bad", "no answer"),
    };
    told(&html! {
        span.row {
            (badge(kind, word))
            a href=(visit.href(format_args!("/events/{}", event.key))) { (id(event.id())) }
            span.tag { (event.event_type.as_str()) }
            (ago(event.accepted_at(), visit.engine().now()))
        }
        @if let Verdict::Failed(error) = verdict {
            span.hint { "The filter came to no answer, which counts as no: " (error) "." }
        }
    })
}

fn told(what: &Markup) -> Markup {
    html! { div.result role="status" { (what) } }
}
