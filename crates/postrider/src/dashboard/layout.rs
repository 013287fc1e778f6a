//! What all pages have in common: head, navigation, search, notices, and the policy they are
//! served with.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use super::icon::{Icon, icon};
use super::visit::{Theme, Visit};
use super::{Dashboard, elements};
use crate::http::problem::{ApiError, Code};

/// A page of a tenant.
pub(super) struct Page<'a> {
    pub(super) visit: &'a Visit,
    pub(super) place: Place,
    /// Text of the heading and the tab.
    pub(super) title: &'a str,
    /// Beside the heading: buttons, a range.
    pub(super) actions: Markup,
    pub(super) body: Markup,
}

/// Where in the navigation a page belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Webhooks,
    Events,
    Deliveries,
    EventTypes,
    Keys,
    Tenants,
    /// Found by search or not at all.
    Nowhere,
}

/// What was done, said on the next page. Each has a code, so that an address can't put words into
/// our mouth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Created,
    Saved,
    Deleted,
    Enabled,
    Disabled,
    Rotated,
    TestSent,
    Sent,
    Retried,
    Cancelled,
    ReplayStarted,
    ReplayCancelled,
    Archived,
    Unarchived,
    Revoked,
}

impl Notice {
    const ALL: [(Self, &'static str, &'static str); 15] = [
        (Self::Created, "created", "Created."),
        (Self::Saved, "saved", "Saved."),
        (Self::Deleted, "deleted", "Deleted."),
        (Self::Enabled, "enabled", "Enabled: deliveries go out again."),
        (Self::Disabled, "disabled", "Disabled: nothing goes out until it is enabled."),
        (Self::Rotated, "rotated", "A new secret signs from now on."),
        (Self::TestSent, "test-sent", "A test event is on its way."),
        (Self::Sent, "sent", "The event was published."),
        (Self::Retried, "retried", "Another attempt is on its way."),
        (Self::Cancelled, "cancelled", "Cancelled: no further attempt is made."),
        (Self::ReplayStarted, "replay-started", "The replay has begun."),
        (Self::ReplayCancelled, "replay-cancelled", "The replay was stopped."),
        (Self::Archived, "archived", "Archived: no webhook can choose it any more."),
        (Self::Unarchived, "unarchived", "The event type is in use again."),
        (Self::Revoked, "revoked", "Revoked: nobody gets in with that key any more."),
    ];

    pub(super) fn code(self) -> &'static str {
        Self::ALL.into_iter().find(|(notice, ..)| *notice == self).map_or("", |(_, code, _)| code)
    }

    fn text(self) -> &'static str {
        Self::ALL.into_iter().find(|(notice, ..)| *notice == self).map_or("", |(.., text)| text)
    }

    /// The notice that an address asks for.
    pub(super) fn of_query(query: &str) -> Option<Self> {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, given) = pairs.find(|(name, _)| name == "notice")?;
        Self::ALL.into_iter().find(|(_, code, _)| *code == given).map(|(notice, ..)| notice)
    }
}

impl Page<'_> {
    /// The page, answered with 200.
    pub(super) fn answer(self) -> Response {
        self.answer_with(StatusCode::OK)
    }

    pub(super) fn answer_with(self, status: StatusCode) -> Response {
        let visit = self.visit;
        let framed = html! {
            a.skip href="#main" { "Skip to the content" }
            div.frame {
                (side(visit, self.place))
                div.page {
                    header.top {
                        h1 { (self.title) }
                        div.actions { (self.actions) }
                        (search(visit))
                    }
                    main id="main" tabindex="-1" {
                        @if let Some(notice) = visit.notice {
                            p.notice role="status" { (notice.text()) }
                        }
                        (self.body)
                    }
                }
            }
            (help())
        };
        let live = visit.href("/live");
        let document = document(&visit.dashboard, visit.theme, self.title, Some(&live), &framed);
        let ancestors = visit.rights.is_portal;
        guarded(&visit.dashboard, ancestors, status, document)
    }
}

