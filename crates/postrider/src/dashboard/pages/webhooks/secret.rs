//! A webhook's secret: shown when it was made and on demand, and replaced.

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use postrider_core::id::UnixMs;
use serde_json::{Map, Value};

use super::{address, find};
use crate::api::{webhook_input, webhooks};
use crate::dashboard::elements::{ago, copy, exactly};
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, check, select};
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::engine::LiveWebhook;
use crate::http::problem::ApiError;

/// How long a replaced secret goes on signing, as one may choose it.
const OVERLAPS: [(&str, &str); 5] = [
    ("0", "Not at all: it stops now"),
    ("3600", "1 hour"),
    ("86400", "1 day"),
    ("259200", "3 days"),
    ("604800", "7 days"),
];
const OVERLAP_DEFAULT: &str = "86400";
const FIELDS: [&str; 3] = ["secret", "signing_key", "overlap_s"];

/// `POST /dashboard/t/{tenant}/webhooks/{id}/secret`
pub(super) async fn show(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let live = find(&deed.visit, &id)?;
    revealed(&deed.visit, &live, "Secret", StatusCode::OK)
}

/// The one page that shows a secret. Going back to it, or loading it anew, leads to the webhook's
/// page instead, so that nothing is done twice.
pub(super) fn revealed(
    visit: &Visit,
    live: &LiveWebhook,
    title: &str,
    status: StatusCode,
) -> Answer {
    let path = visit.href(format_args!("/webhooks/{}", live.webhook.key));
    let body = html! {
        div.stack data-address=(path) {
            (secret(visit, live).map_err(|error| visit.refuse(&error))?)
            @if let Some(until) = overlap_end(live, visit.engine().now()) {
                section.card.stack {
                    h2 { "The secret before it" }
                    (overlap(live, until, visit.engine().now()))
                }
            }
        }
    };
    let actions = html! { a.button href=(path) { "To the webhook" } };
    Ok(Page { visit, place: Place::Webhooks, title, actions, body }.answer_with(status))
}

fn secret(visit: &Visit, live: &LiveWebhook) -> Result<Markup, ApiError> {
    let engine = visit.engine();
    let secret = engine.secret_text(live).map_err(|error| webhooks::internal(&error))?;
    let public = engine.public_key(live).map_err(|error| webhooks::internal(&error))?;
    let for_receiver = public.as_deref().unwrap_or(&secret);
    Ok(html! {
        section.card.stack {
            h2 { (address(&live.webhook)) }
            div {
                p { @if public.is_some() { "Secret, which the receiver need not know" }
                    @else { "Give it to the receiver, which verifies with it:" } }
                p.secret { code { (*secret) } (copy(&*secret, "the secret")) }
            }
            @if let Some(public) = &public {
                div {
                    p { "Give the public key to the receiver, which verifies with it:" }
                    p.secret { code { (public) } (copy(public, "the public key")) }
                }
            }
            p.hint { "It is kept sealed. Whoever manages this tenant can see it again on the webhook's page." }
        }
        section.card.stack {
            header { h2 { "Verify what arrives" } }
            p { "Verify the raw bytes of the body, before anything parses them. In Node.js:" }
            (snippet(
                "npm install @postrider/receiver",
                "import { verify } from \"@postrider/receiver\";\n\n\
                 const secrets = [process.env.WEBHOOK_SECRET];\n\
                 const event = verify(body, headers, { secrets }); // throws unless it is genuine\n",
            ))
            p { "From the command line, for a delivery that was refused:" }
            (snippet("postrider signature verify --help", ""))
            p.hint { "Keep the value in the environment of the receiver, such as "
                code { "WEBHOOK_SECRET" } ", never in its code (" (for_receiver.len()) " characters)." }
        }
    })
}

fn snippet(first: &str, rest: &str) -> Markup {
    html! { pre tabindex="0" { code { (first) @if !rest.is_empty() { "\n\n" (rest) } } } }
}

/// What a receiver can count on while two secrets sign.
pub(super) fn overlap(live: &LiveWebhook, until: UnixMs, now: UnixMs) -> Markup {
    html! {
        p { "The secret before the present one signs too until " (exactly(until)) " ("
            (ago(until, now)) ")." }
        @if let Some(hex) = &live.profile().signing.hex_header {
            p.hint { "But for " code { (hex.name) } ", which has room for one signature: it is by the \
                present secret already." }
        }
    }
}

