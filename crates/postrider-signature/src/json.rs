//! The one strict pass over JSON that arrives from outside.
//!
//! [`minify`] checks RFC 8259 exactly, adds the refusals that keep every receiver
//! able to read the document (contract §2) and strips white space, without
//! building a tree. Nothing about the place of a value is recorded on the way; a
//! failure walks the text a second time for its JSON pointer, so that only
//! refused documents pay for it.

mod member;
mod pointer;
mod string;

use thiserror::Error;

pub(crate) use member::member;
pub(crate) use pointer::pointer_at;
pub(crate) use string::{plain_run, unescape, write_escaped, write_minimal};

use crate::number;

/// How deep arrays and objects may nest: `[]` is 1 deep. Contract §2.
pub const DEPTH_MAX: usize = 64;

/// Why a document was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset} (JSON pointer {pointer:?})")]
pub struct JsonError {
    /// RFC 6901 pointer to the value at fault (`""` is the whole document). Cut
    /// to the nearest ancestor that fits into 512 bytes.
    pub pointer: String,
    /// Byte offset into the input as it was given.
    pub offset: usize,
    pub kind: JsonErrorKind,
}

/// The ways in which [`minify`] refuses a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonErrorKind {
    /// Not JSON by RFC 8259; says what was expected.
    #[error("not JSON: {0}")]
    Syntax(&'static str),
    #[error("not UTF-8")]
    InvalidUtf8,
    #[error("nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// `\ud800` without its other half: no UTF-8 text can hold it.
    #[error("a surrogate escape without its other half")]
    LoneSurrogate,
    /// A number beyond ±1.8e308 becomes infinity or null in most readers.
    #[error("a number too large for a double")]
    NumberOverflow,
    /// `__proto__`, or `prototype` in an object under the key `constructor`:
    /// receivers that guard against prototype poisoning answer 400.
    #[error("a key that receivers refuse as prototype poisoning")]
    ForbiddenKey,
}

/// Checks a JSON text strictly and returns it without white space.
///
/// Strings and numbers keep their spelling. Time is linear in the input and the
/// memory besides the output is constant, whatever the input.
pub fn minify(input: &[u8]) -> Result<Vec<u8>, JsonError> {
    minify_within(input, 0)
}

/// [`minify`] for a request whose documents sit `outer_levels` below its root:
/// with 1 for `{"data": …}` and 2 for `[{"data": …}]`, `data` itself may be
/// [`DEPTH_MAX`] deep. At most 64 outer levels count.
pub fn minify_within(input: &[u8], outer_levels: usize) -> Result<Vec<u8>, JsonError> {
    let outcome = match std::str::from_utf8(input) {
        _ if starts_with_byte_order_mark(input) => {
            Err(Fault::syntax(0, "a byte order mark is not allowed"))
        }
        Ok(_) => Pass::new(input, outer_levels).run(),
        Err(error) => Err(fault_before(input, error.valid_up_to(), outer_levels)),
    };
    outcome.map_err(|fault| JsonError {
        pointer: pointer_at(input, fault.place),
        offset: fault.offset,
        kind: fault.kind,
    })
}

fn starts_with_byte_order_mark(input: &[u8]) -> bool {
    [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| input.starts_with(mark))
}

/// The fault that stands first when the bytes stop being UTF-8 at `end`: whatever
/// is wrong before them, else the bytes themselves.
fn fault_before(input: &[u8], end: usize, outer_levels: usize) -> Fault {
    match Pass::new(&input[..end], outer_levels).run() {
        Err(fault) if fault.offset < end => fault,
        _ => Fault::new(end, JsonErrorKind::InvalidUtf8),
    }
}

struct Fault {
    offset: usize,
    /// Where the pointer is taken: everything before it has been read.
    place: usize,
    kind: JsonErrorKind,
}

impl Fault {
    fn new(offset: usize, kind: JsonErrorKind) -> Self {
        Self { offset, place: offset, kind }
    }

    fn syntax(offset: usize, expected: &'static str) -> Self {
        Self::new(offset, JsonErrorKind::Syntax(expected))
    }
}

/// One walk over the text. The open containers are bits, innermost lowest.
struct Pass<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// Input before this offset is in `out` or was white space.
    copied_to: usize,
    depth: usize,
    depth_max: usize,
    /// Which open containers are objects.
    objects: u128,
    /// Which open containers are the value of a key `constructor`.
    constructors: u128,
    is_after_constructor: bool,
}

impl<'a> Pass<'a> {
    fn new(input: &'a [u8], outer_levels: usize) -> Self {
        Self {
            input,
            at: 0,
            out: Vec::with_capacity(input.len()),
            copied_to: 0,
            depth: 0,
            // at most 128, the bits of `objects`
            depth_max: DEPTH_MAX + outer_levels.min(64),
            objects: 0,
            constructors: 0,
            is_after_constructor: false,
        }
    }

