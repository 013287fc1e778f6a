//! Sealing: secrets at rest, encrypted and bound to their place.
//!
//! XChaCha20-Poly1305. A sealed value is
//! `version (1 byte) | key id (8) | nonce (24) | ciphertext and tag`, so that keys
//! can rotate: new values are sealed with the current key, old ones open with the
//! key that they name. The additional data (say, tenant and webhook) is not
//! stored; whoever opens gives the same, so a value moved elsewhere won't open.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of a nonce: long enough that random ones never meet.
pub const NONCE_BYTES: usize = 24;
/// Length of a sealing key.
pub const KEY_BYTES: usize = 32;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// Secrets take up to 1 KiB; ours, and far below the cipher's own bound.
const PLAINTEXT_BYTES_MAX: usize = 1 << 20;

/// Names a sealing key without telling anything about it: the start of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KEY_ID_BYTES]);

/// One sealing key. Zeroized when dropped, redacted in `Debug`.
pub struct SealingKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// The current sealing key, which seals, and older ones, which still open.
#[derive(Debug)]
pub struct SealingKeys {
    current: SealingKey,
    older: Vec<SealingKey>,
}

/// Why a text is no sealing key, or a value can't be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealError {
    #[error("a sealing key is Base64 of {KEY_BYTES} random bytes, or 64 hexadecimal digits")]
    BadKey,
    #[error("more than {PLAINTEXT_BYTES_MAX} bytes can't be sealed")]
    TooLong,
    #[error("not a sealed value of version {VERSION}")]
    NotSealed,
    #[error("sealed with the key {id}, which is not among the sealing keys; add it back")]
    MissingKey { id: KeyId },
    #[error("the sealed value was altered, or belongs to another place (key {id})")]
    Altered { id: KeyId },
}

impl SealingKey {
    pub fn from_bytes(key: &[u8; KEY_BYTES]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"postrider sealing key id");
        hash.update(key);
        let hash = hash.finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash[..KEY_ID_BYTES]);
        Self { id: KeyId(id), cipher: XChaCha20Poly1305::new(key.into()) }
    }

    /// Reads a key as it stands in a setting or a file: standard Base64 of 32
    /// bytes, or 64 hexadecimal digits; white space around it doesn't count.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let bytes = Zeroizing::new(match from_hex(text) {
            Some(bytes) => bytes,
            None => STANDARD.decode(text).map_err(|_| SealError::BadKey)?,
        });
        let key = bytes.as_slice().try_into().map_err(|_| SealError::BadKey)?;
        Ok(Self::from_bytes(key))
    }

    /// The id, derived from the key.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl SealingKeys {
    pub fn new(current: SealingKey) -> Self {
        Self { current, older: Vec::new() }
    }

    /// Adds a key that opens what it sealed before.
    #[must_use]
    pub fn with_older(mut self, key: SealingKey) -> Self {
        self.older.push(key);
        self
    }

    /// Whether there is any key that only opens.
    pub fn has_older(&self) -> bool {
        !self.older.is_empty()
    }

    /// Whether a value is sealed with one of the older keys, and so is due to be sealed again.
    pub fn is_stale(&self, sealed: &[u8]) -> bool {
        key_id(sealed).is_some_and(|id| self.older.iter().any(|key| key.id == id))
    }

    /// Seals with the current key. `nonce` must be random and new each time; `aad`
    /// is the place that the value belongs to.
    pub fn seal(
        &self,
        plaintext: &[u8],
        aad: &[u8],
        nonce: &[u8; NONCE_BYTES],
    ) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&self.current.id.0);
        let aad = [&sealed, aad].concat();
        sealed.extend_from_slice(nonce);
        let payload = Payload { msg: plaintext, aad: &aad };
        let ciphertext = self.current.cipher.encrypt(&XNonce::from(*nonce), payload);
        sealed.extend(ciphertext.map_err(|_| SealError::TooLong)?);
        Ok(sealed)
    }

    /// Opens a value with the key that it names.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, ciphertext) =
            sealed.split_first_chunk::<HEADER_BYTES>().ok_or(SealError::NotSealed)?;
        let id = key_id(sealed).ok_or(SealError::NotSealed)?;
        let key = std::iter::once(&self.current)
            .chain(&self.older)
            .find(|key| key.id == id)
            .ok_or(SealError::MissingKey { id })?;
        let (named, nonce) = header.split_at(1 + KEY_ID_BYTES);
        let nonce = nonce.try_into().map_err(|_| SealError::NotSealed)?;
        let aad = [named, aad].concat();
        key.cipher
            .decrypt(nonce, Payload { msg: ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Altered { id })
    }
}

