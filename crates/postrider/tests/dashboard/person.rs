//! Somebody at a browser: signs in, looks at pages, presses buttons.

use std::fmt;
use std::net::SocketAddr;

use serde_json::json;

use crate::support::http::{self, Exchanged};
use crate::support::server::{KEY, TestServer};

const HOME: &str = "/dashboard/t/default";

/// Signed in, with a cookie.
pub(crate) struct Person {
    server: SocketAddr,
    cookie: String,
}

/// A page as a browser gets it.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) html: String,
}

impl Person {
    /// An operator.
    pub(crate) fn at(server: &TestServer) -> Self {
        Self::with_key(server, KEY)
    }

    /// Whoever holds a key of this tenant; the tenant is made where there is none.
    pub(crate) fn of_tenant(server: &TestServer, tenant: &str, scope: &str) -> Self {
        if tenant != "default" {
            let name = json!({ "name": tenant }).to_string();
            server.request("POST", "/v1/tenants", name.as_bytes());
        }
        let body = json!({ "tenant": tenant, "scope": scope }).to_string();
        let made = server.request("POST", "/v1/keys", body.as_bytes());
        assert_eq!(made.status(), 201, "{}", made.text());
        Self::with_key(server, made.json()["key"].as_str().unwrap())
    }

    fn with_key(server: &TestServer, key: &str) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).append_pair("key", key).finish();
        let address = server.address();
        let headers = [("sec-fetch-site", "same-origin")];
        let path = "/dashboard/sign-in";
        let answer = http::send(address, "POST", path, &headers, form.as_bytes());
        assert_eq!(answer.status(), 303, "{}", answer.text());
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { server: address, cookie }
    }

    /// A page of the default tenant that is there.
    pub(crate) fn sees(&self, path: impl fmt::Display) -> String {
        let page = self.looks_at(format_args!("{HOME}{path}"));
        assert_eq!(page.status, 200, "{path}: {}", page.html);
        page.html
    }

    /// The status of such a page.
    pub(crate) fn status_of(&self, path: impl fmt::Display) -> u16 {
        self.looks_at(format_args!("{HOME}{path}")).status
    }

    /// Whatever there is at an address.
    pub(crate) fn looks_at(&self, path: impl fmt::Display) -> Page {
        let headers = [("cookie", &*self.cookie)];
        let answer = http::send(self.server, "GET", &path.to_string(), &headers, b"");
        Page { status: answer.status(), html: answer.text().to_owned() }
    }

    /// Sends a form of a page of the default tenant.
    pub(crate) fn sends(&self, path: impl fmt::Display, form: &str) -> Exchanged {
        let headers = [("cookie", &*self.cookie), ("sec-fetch-site", "same-origin")];
        http::send(self.server, "POST", &format!("{HOME}{path}"), &headers, form.as_bytes())
    }
}

/// Where an answer leads, below the default tenant's pages.
pub(crate) fn leads_to(answer: &Exchanged) -> String {
    assert_eq!(answer.status(), 303, "{}", answer.text());
    answer.header("location").strip_prefix(HOME).unwrap().to_owned()
}

/// The text of a page, without its markup.
pub(crate) fn text(html: &str) -> String {
    let pieces = html.split('<').enumerate().map(|(at, piece)| match at {
        0 => piece,
        _ => piece.split_once('>').map_or("", |(_, text)| text),
    });
    let text: String = pieces.collect();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
