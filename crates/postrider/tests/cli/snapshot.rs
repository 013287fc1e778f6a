//! Answers as files, without what is another in each run. `INSTA_UPDATE=always` writes them anew.

use serde_json::Value;

/// How the ids, keys and secrets begin that are made.
const MADE: [&str; 9] = ["wh_", "evt_", "test_", "dlv_", "key_", "prk_", "rpl_", "whsec_", "ten_"];

/// The value for a snapshot: in many lines, and with stand-ins.
pub(crate) fn stable(value: &Value) -> String {
    serde_json::to_string_pretty(&redacted(value)).expect("JSON can be written")
}

fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(stand_in(text)),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| match name.as_str() {
                "next_cursor" if value.is_string() => (name.clone(), Value::from("[cursor]")),
                _ if name.ends_with("_ms") => (name.clone(), Value::from("[ms]")),
                _ => (name.clone(), redacted(value)),
            };
            members.iter().map(member).collect()
        }
        other => other.clone(),
    }
}

fn stand_in(text: &str) -> String {
    if postrider_signature::timestamp::parse(text).is_ok() {
        return "[time]".to_owned();
    }
    if let Some((before, port)) = text.split_once("127.0.0.1:") {
        let end = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
        return format!("{before}127.0.0.1:[port]{}", &port[end..]);
    }
    // numbers in ids are what tells made ones from those of the tests
    match MADE.iter().find(|prefix| text.starts_with(**prefix)) {
        Some(prefix) if text.len() > prefix.len() + 8 => {
            format!("[{}]", prefix.trim_end_matches('_'))
        }
        _ => text.to_owned(),
    }
}
