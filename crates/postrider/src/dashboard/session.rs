//! Sessions: who signed in, sealed into a cookie.
//!
//! The server keeps none of them, so they outlive a restart; it keeps which ones were ended by
//! signing out, until those would have expired anyway. One that came from an API key ends with
//! that key.

use std::collections::HashMap;
use std::sync::Mutex;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderValue};
use postrider_core::id::{Key, TenantKey, UnixMs};
use postrider_store::Scope;
use serde::{Deserialize, Serialize};

use super::Dashboard;
use crate::engine::{Engine, KeyIdentity};

/// A working day: who signs in in the morning is not asked again before the evening.
pub(super) const KEY_SESSION_MS: UnixMs = 12 * 3_600_000;
/// What a session is sealed for.
const PURPOSE: &str = "dashboard session";
/// The cookie where only TLS carries it. The prefix binds it to this host (RFC 6265bis §4.1.3).
const SECURE_COOKIE: &str = "__Host-postrider_session";
/// The cookie on loopback, where there is no TLS.
const PLAIN_COOKIE: &str = "postrider_session";
/// The cookie inside a frame of another site, beside one that the same browser has of its own.
const FRAMED_COOKIE: &str = "__Host-postrider_framed";
/// Ended sessions that are remembered; of the oldest a stolen copy would be let in again.
const SIGNED_OUT_MAX: usize = 10_000;

/// Somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// Random, to tell it by when it ends.
    id: u64,
    holder: Holder,
    expires_at: UnixMs,
}

/// By what somebody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Holder {
    Key(KeyIdentity),
    Portal { tenant: u64, is_read_only: bool },
}

/// What somebody may see and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// `None`: all tenants.
    pub(super) tenant: Option<TenantKey>,
    pub(super) may_manage: bool,
    pub(super) is_portal: bool,
}

/// Where a session's cookie is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jar {
    /// The server is reached by TLS.
    Secure,
    /// It is reached on loopback.
    Plain,
    /// It is shown in a frame of another site.
    Framed,
}

impl Session {
    pub(super) fn new(id: u64, holder: Holder, expires_at: UnixMs) -> Self {
        Self { id, holder, expires_at }
    }

    /// What its holder may do now; `None` once the session or what it came from has ended.
    pub(super) fn rights(&self, dashboard: &Dashboard) -> Option<Rights> {
        let engine = dashboard.engine();
        if engine.now() >= self.expires_at || dashboard.signed_out.has(self.id) {
            return None;
        }
        match self.holder {
            Holder::Key(identity) => {
                let access = engine.access_of(identity)?;
                let may_manage = matches!(access.scope, Scope::Admin | Scope::Manage);
                let may_read = may_manage || access.scope == Scope::Read;
                let rights = Rights { tenant: access.tenant, may_manage, is_portal: false };
                may_read.then_some(rights)
            }
            Holder::Portal { tenant, is_read_only } => {
                let tenant = TenantKey::from_raw(tenant);
                engine.tenant_of_key(tenant)?;
                let tenant = Some(tenant);
                Some(Rights { tenant, may_manage: !is_read_only, is_portal: true })
            }
        }
    }

    /// The session that a request carries, whether or not it is still good.
    pub(super) fn of(engine: &Engine, headers: &HeaderMap) -> Option<Self> {
        [SECURE_COOKIE, FRAMED_COOKIE, PLAIN_COOKIE]
            .iter()
            .filter_map(|name| cookie(headers, name))
            .find_map(|token| {
                let content = engine.open_token(PURPOSE, token)?;
                serde_json::from_slice(&content).ok()
            })
    }

    /// The header that has the browser keep it. `None` only for a fault of the seal.
    pub(super) fn cookie(&self, engine: &Engine, jar: Jar) -> Option<HeaderValue> {
        let content = serde_json::to_vec(self).ok()?;
        let token = engine.seal_token(PURPOSE, &content).ok()?;
        let seconds = (self.expires_at - engine.now()).max(0) / 1_000;
        HeaderValue::try_from(jar.cookie(&token, seconds)).ok()
    }

    pub(super) fn end(&self, dashboard: &Dashboard) {
        dashboard.signed_out.add(self.id, self.expires_at, dashboard.engine().now());
    }
}

