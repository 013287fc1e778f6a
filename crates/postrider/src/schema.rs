//! JSON Schemas of `data`: compiled when they are saved, checked when events are published.
//!
//! A schema comes from a tenant and an event from its publisher, so neither may decide how long a
//! check takes. What a schema could cost on one value is counted when it is saved, references
//! followed; when an event is checked, that times the event's size is bounded. Nothing is fetched.
//! Must not know what an event type is.

mod weight;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Longest text of a schema.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// A compiled pattern: some hundred characters of ordinary expressions.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// The weight of a schema times the values in an event: about a tenth of a second at the worst.
const CHECK_COST_MAX: usize = 2_000_000;
/// Places that are told of one event; more would only repeat the lesson.
const FAULTS_MAX: usize = 20;
/// Of a fault's text; it may speak of long lists.
const FAULT_CHARS_MAX: usize = 200;

/// What a schema's `type` can be.
const TYPES: &str = "array, boolean, integer, null, number, object and string";

/// A schema that events can be checked against.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    weight: usize,
}

/// Why a text is no schema of ours, or data is not what a schema asks for: one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaFault {
    /// A JSON pointer into the schema, or into the data.
    pub pointer: String,
    pub message: String,
}

impl Schema {
    /// Compiles a JSON text that was checked when it arrived.
    pub fn compile(text: &str) -> Result<Self, SchemaFault> {
        let fault = |message: String| SchemaFault { pointer: String::new(), message };
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(fault(format!("a schema has at most {SCHEMA_BYTES_MAX} bytes")));
        }
        let schema: Value =
            serde_json::from_str(text).map_err(|_| fault("not readable".to_owned()))?;
        if !schema.is_object() {
            return Err(fault("a schema is an object".to_owned()));
        }
        let weight = weight::of(&schema)?;
        // these patterns are matched in linear time, whatever they are
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options().with_pattern_options(patterns).offline();
        let validator = options.build(&schema).map_err(|error| misread(&error))?;
        Ok(Self { validator, weight })
    }

    /// Where minified data, checked when it arrived, is not what the schema asks for; empty when
    /// it is.
    pub fn check(&self, data: &[u8]) -> Vec<SchemaFault> {
        let whole = |message: &str| {
            vec![SchemaFault { pointer: String::new(), message: message.to_owned() }]
        };
        let Ok(data) = serde_json::from_slice(data) else {
            return whole("not readable");
        };
        if self.weight.saturating_mul(weight::values_in(&data)) > CHECK_COST_MAX {
            return whole("too large to be checked against the schema of its type");
        }
        self.validator.iter_errors(&data).take(FAULTS_MAX).map(|error| fault_of(&error)).collect()
    }
}

/// Why a schema is none. Of a `type` that is none, the schema of schemas only knows that it is not
/// under any of its own.
fn misread(error: &ValidationError<'_>) -> SchemaFault {
    let fault = fault_of(error);
    let is_of_types = matches!(error.kind(), ValidationErrorKind::AnyOf { .. });
    if is_of_types && fault.pointer.ends_with("/type") {
        let place = &fault.pointer;
        let message = format!("{place} must be one of {TYPES}, or a list of different ones");
        return SchemaFault { message, ..fault };
    }
    fault
}

