//! The dashboard's icons: strokes on a grid of 24 by 24, in the colour of the text beside them.

use maud::{Markup, html};

/// What an icon stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icon {
    Overview,
    Webhooks,
    Events,
    Deliveries,
    EventTypes,
    Keys,
    Tenants,
    Search,
    Theme,
    SignOut,
    Menu,
    Copy,
    Help,
}

/// Decoration only: words stand beside it, or its button has a name.
pub(super) fn icon(which: Icon) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            path d=(strokes(which)) {}
        }
    }
}

fn strokes(which: Icon) -> &'static str {
    match which {
        Icon::Overview => "M3 12h4l3 8 4-16 3 8h4",
        Icon::Webhooks => "M4 12h7m0 0 5-6h4m-9 6 5 6h4M4 12a2 2 0 1 0-.01 0",
        Icon::Events => "M13 2 4 14h7l-1 8 9-12h-7z",
        Icon::Deliveries => "M3 6h18v12H3zM3 7l9 7 9-7",
        Icon::EventTypes => "M4 6h2M4 12h2M4 18h2M10 6h10M10 12h10M10 18h10",
        Icon::Keys => "M14 10a4 4 0 1 1-8 0 4 4 0 0 1 8 0zM13 13l8 8M17 17l2-2",
        Icon::Tenants => "M4 21V8l8-5 8 5v13zM10 21v-6h4v6",
        Icon::Search => "M17 11a6 6 0 1 1-12 0 6 6 0 0 1 12 0zM16 16l5 5",
        Icon::Theme => "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
        Icon::SignOut => "M14 4h6v16h-6M3 12h12m-4-4 4 4-4 4",
        Icon::Menu => "M4 6h16M4 12h16M4 18h16",
        Icon::Copy => "M9 9h11v12H9zM5 15H4V3h11v2",
        Icon::Help => {
            "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2m0 3v.5M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z"
        }
    }
}