/// A page for nobody in particular: no navigation, nothing of any tenant.
pub(super) fn bare(
    dashboard: &Dashboard,
    theme: Option<Theme>,
    title: &str,
    status: StatusCode,
    body: &Markup,
) -> Response {
    let framed = html! {
        main.bare id="main" {
            div.brand { (brand(dashboard)) }
            (body)
        }
    };
    let document = document(dashboard, theme, title, None, &framed);
    // a portal link may be opened in a frame, and its first page is one of these
    guarded(dashboard, true, status, document)
}

/// What could not be done, on a page with everything around it.
pub(super) fn refusal(visit: &Visit, error: &ApiError) -> Response {
    let (title, body) = told(error);
    let page = Page { visit, place: Place::Nowhere, title, actions: html! {}, body };
    page.answer_with(error.code().status())
}

/// The same for whoever has no tenant to see.
pub(super) fn bare_refusal(
    dashboard: &Dashboard,
    theme: Option<Theme>,
    error: &ApiError,
) -> Response {
    let (title, body) = told(error);
    let body = html! { h1 { (title) } (body) };
    bare(dashboard, theme, title, error.code().status(), &body)
}

fn told(error: &ApiError) -> (&'static str, Markup) {
    let problem = error.problem();
    let title = match problem.code {
        Code::NotFound | Code::TenantNotFound => "Not found",
        Code::Forbidden => "Not allowed",
        Code::Internal => "Something broke",
        Code::Unavailable => "Too busy",
        _ => "That can't be done",
    };
    let body = html! {
        section.card.told {
            @match problem.code {
                Code::NotFound | Code::TenantNotFound => {
                    p { "There is nothing here that you may see. It may have been deleted, or its \
                        events are older than the server keeps them." }
                }
                _ => p { (problem.detail) "." },
            }
            @if !problem.errors.is_empty() {
                ul {
                    @for fault in &problem.errors { li { (fault.message) } }
                }
            }
            p { a href="/dashboard" { "Go to the overview" } }
        }
    };
    (title, body)
}

fn document(
    dashboard: &Dashboard,
    theme: Option<Theme>,
    title: &str,
    live: Option<&str>,
    body: &Markup,
) -> Markup {
    let look = &dashboard.look;
    let assets = &dashboard.assets;
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme.map(Theme::name)] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · " (look.name) }
                link rel="stylesheet" href=(assets.style);
                link rel="stylesheet" href=(assets.brand);
                link rel="icon" href=(assets.logo.as_deref().unwrap_or(assets.icon));
                script type="module" src=(assets.script) {}
            }
            body data-live-source=[live] { (body) }
        }
    }
}

fn brand(dashboard: &Dashboard) -> Markup {
    let picture = dashboard.assets.logo.as_deref().unwrap_or(dashboard.assets.icon);
    html! {
        img src=(picture) alt="" width="28" height="28";
        span { (dashboard.look.name) }
    }
}

fn side(visit: &Visit, place: Place) -> Markup {
    let link = |here: Place, path: &str, which: Icon, text: &str| {
        html! {
            li {
                a href=(visit.href(path)) aria-current=[(place == here).then_some("page")] {
                    (icon(which)) span { (text) }
                }
            }
        }
    };
    html! {
        aside.side {
            a.brand href=(visit.href("/")) { (brand(&visit.dashboard)) }
            details.menu open {
                summary { (icon(Icon::Menu)) span { "Menu" } }
                nav aria-label="Main" {
                    ul {
                        (link(Place::Overview, "/", Icon::Overview, "Overview"))
                        (link(Place::Webhooks, "/webhooks", Icon::Webhooks, "Webhooks"))
                        (link(Place::Events, "/events", Icon::Events, "Events"))
                        (link(Place::Deliveries, "/deliveries", Icon::Deliveries, "Deliveries"))
                        (link(Place::EventTypes, "/event-types", Icon::EventTypes, "Event types"))
                        @if visit.rights.is_operator() {
                            (link(Place::Keys, "/keys", Icon::Keys, "API keys"))
                            (link(Place::Tenants, "/tenants", Icon::Tenants, "Tenants"))
                        }
                    }
                }
                (foot(visit))
            }
        }
    }
}

