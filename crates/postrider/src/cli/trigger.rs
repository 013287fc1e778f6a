//! `trigger`: publishes the catalogue's example of an event type, changed where it is told.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ClientArgs;
use super::event::published_text;
use super::failure::{Failure, FailureKind};
use super::input::{pair, plain_name, to_json};
use super::output::{details, printable};
use super::server::keyed;

/// Most items that a list is filled up to by an index in an override.
const INDEX_MAX: usize = 1_000;

#[derive(Args)]
pub(super) struct TriggerArgs {
    /// Event type, such as code.generated; `event-type list` shows them
    #[arg(value_parser = plain_name)]
    r#type: String,
    /// Change a member of the event, such as data.severity=high; JSON or text; may be given
    /// several times
    #[arg(long = "override", value_name = "PATH=VALUE", value_parser = pair)]
    overrides: Vec<(String, String)>,
    /// An id of your own; the same id is accepted once
    #[arg(long)]
    id: Option<String>,
    /// Show the event, publish nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Deserialize)]
struct EventType {
    example: Option<Value>,
}

/// The body of `POST /v1/events`.
#[derive(Serialize)]
struct Draft {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    data: Value,
}

pub(super) async fn run(args: TriggerArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/event-types/{}", args.r#type)).await;
    let EventType { example } = answer.map_err(not_found)?.parse()?;
    let mut data = match example {
        Some(example) => example,
        None if args.overrides.is_empty() => {
            return Err(Failure::usage(format!("{} has no example", args.r#type)).hint(
                "give it one with `event-type update --example`, or say the data with --override",
            ));
        }
        None => Value::Object(Map::new()),
    };
    for (path, text) in &args.overrides {
        set(&mut data, path, value(text))?;
    }
    let draft = Draft { r#type: args.r#type, id: args.id, data };
    if args.dry_run {
        let draft = serde_json::from_slice(&to_json(&draft)?).unwrap_or_default();
        return args.client.output.print_value(&draft, |d| details(d, &["type", "id", "data"]));
    }
    let answer = server.post("/v1/events", Some(&draft)).await?;
    args.client.output.print(&answer, published_text)
}

fn not_found(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::NotFound => failure.hint(
            "`event-type list` shows the types there are; check --tenant if the key is an admin key",
        ),
        _ => failure,
    }
}

/// JSON if it is some, else text.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// Puts a value at a dotted path below `data`; makes the objects on the way that aren't there.
fn set(data: &mut Value, path: &str, value: Value) -> Result<(), Failure> {
    let refuse = |why: String| {
        Failure::usage(format!("--override {}: {why}", printable(path)))
            .hint("write the path as data.NAME or data.LIST.0.NAME")
    };
    let rest = match path.strip_prefix("data") {
        Some("") => {
            *data = value;
            return Ok(());
        }
        Some(rest) => rest.strip_prefix('.'),
        None => None,
    };
    let rest = rest.ok_or_else(|| refuse("only members of data can be changed".to_owned()))?;
    let mut place = data;
    for name in rest.split('.') {
        if name.is_empty() {
            return Err(refuse("it has an empty name".to_owned()));
        }
        place = member(place, name).map_err(refuse)?;
    }
    *place = value;
    Ok(())
}

fn member<'a>(place: &'a mut Value, name: &str) -> Result<&'a mut Value, String> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    match place {
        Value::Object(members) => Ok(members.entry(name).or_insert(Value::Null)),
        Value::Array(items) => {
            let at = name.parse().ok().filter(|at| *at <= items.len() && *at < INDEX_MAX);
            let at: usize = at.ok_or_else(|| {
                format!("{} is no place in a list of {}", printable(name), items.len())
            })?;
            if at == items.len() {
                items.push(Value::Null);
            }
            Ok(&mut items[at])
        }
        _ => Err(format!("{} would be inside of a value that has no members", printable(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changed(path: &str, text: &str) -> Result<Value, String> {
        let mut data = json!({"severity": "low", "list": [{"id": 1}], "none": null});
        set(&mut data, path, value(text)).map(|()| data).map_err(|failure| failure.to_string())
    }

    #[test]
    fn overrides_are_json_or_text_at_a_path() {
        let at = |path: &str, text: &str, pointer: &str| {
            changed(path, text).unwrap().pointer(pointer).cloned().unwrap()
        };
        assert_eq!(at("data.severity", "high", "/severity"), json!("high"));
        assert_eq!(at("data.severity", "3", "/severity"), json!(3));
        assert_eq!(at("data.severity", "\"3\"", "/severity"), json!("3"));
        assert_eq!(at("data.a.b", "true", "/a/b"), json!(true));
        assert_eq!(at("data.none.b", "x", "/none/b"), json!("x"));
        assert_eq!(at("data.list.0.id", "2", "/list/0/id"), json!(2));
        assert_eq!(at("data.list.1.id", "2", "/list/1/id"), json!(2));
        assert_eq!(changed("data", "[1]").unwrap(), json!([1]));
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (path, told) in [
            ("severity", "only members of data"),
            ("database.x", "only members of data"),
            ("data.", "an empty name"),
            ("data..a", "an empty name"),
            ("data.severity.x", "no members"),
            ("data.list.5", "no place in a list of 1"),
            ("data.list.x", "no place in a list of 1"),
        ] {
            assert!(changed(path, "1").unwrap_err().contains(told), "{path}");
        }
    }
}
