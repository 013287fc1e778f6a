//! What an event says: readable, and byte by byte.

use maud::{Markup, html};
use postrider_core::event::Event;

use crate::api::events::data_of;
use crate::dashboard::visit::Visit;
use crate::dashboard::{elements, pretty, stranger};
use crate::http::problem::ApiError;

/// In which form it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// The data, on lines.
    #[default]
    Pretty,
    /// The whole body.
    Exact,
    /// The same in hexadecimal.
    Hex,
}

impl Form {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Pretty, "pretty", "Readable"),
        (Self::Exact, "exact", "Exact bytes"),
        (Self::Hex, "hex", "Hex"),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == name).map(|(form, ..)| form)
    }
}

pub(super) fn card(visit: &Visit, event: &Event, form: Form) -> Result<Markup, ApiError> {
    let body = &event.bodies.verbatim;
    let data = data_of(event)?;
    let shown = match form {
        Form::Pretty => pretty::block(data.get().as_bytes(), "Data of the event"),
        Form::Exact => stranger::block(body, "Body, exact bytes"),
        Form::Hex => stranger::hex(body, "Body, hexadecimal"),
    };
    let path = visit.href(format_args!("/events/{}", event.key));
    let size = elements::several(body.len() as u64, "byte");
    Ok(html! {
        section.card.stack id="payload" {
            header {
                h2 { "Payload" }
                nav.segments aria-label="Form of the payload" {
                    @for (other, name, word) in Form::ALL {
                        a href={ (path) "?body=" (name) "#payload" }
                            aria-current=[(other == form).then_some("true")] { (word) }
                    }
                }
            }
            (shown)
            p.hint {
                @match form {
                    Form::Pretty => { "The member " code { "data" } ": numbers, order and escapes as they were published." },
                    Form::Exact | Form::Hex => { "The body of " (size) " as profiles with verbatim bodies send it; attempts show \
                        theirs." },
                }
                " " (elements::copy(data.get(), "the data"))
            }
        }
    })
}
