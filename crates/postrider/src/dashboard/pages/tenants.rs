//! Tenants, for operators: which there are, going to one, making and deleting one, and letting
//! its people in by a link.

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use postrider_core::id::{TenantKey, UnixMs};
use postrider_store::{Backlog, Tenant};

use crate::api::tenants;
use crate::dashboard::elements::{ago, copy, count, exactly, further, with_parameter};
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, check, select};
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::portal::{LINK_SECONDS, PortalLink, portal_link};
use crate::dashboard::visit::{Answer, Deed, Operator, Visit};
use crate::engine::DEFAULT_TENANT;
use crate::http::cursor::List;
use crate::http::problem::{ApiError, Code};

/// Rows on a page: each of them has its backlog counted.
const ROWS: usize = 50;
/// How long a link works, as one may choose it.
const LIVES: [(&str, &str); 4] =
    [("900", "15 minutes"), ("3600", "1 hour"), ("28800", "8 hours"), ("86400", "1 day")];
const LIFE_DEFAULT: &str = "3600";

/// A row of the table.
struct Row {
    tenant: Tenant,
    webhooks: u64,
    failing: u64,
    backlog: Backlog,
}

/// `GET /dashboard/t/{tenant}/tenants`
pub(super) async fn list(Operator(visit): Operator) -> Answer {
    page(&visit, &Form::default(), &Faults::default()).await
}

/// `POST /dashboard/t/{tenant}/tenants`
pub(super) async fn create(Operator(visit): Operator, deed: Deed) -> Answer {
    let form = deed.form;
    let created = visit.engine().create_tenant(form.text("name").unwrap_or_default()).await;
    match created.map_err(|error| tenants::refusal(&error)) {
        Ok(_) => Ok(visit.go_to("/tenants", Notice::Created)),
        Err(error) if Faults::is_of_form(&error) => page(&visit, &form, &Faults::new(error)).await,
        Err(error) => Err(visit.refuse(&error)),
    }
}

async fn page(visit: &Visit, form: &Form, faults: &Faults) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let text = query.text("q").unwrap_or_default().trim().to_lowercase();
    let cursor = query.text("cursor");
    query.finish_page().map_err(refuse)?;
    let cursors = List::new(visit.tenant_key(), "page of tenants", &[&text]);
    let after = cursor.map(|cursor| cursors.position::<TenantKey>(&cursor)).transpose();
    let after = after.map_err(refuse)?;
    let mut found = visit.engine().tenants();
    found.sort_unstable_by_key(|tenant| tenant.key);
    found.retain(|tenant| {
        after.is_none_or(|after| tenant.key > after) && tenant.name.contains(&text)
    });
    let has_more = found.len() > ROWS;
    found.truncate(ROWS);
    let next = found.last().filter(|_| has_more).map(|last| cursors.cursor(last.key));
    let next = next.map(|next| with_parameter(&visit.uri, "cursor", Some(&next)));
    let rows = rows(visit, found).await.map_err(refuse)?;
    let body = html! {
        form.filters action=(visit.href("/tenants")) {
            label { "Name"
                input type="search" name="q" value=(text) maxlength="64" spellcheck="false"; }
            button type="submit" { "Filter" }
            @if !text.is_empty() { a.button href=(visit.href("/tenants")) { "Clear" } }
        }
        section.card.flush {
            (table(visit, &rows))
            (further(next.as_deref(), "More"))
        }
        form.form.card method="post" action=(visit.href("/tenants")) id="make" {
            h2 { "Make a tenant" }
            (faults.above(&["name"]))
            (Field { name: "name", label: "Name", kind: Kind::Required,
                hint: html! { "1 to 64 of a–z, 0–9, _ and -. Clients name it in the header "
                    code { "Postrider-Tenant" } "." },
                value: form.text("name").unwrap_or_default() }.show(faults))
            div { button.primary type="submit" { "Make tenant" } }
        }
    };
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let actions = html! { a.button.primary href="#make" { "New tenant" } };
    Ok(Page { visit, place: Place::Tenants, title: "Tenants", actions, body }.answer_with(status))
}

async fn rows(visit: &Visit, found: Vec<Tenant>) -> Result<Vec<Row>, ApiError> {
    let engine = visit.engine();
    let failing = engine.failing_webhooks();
    let mut rows = Vec::with_capacity(found.len());
    for tenant in found {
        let webhooks = engine.webhooks(tenant.key, None, usize::MAX, |_| true);
        let keys = webhooks.iter().map(|live| live.webhook.key);
        let failing = keys.filter(|key| failing.contains(key)).count() as u64;
        let backlog = engine.tenant_backlog(tenant.key).await;
        let backlog = backlog.map_err(|error| ApiError::store(&error))?;
        rows.push(Row { tenant, webhooks: webhooks.len() as u64, failing, backlog });
    }
    Ok(rows)
}

fn table(visit: &Visit, rows: &[Row]) -> Markup {
    let now = visit.engine().now();
    html! {
        div.table {
            table aria-label="Tenants" {
                thead {
                    tr {
                        th scope="col" { "Tenant" }
                        th.number scope="col" { "Webhooks" }
                        th.number scope="col" { "Failing" }
                        th.number scope="col" { "Pending" }
                        th scope="col" { "Made" }
                        th scope="col" { span.hidden { "Manage" } }
                    }
                }
                tbody { @for row in rows { (shown_row(visit, row, now)) } }
            }
        }
    }
}

