//! The two body forms that rewrite their JSON: ECMAScript's own and RFC 8785.
//!
//! [`ecma`] gives what JavaScript's `JSON.stringify(JSON.parse(text))` gives, so
//! that a receiver which re-serialises what it parsed gets the same bytes;
//! [`jcs`] gives the same with every object's keys sorted. Both read what
//! [`crate::json::minify`] made and write straight into the output; an object is
//! put in order behind the writer, and only when it wasn't already.

mod order;

use std::borrow::Cow;

use thiserror::Error;

use crate::json::{self, DEPTH_MAX};
use crate::number;
use order::Member;

/// What becomes of an integer in plain digits that a double can't hold exactly,
/// such as 9007199254740993: JavaScript would silently read another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberPolicy {
    /// The document is refused.
    #[default]
    Refuse,
    /// The integer becomes a string with its digits.
    Stringify,
    /// The integer becomes the nearest double, as JavaScript would have it.
    Round,
}

/// Why a document can't be brought into a body form, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} (JSON pointer {pointer:?})")]
pub struct FormError {
    /// RFC 6901 pointer to the value at fault.
    pub pointer: String,
    pub kind: FormErrorKind,
}

/// The ways in which a document can't be brought into a body form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormErrorKind {
    #[error("an integer that JavaScript can't hold exactly; send it as a string")]
    InexactInteger,
    #[error("a number too large for a double")]
    NumberOverflow,
    #[error("nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// The caller did not run [`json::minify`] first.
    #[error("not minified JSON")]
    NotMinified,
}

/// The fixed point of `JSON.stringify(JSON.parse(text))` (contract §2, `ecma`).
///
/// Takes minified JSON; borrowed when it was in this form already. A refused
/// integer is refused even where a later duplicate of its key overwrites it.
pub fn ecma(minified: &[u8], numbers: NumberPolicy) -> Result<Cow<'_, [u8]>, FormError> {
    rewrite(minified, KeyOrder::Ecma, numbers)
}

/// The canonical form of RFC 8785 (contract §2, `jcs`). Otherwise as [`ecma`].
pub fn jcs(minified: &[u8], numbers: NumberPolicy) -> Result<Cow<'_, [u8]>, FormError> {
    rewrite(minified, KeyOrder::Utf16, numbers)
}

/// How the keys of an object follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    /// Array indexes ascending, then the others as they came (ECMA-262
    /// `OrdinaryOwnPropertyKeys`).
    Ecma,
    /// By UTF-16 code units (RFC 8785 §3.2.3).
    Utf16,
}

fn rewrite(
    minified: &[u8],
    order: KeyOrder,
    numbers: NumberPolicy,
) -> Result<Cow<'_, [u8]>, FormError> {
    let mut out = Vec::with_capacity(minified.len());
    append(&mut out, minified, order, numbers)?;
    Ok(if out == minified { Cow::Borrowed(minified) } else { Cow::Owned(out) })
}

/// Appends the rewritten document to `out`.
pub(crate) fn append(
    out: &mut Vec<u8>,
    minified: &[u8],
    order: KeyOrder,
    numbers: NumberPolicy,
) -> Result<(), FormError> {
    let mut writer = Writer { input: minified, at: 0, out, members: Vec::new(), order, numbers };
    let mut written = writer.value(0);
    if written.is_ok() && writer.at < minified.len() {
        written = Err(FormErrorKind::NotMinified);
    }
    let at = writer.at;
    written.map_err(|kind| FormError { pointer: json::pointer_at(minified, at), kind })
}

/// A recursive walk, as deep as the document: at most [`DEPTH_MAX`] and the
/// envelope around it. After a failure `at` stands at the value at fault.
struct Writer<'a> {
    input: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// The members of all open objects; each object's are the last ones when it
    /// closes.
    members: Vec<Member>,
    order: KeyOrder,
    numbers: NumberPolicy,
}

impl Writer<'_> {
    fn value(&mut self, depth: usize) -> Result<(), FormErrorKind> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') if depth > DEPTH_MAX => Err(FormErrorKind::TooDeep),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(FormErrorKind::NotMinified),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), FormErrorKind> {
        let first_member = self.members.len();
        self.copy(1);
        let start = self.out.len();
        while self.peek() != Some(b'}') {
            if self.members.len() > first_member {
                self.expect(b',')?;
            }
            let key_start = self.out.len();
            self.string()?;
            let key_end = self.out.len();
            self.expect(b':')?;
            self.value(depth + 1)?;
            self.members.push(Member { start: key_start, key_end, end: self.out.len() });
        }
        let members = &self.members[first_member..];
        if !order::is_in_order(self.out, members, self.order) {
            let arranged = order::arrange(self.out, members, self.order);
            self.out.truncate(start);
            self.out.extend_from_slice(&arranged);
        }
        self.members.truncate(first_member);
        self.copy(1);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), FormErrorKind> {
        self.copy(1);
        let mut is_first = true;
        while self.peek() != Some(b']') {
            if !is_first {
                self.expect(b',')?;
            }
            is_first = false;
            self.value(depth + 1)?;
        }
        self.copy(1);
        Ok(())
    }

    fn string(&mut self) -> Result<(), FormErrorKind> {
        if self.peek() != Some(b'"') {
            return Err(FormErrorKind::NotMinified);
        }
        let mut end = self.at + 1;
        let mut has_escapes = false;
        loop {
            end = json::plain_run(self.input, end);
            match self.input.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    end += 2;
                }
                _ => return Err(FormErrorKind::NotMinified),
            }
        }
        if has_escapes {
            self.out.push(b'"');
            json::write_minimal(self.out, &self.input[self.at + 1..end]);
            self.out.push(b'"');
            self.at = end + 1;
        } else {
            self.copy(end + 1 - self.at);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), FormErrorKind> {
        let rest = &self.input[self.at..];
        let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &rest[..rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len())];
        if number::is_small_integer(text) {
            self.copy(text.len());
            return Ok(());
        }
        let value = number::value(text).ok_or(FormErrorKind::NotMinified)?;
        if !value.is_finite() {
            return Err(FormErrorKind::NumberOverflow);
        }
        if number::is_inexact_integer(text, value) {
            match self.numbers {
                NumberPolicy::Refuse => return Err(FormErrorKind::InexactInteger),
                NumberPolicy::Stringify => {
                    self.out.push(b'"');
                    self.out.extend_from_slice(text);
                    self.out.push(b'"');
                }
                NumberPolicy::Round => number::write(self.out, value),
            }
        } else {
            number::write(self.out, value);
        }
        self.at += text.len();
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), FormErrorKind> {
        if !self.input[self.at..].starts_with(word) {
            return Err(FormErrorKind::NotMinified);
        }
        self.copy(word.len());
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), FormErrorKind> {
        if self.peek() != Some(byte) {
            return Err(FormErrorKind::NotMinified);
        }
        self.copy(1);
        Ok(())
    }

    /// Copies `len` bytes that are known to be there.
    fn copy(&mut self, len: usize) {
        self.out.extend_from_slice(&self.input[self.at..self.at + len]);
        self.at += len;
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests;
