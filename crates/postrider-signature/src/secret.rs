//! Secrets: their text formats, and the keys made of them (contract §3).

#[cfg(feature = "ed25519")]
mod ed25519;

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::mac::{HmacKey, hmac_key};
#[cfg(feature = "ed25519")]
pub use ed25519::PublicKey;
#[cfg(feature = "ed25519")]
pub(crate) use ed25519::SigningPair;

/// Length of a Base64 key in bytes, from Standard Webhooks.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;
/// What we make ourselves, for Base64 formats.
const MADE_KEY_BYTES: usize = 32;
/// What we make ourselves, for text formats: as Base64 without padding it is 33
/// bytes, so every library tried loads it, decoded or not.
const MADE_TEXT_LEN: usize = 44;
const TEXT_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// A bound for what is stored and hashed; ours, the formats name none.
const TEXT_BYTES_MAX: usize = 1_024;

const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

/// How a secret is written and which part of it is the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFormat {
    /// What the text starts with; may be empty. Ignored by
    /// [`KeyDerivation::Whole`] except when secrets are made.
    pub prefix: Cow<'static, str>,
    pub key: KeyDerivation,
}

/// Which bytes of a secret's text are the HMAC key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDerivation {
    /// Standard Base64 after the prefix, 24 to 64 bytes decoded. Such a format
    /// takes ed25519 keys too: `whsk_` and Base64 of 32 or 64 bytes.
    Base64,
    /// The UTF-8 text after the prefix, not decoded.
    Text,
    /// The whole text; a prefix is never stripped.
    Whole,
}

/// Why a text is no secret of a format. Never repeats any of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    #[error("the secret is empty; leave it out to have one made")]
    Empty,
    #[error("the secret is longer than {TEXT_BYTES_MAX} bytes; use a shorter one")]
    TooLong,
    #[error("the secret must start with `{expected}`; add it or choose another profile")]
    WrongPrefix { expected: String },
    #[error("what follows the secret's prefix is not standard Base64 with padding")]
    NotBase64,
    /// Code `weak_secret` at the API.
    #[error(
        "the secret decodes to {bytes} bytes; \
         use {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random ones, or leave it out to have one made"
    )]
    Weak { bytes: usize },
    #[error(
        "a `{PUBLIC_PREFIX}` text is a public key and can't sign; give the `{PRIVATE_PREFIX}` key"
    )]
    PublicKey,
    #[error("a `{PRIVATE_PREFIX}` key is Base64 of 32 bytes, or of 64 that end in its public key")]
    BadPrivateKey,
    #[error("a `{PUBLIC_PREFIX}` key is Base64 of 32 bytes that are a point of ed25519")]
    BadPublicKey,
    #[error("ed25519 keys are not supported by this build; use a `whsec_` secret")]
    Ed25519Unsupported,
}

/// A secret that can sign and verify. Zeroized when dropped, redacted in `Debug`,
/// compared in constant time.
pub struct Secret {
    text: Zeroizing<String>,
    key: Key,
}

pub(crate) enum Key {
    Hmac(Box<HmacKeys>),
    #[cfg(feature = "ed25519")]
    Ed25519(Box<SigningPair>),
}

pub(crate) struct HmacKeys {
    pub(crate) own: HmacKey,
    /// A text key's Base64 reading: Standard Webhooks libraries sign with it.
    pub(crate) decoded: Option<HmacKey>,
}

