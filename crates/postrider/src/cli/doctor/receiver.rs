//! What `doctor` finds out about a webhook's URL, from where it runs.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use postrider_core::address::{AddressPolicy, judge_all};
use postrider_core::target::{Host, Scheme, Target, TargetPolicy};

use super::{Finding, Outcome};
use crate::cli::client::{connect, tls_config};
use crate::cli::failure::FailureKind;
use crate::cli::server::BaseUrl;

/// For its name, and again for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn look(url: &str, findings: &mut Vec<Finding>) {
    let target = match Target::parse(url, &form_only()) {
        Ok(target) => target,
        Err(error) => {
            findings.push(failed("url", error.to_string(), "register the URL in this form"));
            return;
        }
    };
    findings.push(match target.scheme() {
        Scheme::Https => Finding::ok("url", target.as_str().to_owned()),
        Scheme::Http => Finding {
            outcome: Outcome::Warn,
            what: "url",
            text: "http:// is refused unless the server has allow_http".to_owned(),
            mend: Some("give the receiver a certificate and an https:// URL".to_owned()),
        },
    });
    let Some(addresses) = addresses(&target, findings).await else { return };
    findings.push(judged(&addresses, target.port()));
    findings.push(connected(&target).await);
}

/// Judges the form of a URL; its address is a question of its own.
fn form_only() -> TargetPolicy {
    let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok());
    let networks =
        AddressPolicy { danger_allow_networks: everywhere.collect(), ..AddressPolicy::default() };
    TargetPolicy { allow_http: true, networks, ..TargetPolicy::default() }
}

/// `None` when there are none.
async fn addresses(target: &Target, findings: &mut Vec<Finding>) -> Option<Vec<IpAddr>> {
    let name = match target.host() {
        Host::Ip(ip) => return Some(vec![*ip]),
        Host::Domain(name) => name,
    };
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((&**name, target.port())));
    let problem = match found.await {
        Ok(Ok(found)) => {
            let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            found.dedup();
            if !found.is_empty() {
                let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
                findings.push(Finding::ok("dns", format!("{name} is {}", texts.join(", "))));
                return Some(found);
            }
            format!("{name} has no address")
        }
        Ok(Err(error)) => format!("{name} can't be resolved: {error}"),
        Err(_) => format!("{name} was not resolved within {} s", PATIENCE.as_secs()),
    };
    findings.push(failed("dns", problem, "check the name, and the records of its zone"));
    None
}

fn judged(addresses: &[IpAddr], port: u16) -> Finding {
    match judge_all(addresses, port, &AddressPolicy::default()) {
        Ok(()) => Finding::ok("address", "public, as the server wants it".to_owned()),
        Err(refusal) => failed(
            "address",
            format!("the server dials it only if it is told to: {refusal}"),
            "give the receiver a public address; a local one is what `listen` is for",
        ),
    }
}

async fn connected(target: &Target) -> Finding {
    let is_https = target.scheme() == Scheme::Https;
    let scheme = if is_https { "https" } else { "http" };
    let Some(base) = BaseUrl::parse(&format!("{scheme}://{}", target.authority())) else {
        return failed("connect", "the address can't be dialled".to_owned(), "check the URL");
    };
    let tls = match is_https.then(|| tls_config(None::<&Path>)).transpose() {
        Ok(tls) => tls,
        Err(failure) => return Finding::failed("connect", &failure),
    };
    match tokio::time::timeout(PATIENCE, connect(&base, tls)).await {
        Ok(Ok(_)) if is_https => {
            Finding::ok("connect", "it answers, with a certificate that is trusted".to_owned())
        }
        Ok(Ok(_)) => Finding::ok("connect", "it answers".to_owned()),
        Ok(Err(error)) => failed(
            "connect",
            error.to_string(),
            "start the receiver, open its port, or mend its certificate",
        ),
        Err(_) => failed(
            "connect",
            format!("no connection within {} s", PATIENCE.as_secs()),
            "a firewall may drop what comes to its port",
        ),
    }
}

fn failed(what: &'static str, text: String, mend: &str) -> Finding {
    Finding { outcome: Outcome::Fail(FailureKind::Other), what, text, mend: Some(mend.to_owned()) }
}
