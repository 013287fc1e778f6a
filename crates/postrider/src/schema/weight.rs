//! What checking one value against a schema can cost, counted over the schema itself.

use serde_json::{Map, Value};

use super::SchemaFault;

/// Parts of a schema, those that references repeat counted each time.
const WEIGHT_MAX: usize = 10_000;
/// Depth of a schema, those of its references included. Checking recurses.
const DEPTH_MAX: usize = 48;
/// Names that make a part of the schema be gone through a second time.
const TWICE: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
/// Bytes of text that count as one value.
const BYTES_A_VALUE: usize = 64;

/// How many parts a schema has. Refuses what leads outside of it, and what leads into itself: its
/// cost could not be counted.
pub(super) fn of(schema: &Value) -> Result<usize, SchemaFault> {
    let mut weighing = Weighing { root: schema, weight: 0 };
    weighing.visit(schema, &Place { pointer: String::new(), depth: 0, times: 1 })?;
    Ok(weighing.weight)
}

/// How many values there are in a document, long texts counted by their length.
pub(super) fn values_in(document: &Value) -> usize {
    match document {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / BYTES_A_VALUE,
        Value::Array(items) => 1 + items.iter().map(values_in).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(values_in).sum::<usize>(),
    }
}

struct Weighing<'a> {
    root: &'a Value,
    weight: usize,
}

/// Where in the schema one is, as its author sees it, and how often that is gone through.
struct Place {
    pointer: String,
    depth: usize,
    times: usize,
}

impl Place {
    fn below(&self, step: &str, times: usize) -> Self {
        Self { pointer: format!("{}{step}", self.pointer), depth: self.depth + 1, times }
    }

    fn fault(&self, step: &str, message: impl Into<String>) -> SchemaFault {
        SchemaFault { pointer: format!("{}{step}", self.pointer), message: message.into() }
    }
}

impl<'a> Weighing<'a> {
    fn visit(&mut self, part: &Value, place: &Place) -> Result<(), SchemaFault> {
        self.weight = self.weight.saturating_add(place.times);
        if self.weight > WEIGHT_MAX {
            return Err(place.fault("", "the schema is too large, references counted each time"));
        }
        if place.depth > DEPTH_MAX {
            let message =
                format!("more than {DEPTH_MAX} levels deep, or a reference that leads into itself");
            return Err(place.fault("", message));
        }
        match part {
            Value::Object(members) => self.object(members, place),
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.visit(item, &place.below(&format!("/{index}"), place.times))
            }),
            _ => Ok(()),
        }
    }

    fn object(&mut self, members: &Map<String, Value>, place: &Place) -> Result<(), SchemaFault> {
        let is_twice = TWICE.iter().any(|name| members.contains_key(*name));
        let times = if is_twice { place.times.saturating_mul(2) } else { place.times };
        for (name, value) in members {
            let step = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            match (name.as_str(), value) {
                ("$ref", Value::String(to)) => {
                    let target = self.target(to).map_err(|why| place.fault(&step, why))?;
                    self.visit(target, &place.below(&step, times))?;
                }
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                    return Err(place.fault(&step, "use $ref with a pointer such as #/$defs/name"));
                }
                ("$id", Value::String(_)) if place.depth > 0 => {
                    return Err(place.fault(&step, "only the whole schema may have an $id"));
                }
                _ => self.visit(value, &place.below(&step, times))?,
            }
        }
        Ok(())
    }

    fn target(&self, to: &str) -> Result<&'a Value, &'static str> {
        let outside = "a reference stays within its schema: #/ and a pointer, such as #/$defs/name";
        let path = to.strip_prefix('#').filter(|path| path.starts_with('/')).ok_or(outside)?;
        if path.contains('%') {
            return Err("write the reference without percent signs");
        }
        self.root.pointer(path).ok_or("there is nothing at this place of the schema")
    }
}
