//! What `serve --dev` adds: the built-in receiver, and the words that help a new user on.
//!
//! Outside of `--dev` nothing here runs.

pub mod banner;
pub mod inbox;
mod page;

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use http::Uri;

use crate::config::KeyError;
use crate::config::keys::{DEV_FILE, replace_private};
use crate::engine::Engine;
use inbox::{Candidate, Inbox};

/// Webhooks whose secrets one arrival is tried with. Nobody points more at one inbox by hand.
const CANDIDATES_MAX: usize = 100;

/// `/dev/inbox`, which takes deliveries of the webhooks that have its address as their URL.
pub fn router(engine: Engine, bound: SocketAddr) -> Router {
    let clock = engine.clock().clone();
    let candidates = move |path: &str| {
        let webhooks = engine.webhooks_at(|url| is_ours(url, bound, path));
        let opened = webhooks.iter().take(CANDIDATES_MAX).filter_map(|live| {
            let text = engine.secret_text(live).ok()?;
            Candidate::new(live.webhook.key.to_string(), &live.profile().signing, &text)
        });
        opened.collect()
    };
    inbox::router(Inbox::new(candidates, move || clock.now()))
}

/// Leaves the server's address for the command line to find, readable by its owner only.
pub fn announce(data_dir: &Path, bound: SocketAddr) -> Result<(), KeyError> {
    replace_private(&data_dir.join(DEV_FILE), &format!("{{\"url\":\"http://{bound}\"}}"))
}

/// Takes the address away again.
pub fn withdraw(data_dir: &Path) {
    // if it stays, the command line finds nobody there and says so
    let _ = std::fs::remove_file(data_dir.join(DEV_FILE));
}

/// Whether a webhook's URL is a path of this server. Its host is not compared: whatever name it
/// has, the delivery arrived here.
fn is_ours(url: &str, bound: SocketAddr, path: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    // behind a tunnel the port is another one; then the standard port tells
    (port == bound.port() || uri.port().is_none()) && uri.path() == path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::read_private;

    #[test]
    fn an_inbox_knows_the_webhooks_that_point_at_it() {
        let bound = "127.0.0.1:8080".parse().unwrap();
        for (url, expected) in [
            ("http://127.0.0.1:8080/dev/inbox", true),
            ("http://localhost:8080/dev/inbox", true),
            ("http://127.0.0.1:8080/dev/inbox?a=b", true),
            ("https://tunnel.example.com/dev/inbox", true),
            ("http://127.0.0.1:8081/dev/inbox", false),
            ("http://127.0.0.1:8080/dev/inbox/other", false),
            ("not a url", false),
        ] {
            assert_eq!(is_ours(url, bound, "/dev/inbox"), expected, "{url}");
        }
    }

    #[test]
    fn the_address_is_left_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        announce(dir.path(), "127.0.0.1:4711".parse().unwrap()).unwrap();
        let text = read_private(&dir.path().join(DEV_FILE)).unwrap().unwrap();
        assert_eq!(text.trim(), r#"{"url":"http://127.0.0.1:4711"}"#);
        withdraw(dir.path());
        assert_eq!(read_private(&dir.path().join(DEV_FILE)).unwrap(), None);
    }
}
