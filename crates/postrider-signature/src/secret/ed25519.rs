//! The asymmetric keys of Standard Webhooks: `whsk_` signs, `whpk_` verifies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{PUBLIC_PREFIX, SecretError};

/// A public key, all that a receiver needs to verify `v1a` signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads `whpk_` and Base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let key = text
            .strip_prefix(PUBLIC_PREFIX)
            .ok_or_else(|| SecretError::WrongPrefix { expected: PUBLIC_PREFIX.to_owned() })?;
        let bytes = STANDARD.decode(key).map_err(|_| SecretError::NotBase64)?;
        let bytes = bytes.try_into().map_err(|_| SecretError::BadPublicKey)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| SecretError::BadPublicKey)
    }

    /// The key as `whpk_…`.
    pub fn text(&self) -> String {
        let mut text = PUBLIC_PREFIX.to_owned();
        STANDARD.encode_string(self.0.as_bytes(), &mut text);
        text
    }

    pub(crate) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(text, &signature).is_ok())
    }
}

pub(crate) struct SigningPair(SigningKey);

impl SigningPair {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// From a 32-byte seed, or the seed and its public key.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let (seed, public) = bytes.split_first_chunk().ok_or(SecretError::BadPrivateKey)?;
        let pair = Self::from_seed(seed);
        // A signature made with a foreign public key gives the private one away
        if public.is_empty() || public == pair.0.verifying_key().as_bytes() {
            return Ok(pair);
        }
        Err(SecretError::BadPrivateKey)
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_keypair_bytes())
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.0.sign(text).to_bytes()
    }
}