impl Secret {
    /// Reads a secret of a format.
    pub fn parse(text: &str, format: &SecretFormat) -> Result<Self, SecretError> {
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(SecretError::TooLong);
        }
        let key = match format.key {
            KeyDerivation::Whole => Key::shared(text.as_bytes(), None),
            KeyDerivation::Text => {
                let text = after_prefix(text, &format.prefix)?;
                let decoded = decode(text).ok().map(|bytes| hmac_key(&bytes));
                Key::shared(text.as_bytes(), decoded)
            }
            KeyDerivation::Base64 if text.starts_with(PUBLIC_PREFIX) => {
                return Err(SecretError::PublicKey);
            }
            KeyDerivation::Base64 => match text.strip_prefix(PRIVATE_PREFIX) {
                Some(key) => private_key(key)?,
                None => shared_key(after_prefix(text, &format.prefix)?)?,
            },
        };
        Ok(Self { text: Zeroizing::new(text.to_owned()), key })
    }

    /// Makes a secret of a format from random bytes, which `random` fills in:
    /// 32 bytes in Base64, or 44 of `[A-Za-z0-9]`, after the prefix.
    pub fn generate(format: &SecretFormat, random: &mut impl FnMut(&mut [u8])) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(format.prefix.len() + 48));
        text.push_str(&format.prefix);
        match format.key {
            KeyDerivation::Base64 => {
                let mut bytes = Zeroizing::new([0; MADE_KEY_BYTES]);
                random(bytes.as_mut());
                STANDARD.encode_string(bytes.as_ref(), &mut text);
            }
            KeyDerivation::Text | KeyDerivation::Whole => {
                for _ in 0..MADE_TEXT_LEN {
                    // 64 bits modulo 62 favour no letter by more than 2^-58
                    let mut bytes = Zeroizing::new([0; 8]);
                    random(bytes.as_mut());
                    let [letter, ..] = (u64::from_le_bytes(*bytes) % 62).to_le_bytes();
                    text.push(char::from(TEXT_ALPHABET[usize::from(letter)]));
                }
            }
        }
        Self::parse(&text, format).expect("a made secret has its format's prefix and length")
    }

    /// Makes an ed25519 secret: `whsk_` and Base64 of 32 random bytes and the
    /// public key.
    #[cfg(feature = "ed25519")]
    pub fn generate_ed25519(random: &mut impl FnMut(&mut [u8])) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        random(seed.as_mut());
        let pair = SigningPair::from_seed(&seed);
        let mut text = Zeroizing::new(String::with_capacity(PRIVATE_PREFIX.len() + 88));
        text.push_str(PRIVATE_PREFIX);
        STANDARD.encode_string(pair.to_bytes().as_ref(), &mut text);
        Self { text, key: Key::Ed25519(Box::new(pair)) }
    }

    /// The text of the secret, for storing it sealed and showing it to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The `whpk_` text of an ed25519 secret's public key; `None` for a shared
    /// secret.
    pub fn public_text(&self) -> Option<String> {
        match &self.key {
            Key::Hmac(_) => None,
            #[cfg(feature = "ed25519")]
            Key::Ed25519(pair) => Some(pair.public_key().text()),
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }
}

impl Key {
    fn shared(key: &[u8], decoded: Option<HmacKey>) -> Self {
        Self::Hmac(Box::new(HmacKeys { own: hmac_key(key), decoded }))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.text.as_bytes().ct_eq(other.text.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

fn after_prefix<'a>(text: &'a str, prefix: &str) -> Result<&'a str, SecretError> {
    let key = text
        .strip_prefix(prefix)
        .ok_or_else(|| SecretError::WrongPrefix { expected: prefix.to_owned() })?;
    if key.is_empty() { Err(SecretError::Empty) } else { Ok(key) }
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    STANDARD.decode(text).map(Zeroizing::new).map_err(|_| SecretError::NotBase64)
}

fn shared_key(text: &str) -> Result<Key, SecretError> {
    let bytes = decode(text)?;
    if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len()) {
        return Err(SecretError::Weak { bytes: bytes.len() });
    }
    Ok(Key::shared(&bytes, None))
}

#[cfg(feature = "ed25519")]
fn private_key(text: &str) -> Result<Key, SecretError> {
    SigningPair::from_bytes(&decode(text)?).map(|pair| Key::Ed25519(Box::new(pair)))
}

#[cfg(not(feature = "ed25519"))]
fn private_key(_: &str) -> Result<Key, SecretError> {
    Err(SecretError::Ed25519Unsupported)
}

#[cfg(test)]
mod tests;
