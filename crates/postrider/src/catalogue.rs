//! The event types that every tenant has from the start (contract §3), as data.
//!
//! A description, a JSON Schema of `data` and a realistic example for each. What a tenant changes
//! of them is kept beside them ([`crate::engine`]).

use std::sync::LazyLock;

use postrider_core::event_type::EventType;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An event type that every tenant has.
#[derive(Debug)]
pub struct BuiltinType {
    pub name: EventType,
    pub description: String,
    /// JSON Schema of `data`, minified.
    pub schema: String,
    /// An example of `data`, minified.
    pub example: String,
}

/// In the order of contract §3.
const FILES: [&str; 16] = [
    include_str!("catalogue/code.generated.json"),
    include_str!("catalogue/code.reviewed.json"),
    include_str!("catalogue/code.merged.json"),
    include_str!("catalogue/deployment.started.json"),
    include_str!("catalogue/deployment.completed.json"),
    include_str!("catalogue/deployment.failed.json"),
    include_str!("catalogue/deployment.rollback.json"),
    include_str!("catalogue/security.vulnerability_detected.json"),
    include_str!("catalogue/security.vulnerability_fixed.json"),
    include_str!("catalogue/security.compliance_check.json"),
    include_str!("catalogue/system.anomaly_detected.json"),
    include_str!("catalogue/system.self_healing_triggered.json"),
    include_str!("catalogue/system.performance_alert.json"),
    include_str!("catalogue/task.created.json"),
    include_str!("catalogue/proposal.accepted.json"),
    include_str!("catalogue/proposal.rejected.json"),
];

static TYPES: LazyLock<Vec<BuiltinType>> = LazyLock::new(|| FILES.map(read).into());

/// All of them, in the order of contract §3.
pub fn builtin_types() -> &'static [BuiltinType] {
    &TYPES
}

#[derive(Deserialize)]
struct File<'a> {
    name: &'a str,
    description: String,
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    example: &'a RawValue,
}

fn read(text: &str) -> BuiltinType {
    let file: File<'_> = serde_json::from_str(text).expect("a test reads all of these files");
    let minified = |json: &RawValue| {
        let bytes = postrider_signature::json::minify(json.get().as_bytes())
            .expect("a test reads all of these files");
        String::from_utf8(bytes).expect("what was text stays text")
    };
    BuiltinType {
        name: file.name.parse().expect("a test reads all of these files"),
        description: file.description,
        schema: minified(file.schema),
        example: minified(file.example),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[test]
    fn the_event_types_of_both_platforms_are_there() {
        let names: Vec<_> = builtin_types().iter().map(|builtin| builtin.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "code.generated",
                "code.reviewed",
                "code.merged",
                "deployment.started",
                "deployment.completed",
                "deployment.failed",
                "deployment.rollback",
                "security.vulnerability_detected",
                "security.vulnerability_fixed",
                "security.compliance_check",
                "system.anomaly_detected",
                "system.self_healing_triggered",
                "system.performance_alert",
                "task.created",
                "proposal.accepted",
                "proposal.rejected",
            ]
        );
    }

    #[test]
    fn each_example_is_what_its_schema_asks_for_and_each_schema_asks_for_something() {
        for builtin in builtin_types() {
            let schema = Schema::compile(&builtin.schema).unwrap();
            assert_eq!(schema.check(builtin.example.as_bytes()), [], "{}", builtin.name);
            assert_ne!(schema.check(b"{}"), [], "{}", builtin.name);
            assert!(builtin.description.ends_with('.'), "{}", builtin.name);
        }
    }
}
