//! Which server a client command talks to, and with which key.
//!
//! Given ones count first. Otherwise a local `serve --dev` has left its address and key in its
//! data directory. That key is sent to that address only, and that address must be this machine's:
//! a directory somebody else prepared can then neither draw a real key to their server nor pass
//! off theirs as ours.

use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;

use super::failure::{Failure, FailureKind};
use super::output::printable;
use crate::config::keys::{ADMIN_KEY_FILE, DEV_FILE, read_private};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Address of the server; that of a local `serve --dev` unless given
    #[arg(long, env = "POSTRIDER_URL", value_name = "URL")]
    server: Option<String>,
    /// Key for the API; that of a local `serve --dev` unless given
    #[arg(long, env = "POSTRIDER_API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Tenant to act for, with an admin key
    #[arg(long, env = "POSTRIDER_TENANT", value_name = "NAME")]
    tenant: Option<String>,
    /// PEM file of an authority to trust besides the public ones
    #[arg(long, env = "POSTRIDER_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where a local `serve --dev` keeps its data
    #[arg(
        long,
        env = "POSTRIDER_DATA_DIR",
        value_name = "DIR",
        default_value = "./postrider-data"
    )]
    data_dir: PathBuf,
}

/// A server to talk to.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) base: BaseUrl,
    pub(super) api_key: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
}

/// `http` or `https`, a host and a port; nothing behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    pub(super) is_https: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As it stands in the `Host` header.
    pub(super) authority: String,
}

/// What `serve --dev` leaves in [`DEV_FILE`].
#[derive(Debug, Deserialize)]
struct DevServer {
    url: String,
}

impl ServerArgs {
    pub(super) fn settle(self) -> Result<Server, Failure> {
        let given = self.server.as_deref().map(|url| {
            BaseUrl::parse(url).ok_or_else(|| {
                Failure::usage(format!("{:?} is no address of a server", printable(url)))
                    .hint("give --server or POSTRIDER_URL as http(s)://host or http(s)://host:port")
            })
        });
        let given = given.transpose()?;
        let dev = self.dev_server()?;
        let default = || BaseUrl::parse(DEFAULT_URL).expect("the default is an address");
        let base = given.or_else(|| dev.clone()).unwrap_or_else(default);
        let api_key = match self.api_key {
            Some(key) => Some(bearer(key)?),
            None if dev.as_ref() == Some(&base) => self.dev_key()?,
            None => None,
        };
        let tenant = self.tenant.map(header_text).transpose()?;
        Ok(Server { base, api_key, tenant, ca_file: self.ca_file })
    }

    fn dev_server(&self) -> Result<Option<BaseUrl>, Failure> {
        let path = self.data_dir.join(DEV_FILE);
        let Some(text) = read_private(&path).map_err(|e| Failure::other(e.to_string()))? else {
            return Ok(None);
        };
        let base =
            serde_json::from_str(&text).ok().and_then(|dev: DevServer| BaseUrl::parse(&dev.url));
        Ok(base.filter(BaseUrl::is_loopback))
    }

    fn dev_key(&self) -> Result<Option<String>, Failure> {
        let path = self.data_dir.join(ADMIN_KEY_FILE);
        let text = read_private(&path).map_err(|e| Failure::other(e.to_string()))?;
        text.map(|text| bearer(text.trim().to_owned())).transpose()
    }
}

impl Server {
    /// The key, for what the API doesn't give without one.
    pub(super) fn require_key(&self) -> Result<(), Failure> {
        match self.api_key {
            Some(_) => Ok(()),
            None => Err(Failure::new(FailureKind::Auth, "no key for the API").hint(
                "set POSTRIDER_API_KEY or --api-key; for a local `postrider serve --dev`, run this \
                 where it was started or name its --data-dir",
            )),
        }
    }
}

impl BaseUrl {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
        let is_https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !is_bare || authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            is_https,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
        })
    }

    fn is_loopback(&self) -> bool {
        self.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http{}://{}", if self.is_https { "s" } else { "" }, printable(&self.authority))
    }
}

/// A key that can stand in a header; the refusal doesn't repeat it.
fn bearer(key: String) -> Result<String, Failure> {
    if !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(key);
    }
    Err(Failure::usage("the key for the API is empty or holds spaces or characters beyond ASCII")
        .hint("check --api-key or POSTRIDER_API_KEY"))
}

fn header_text(tenant: String) -> Result<String, Failure> {
    if !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(tenant);
    }
    Err(Failure::usage("the tenant is empty or holds spaces or characters beyond ASCII")
        .hint("check --tenant or POSTRIDER_TENANT"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::replace_private;

    fn args(dir: &std::path::Path, server: Option<&str>, api_key: Option<&str>) -> ServerArgs {
        ServerArgs {
            server: server.map(str::to_owned),
            api_key: api_key.map(str::to_owned),
            tenant: None,
            ca_file: None,
            data_dir: dir.to_owned(),
        }
    }

    fn dev_dir(url: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        replace_private(&dir.path().join(DEV_FILE), &format!("{{\"url\":\"{url}\"}}")).unwrap();
        replace_private(&dir.path().join(ADMIN_KEY_FILE), "prk_dev").unwrap();
        dir
    }

    fn settled(args: ServerArgs) -> (String, Option<String>) {
        let server = args.settle().unwrap();
        (server.base.to_string(), server.api_key)
    }

    #[test]
    fn a_dev_servers_key_goes_to_that_server_only() {
        let dir = dev_dir("http://127.0.0.1:4711");
        let dev = "http://127.0.0.1:4711";
        let key = Some("prk_dev".to_owned());
        assert_eq!(settled(args(dir.path(), None, None)), (dev.to_owned(), key.clone()));
        assert_eq!(settled(args(dir.path(), Some(dev), None)), (dev.to_owned(), key));
        let other = "https://hooks.example.com";
        assert_eq!(settled(args(dir.path(), Some(other), None)), (other.to_owned(), None));
    }

    #[test]
    fn a_dev_file_cannot_draw_a_key_to_another_machine() {
        let dir = dev_dir("http://203.0.113.1:80");
        let (url, key) = settled(args(dir.path(), None, Some("real")));
        assert_eq!((url.as_str(), key.as_deref()), (DEFAULT_URL, Some("real")));
        let dir = dev_dir("http://127.0.0.1@203.0.113.1");
        assert_eq!(settled(args(dir.path(), None, None)), (DEFAULT_URL.to_owned(), None));
    }

    #[test]
    fn addresses_are_scheme_host_and_port_alone() {
        let base = BaseUrl::parse("http://[::1]:80/").unwrap();
        assert_eq!((base.host.as_str(), base.port, base.is_https), ("::1", 80, false));
        assert_eq!(BaseUrl::parse("https://a").unwrap().port, 443);
        for text in
            ["", "a", "ftp://a", "http://", "http://u@a", "http://a/b", "http://a?b", "http://a#b"]
        {
            assert_eq!(BaseUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_that_no_header_can_hold_is_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let failure = args(dir.path(), None, Some("tell\nnobody")).settle().unwrap_err();
        assert!(!failure.to_string().contains("nobody"));
        assert_eq!(failure.kind, FailureKind::Usage);
    }
}
