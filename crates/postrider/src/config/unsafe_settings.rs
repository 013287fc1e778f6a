//! Combinations of settings that would run, but unsafely.

use super::{Config, ConfigError, Sources};

/// Refuses the first of them.
pub(super) fn refuse(config: &Config, sources: &Sources) -> Result<(), ConfigError> {
    let refusal = |name: &'static str, problem: String, mend: &str| ConfigError {
        setting: name.to_owned(),
        origin: sources.origin(name),
        problem,
        mend: mend.to_owned(),
    };
    let listen = config.listen;
    let is_reachable = !listen.ip().to_canonical().is_loopback();
    if config.is_dev && is_reachable {
        return Err(refusal(
            "listen",
            format!("--dev on {listen} would open a server without guards to other machines"),
            "listen on 127.0.0.1, or leave --dev out",
        ));
    }
    let is_https = config.given_public_url.as_ref().is_some_and(super::PublicUrl::is_https);
    if is_reachable && !is_https {
        let name = if config.given_public_url.is_some() { "public_url" } else { "listen" };
        return Err(refusal(
            name,
            format!("other machines reach {listen}, and keys would cross the network unencrypted"),
            "set public_url to the https:// address of the proxy in front, or listen on 127.0.0.1",
        ));
    }
    let is_sealing = |key| config.sealing_key.as_ref() == Some(key);
    if config.old_sealing_keys.iter().any(is_sealing) {
        return Err(refusal(
            "old_sealing_keys",
            "holds the current sealing_key".to_owned(),
            "move only keys here that are current no more",
        ));
    }
    Ok(())
}
