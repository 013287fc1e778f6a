//! Which server a client command talks to, and with which key.
//!
//! The first of these counts: `--server` or `POSTRIDER_URL`; `--context` or `POSTRIDER_CONTEXT`; a
//! local `serve --dev`, which has left its address and key in its data directory; the
//! `default_context` of the configuration file; the usual address of a server on this machine.
//!
//! A key goes to the address that it was kept for only, and a dev server's address must be this
//! machine's: a directory somebody else prepared can then neither draw a real key to their server
//! nor pass off theirs as ours.

use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;

use super::context::{Context, Contexts};
use super::failure::{Failure, FailureKind};
use super::output::printable;
use crate::config::keys::{ADMIN_KEY_FILE, DEV_FILE, read_private};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    /// Address of the server; that of a context or of a local `serve --dev` unless given
    #[arg(long, env = "POSTRIDER_URL", value_name = "URL", hide_env_values = true)]
    server: Option<String>,
    /// Server of the configuration file
    #[arg(long, env = "POSTRIDER_CONTEXT", value_name = "NAME", hide_env_values = true)]
    context: Option<String>,
    /// Key for the API; that of the context or of the local `serve --dev` unless given
    #[arg(long, env = "POSTRIDER_API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Tenant to act for, with an admin key
    #[arg(long, env = "POSTRIDER_TENANT", value_name = "NAME", hide_env_values = true)]
    tenant: Option<String>,
    /// PEM file of an authority to trust besides the public ones
    #[arg(long, env = "POSTRIDER_CA_FILE", value_name = "FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// Where a local `serve --dev` keeps its data
    #[arg(
        long,
        env = "POSTRIDER_DATA_DIR",
        hide_env_values = true,
        value_name = "DIR",
        default_value = "./postrider-data"
    )]
    pub(super) data_dir: PathBuf,
}

/// A server to talk to.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) base: BaseUrl,
    pub(super) api_key: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) chosen_by: ChosenBy,
}

/// Why it is this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChosenBy {
    Given,
    Context(String),
    /// A local `serve --dev`.
    Dev,
    Default,
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

/// The server of these arguments, with a key.
pub(super) fn keyed(args: ServerArgs) -> Result<Server, Failure> {
    let server = args.settle()?;
    server.require_key()?;
    Ok(server)
}

impl ServerArgs {
    pub(super) fn settle(self) -> Result<Server, Failure> {
        self.settle_among(&Contexts::load()?)
    }

    fn settle_among(self, contexts: &Contexts) -> Result<Server, Failure> {
        let given = self.server.as_deref().map(|url| {
            BaseUrl::parse(url).ok_or_else(|| {
                Failure::usage(format!("{:?} is no address of a server", printable(url)))
                    .hint("give --server or POSTRIDER_URL as http(s)://host or http(s)://host:port")
            })
        });
        let given = given.transpose()?;
        let named = self.context.as_deref().map(|name| Ok((name, contexts.named(name)?)));
        let named: Option<(&str, &Context)> = named.transpose()?;
        let dev = self.dev_server()?;
        let (base, chosen_by, context) = match (given, named) {
            (Some(base), Some((_, context))) if base != context.base => {
                return Err(Failure::usage("an address and a context name two servers").hint(
                    "give one: --server or POSTRIDER_URL, or --context or POSTRIDER_CONTEXT",
                ));
            }
            (_, Some((name, context))) => {
                (context.base.clone(), ChosenBy::Context(name.to_owned()), Some(context))
            }
            (Some(base), None) => (base, ChosenBy::Given, None),
            (None, None) => match (dev.clone(), contexts.default_name()) {
                (Some(base), _) => (base, ChosenBy::Dev, None),
                (None, Some(name)) => {
                    let context = contexts.named(name)?;
                    (context.base.clone(), ChosenBy::Context(name.to_owned()), Some(context))
                }
                (None, None) => {
                    let base = BaseUrl::parse(DEFAULT_URL).expect("the default is an address");
                    (base, ChosenBy::Default, None)
                }
            },
        };
        let api_key = match (&self.api_key, context) {
            (Some(key), _) => Some(bearer(key.clone())?),
            (None, Some(context)) => context.api_key()?.map(bearer).transpose()?,
            (None, None) if dev.as_ref() == Some(&base) => self.dev_key()?,
            (None, None) => None,
        };
        let tenant = self.tenant.or_else(|| context?.tenant.clone());
        let tenant = tenant.map(header_text).transpose()?;
        let ca_file = self.ca_file.or_else(|| context?.ca_file.clone());
        Ok(Server { base, api_key, tenant, ca_file, chosen_by })
    }

    fn dev_server(&self) -> Result<Option<BaseUrl>, Failure> {
        let path = self.data_dir.join(DEV_FILE);
        let Some(text) = read_private(&path).map_err(|error| unreadable(&error))? else {
            return Ok(None);
        };
        let base =
            serde_json::from_str(&text).ok().and_then(|dev: DevServer| BaseUrl::parse(&dev.url));
        Ok(base.filter(BaseUrl::is_loopback))
    }

    fn dev_key(&self) -> Result<Option<String>, Failure> {
        let path = self.data_dir.join(ADMIN_KEY_FILE);
        let text = read_private(&path).map_err(|error| unreadable(&error))?;
        text.map(|text| bearer(text.trim().to_owned())).transpose()
    }
}

fn unreadable(error: &crate::config::KeyError) -> Failure {
    Failure::other(printable(&error.to_string()))
        .hint("or give --server and --api-key, and another --data-dir")
}

impl Server {
    /// The key, for what the API doesn't give without one.
    pub(super) fn require_key(&self) -> Result<(), Failure> {
        match self.api_key {
            Some(_) => Ok(()),
            None => Err(Failure::new(FailureKind::Auth, "no key for the API").hint(
                "set POSTRIDER_API_KEY or --api-key, or a context; for a local `postrider serve \
                 --dev`, run this where it was started or name its --data-dir",
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

    pub(super) fn is_loopback(&self) -> bool {
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
            context: None,
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
        let server = args.settle_among(&Contexts::default()).unwrap();
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
        let failure = args(dir.path(), None, Some("tell\nnobody"));
        let failure = failure.settle_among(&Contexts::default()).unwrap_err();
        assert!(!failure.to_string().contains("nobody"));
        assert_eq!(failure.kind, FailureKind::Usage);
    }
}