/// Until when the latest of the replaced secrets signs.
pub(super) fn overlap_end(live: &LiveWebhook, now: UnixMs) -> Option<UnixMs> {
    let ends = live.webhook.secrets.iter().filter_map(|secret| secret.live_until);
    ends.filter(|until| *until > now).max()
}

/// `GET /dashboard/t/{tenant}/webhooks/{id}/rotate`
pub(super) async fn rotation(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let live = find(&visit, &id)?;
    if !visit.rights.may_manage {
        return Err(visit.not_found());
    }
    Ok(page(&visit, &live, &Form::default(), &Faults::default()))
}

/// `POST /dashboard/t/{tenant}/webhooks/{id}/rotate`
pub(super) async fn rotate(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let live = find(&visit, &id)?;
    let key = live.webhook.key;
    let rotated = match webhook_input::rotation(&rotation_text(&form)) {
        Ok(rotation) => visit.engine().rotate_secret(visit.tenant_key(), key, rotation).await,
        Err(error) => return Ok(page(&visit, &live, &form, &Faults::new(error))),
    };
    match rotated.map_err(|error| webhooks::refusal(&error)) {
        Ok(_) => {
            let live = find(&visit, &id)?;
            revealed(&visit, &live, "Secret replaced", StatusCode::OK)
        }
        Err(error) if Faults::is_of_form(&error) => {
            Ok(page(&visit, &live, &form, &Faults::new(error)))
        }
        Err(error) => Err(visit.refuse(&error)),
    }
}

fn rotation_text(form: &Form) -> String {
    let mut object = Map::new();
    match form.text("secret_kind") {
        Some("own") => {
            object.insert("secret".to_owned(), form.text("secret").unwrap_or_default().into());
        }
        Some(kind @ ("hmac" | "ed25519")) => {
            object.insert("signing_key".to_owned(), kind.into());
        }
        _ => {}
    }
    if let Some(seconds) = form.text("overlap_s") {
        let number = seconds.parse::<i64>().map_or_else(|_| seconds.into(), Value::from);
        object.insert("overlap_s".to_owned(), number);
    }
    Value::Object(object).to_string()
}

fn page(visit: &Visit, live: &LiveWebhook, form: &Form, faults: &Faults) -> Response {
    let path = visit.href(format_args!("/webhooks/{}", live.webhook.key));
    let kind = form.text("secret_kind").unwrap_or("same");
    let choice = |value: &str, name: &str| {
        check("radio", "secret_kind", value, kind == value, &html! { (name) })
    };
    let overlap = form.text("overlap_s").unwrap_or(OVERLAP_DEFAULT);
    let hint = html! {
        "Meanwhile every delivery is signed by each of them. Give the new one to the receiver before \
        this ends."
        @if let Some(hex) = &live.profile().signing.hex_header {
            " But " code { (hex.name) } " has room for one signature: the new secret's, at once."
        }
    };
    let body = html! {
        form.form.card method="post" action=(format!("{path}/rotate")) {
            (faults.above(&FIELDS))
            p.break { "A new secret signs what " strong { (address(&live.webhook)) }
                " gets from the next attempt on." }
            fieldset {
                legend { "New secret" }
                (choice("same", "Made here, of the kind of the present one"))
                (choice("hmac", "Made here, shared (HMAC)"))
                (choice("ed25519", "Made here, a pair of keys (ed25519)"))
                (choice("own", "My own"))
                (faults.beside("signing_key"))
            }
            div.own { (Field { name: "secret", label: "My own secret", kind: Kind::Secret,
                hint: html! { "In the format of the profile, and nothing that anybody could guess." },
                value: form.text("secret").unwrap_or_default() }.show(faults)) }
            (select(("overlap_s", "The present secret goes on signing for"), &OVERLAPS, overlap, &hint, faults))
            div.row {
                button.primary type="submit" { "Replace the secret" }
                a.button href=(path) { "Cancel" }
            }
        }
    };
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let (title, actions) = ("Rotate the secret", html! {});
    Page { visit, place: Place::Webhooks, title, actions, body }.answer_with(status)
}
