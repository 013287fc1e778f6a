//! The inbox as a page for browsers: no scripts, nothing from elsewhere, everything escaped.

use std::fmt::Write as _;

use super::inbox::Arrival;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content='width=device-width'><meta http-equiv=refresh content=3>\
<title>Inbox · Postrider</title><style>\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
article{border:1px solid #8884;border-radius:8px;padding:.7rem 1rem;margin:.8rem 0}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;margin:.5rem 0 0}\
.yes{color:#1a7f37}.no{color:#cf222e}small{opacity:.7}summary{cursor:pointer}\
</style><h1>Inbox</h1>";

/// The whole page; newest first, as given.
pub(super) fn page(arrivals: &[Arrival]) -> String {
    let mut html = HEAD.to_owned();
    if arrivals.is_empty() {
        html.push_str(
            "<p>Nothing has arrived yet. Publish an event that a webhook with this address wants.",
        );
    }
    for arrival in arrivals {
        let (class, verdict) = match (&arrival.profile, &arrival.reason) {
            (Some(profile), _) => ("yes", format!("verified ({profile})")),
            (None, reason) => {
                ("no", format!("not verified: {}", reason.as_deref().unwrap_or("unknown")))
            }
        };
        let _ = write!(
            html,
            "<article><b>{}</b> <span class={class}>{}</span><br><small>{} · {} · {}</small>",
            escaped(arrival.r#type.as_deref().unwrap_or("(no type)")),
            escaped(&verdict),
            escaped(&arrival.received_at),
            escaped(arrival.id.as_deref().unwrap_or("(no id)")),
            escaped(&arrival.path),
        );
        let _ = write!(
            html,
            "<pre>{}{}</pre>",
            escaped(&arrival.body),
            if arrival.is_body_cut { "…" } else { "" }
        );
        html.push_str("<details><summary>Headers</summary><pre>");
        for (name, value) in &arrival.headers {
            let _ = writeln!(html, "{}: {}", escaped(name), escaped(value));
        }
        html.push_str("</pre></details></article>");
    }
    html.push_str("</html>\n");
    html
}

/// Text that is text in elements, whatever is in it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
