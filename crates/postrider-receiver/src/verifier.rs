//! Verifying, with everything that only a receiver knows: its keys, which servers it trusts, and
//! that a proxy may have respelt the body on its way.

#[cfg(feature = "ed25519")]
use postrider_signature::PublicKey;
use postrider_signature::canonical::{self, NumberPolicy};
use postrider_signature::{
    BodyForm, Secret, SecretError, SigningProfile, Tolerance, Verified, VerifyError, VerifyKey,
    json, verify,
};

use crate::event::Event;
use crate::{UnixMs, now_ms};

/// Verifies the deliveries of one sender.
///
/// Holds one or several keys, so that a rotation needs no downtime: a delivery is good when any
/// signature in it was made with any of them.
#[derive(Debug)]
pub struct Verifier {
    profile: SigningProfile,
    secrets: Vec<Secret>,
    #[cfg(feature = "ed25519")]
    public_keys: Vec<PublicKey>,
    tolerance: Tolerance,
    trusted_hosts: Option<Vec<String>>,
}

/// Why a delivery is refused: the step that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the header {0} is missing")]
    MissingHeader(String),
    #[error("the header {0} can't be read")]
    MalformedHeader(String),
    /// Only where id and time are read from the body.
    #[error("the body is not a JSON object with an id and a timestamp")]
    MalformedBody,
    #[error("signed {seconds} s ago, which is too old")]
    TooOld { seconds: i64 },
    #[error("signed for {seconds} s from now, which is too new")]
    TooNew { seconds: i64 },
    #[error("no signature matches: the secret is another one, or the body is not as it was sent")]
    NoMatch,
    #[error("the signature is good, but the server is not one of those trusted")]
    UntrustedHost,
}

impl Verifier {
    /// A verifier without keys, which accepts nothing yet. Deliveries may be 300 s old or ahead.
    pub fn new(profile: SigningProfile) -> Self {
        Self {
            profile,
            secrets: Vec::new(),
            #[cfg(feature = "ed25519")]
            public_keys: Vec::new(),
            tolerance: Tolerance::default(),
            trusted_hosts: None,
        }
    }

    /// Adds a secret of the profile, or a `whpk_…` public key where the profile has such.
    pub fn with_secret(mut self, text: &str) -> Result<Self, SecretError> {
        #[cfg(feature = "ed25519")]
        if text.starts_with("whpk_")
            && self.profile.secret_format.key == postrider_signature::KeyDerivation::Base64
        {
            self.public_keys.push(PublicKey::parse(text)?);
            return Ok(self);
        }
        self.secrets.push(Secret::parse(text, &self.profile.secret_format)?);
        Ok(self)
    }

    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Accepts deliveries of these servers only, by the header that names them (`automa`:
    /// `x-automa-server-host`). Compared whole, without letter case and a slash at the end. Of no
    /// effect for profiles without such a header.
    #[must_use]
    pub fn with_trusted_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.trusted_hosts = Some(hosts.into_iter().map(|host| host_form(host.as_ref())).collect());
        self
    }

    /// Verifies a delivery by the system's clock. `header` finds a header by its lower-case name;
    /// `body` is exactly what arrived, before anything parsed it.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
    ) -> Result<Event, Rejected> {
        self.verify_at(now_ms(), header, body)
    }

    /// The same at a time of one's own.
    pub fn verify_at<'h>(
        &self,
        now: UnixMs,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
    ) -> Result<Event, Rejected> {
        let verified = match self.verify_bytes(now, &header, body) {
            Err(VerifyError::NoMatch) => {
                let respelt = self.respelt(body).ok_or(VerifyError::NoMatch);
                respelt.and_then(|body| self.verify_bytes(now, &header, &body))
            }
            verified => verified,
        };
        let Verified { id, timestamp_seconds } = verified.map_err(Rejected::from)?;
        self.check_host(&header)?;
        Ok(Event { id, timestamp_seconds, body: body.to_owned() })
    }

    fn verify_bytes<'h>(
        &self,
        now: UnixMs,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
    ) -> Result<Verified, VerifyError> {
        let keys: Vec<VerifyKey<'_>> = self.secrets.iter().map(VerifyKey::from).collect();
        #[cfg(feature = "ed25519")]
        let keys = [keys, self.public_keys.iter().map(VerifyKey::from).collect()].concat();
        verify(&self.profile, &keys, header, body, now, self.tolerance)
    }

    /// What JavaScript makes of the body, for profiles whose senders sign that: a framework or a
    /// proxy may have written it anew.
    fn respelt(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.profile.body_form != BodyForm::Ecma {
            return None;
        }
        let minified = json::minify_within(body, 1).ok()?;
        let form = canonical::ecma(&minified, NumberPolicy::Round).ok()?;
        (*form != *body).then(|| form.into_owned())
    }

    fn check_host<'h>(&self, header: impl Fn(&str) -> Option<&'h str>) -> Result<(), Rejected> {
        let (Some(trusted), Some(name)) = (&self.trusted_hosts, &self.profile.server_host_header)
        else {
            return Ok(());
        };
        let named = header(name).ok_or_else(|| Rejected::MissingHeader(name.to_string()))?;
        let is_trusted = trusted.contains(&host_form(named));
        if is_trusted { Ok(()) } else { Err(Rejected::UntrustedHost) }
    }
}

impl Rejected {
    /// A stable name of the step.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingHeader(_) => "missing_header",
            Self::MalformedHeader(_) => "malformed_header",
            Self::MalformedBody => "malformed_body",
            Self::TooOld { .. } => "too_old",
            Self::TooNew { .. } => "too_new",
            Self::NoMatch => "no_match",
            Self::UntrustedHost => "untrusted_host",
        }
    }

    /// What to answer: 400 for what a right sender could have sent at another time, else 401.
    pub fn status(&self) -> u16 {
        match self {
            Self::MalformedBody | Self::TooOld { .. } | Self::TooNew { .. } => 400,
            Self::MissingHeader(_)
            | Self::MalformedHeader(_)
            | Self::NoMatch
            | Self::UntrustedHost => 401,
        }
    }
}

impl From<VerifyError> for Rejected {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::MissingHeader(name) => Self::MissingHeader(name),
            VerifyError::MalformedHeader(name) => Self::MalformedHeader(name),
            VerifyError::MalformedBody => Self::MalformedBody,
            VerifyError::TooOld { age_seconds } => Self::TooOld { seconds: age_seconds },
            VerifyError::TooNew { ahead_seconds } => Self::TooNew { seconds: ahead_seconds },
            VerifyError::NoMatch => Self::NoMatch,
        }
    }
}

fn host_form(host: &str) -> String {
    host.strip_suffix('/').unwrap_or(host).to_lowercase()
}