/// Without the value at fault: it is not repeated to whoever sent it.
fn fault_of(error: &ValidationError<'_>) -> SchemaFault {
    let message: String = error.masked().to_string().chars().take(FAULT_CHARS_MAX).collect();
    SchemaFault { pointer: error.instance_path().to_string(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(schema: &str) -> SchemaFault {
        Schema::compile(schema).unwrap_err()
    }

    #[test]
    fn data_is_checked_and_each_place_is_told() {
        let schema = Schema::compile(
            r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},
                "b/c":{"type":"array","items":{"enum":["x","y"]}}}}"#,
        )
        .unwrap();
        assert_eq!(schema.check(br#"{"a":1,"b/c":["x"]}"#), []);
        let faults = schema.check(br#"{"a":"secret text","b/c":["x","z"]}"#);
        let places: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(places, ["/a", "/b~1c/1"]);
        assert!(faults.iter().all(|fault| !fault.message.contains("secret")), "{faults:?}");
        let many = format!(r#"{{"a":1,"b/c":[{}0]}}"#, "0,".repeat(1_000));
        assert_eq!(schema.check(many.as_bytes()).len(), FAULTS_MAX);
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        assert_eq!(
            refused(r#"{"properties":{"a":{"type":"strin"}}}"#).pointer,
            "/properties/a/type"
        );
        assert_eq!(
            refused(r#"{"type":"obj"}"#).message,
            "/type must be one of array, boolean, integer, null, number, object and string, or a \
             list of different ones"
        );
        assert_eq!(refused(r#"{"pattern":"("}"#).pointer, "/pattern");
        refused(r#"{"pattern":"(?=a)b"}"#);
        refused(r#"{"pattern":"(a{1000}){1000}"}"#);
        refused(r#"{"$schema":"https://example.com/mine"}"#);
        refused("[]");
        refused("true");
        refused(&format!(r#"{{"description":"{}"}}"#, "x".repeat(SCHEMA_BYTES_MAX)));
    }

    #[test]
    fn references_stay_within_the_schema() {
        let inside =
            r##"{"$defs":{"id":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/id"}}}"##;
        let schema = Schema::compile(inside).unwrap();
        assert_eq!(schema.check(br#"{"a":"x"}"#).len(), 1);
        for outside in [
            "https://example.com/schema.json",
            "file:///etc/passwd",
            "other.json",
            "https://json-schema.org/draft/2020-12/schema",
            "#anchor",
            "",
        ] {
            let fault = refused(&format!(r#"{{"properties":{{"a":{{"$ref":"{outside}"}}}}}}"#));
            assert_eq!(fault.pointer, "/properties/a/$ref", "{outside}");
        }
        assert_eq!(refused(r##"{"$ref":"#/$defs/none"}"##).pointer, "/$ref");
        assert_eq!(
            refused(r##"{"allOf":[{"$dynamicRef":"#a"}]}"##).pointer,
            "/allOf/0/$dynamicRef"
        );
        let rebased = r#"{"$defs":{"a":{"$id":"https://example.com/a"}}}"#;
        assert_eq!(refused(rebased).pointer, "/$defs/a/$id");
    }

    #[test]
    fn a_schema_can_neither_recurse_nor_explode() {
        refused(r##"{"$ref":"#"}"##);
        refused(r##"{"$defs":{"a":{"items":{"$ref":"#/$defs/a"}}},"$ref":"#/$defs/a"}"##);
        let doubling: Vec<String> = (0..40)
            .map(|n| {
                let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, n + 1);
                format!(r#""d{n}":{{"allOf":[{next},{next}]}}"#)
            })
            .collect();
        refused(&format!(
            r##"{{"$defs":{{{},"d40":{{}}}},"$ref":"#/$defs/d0"}}"##,
            doubling.join(",")
        ));
        let mut nested = "{}".to_owned();
        for _ in 0..20 {
            nested = format!(r#"{{"unevaluatedProperties":false,"allOf":[{nested}]}}"#);
        }
        refused(&nested);
        refused(&format!("{}{{}}{}", r#"{"not":"#.repeat(60), "}".repeat(60)));
    }

    #[test]
    fn an_event_that_would_take_too_long_to_check_is_said_to_be_too_large() {
        let anything = vec!["{}"; 500].join(",");
        let schema = Schema::compile(&format!(r#"{{"items":{{"allOf":[{anything}]}}}}"#)).unwrap();
        assert_eq!(schema.check(b"[1,2,3]"), []);
        let large = format!("[{}1]", "1,".repeat(100_000));
        assert!(schema.check(large.as_bytes())[0].message.starts_with("too large"));
    }
}
