//! The keys of a server: the bootstrap admin key, and the keys that seal secrets at rest.
//!
//! Given ones come with the configuration. Otherwise the sealing key lives in a file of the data
//! directory that only its owner can read, made at the first start; with `--dev` the admin key
//! does too, so that the command line finds it.

mod private_file;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Config;
pub use private_file::{read_private, replace_private};

/// In the data directory.
pub const SEALING_KEY_FILE: &str = "sealing-key";
/// In the data directory, with `--dev` only.
pub const ADMIN_KEY_FILE: &str = "admin-key";
/// In the data directory, with `--dev` only: where the running server is.
pub const DEV_FILE: &str = "dev.json";

const ADMIN_KEY_LEN_MIN: usize = 24;
/// As long as the server looks at.
const ADMIN_KEY_LEN_MAX: usize = crate::engine::KEY_TEXT_BYTES_MAX;
const ADMIN_KEY_PREFIX: &str = "prk_";
/// 62^44 is just over 2^256.
const MADE_KEY_LEN: usize = 44;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A bearer key: 24 to 256 visible ASCII characters. Redacted in `Debug`, zeroized when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey(Zeroizing<String>);

/// 32 bytes that seal. Redacted in `Debug`, zeroized when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

/// The keys that a server starts with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// `None` only outside `--dev`: then the store knows whether one was made at an earlier
    /// start, and if not, [`AdminKey::generate`] makes it.
    pub admin: Option<AdminKey>,
    pub sealing: SealingKey,
    pub old_sealing: Vec<SealingKey>,
}

/// Why there are no keys to start with; each says the mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("data_dir: {} cannot be used ({error}); name a directory that this user can write", path.display())]
    Directory { path: PathBuf, error: io::Error },
    #[error("data_dir: {} can be written by other users (mode {mode:o}), who could replace the keys in it; chmod go-w it", path.display())]
    SharedDirectory { path: PathBuf, mode: u32 },
    #[error("{} cannot be used ({error}); make it a file that this user can read and write", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is open to other users (mode {mode:o}), so its key may be known; replace the key, or chmod 600 the file if it was never read", path.display())]
    SharedFile { path: PathBuf, mode: u32 },
    #[error("{} does not hold {what}; restore it from a backup", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    #[error("sealing_key: {} holds data but no sealing key, and a new key could not open its secrets; set POSTRIDER_SEALING_KEY or restore the file {SEALING_KEY_FILE}", path.display())]
    Lost { path: PathBuf },
    #[error("the system gave no random bytes for a key: {0}")]
    Random(getrandom::Error),
}

impl Keys {
    /// Makes the data directory if need be, checks who may write it, and reads or makes the keys.
    ///
    /// Call it before the store makes its files: a directory that holds data and no sealing key
    /// has lost it, and gets no other.
    pub fn settle(config: &Config) -> Result<Self, KeyError> {
        let dir = &config.data_dir;
        prepare_directory(dir)?;
        let sealing = match &config.sealing_key {
            Some(key) => key.clone(),
            None => kept_sealing_key(dir)?,
        };
        let admin = match &config.admin_key {
            Some(key) => {
                if config.is_dev {
                    replace_private(&dir.join(ADMIN_KEY_FILE), key.expose())?;
                }
                Some(key.clone())
            }
            None if config.is_dev => Some(kept_admin_key(dir)?),
            None => None,
        };
        Ok(Self { admin, sealing, old_sealing: config.old_sealing_keys.clone() })
    }
}

impl AdminKey {
    /// The text, or what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() < ADMIN_KEY_LEN_MIN {
            return Err("is shorter than 24 characters");
        }
        if text.len() > ADMIN_KEY_LEN_MAX {
            return Err("is longer than 256 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("holds spaces or characters beyond ASCII");
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// `prk_` and 256 random bits.
    pub fn generate() -> Result<Self, KeyError> {
        let mut text = Zeroizing::new(String::with_capacity(ADMIN_KEY_PREFIX.len() + MADE_KEY_LEN));
        text.push_str(ADMIN_KEY_PREFIX);
        for _ in 0..MADE_KEY_LEN {
            // 64 bits modulo 62 favour no letter by more than 2^-58
            let number = getrandom::u64().map_err(KeyError::Random)?;
            let at = usize::try_from(number % 62).expect("a number below 62");
            text.push(char::from(ALPHABET[at]));
        }
        Ok(Self(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SealingKey {
    /// Base64 (standard, padded) of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        Some(Self(Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?)))
    }

    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(KeyError::Random)?;
        Ok(Self(bytes))
    }

    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(redacted)")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(redacted)")
    }
}

fn prepare_directory(dir: &Path) -> Result<(), KeyError> {
    let failed = |error| KeyError::Directory { path: dir.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = fs::metadata(dir).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(KeyError::SharedDirectory { path: dir.to_owned(), mode });
    }
    Ok(())
}

fn kept_sealing_key(dir: &Path) -> Result<SealingKey, KeyError> {
    let path = dir.join(SEALING_KEY_FILE);
    if read_private(&path)?.is_none() {
        if holds_data(dir)? {
            return Err(KeyError::Lost { path: dir.to_owned() });
        }
        private_file::create_private(&path, &SealingKey::generate()?.text())?;
    }
    // read again: if another process made it at the same time, its key counts
    let text = read_private(&path)?.unwrap_or_default();
    SealingKey::parse(text.trim()).ok_or(KeyError::Malformed { path, what: "Base64 of 32 bytes" })
}

fn kept_admin_key(dir: &Path) -> Result<AdminKey, KeyError> {
    let path = dir.join(ADMIN_KEY_FILE);
    if read_private(&path)?.is_none() {
        private_file::create_private(&path, AdminKey::generate()?.expose())?;
    }
    let text = read_private(&path)?.unwrap_or_default();
    AdminKey::parse(text.trim())
        .map_err(|_| KeyError::Malformed { path, what: "a key of 24 to 256 visible characters" })
}

/// Whether the directory holds files that are none of this module's.
fn holds_data(dir: &Path) -> Result<bool, KeyError> {
    let failed = |error| KeyError::Directory { path: dir.to_owned(), error };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = [ADMIN_KEY_FILE, DEV_FILE].contains(&&*name)
            || name.starts_with(private_file::UNFINISHED_PREFIX);
        // directories such as a volume's lost+found say nothing
        if !is_ours && entry.file_type().map_err(failed)?.is_file() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
