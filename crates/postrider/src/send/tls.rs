//! TLS towards receivers: whom we trust, and what a failed handshake means in words.

use std::sync::Arc;

use postrider_core::delivery::ErrorClass;
use postrider_core::target::Host;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::limits::TLS_SESSIONS_MAX;

/// A root certificate of the operator's own can't be used.
#[derive(Debug, thiserror::Error)]
#[error("an extra root certificate is not usable ({0}); give CA certificates in DER form")]
pub struct ExtraRootError(#[source] pub(super) rustls::Error);

/// Trusts the public certificate authorities (Mozilla's list) and the given ones.
pub(super) fn connector(
    extra_roots: &[CertificateDer<'static>],
) -> Result<TlsConnector, ExtraRootError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(root.clone()).map_err(ExtraRootError)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ExtraRootError)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(TLS_SESSIONS_MAX);
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the certificate must be for; IP addresses too are verified.
pub(super) fn server_name(host: &Host) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(*ip)),
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| {
            let detail =
                "no certificate can be issued for this host name; give the webhook another";
            Failure::new(ErrorClass::Tls, detail)
        }),
    }
}

/// What a failed handshake means.
pub(super) fn handshake_failure(error: &std::io::Error) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let detail = match tls {
        None => "the receiver closed the connection during the TLS handshake; check its TLS setup",
        Some(rustls::Error::InvalidCertificate(error)) => certificate_detail(error),
        Some(rustls::Error::InvalidMessage(_)) => {
            "what the receiver sent is not TLS; check that this port serves https"
        }
        Some(
            rustls::Error::NoApplicationProtocol
            | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol),
        ) => "the receiver refuses HTTP/1.1; allow it (ALPN http/1.1)",
        Some(rustls::Error::AlertReceived(_)) => {
            "the receiver refused the TLS handshake; check that it serves this host name and TLS 1.2 or 1.3"
        }
        Some(rustls::Error::PeerIncompatible(_)) => {
            "the receiver offers no TLS version or cipher that is safe; turn on TLS 1.2 or 1.3"
        }
        Some(_) => "the TLS handshake failed; check the receiver's TLS setup",
    };
    Failure::new(ErrorClass::Tls, detail)
}

fn certificate_detail(error: &CertificateError) -> &'static str {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "the receiver's certificate has expired; renew it",
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "the receiver's certificate is not valid yet; check its dates and both clocks"
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "the receiver's certificate is for another host name; \
             issue one for the name in the webhook's URL"
        }
        E::UnknownIssuer => {
            "the receiver's certificate is not signed by a known authority; \
             install the whole chain, or have the authority added to this server"
        }
        E::Revoked => "the receiver's certificate was revoked; issue a new one",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the receiver's certificate is not meant for servers; issue one for server use"
        }
        _ => "the receiver's certificate is not valid; issue a new one",
    }
}
