//! The primitives: LEB128 varints, zigzag for signed ones, length-prefixed bytes, and options
//! as a byte before the value.

/// What was found that can't have been written by this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Undecodable(pub(crate) &'static str);

pub(crate) type Decoded<T> = Result<T, Undecodable>;

/// Appends to a buffer that the caller may use again.
#[derive(Debug)]
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn uint(&mut self, value: u64) {
        let mut rest = value;
        while rest >= 0x80 {
            self.0.push(low_seven(rest) | 0x80);
            rest >>= 7;
        }
        self.0.push(low_seven(rest));
    }

    pub(crate) fn int(&mut self, value: i64) {
        self.uint((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn len(&mut self, len: usize) {
        self.uint(u64::try_from(len).expect("lengths fit 64 bits"));
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

fn low_seven(value: u64) -> u8 {
    u8::try_from(value & 0x7f).expect("seven bits fit a byte")
}

/// Reads back what a [`Writer`] wrote, trusting nothing.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts after the version byte, which must be `version`.
    pub(crate) fn versioned(bytes: &'a [u8], version: u8) -> Decoded<Self> {
        match bytes.split_first() {
            Some((&found, rest)) if found == version => Ok(Self(rest)),
            Some(_) => Err(Undecodable("an unknown version")),
            None => Err(Undecodable("nothing at all")),
        }
    }

    pub(crate) fn byte(&mut self) -> Decoded<u8> {
        let (&byte, rest) = self.0.split_first().ok_or(Undecodable("an early end"))?;
        self.0 = rest;
        Ok(byte)
    }

    pub(crate) fn uint(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Undecodable("an integer over 64 bits"))
    }

    pub(crate) fn int(&mut self) -> Decoded<i64> {
        let raw = self.uint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// An integer of a narrower type.
    pub(crate) fn narrow<T: TryFrom<u64>>(&mut self) -> Decoded<T> {
        T::try_from(self.uint()?).map_err(|_| Undecodable("an integer out of range"))
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Undecodable("a boolean that is neither")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let len: usize = self.narrow()?;
        let (bytes, rest) =
            self.0.split_at_checked(len).ok_or(Undecodable("a length beyond the end"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (&array, rest) = self.0.split_first_chunk().ok_or(Undecodable("an early end"))?;
        self.0 = rest;
        Ok(array)
    }

    pub(crate) fn str(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Undecodable("text that is not UTF-8"))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A list whose length comes first. Each element takes a byte or more, so a length beyond
    /// what is left is refused before anything is reserved for it.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        let len: usize = self.narrow()?;
        if len > self.0.len() {
            return Err(Undecodable("a length beyond the end"));
        }
        let mut list = Vec::with_capacity(len);
        for _ in 0..len {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub(crate) fn end(self) -> Decoded<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Undecodable("bytes after the end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_at_their_edges() {
        let mut bytes = vec![9];
        let mut writer = Writer(&mut bytes);
        for value in [0, 1, 127, 128, u64::MAX - 1, u64::MAX] {
            writer.uint(value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            writer.int(value);
        }
        let mut reader = Reader::versioned(&bytes, 9).unwrap();
        for value in [0, 1, 127, 128, u64::MAX - 1, u64::MAX] {
            assert_eq!(reader.uint(), Ok(value));
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(reader.int(), Ok(value));
        }
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn an_overlong_integer_is_refused() {
        let bytes = [vec![0xff; 9], vec![0x02]].concat();
        assert!(Reader(&bytes).uint().is_err());
        assert!(Reader(&[0x80; 12]).uint().is_err());
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_before_it_is_reserved() {
        let mut bytes = Vec::new();
        Writer(&mut bytes).uint(u64::MAX);
        assert!(Reader(&bytes).bytes().is_err());
        assert!(Reader(&bytes).list(Reader::uint).is_err());
    }

    #[test]
    fn another_version_is_refused() {
        assert!(Reader::versioned(&[2, 0], 1).is_err());
        assert!(Reader::versioned(&[], 1).is_err());
    }
}