fn foot(visit: &Visit) -> Markup {
    html! {
        div.foot {
            p.whose {
                span.label { "Tenant" }
                @if visit.rights.is_operator() {
                    a href=(visit.href("/tenants")) title="See another tenant" { (visit.tenant.name) }
                } @else {
                    span { (visit.tenant.name) }
                }
                @if !visit.rights.may_manage { span.badge { "read-only" } }
            }
            div.tools {
                button.quiet type="button" data-theme-switch aria-label="Switch between dark and light" title="Dark or light" hidden {
                    (icon(Icon::Theme))
                }
                button.quiet type="button" data-help aria-label="Keyboard help" title="Keyboard (?)" hidden {
                    (icon(Icon::Help))
                }
                form method="post" action="/dashboard/sign-out" {
                    button.quiet type="submit" { (icon(Icon::SignOut)) span { "Sign out" } }
                }
            }
        }
    }
}

fn search(visit: &Visit) -> Markup {
    html! {
        form.search role="search" action=(visit.href("/search")) {
            (icon(Icon::Search))
            label.hidden for="search" { "Search by id or URL" }
            input id="search" name="q" type="search" autocomplete="off" spellcheck="false"
                maxlength="200" placeholder="Event, delivery or webhook id, or URL" data-search;
            kbd aria-hidden="true" { "/" }
        }
    }
}

fn help() -> Markup {
    let keys = [
        ("/", "search"),
        ("j", "next row"),
        ("k", "previous row"),
        ("Enter", "open the row"),
        ("r", "retry the delivery"),
        ("?", "this help"),
        ("Esc", "close"),
    ];
    html! {
        dialog id="help" aria-labelledby="help-title" {
            h2 id="help-title" { "Keyboard" }
            dl.facts {
                @for (key, what) in keys {
                    dt { kbd { (key) } } dd { (what) }
                }
            }
            form method="dialog" { button autofocus { "Close" } }
        }
        (elements::confirmation())
    }
}

/// Whether a page may be shown in a frame is said by `is_framable`, and where, by the
/// configuration.
fn guarded(
    dashboard: &Dashboard,
    is_framable: bool,
    status: StatusCode,
    document: Markup,
) -> Response {
    let mut response = (status, document.into_string()).into_response();
    let policy = if is_framable { &dashboard.policies.framable } else { &dashboard.policies.own };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The policies that pages are served with. Nothing runs or loads but what this server serves
/// from files of its own, whatever a payload says.
#[derive(Clone, Debug)]
pub(super) struct Policies {
    own: HeaderValue,
    framable: HeaderValue,
}

impl Policies {
    /// `None` when an origin is none that a header may have.
    pub(super) fn new(embed_origins: &[String]) -> Option<Self> {
        let origins = match embed_origins {
            [] => "'none'".to_owned(),
            some => some.join(" "),
        };
        Some(Self { own: policy("'none'")?, framable: policy(&origins)? })
    }
}

fn policy(ancestors: &str) -> Option<HeaderValue> {
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}; \
         require-trusted-types-for 'script'; trusted-types postrider"
    );
    HeaderValue::try_from(text).ok()
}

/// A page's cookies go along with it.
pub(super) fn with_cookies(
    mut response: Response,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_only_ask_for_notices_of_ours() {
        for (notice, code, text) in Notice::ALL {
            assert_eq!(Notice::of_query(&format!("a=1&notice={code}")), Some(notice));
            assert!(text.ends_with('.'));
            assert_eq!((notice.code(), notice.text()), (code, text));
        }
        for other in ["", "notice=", "notice=Pay+us", "notice=%3Cscript%3E"] {
            assert_eq!(Notice::of_query(other), None, "{other}");
        }
    }

    #[test]
    fn only_configured_origins_may_embed() {
        let text = |origins: &[&str]| {
            let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            let policies = Policies::new(&origins).unwrap();
            [policies.own, policies.framable].map(|policy| policy.to_str().unwrap().to_owned())
        };
        let [own, framable] = text(&["https://app.example.com", "https://b.example"]);
        assert!(own.contains("frame-ancestors 'none';"), "{own}");
        let wanted = "frame-ancestors https://app.example.com https://b.example;";
        assert!(framable.contains(wanted), "{framable}");
        assert!(text(&[])[1].contains("frame-ancestors 'none';"));
    }
}
