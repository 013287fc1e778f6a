//! Tokens: what this server hands out sealed and takes back later, such as a session in a cookie.
//!
//! Nothing about them is stored. They open as long as the sealing key that they name is kept, so
//! they outlive a restart, and any node that has the keys can open them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_signature::seal::{NONCE_BYTES, SealError};
use zeroize::Zeroizing;

use super::Engine;
use super::live::fill_random;

/// Longest token that is looked at: ours have a third of it.
const TOKEN_BYTES_MAX: usize = 1_024;

impl Engine {
    /// A number that nobody can guess, for telling things apart.
    pub fn random_number(&self) -> u64 {
        let mut bytes = [0; 8];
        fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Seals `content` for one purpose. The text has letters, digits, `-` and `_` only.
    pub fn seal_token(&self, purpose: &str, content: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce);
        let sealed = self.inner.parts.sealing.seal(content, &place(purpose), &nonce)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What was sealed for this purpose. `None` for anything else, however it came about.
    pub fn open_token(&self, purpose: &str, token: &str) -> Option<Zeroizing<Vec<u8>>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        self.inner.parts.sealing.open(&sealed, &place(purpose)).ok()
    }
}

/// No webhook's secret can be taken for a token: those are bound to eight bytes.
fn place(purpose: &str) -> Vec<u8> {
    format!("postrider token: {purpose}").into_bytes()
}
