//! The body of a delivery: one envelope, in one of three forms (contract §2).

use crate::canonical::{self, FormError, KeyOrder, NumberPolicy};
use crate::json::write_escaped;
use crate::timestamp;

/// How the bytes of a body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyForm {
    /// `id`, `type`, `timestamp`, `data` in this order, `data` as it was given.
    Verbatim,
    /// The same, and a fixed point of JavaScript's `JSON.stringify(JSON.parse(x))`.
    Ecma,
    /// RFC 8785: as `Ecma`, every object's keys sorted.
    Jcs,
}

/// The body bytes of an event in one form.
///
/// `timestamp_ms` is when the event occurred; `data_minified` is what
/// [`crate::json::minify`] gave, and is trusted to be that. The pointer of an
/// error starts with `/data`. `Verbatim` never fails and ignores `numbers`.
pub fn envelope(
    id: &str,
    event_type: &str,
    timestamp_ms: i64,
    data_minified: &[u8],
    form: BodyForm,
    numbers: NumberPolicy,
) -> Result<Vec<u8>, FormError> {
    // the five fixed pieces of an envelope take 72 bytes; a little more for escapes
    let mut out = Vec::with_capacity(data_minified.len() + id.len() + event_type.len() + 80);
    let timestamp = timestamp::format_ms(timestamp_ms);
    match form {
        BodyForm::Verbatim | BodyForm::Ecma => {
            text_member(&mut out, "{\"id\":", id);
            text_member(&mut out, ",\"type\":", event_type);
            text_member(&mut out, ",\"timestamp\":", &timestamp);
            out.extend_from_slice(b",\"data\":");
            if form == BodyForm::Verbatim {
                out.extend_from_slice(data_minified);
            } else {
                append_data(&mut out, data_minified, KeyOrder::Ecma, numbers)?;
            }
        }
        BodyForm::Jcs => {
            out.extend_from_slice(b"{\"data\":");
            append_data(&mut out, data_minified, KeyOrder::Utf16, numbers)?;
            text_member(&mut out, ",\"id\":", id);
            text_member(&mut out, ",\"timestamp\":", &timestamp);
            text_member(&mut out, ",\"type\":", event_type);
        }
    }
    out.push(b'}');
    Ok(out)
}

fn text_member(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    write_escaped(out, value);
}

fn append_data(
    out: &mut Vec<u8>,
    data: &[u8],
    order: KeyOrder,
    numbers: NumberPolicy,
) -> Result<(), FormError> {
    canonical::append(out, data, order, numbers)
        .map_err(|error| FormError { pointer: format!("/data{}", error.pointer), ..error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::FormErrorKind;

    fn body(data: &str, form: BodyForm) -> String {
        let body = envelope("e1", "a.b", 1, data.as_bytes(), form, NumberPolicy::Refuse);
        String::from_utf8(body.unwrap()).unwrap()
    }

    #[test]
    fn each_form_has_its_key_order() {
        let data = r#"{"b":1.0,"a":"\/"}"#;
        assert_eq!(
            body(data, BodyForm::Verbatim),
            r#"{"id":"e1","type":"a.b","timestamp":"1970-01-01T00:00:00.001Z","data":{"b":1.0,"a":"\/"}}"#
        );
        assert_eq!(
            body(data, BodyForm::Ecma),
            r#"{"id":"e1","type":"a.b","timestamp":"1970-01-01T00:00:00.001Z","data":{"b":1,"a":"/"}}"#
        );
        assert_eq!(
            body(data, BodyForm::Jcs),
            r#"{"data":{"a":"/","b":1},"id":"e1","timestamp":"1970-01-01T00:00:00.001Z","type":"a.b"}"#
        );
    }

    #[test]
    fn pointers_start_with_data() {
        let refused = |data: &str| {
            envelope("e", "t", 0, data.as_bytes(), BodyForm::Jcs, NumberPolicy::Refuse).unwrap_err()
        };
        let kind = FormErrorKind::InexactInteger;
        assert_eq!(
            refused(r#"{"n":9007199254740993}"#),
            FormError { pointer: "/data/n".into(), kind }
        );
        assert_eq!(refused("9007199254740993"), FormError { pointer: "/data".into(), kind });
    }

    #[test]
    fn the_deepest_data_still_forms_a_canonical_body() {
        let data = format!("{}{}", "[".repeat(64), "]".repeat(64));
        let body = body(&data, BodyForm::Ecma);
        let again = canonical::ecma(body.as_bytes(), NumberPolicy::Refuse).unwrap();
        assert_eq!(&*again, body.as_bytes());
    }
}
