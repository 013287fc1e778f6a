//! How the dashboard looks, and where it may be embedded.

use std::path::PathBuf;

use http::Uri;

use super::value::Given;
use super::{ConfigError, Sources};
use crate::dashboard::{Color, Logo, Look};

/// A name beside a logo: more does not fit.
const NAME_CHARS_MAX: usize = 60;
/// A platform and its stages; each is in a header of every page.
const EMBED_ORIGINS_MAX: usize = 20;

pub(super) fn read(sources: &Sources) -> Result<Look, ConfigError> {
    Ok(Look {
        name: sources.or_default("dashboard_name", name)?,
        logo: sources.optional("dashboard_logo", logo)?,
        accent: sources.or_default("dashboard_accent", accent)?,
        embed_origins: sources
            .optional("dashboard_embed_origins", embed_origins)?
            .unwrap_or_default(),
    })
}

fn name(given: &Given<'_>) -> Result<String, ConfigError> {
    let text = given.text()?.trim();
    let is_plain = !text.is_empty() && !text.chars().any(char::is_control);
    if is_plain && text.chars().count() <= NAME_CHARS_MAX {
        return Ok(text.to_owned());
    }
    let problem = "is empty, too long or holds control characters";
    Err(given.refuse(problem, format!("give 1 to {NAME_CHARS_MAX} characters")))
}

fn logo(given: &Given<'_>) -> Result<Logo, ConfigError> {
    let path = PathBuf::from(given.text()?);
    Logo::read(&path).map_err(|error| {
        let problem = format!("{}: {error}", path.display());
        given.refuse(problem, "give the path of a PNG, JPEG, WebP or SVG of at most 128 KiB")
    })
}

fn accent(given: &Given<'_>) -> Result<Color, ConfigError> {
    let text = given.text()?;
    Color::parse(text)
        .ok_or_else(|| given.refuse(format!("{text:?} is no colour"), "give one such as #4f46e5"))
}

fn embed_origins(given: &Given<'_>) -> Result<Vec<String>, ConfigError> {
    let origins = given.list()?;
    if origins.len() > EMBED_ORIGINS_MAX {
        let problem = format!("more than {EMBED_ORIGINS_MAX} origins");
        return Err(given.refuse(problem, "name those alone that embed the dashboard"));
    }
    origins.into_iter().map(|text| origin(given, text)).collect()
}

/// Scheme, host and perhaps a port (RFC 6454 §6.2), as a page's policy takes it.
fn origin(given: &Given<'_>, text: &str) -> Result<String, ConfigError> {
    let refuse = |problem: &str| {
        let mend = "give scheme, host and perhaps a port, such as https://app.example.com";
        given.refuse(format!("{text:?} {problem}"), mend)
    };
    let uri: Uri = text.parse().map_err(|_| refuse("is no origin"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(refuse("is no origin"));
    };
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('#');
    // what else a URL may hold would end the policy's directive, or match more than one site
    let is_plain = authority
        .as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    if !matches!(scheme, "http" | "https") || !is_bare || !is_plain || authority.host().is_empty() {
        return Err(refuse("is no origin"));
    }
    Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}
