//! A chunked body taken apart (RFC 9112 §7.1), however its bytes come in.

use bytes::{Buf, BytesMut};
use httparse::Status;

/// A line between chunks or a trailer that is longer than this is noise.
const LINE_BYTES_MAX: usize = 4 << 10;

/// Where in the body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before the size of a chunk.
    Size,
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// Between a chunk and its line end.
    DataEnd,
    /// After the last chunk.
    Trailers,
    Over,
}

/// The bytes are no chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadChunks;

impl Chunks {
    /// Takes what can be taken from `read`, and hands on what is data. Done once it is `Over`;
    /// otherwise it takes more bytes.
    pub(super) fn take(
        &mut self,
        read: &mut BytesMut,
        mut data: impl FnMut(&[u8]),
    ) -> Result<(), BadChunks> {
        while *self != Self::Over {
            let next = match *self {
                Self::Size => size_line(read)?,
                Self::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    data(&read[..here]);
                    read.advance(here);
                    match left - here as u64 {
                        0 => Some(Self::DataEnd),
                        left => {
                            *self = Self::Data(left);
                            None
                        }
                    }
                }
                Self::DataEnd => match line(read)? {
                    Some(0) => Some(Self::Size),
                    Some(_) => return Err(BadChunks),
                    None => None,
                },
                Self::Trailers => match line(read)? {
                    Some(0) => Some(Self::Over),
                    Some(_) => Some(Self::Trailers),
                    None => None,
                },
                Self::Over => Some(Self::Over),
            };
            match next {
                Some(next) => *self = next,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

fn size_line(read: &mut BytesMut) -> Result<Option<Chunks>, BadChunks> {
    match httparse::parse_chunk_size(read) {
        Ok(Status::Complete((length, size))) => {
            read.advance(length);
            Ok(Some(if size == 0 { Chunks::Trailers } else { Chunks::Data(size) }))
        }
        Ok(Status::Partial) if read.len() <= LINE_BYTES_MAX => Ok(None),
        Ok(Status::Partial) | Err(_) => Err(BadChunks),
    }
}

/// Takes a line away; how long it was, without its end.
fn line(read: &mut BytesMut) -> Result<Option<usize>, BadChunks> {
    match read.iter().take(LINE_BYTES_MAX).position(|&byte| byte == b'\n') {
        Some(end) if end > 0 && read[end - 1] == b'\r' => {
            read.advance(end + 1);
            Ok(Some(end - 1))
        }
        Some(_) => Err(BadChunks),
        None if read.len() >= LINE_BYTES_MAX => Err(BadChunks),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `text` in pieces of `piece` bytes; the data, and what is left of the text.
    fn taken(text: &[u8], piece: usize) -> Result<(Vec<u8>, usize, Chunks), BadChunks> {
        let (mut chunks, mut read, mut data) = (Chunks::Size, BytesMut::new(), Vec::new());
        for bytes in text.chunks(piece) {
            read.extend_from_slice(bytes);
            chunks.take(&mut read, |piece| data.extend_from_slice(piece))?;
        }
        Ok((data, read.len(), chunks))
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let text = b"5\r\nhello\r\n1;name=value\r\n \r\n0C\r\nworld\r\nagain\r\n0\r\nA: b\r\n\r\n";
        for piece in 1..=text.len() {
            let (data, left, chunks) = taken(text, piece).unwrap();
            assert_eq!((&data[..], left), (&b"hello world\r\nagain"[..], 0), "{piece}");
            assert_eq!(chunks, Chunks::Over);
        }
    }

    #[test]
    fn what_follows_the_last_chunk_is_left() {
        let (data, left, chunks) = taken(b"1\r\nx\r\n0\r\n\r\nHTTP", 100).unwrap();
        assert_eq!((&data[..], left, chunks), (&b"x"[..], 4, Chunks::Over));
    }

    #[test]
    fn what_is_framed_otherwise_is_refused_at_once() {
        let endless = format!("1;{}", "x".repeat(LINE_BYTES_MAX));
        let trailer = format!("0\r\n{}", "x".repeat(LINE_BYTES_MAX));
        for text in [
            "zz\r\n",
            "-1\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "fffffffffffffffff\r\n",
            &endless,
            &trailer,
        ] {
            assert_eq!(taken(text.as_bytes(), 7), Err(BadChunks), "{text}");
        }
    }
}
