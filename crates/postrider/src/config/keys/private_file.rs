//! Small files that only their owner can read. They appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::KeyError;

/// Names of files that were being written when their process died begin so.
pub(super) const UNFINISHED_PREFIX: &str = ".unfinished-";
/// Far more than a key or an address.
const BYTES_MAX: u64 = 4_096;

/// The text of a file that nobody but its owner can open; `None` if there is none.
pub fn read_private(path: &Path) -> Result<Option<Zeroizing<String>>, KeyError> {
    let failed = |error| KeyError::File { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::SharedFile { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Writes a private file in place of whatever is there.
pub fn replace_private(path: &Path, text: &str) -> Result<(), KeyError> {
    with_unfinished(path, text, |unfinished| fs::rename(unfinished, path))
}

/// Writes a private file unless there is one already.
pub(super) fn create_private(path: &Path, text: &str) -> Result<(), KeyError> {
    with_unfinished(path, text, |unfinished| {
        // unlike a rename, a link never takes the place of a file
        let linked = fs::hard_link(unfinished, path);
        fs::remove_file(unfinished)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    })
}

fn with_unfinished(
    path: &Path,
    text: &str,
    finish: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), KeyError> {
    let failed = |error| KeyError::File { path: path.to_owned(), error };
    let dir = path.parent().unwrap_or(Path::new("."));
    let mark = getrandom::u64().map_err(KeyError::Random)?;
    let unfinished = dir.join(format!("{UNFINISHED_PREFIX}{mark:016x}"));
    let written = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        finish(&unfinished)?;
        // the name survives a power cut only once its directory is written too
        File::open(dir)?.sync_all()
    };
    written().map_err(failed)
}