    fn run(mut self) -> Result<Vec<u8>, Fault> {
        self.skip_space();
        loop {
            if self.value_is_complete()? {
                self.is_after_constructor = false;
                if !self.next_value_follows()? {
                    self.out.extend_from_slice(&self.input[self.copied_to..self.at]);
                    return Ok(self.out);
                }
            }
        }
    }

    /// Reads a scalar, an empty container, or the opening of a container up to
    /// its first value; false in the last case.
    fn value_is_complete(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ())?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'{') => {
                self.open(1)?;
                if self.peek() != Some(b'}') {
                    self.key()?;
                    return Ok(false);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(0)?;
                if self.peek() != Some(b']') {
                    return Ok(false);
                }
                self.close();
            }
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(Fault::syntax(self.at, "expected a value")),
        }
        Ok(true)
    }

    /// Closes what closes here and reads up to the next value; false at the end.
    fn next_value_follows(&mut self) -> Result<bool, Fault> {
        loop {
            self.skip_space();
            let is_in_object = self.objects & 1 == 1;
            match self.peek() {
                None if self.depth == 0 => return Ok(false),
                _ if self.depth == 0 => {
                    return Err(Fault::syntax(self.at, "expected the end after one value"));
                }
                Some(b',') => {
                    self.at += 1;
                    self.skip_space();
                    if is_in_object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if is_in_object => self.close(),
                Some(b']') if !is_in_object => self.close(),
                _ if is_in_object => return Err(Fault::syntax(self.at, "expected `,` or `}`")),
                _ => return Err(Fault::syntax(self.at, "expected `,` or `]`")),
            }
        }
    }

    fn open(&mut self, object_bit: u128) -> Result<(), Fault> {
        if self.depth == self.depth_max {
            return Err(Fault::new(self.at, JsonErrorKind::TooDeep));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | object_bit;
        self.constructors = self.constructors << 1 | u128::from(self.is_after_constructor);
        self.is_after_constructor = false;
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.constructors >>= 1;
        self.at += 1;
    }

    /// Reads a key, its colon, and the space before its value.
    fn key(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(Fault::syntax(start, "expected a key in double quotes"));
        }
        let has_escapes = self.string()?;
        let key = &self.input[start + 1..self.at - 1];
        let is = |name: &[u8]| {
            if has_escapes { unescape(key).as_bytes() == name } else { key == name }
        };
        let is_forbidden = is(b"__proto__") || (self.constructors & 1 == 1 && is(b"prototype"));
        if is_forbidden {
            return Err(Fault { offset: start, place: self.at, kind: JsonErrorKind::ForbiddenKey });
        }
        self.is_after_constructor = is(b"constructor");
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(Fault::syntax(self.at, "expected `:` after a key"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Checks a string and leaves it; tells whether it holds escapes.
    fn string(&mut self) -> Result<bool, Fault> {
        let start = self.at;
        let mut has_escapes = false;
        self.at += 1;
        loop {
            self.at = plain_run(self.input, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += string::escape_len(&self.input[self.at..])
                        .map_err(|kind| Fault { offset: self.at, place: start, kind })?;
                }
                Some(_) => {
                    let kind = JsonErrorKind::Syntax("a control character must be escaped");
                    return Err(Fault { offset: self.at, place: start, kind });
                }
                None => {
                    let kind = JsonErrorKind::Syntax("a string without its closing quote");
                    return Err(Fault { offset: self.at, place: start, kind });
                }
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let integer_digits = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                1
            }
            _ => self.digits(start)?,
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits(start)?;
        }
        let mut exponent_digits = 0;
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            exponent_digits = self.digits(start)?;
        }
        // 200 digits and an exponent of 99 stay below 1e308: no need to convert
        let may_overflow = exponent_digits > 2 || integer_digits > 200;
        if may_overflow && !number::is_finite(&self.input[start..self.at]) {
            return Err(Fault::new(start, JsonErrorKind::NumberOverflow));
        }
        Ok(())
    }

    /// Reads one digit or more; returns how many.
    fn digits(&mut self, number_start: usize) -> Result<usize, Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start {
            return Ok(self.at - start);
        }
        let kind = JsonErrorKind::Syntax("expected a digit");
        Err(Fault { offset: start, place: number_start, kind })
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.input[self.at..].starts_with(word) {
            return Err(Fault::syntax(self.at, "expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        if let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.out.extend_from_slice(&self.input[self.copied_to..self.at]);
            while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
                self.at += 1;
            }
            self.copied_to = self.at;
        }
    }
}

#[cfg(test)]
mod tests;
