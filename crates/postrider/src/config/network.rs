//! `danger_allow_networks`.

use std::net::{Ipv4Addr, Ipv6Addr};

use postrider_core::address::Network;

use super::ConfigError;
use super::value::Given;

/// What is open without the setting: nothing, or with `--dev` this machine.
pub(super) fn defaults(is_dev: bool) -> Vec<Network> {
    if !is_dev {
        return Vec::new();
    }
    let loopback = ["127.0.0.0/8", "::1/128"].map(str::parse);
    loopback.into_iter().filter_map(Result::ok).collect()
}

pub(super) fn list(given: &Given<'_>) -> Result<Vec<Network>, ConfigError> {
    given
        .list()?
        .iter()
        .map(|text| {
            let network: Network = text.parse().map_err(|error| {
                given.refuse(format!("{text:?} is no network"), format!("{error}"))
            })?;
            if is_everything(&network) {
                return Err(given.refuse(
                    format!("{network} opens every address to tenants"),
                    "name the networks that your receivers are in",
                ));
            }
            Ok(network)
        })
        .collect()
}

/// Whether a network holds both ends of its family's addresses.
fn is_everything(network: &Network) -> bool {
    let holds = |first, last| network.contains(first) && network.contains(last);
    holds(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into())
        || holds(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from_bits(u128::MAX).into())
}
