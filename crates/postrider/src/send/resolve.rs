//! From host names to addresses. What comes out is not to be trusted: the dialler judges it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;

use super::limits::{DNS_NEGATIVE_TTL_MAX, DNS_TTL_MAX};

/// Looks up host names.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of `name`, which is lower-case ASCII without a trailing dot.
    ///
    /// Cancelled by dropping, when the time budget is spent.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// Why a name has no addresses now. All of these may be over at the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("the name does not exist")]
    NoSuchName,
    #[error("the name has no address")]
    NoAddress,
    #[error("the name servers failed")]
    ServerFailed,
    #[error("the name servers did not answer in time")]
    TimedOut,
    #[error("the answer made no sense")]
    Malformed,
}

/// The name servers that the system names, or given ones.
#[derive(Clone)]
pub struct SystemResolver {
    inner: TokioResolver,
}

/// The system's resolver settings can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the system's name servers can't be read ({0}); check /etc/resolv.conf or name some")]
pub struct SystemResolverError(#[from] NetError);

impl SystemResolver {
    /// Reads the system's settings (`/etc/resolv.conf` and `/etc/hosts` on Unix).
    pub fn new() -> Result<Self, SystemResolverError> {
        let mut builder = TokioResolver::builder_tokio()?;
        set_up(builder.options_mut());
        Ok(Self { inner: builder.build()? })
    }

    /// Asks only these name servers.
    pub fn with_name_servers(servers: &[SocketAddr]) -> Result<Self, SystemResolverError> {
        let servers = servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        set_up(builder.options_mut());
        Ok(Self { inner: builder.build()? })
    }
}

/// Asks for A and AAAA, so that every address is judged, and prefers the family that works
/// everywhere. Bounds how long answers are believed.
fn set_up(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.positive_max_ttl = Some(DNS_TTL_MAX);
    options.negative_max_ttl = Some(DNS_NEGATIVE_TTL_MAX);
}

impl std::fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemResolver").finish_non_exhaustive()
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        // The dot at the end keeps the system's search domains away from names that are whole:
        // `nx.example.org` must not be looked for as `nx.example.org.corp.example`.
        let found = if name.contains('.') {
            self.inner.lookup_ip(format!("{name}.")).await
        } else {
            self.inner.lookup_ip(name).await
        };
        match found {
            Ok(addresses) => Ok(addresses.iter().collect()),
            Err(error) => Err(resolve_error(&error)),
        }
    }
}

fn resolve_error(error: &NetError) -> ResolveError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => ResolveError::NoSuchName,
            ResponseCode::NoError => ResolveError::NoAddress,
            _ => ResolveError::ServerFailed,
        },
        NetError::Timeout => ResolveError::TimedOut,
        NetError::Proto(_) => ResolveError::Malformed,
        _ => ResolveError::ServerFailed,
    }
}

/// Names with fixed addresses, like a hosts file; other names are asked of a fallback.
#[derive(Clone, Default)]
pub struct StaticHosts {
    hosts: HashMap<String, Vec<IpAddr>>,
    fallback: Option<Arc<dyn Resolve>>,
}

impl StaticHosts {
    /// Without a fallback, other names don't exist.
    pub fn new(hosts: HashMap<String, Vec<IpAddr>>, fallback: Option<Arc<dyn Resolve>>) -> Self {
        Self { hosts, fallback }
    }
}

impl std::fmt::Debug for StaticHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticHosts").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

#[async_trait]
impl Resolve for StaticHosts {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match (self.hosts.get(name), &self.fallback) {
            (Some(addresses), _) => Ok(addresses.clone()),
            (None, Some(fallback)) => fallback.resolve(name).await,
            (None, None) => Err(ResolveError::NoSuchName),
        }
    }
}