/// The id of the key that sealed a value; `None` when it is no sealed value.
pub fn key_id(sealed: &[u8]) -> Option<KeyId> {
    let (version, rest) = sealed.split_first()?;
    let id = rest.first_chunk().filter(|_| *version == VERSION)?;
    Some(KeyId(*id))
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, redacted)", self.id)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_bytes(&[byte; KEY_BYTES])
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let keys = SealingKeys::new(key(1));
        let sealed = keys.seal(b"whsec_x", b"ten_1/wh_1", &[9; NONCE_BYTES]).unwrap();
        assert_eq!(&**keys.open(&sealed, b"ten_1/wh_1").unwrap(), b"whsec_x");
        let id = keys.current.id;
        assert_eq!(key_id(&sealed), Some(id));
        assert_eq!(keys.open(&sealed, b"ten_1/wh_2").unwrap_err(), SealError::Altered { id });
        assert!(!sealed.windows(7).any(|w| w == b"whsec_x"));
    }

    #[test]
    fn every_altered_or_missing_byte_is_noticed() {
        let keys = SealingKeys::new(key(1));
        let sealed = keys.seal(b"s", b"", &[9; NONCE_BYTES]).unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(keys.open(&altered, b"").is_err(), "byte {at}");
            assert!(keys.open(&sealed[..at], b"").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn an_older_key_still_opens_and_a_missing_one_is_named() {
        let before = SealingKeys::new(key(1));
        let sealed = before.seal(b"s", b"", &[9; NONCE_BYTES]).unwrap();
        let rotated = SealingKeys::new(key(2)).with_older(key(1));
        assert_eq!(&**rotated.open(&sealed, b"").unwrap(), b"s");
        assert!(rotated.is_stale(&sealed));
        let anew = rotated.seal(b"s", b"", &[9; NONCE_BYTES]).unwrap();
        assert!(!rotated.is_stale(&anew) && !rotated.is_stale(b"not a sealed value"));

        let error = SealingKeys::new(key(2)).open(&sealed, b"").unwrap_err();
        assert_eq!(error, SealError::MissingKey { id: key(1).id() });
        assert!(error.to_string().contains(&key(1).id().to_string()));
    }

    #[test]
    fn keys_are_read_from_base64_and_hex() {
        let id = key(0xAB).id();
        let hex = "aB".repeat(KEY_BYTES);
        let base64 = STANDARD.encode([0xAB; KEY_BYTES]);
        for text in [&hex, &base64, &format!("{base64}\n")] {
            assert_eq!(SealingKey::parse(text).unwrap().id(), id);
        }
        for text in ["", "x", &hex[1..], &STANDARD.encode([0; 31]), &"zz".repeat(KEY_BYTES)] {
            assert_eq!(SealingKey::parse(text).unwrap_err(), SealError::BadKey, "{text}");
        }
    }

    #[test]
    fn a_key_never_shows_in_debug() {
        let shown = format!("{:?}", SealingKeys::new(key(0xAB)));
        assert!(shown.contains("redacted"), "{shown}");
        assert!(!shown.contains("abababab") && !shown.contains("171, 171"), "{shown}");
    }

    #[test]
    fn too_much_is_refused() {
        let plaintext = vec![0; PLAINTEXT_BYTES_MAX + 1];
        let sealed = SealingKeys::new(key(1)).seal(&plaintext, b"", &[0; NONCE_BYTES]);
        assert_eq!(sealed.unwrap_err(), SealError::TooLong);
    }
}