fn shown_row(visit: &Visit, row: &Row, now: UnixMs) -> Markup {
    let name = &row.tenant.name;
    html! {
        tr data-row id=(row.tenant.key) {
            td {
                a.cover href=(format!("/dashboard/t/{name}/")) { (name) }
                @if row.tenant.key == visit.tenant_key() { span.under { "shown now" } }
            }
            td.number { (count(row.webhooks)) }
            td.number { span.bad[row.failing > 0] { (count(row.failing)) } }
            td.number { (count(row.backlog.count as u64)) @if row.backlog.is_more { "+" } }
            td { (ago(row.tenant.created_at, now)) }
            td { a.button.quiet href=(visit.href(format_args!("/tenants/{name}"))) { "Manage" } }
        }
    }
}

/// `GET /dashboard/t/{tenant}/tenants/{name}`
pub(super) async fn show(
    Operator(visit): Operator,
    Path((_, name)): Path<(String, String)>,
) -> Answer {
    let tenant = visit.engine().tenant(&name).ok_or_else(|| visit.not_found())?;
    Ok(about(&visit, &tenant, &Faults::default()))
}

fn about(visit: &Visit, tenant: &Tenant, faults: &Faults) -> Response {
    let name = &tenant.name;
    let path = visit.href(format_args!("/tenants/{name}"));
    let body = html! {
        div.stack {
            form.form.card method="post" action=(format!("{path}/link")) {
                h2 { "Let its people in" }
                p { "A link opens the dashboard of this tenant alone, for whoever has it, until it ends." }
                (check("checkbox", "is_read_only", "yes", true, &html! { "They may only look"
                    span.hint { "Otherwise they may change webhooks and retry too." } }))
                (select(("expires_in_s", "It works for"), &LIVES, LIFE_DEFAULT, &html! {}, faults))
                div { button.primary type="submit" { "Make a link" } }
            }
            @if name != DEFAULT_TENANT {
                form.form.card method="post" action=(format!("{path}/delete"))
                    data-confirm=(format!("Delete the tenant {name} with its webhooks and keys? This can't be undone.")) {
                    h2 { "Delete" }
                    (faults.above(&["confirm"]))
                    p { "Its keys are revoked and its webhooks deleted; what is pending is cancelled. Its events end \
                        with retention, and nobody reads them meanwhile." }
                    (Field { name: "confirm", label: "Type its name", kind: Kind::Required,
                        hint: html! { "To make sure: " code { (name) } }, value: "" }.show(faults))
                    div { button.danger type="submit" { "Delete tenant" } }
                }
            }
        }
    };
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let actions =
        html! { a.button href=(format!("/dashboard/t/{name}/")) { "Go to its overview" } };
    Page { visit, place: Place::Tenants, title: name, actions, body }.answer_with(status)
}

/// `POST /dashboard/t/{tenant}/tenants/{name}/delete`
pub(super) async fn delete(
    Operator(visit): Operator,
    Path((_, name)): Path<(String, String)>,
    deed: Deed,
) -> Answer {
    let tenant = visit.engine().tenant(&name).ok_or_else(|| visit.not_found())?;
    if deed.form.text("confirm") != Some(&name) {
        let message = "this is not its name; nothing was deleted";
        let faults = Faults::new(ApiError::at(Code::Validation, "/confirm", message));
        return Ok(about(&visit, &tenant, &faults));
    }
    let deleted = visit.engine().delete_tenant(&name).await;
    deleted.map_err(|error| visit.refuse(&tenants::refusal(&error)))?;
    if tenant.key == visit.tenant_key() {
        return Ok(crate::dashboard::visit::see_other("/dashboard"));
    }
    Ok(visit.go_to("/tenants", Notice::Deleted))
}

/// `POST /dashboard/t/{tenant}/tenants/{name}/link`
pub(super) async fn link(
    Operator(visit): Operator,
    Path((_, name)): Path<(String, String)>,
    deed: Deed,
) -> Answer {
    let tenant = visit.engine().tenant(&name).ok_or_else(|| visit.not_found())?;
    let seconds = deed.form.text("expires_in_s").unwrap_or(LIFE_DEFAULT);
    let seconds = seconds.parse().ok().filter(|seconds| LINK_SECONDS.contains(seconds));
    let Some(seconds) = seconds else {
        let message = "a link works for a minute to a day";
        let faults = Faults::new(ApiError::at(Code::Validation, "/expires_in_s", message));
        return Ok(about(&visit, &tenant, &faults));
    };
    let is_read_only = deed.form.is_ticked("is_read_only");
    let expires_at = visit.engine().now() + seconds * 1_000;
    let link = PortalLink::new(tenant.key, is_read_only, expires_at);
    let made = portal_link(visit.engine(), link).ok_or_else(|| {
        tracing::error!("a portal link could not be sealed");
        visit.refuse(&ApiError::new(Code::Internal, "a fault of the server; its log says more"))
    })?;
    let back = visit.href(format_args!("/tenants/{name}"));
    let body = html! {
        section.card.stack data-address=(back) {
            h2 { "Copy the link now" }
            p.secret { code { (made) } (copy(&made, "the link")) }
            p { "Whoever has it " @if is_read_only { "may look at " } @else { "may manage " }
                strong { (name) } " until " (exactly(expires_at)) ". It is not shown again." }
            div { a.button.primary href=(back) { "Done" } }
        }
    };
    let (title, actions) = ("Portal link", html! {});
    let page = Page { visit: &visit, place: Place::Tenants, title, actions, body };
    Ok(page.answer_with(StatusCode::CREATED))
}
