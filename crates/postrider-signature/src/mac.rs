//! HMAC-SHA256 over the two texts that are signed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key that has been taken in already: signing with a clone of it saves two of
/// the four hash blocks of a short text. Zeroized when dropped
/// (what building it leaves on the stack is not).
pub(crate) type HmacKey = Hmac<Sha256>;

pub(crate) fn hmac_key(key: &[u8]) -> HmacKey {
    HmacKey::new_from_slice(key).expect("HMAC takes keys of every length (RFC 2104 §2)")
}

/// `{id}.{seconds}.{body}`, the signed text of Standard Webhooks.
pub(crate) fn mac_of_content(key: &HmacKey, id: &str, seconds: i64, body: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// The body alone, as Autonoma signs it.
pub(crate) fn mac_of_body(key: &HmacKey, body: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    /// Fails to compile when a dependency's feature that zeroizes goes missing.
    #[test]
    fn keys_are_zeroized_when_dropped() {
        fn check<T: ZeroizeOnDrop>() {}
        // an HMAC state is two of SHA-256's; the type itself carries no mark
        check::<sha2::Sha256>();
        #[cfg(feature = "ed25519")]
        check::<ed25519_dalek::SigningKey>();
        #[cfg(feature = "seal")]
        check::<chacha20poly1305::XChaCha20Poly1305>();
    }
}