impl Rights {
    pub(super) fn is_operator(self) -> bool {
        self.tenant.is_none()
    }

    pub(super) fn may_see(self, tenant: TenantKey) -> bool {
        self.tenant.is_none_or(|own| own == tenant)
    }
}

impl Jar {
    /// Plain only where neither the configured address nor the one that the browser used has TLS
    /// to offer: on loopback.
    pub(super) fn of(engine: &Engine, headers: &HeaderMap) -> Self {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !engine.public_url().starts_with("https://") && is_loopback(host) {
            Self::Plain
        } else {
            Self::Secure
        }
    }

    /// Headers that have the browser forget a session, in whichever jar it is.
    pub(super) fn emptied() -> [HeaderValue; 3] {
        [Self::Secure, Self::Framed, Self::Plain].map(|jar| {
            HeaderValue::try_from(jar.cookie("", 0))
                .expect("the text is made of constants that a header may have")
        })
    }

    fn cookie(self, token: &str, seconds: i64) -> String {
        let (name, rest) = match self {
            Self::Secure => (SECURE_COOKIE, "SameSite=Strict; Secure"),
            Self::Plain => (PLAIN_COOKIE, "SameSite=Strict"),
            // a strict one is never sent from within another site's page; this one is kept apart
            // for each site that embeds it
            Self::Framed => (FRAMED_COOKIE, "SameSite=None; Secure; Partitioned"),
        };
        format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; {rest}")
    }
}

/// The value of a cookie that a request carries.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let given = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|text| text.split(';')).find_map(|pair| {
        let (given, value) = pair.trim().split_once('=')?;
        (given == name).then_some(value)
    })
}

/// Whether a `Host` header names this machine itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Sessions that were ended before their time.
#[derive(Debug, Default)]
pub(super) struct SignedOut {
    until: Mutex<HashMap<u64, UnixMs>>,
}

impl SignedOut {
    fn has(&self, id: u64) -> bool {
        self.lock().contains_key(&id)
    }

    fn add(&self, id: u64, expires_at: UnixMs, now: UnixMs) {
        let mut until = self.lock();
        if until.len() >= SIGNED_OUT_MAX {
            until.retain(|_, expires_at| now < *expires_at);
        }
        if until.len() >= SIGNED_OUT_MAX {
            let first = until.iter().min_by_key(|(_, expires_at)| **expires_at);
            if let Some(first) = first.map(|(id, _)| *id) {
                until.remove(&first);
            }
        }
        until.insert(id, expires_at);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, UnixMs>> {
        self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_told_apart_by_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; postrider_session=abc; b=2"));
        headers.append(COOKIE, HeaderValue::from_static("c=3"));
        assert_eq!(cookie(&headers, "postrider_session"), Some("abc"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn only_loopback_goes_without_tls() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("hooks.example.com", false),
            ("localhost.example.com:80", false),
            ("10.0.0.1:8080", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn every_cookie_is_for_this_host_and_no_script() {
        for jar in [Jar::Secure, Jar::Plain, Jar::Framed] {
            let text = jar.cookie("token", 60);
            assert!(text.contains("; HttpOnly") && text.contains("; Path=/;"), "{text}");
            assert_eq!(text.contains("Secure"), jar != Jar::Plain, "{text}");
            assert_eq!(text.contains("SameSite=Strict"), jar != Jar::Framed, "{text}");
        }
    }

    #[test]
    fn ended_sessions_are_remembered_within_bounds() {
        let signed_out = SignedOut::default();
        for id in 0..=SIGNED_OUT_MAX as u64 {
            signed_out.add(id, i64::try_from(id).unwrap() + 10, 0);
        }
        assert_eq!(signed_out.lock().len(), SIGNED_OUT_MAX);
        assert!(!signed_out.has(0) && signed_out.has(1) && signed_out.has(SIGNED_OUT_MAX as u64));
        let later = i64::try_from(SIGNED_OUT_MAX).unwrap() + 5;
        signed_out.add(u64::MAX, later + 1, later);
        assert!(signed_out.has(u64::MAX) && signed_out.lock().len() < 20);
    }
}
