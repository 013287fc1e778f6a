//! Making a connection: resolve, judge every address, dial exactly a judged one, compare, TLS.
//!
//! Nothing else in the server opens connections to receivers, so nothing gets around the judging.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::address::{judge, judge_all};
use postrider_core::delivery::ErrorClass;
use postrider_core::target::{Host, Scheme, Target, TargetPolicy};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, Refusal};
use super::limits::ADDRESSES_DIALLED_MAX;
use super::progress::{CONNECT_TIMEOUT, DNS_TIMEOUT, Phase, Progress, TLS_TIMEOUT};
use super::resolve::{Resolve, ResolveError};
use super::tls;
use super::wire::{Meter, Socket, Wire};

/// How long each step of making a connection may take, within the attempt's deadline.
#[derive(Clone, Copy, Debug)]
pub struct Budgets {
    pub dns: Duration,
    /// Over all addresses that are tried.
    pub connect: Duration,
    pub tls: Duration,
}

pub(super) struct Dialler {
    pub(super) policy: TargetPolicy,
    pub(super) budgets: Budgets,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) tls: TlsConnector,
}

impl Dialler {
    /// A connection to the target that is ready for HTTP.
    pub(super) async fn dial(
        &self,
        target: &Target,
        progress: &mut Progress,
    ) -> Result<Wire, Failure> {
        self.check_target(target)?;
        let ips = self.judged_addresses(target, progress).await?;
        let tcp = self.connect(&ips, target.port(), progress).await?;
        let socket = Socket { tcp, meter: Arc::new(Meter::new()) };
        match target.scheme() {
            Scheme::Http => Ok(Wire::plain(socket)),
            Scheme::Https => self.secure(target, socket, progress).await,
        }
    }

    /// The target was accepted under the policy of its day; this is today's.
    fn check_target(&self, target: &Target) -> Result<(), Refusal> {
        if target.scheme() == Scheme::Http && !self.policy.allow_http {
            return Err(Refusal::Scheme);
        }
        if matches!(target.host(), Host::Ip(_)) && !self.policy.allow_ip_literals {
            return Err(Refusal::IpLiteral);
        }
        Ok(())
    }

    async fn judged_addresses(
        &self,
        target: &Target,
        progress: &mut Progress,
    ) -> Result<Vec<IpAddr>, Failure> {
        let networks = &self.policy.networks;
        match target.host() {
            Host::Ip(ip) => {
                judge(*ip, target.port(), networks).map_err(Refusal::Address)?;
                Ok(vec![*ip])
            }
            Host::Domain(name) => {
                progress.enter(Phase::Dns, Instant::now());
                let ips = timeout(self.budgets.dns, self.resolver.resolve(name))
                    .await
                    .map_err(|_| Failure::new(ErrorClass::DnsTimeout, DNS_TIMEOUT))?
                    .map_err(resolve_failure)?;
                judge_all(&ips, target.port(), networks).map_err(Refusal::Address)?;
                Ok(ips)
            }
        }
    }

    /// Tries the addresses in turn; the last one's failure is the one that is told.
    async fn connect(
        &self,
        ips: &[IpAddr],
        port: u16,
        progress: &mut Progress,
    ) -> Result<TcpStream, Failure> {
        let ips = &ips[..ips.len().min(ADDRESSES_DIALLED_MAX)];
        let started = Instant::now();
        progress.enter(Phase::Connect, started);
        let mut failure = Failure::new(ErrorClass::ConnectTimeout, CONNECT_TIMEOUT);
        for (tried, ip) in (0u32..).zip(ips) {
            let left = self.budgets.connect.saturating_sub(started.elapsed());
            let share = left / (u32::try_from(ips.len()).unwrap_or(u32::MAX) - tried);
            let address = SocketAddr::new(*ip, port);
            progress.address = Some(address);
            failure = match timeout(share, connect_to(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(failure)) if failure.refusal.is_some() => return Err(failure),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(ErrorClass::ConnectTimeout, CONNECT_TIMEOUT),
            };
        }
        Err(failure)
    }

    async fn secure(
        &self,
        target: &Target,
        socket: Socket,
        progress: &mut Progress,
    ) -> Result<Wire, Failure> {
        progress.enter(Phase::Tls, Instant::now());
        let name = tls::server_name(target.host())?;
        match timeout(self.budgets.tls, self.tls.connect(name, socket)).await {
            Ok(Ok(stream)) => Ok(Wire::tls(stream)),
            Ok(Err(error)) => Err(tls::handshake_failure(&error)),
            Err(_) => Err(Failure::new(ErrorClass::Timeout, TLS_TIMEOUT)),
        }
    }
}

/// Dials one judged address and makes sure that the connection leads there: a packet filter or
/// the kernel may redirect (dialling 0.0.0.0 reaches 127.0.0.1).
async fn connect_to(address: SocketAddr) -> Result<TcpStream, Failure> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    // no socket to be had is our shortage (file descriptors), not the receiver's fault
    let socket = socket.map_err(|_| Failure::new(ErrorClass::Internal, NO_SOCKET))?;
    let tcp = socket.connect(address).await.map_err(|error| connect_failure(&error))?;
    let peer = tcp.peer_addr().map_err(|error| connect_failure(&error))?;
    if (peer.ip(), peer.port()) != (address.ip(), address.port()) {
        return Err(Refusal::PeerMismatch.into());
    }
    // a request is one write, so there is nothing that Nagle's algorithm could gather
    tcp.set_nodelay(true).map_err(|error| connect_failure(&error))?;
    Ok(tcp)
}

const NO_SOCKET: &str = "this server could not open a socket; raise its limit of open files";

fn connect_failure(error: &io::Error) -> Failure {
    let (class, detail) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            ErrorClass::ConnectRefused,
            "the connection was refused; check that the receiver runs and listens on this port",
        ),
        io::ErrorKind::TimedOut => (ErrorClass::ConnectTimeout, CONNECT_TIMEOUT),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => (
            ErrorClass::Internal,
            "this server ran out of local ports; widen its range of ephemeral ports",
        ),
        _ => (
            ErrorClass::ConnectFailed,
            "the host could not be reached; check its address records and its network",
        ),
    };
    Failure::new(class, detail)
}

fn resolve_failure(error: ResolveError) -> Failure {
    let (class, detail) = match error {
        ResolveError::NoSuchName => (
            ErrorClass::DnsFailure,
            "the host name does not exist; check its spelling and the domain's DNS records",
        ),
        ResolveError::NoAddress => {
            (ErrorClass::DnsFailure, "the host name has no address; add an A or AAAA record")
        }
        ResolveError::ServerFailed => {
            (ErrorClass::DnsFailure, "the domain's name servers failed; check them")
        }
        ResolveError::Malformed => {
            (ErrorClass::DnsFailure, "the domain's DNS records are broken; check them")
        }
        ResolveError::TimedOut => (ErrorClass::DnsTimeout, DNS_TIMEOUT),
    };
    Failure::new(class, detail)
}
