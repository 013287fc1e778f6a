//! Whose dashboard it is: name, logo, colour, and which sites may embed it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use http::HeaderValue;

use super::color::Color;

/// A logo is a mark beside a name, not a picture.
const LOGO_BYTES_MAX: u64 = 128 << 10;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Look {
    pub name: String,
    pub logo: Option<Logo>,
    pub accent: Color,
    /// Origins whose pages may show portal links in a frame: `https://app.example.com`.
    pub embed_origins: Vec<String>,
}

/// A picture, as it is served.
#[derive(Clone, Debug)]
pub struct Logo {
    pub(super) media_type: HeaderValue,
    pub(super) bytes: Bytes,
}

/// Why a file is no logo.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("it has more than {LOGO_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is neither PNG, JPEG, WebP nor SVG")]
    UnknownKind,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            name: "Postrider".to_owned(),
            logo: None,
            accent: Color::DEFAULT,
            embed_origins: Vec::new(),
        }
    }
}

impl Logo {
    /// Reads a logo from a file, by what is in it.
    pub fn read(path: &Path) -> Result<Self, LookError> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LOGO_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LOGO_BYTES_MAX {
            return Err(LookError::TooLarge);
        }
        let media_type = media_type(&bytes).ok_or(LookError::UnknownKind)?;
        Ok(Self { media_type: HeaderValue::from_static(media_type), bytes: bytes.into() })
    }
}

/// An SVG may hold scripts, but none runs: it is only ever shown by `<img>`, and served with a
/// policy that allows nothing.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Some("image/jpeg");
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim_start();
    let is_svg = text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg"));
    is_svg.then_some("image/svg+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_known_by_its_content() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"  <svg xmlns='http://www.w3.org/2000/svg'/>", Some("image/svg+xml")),
            (b"<?xml version='1.0'?><svg/>", Some("image/svg+xml")),
            (b"<html><svg/></html>", None),
            (b"GIF89a", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_large_file_is_no_logo() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b' '; (128 << 10) + 1]).unwrap();
        assert!(matches!(Logo::read(file.path()), Err(LookError::TooLarge)));
        let missing = Logo::read(Path::new("/nowhere/logo.png"));
        assert!(matches!(missing, Err(LookError::Unreadable(_))));
    }
}
