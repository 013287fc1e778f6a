//! One attempt: what was sent, where its time went, what came back, and what that means.

use maud::{Markup, html};
use postrider_core::delivery::{Answer, Attempt, AttemptResult};

use super::{Shown, check, outcome, why};
use crate::api::attempt::HeaderView;
use crate::api::attempts::{MASK, SentRequestView, request};
use crate::dashboard::chart::Waterfall;
use crate::dashboard::elements;
use crate::dashboard::stranger::{self, Text};
use crate::dashboard::{curl, pretty};

pub(super) fn details(shown: &Shown<'_>, attempt: &Attempt) -> Markup {
    html! {
        (summary(shown, attempt))
        div.grid.pair {
            (sent(shown, attempt))
            (answered(shown, attempt))
        }
        (check::card(shown, attempt))
    }
}

fn summary(shown: &Shown<'_>, attempt: &Attempt) -> Markup {
    let width_us = attempt.timing.total_us;
    let address = html! {
        @match attempt.address {
            Some(address) => code { (address) },
            None => span.none { "none was dialled" },
        }
    };
    let facts = [
        ("Started", elements::exactly(attempt.started_at)),
        ("Address", address),
        (
            "Asked for",
            html! { @if attempt.is_manual { "by hand" } @else { "by the retry schedule" } },
        ),
    ];
    html! {
        section.card {
            header {
                h2 { "Attempt " (attempt.number) }
                (outcome(attempt))
                (steps(shown, attempt))
            }
            div.grid.pair {
                div.stack { (why(attempt)) (elements::facts(&facts)) }
                (Waterfall { timing: attempt.timing, width_us })
            }
        }
    }
}

/// To the attempts before and after.
fn steps(shown: &Shown<'_>, attempt: &Attempt) -> Markup {
    let path = shown.path();
    let before = shown.attempts().rev().find(|other| other.number < attempt.number);
    let after = shown.attempts().find(|other| other.number > attempt.number);
    let link = |to: Option<&Attempt>, word: &str| {
        html! {
            @if let Some(to) = to {
                a.button href={ (path) "?attempt=" (to.number) "#attempt" } { (word) }
            }
        }
    };
    html! {
        nav.row aria-label="Attempts" { (link(before, "Earlier")) (link(after, "Later")) }
    }
}

fn sent(shown: &Shown<'_>, attempt: &Attempt) -> Markup {
    let request = request(&shown.event, attempt);
    let nothing = "No request could be built, so nothing was sent.";
    html! {
        section.card.stack {
            header {
                h2 { "Request" }
                (command(&request))
            }
            @if request.headers.is_empty() {
                p.none { (nothing) }
            } @else {
                @match &request.url {
                    Some(url) => p.break { strong { (request.method) } " " code { (Text(url.as_bytes())) } },
                    None => p.none { "The URL was not kept in records of that version." },
                }
                (headers(&request.headers, "Headers as sent"))
                @if request.headers.iter().any(|header| header.value == MASK) {
                    p.hint { "Values of custom headers are sealed, and shown as " code { (MASK) } "." }
                }
                @if let Some(body) = &request.body { (sent_body(body)) }
            }
        }
    }
}

fn sent_body(body: &str) -> Markup {
    html! {
        div.row {
            h3 { "Body" }
            span.hint { (elements::several(body.len() as u64, "byte")) ", exactly as sent" }
            (elements::copy(body, "the body"))
        }
        (stranger::block(body.as_bytes(), "Body as sent"))
        details id="pretty" {
            summary { "Made readable" }
            (pretty::block(body.as_bytes(), "Body, made readable"))
        }
    }
}

fn command(request: &SentRequestView) -> Markup {
    html! {
        @if let (Some(url), Some(body)) = (&request.url, &request.body) {
            button type="button" data-copy=(curl::command(url, &request.headers, body))
                aria-label="Copy as curl" title="Copy as curl" hidden { "Copy as curl" }
        }
    }
}

fn answered(shown: &Shown<'_>, attempt: &Attempt) -> Markup {
    let answer = match &attempt.result {
        AttemptResult::Answered(answer) => Some(answer),
        AttemptResult::Broke { answer, .. } => answer.as_ref(),
    };
    html! {
        section.card.stack {
            header { h2 { "Answer" } (outcome(attempt)) }
            @match answer {
                Some(answer) => (answer_of(shown, attempt, answer)),
                None => p.none { "No answer came." },
            }
        }
    }
}

fn answer_of(shown: &Shown<'_>, attempt: &Attempt, answer: &Answer) -> Markup {
    let listed: Vec<_> =
        (answer.headers.iter()).map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
    let path = format!("{}?attempt={}", shown.path(), attempt.number);
    let body = &answer.body;
    let form = |as_hex: bool, word: &str| {
        let href =
            if as_hex { format!("{path}&as=hex#attempt") } else { format!("{path}#attempt") };
        html! { a href=(href) aria-current=[(shown.is_hex == as_hex).then_some("true")] { (word) } }
    };
    html! {
        (header_table(&listed, "Headers of the answer"))
        div.row {
            h3 { "Body" }
            span.hint {
                (elements::several(body.len() as u64, "byte"))
                @if answer.is_body_cut { " kept" }
            }
            @if stranger::has_hidden(body) || shown.is_hex {
                nav.segments aria-label="Form of the body" { (form(false, "Text")) (form(true, "Hex")) }
            }
        }
        @if shown.is_hex { (stranger::hex(body, "Body of the answer, hexadecimal")) }
        @else { (stranger::block(body, "Body of the answer")) }
        @if answer.is_body_cut { p.cut { "Cut here: the receiver sent more than is kept." } }
    }
}

fn headers(headers: &[HeaderView], caption: &str) -> Markup {
    let listed: Vec<_> =
        headers.iter().map(|header| (header.name.as_bytes(), header.value.as_bytes())).collect();
    header_table(&listed, caption)
}

fn header_table(headers: &[(&[u8], &[u8])], caption: &str) -> Markup {
    html! {
        @if headers.is_empty() {
            p.none { "No headers." }
        } @else {
            table.headers {
                caption.hidden { (caption) }
                tbody {
                    @for (name, value) in headers {
                        tr { th scope="row" { (Text(name)) } td { code { (Text(value)) } } }
                    }
                }
            }
        }
    }
}
