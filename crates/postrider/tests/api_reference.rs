//! `docs/api.md` is the `OpenAPI` document for people, and says what that says.
//!
//! Written anew by `POSTRIDER_WRITE_DOCS=1 cargo nextest run -p postrider --test api_reference`.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::{Map, Value};
use support::repository;

#[test]
fn the_api_reference_is_what_the_document_says() {
    let document = serde_json::to_value(postrider::api::document()).expect("it is JSON");
    let page = Reference { document: &document }.page();
    let path = repository().join("docs/api.md");
    let vague: Vec<&str> = page.lines().filter(|line| line.contains("list of object")).collect();
    assert!(vague.is_empty(), "objects without a section: {vague:?}");
    if std::env::var_os("POSTRIDER_WRITE_DOCS").is_some() {
        fs::write(&path, &page).expect("docs can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/api.md is not what the API is; write it anew:\n\
         POSTRIDER_WRITE_DOCS=1 cargo nextest run -p postrider --test api_reference"
    );
}

struct Reference<'a> {
    document: &'a Value,
}

impl Reference<'_> {
    fn page(&self) -> String {
        let mut page = HEAD.to_owned();
        let mut by_tag: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
        for (path, item) in object(&self.document["paths"]) {
            for (method, operation) in object(item) {
                let tag = operation["tags"][0].as_str().unwrap_or("server");
                by_tag.entry(tag).or_default().push((path, method, operation));
            }
        }
        let mut named = BTreeMap::new();
        for (tag, routes) in by_tag {
            let _ = writeln!(page, "\n## {}", title(tag));
            for (path, method, operation) in routes {
                self.route(&mut page, &mut named, path, method, operation);
            }
        }
        self.objects(&mut page, named);
        page
    }

    fn route(
        &self,
        page: &mut String,
        named: &mut BTreeMap<String, Value>,
        path: &str,
        method: &str,
        operation: &Value,
    ) {
        let _ = writeln!(page, "\n### `{} {path}`\n", method.to_uppercase());
        for text in ["summary", "description"] {
            if let Some(text) = operation[text].as_str().filter(|text| !text.is_empty()) {
                let _ = writeln!(page, "{}\n", text.trim_end());
            }
        }
        // what every route takes is said once, at the top
        let parameters = array(&operation["parameters"]).iter().filter(|parameter| {
            !matches!(parameter["name"].as_str(), Some("id" | "name" | "Postrider-Tenant"))
        });
        for parameter in parameters {
            let place = if parameter["in"] == "header" { "header" } else { "query" };
            let _ = writeln!(
                page,
                "- `{}` ({place}): {}",
                text_of(parameter, "name"),
                one_line(parameter["description"].as_str().unwrap_or_default())
            );
        }
        for (kind, content) in object(&operation["requestBody"]["content"]) {
            let body = self.type_of(&content["schema"], "", named);
            let kind = if kind == "application/json" { "" } else { kind };
            let _ =
                writeln!(page, "- body{}{kind}: {body}", if kind.is_empty() { "" } else { " as " });
        }
        for (status, response) in object(&operation["responses"]) {
            if is_common(status, response) {
                continue;
            }
            let description = one_line(response["description"].as_str().unwrap_or_default());
            let types: Vec<String> = object(&response["content"])
                .map(|(_, content)| self.type_of(&content["schema"], "", named))
                .filter(|name| !name.is_empty())
                .collect();
            let body =
                if types.is_empty() { String::new() } else { format!(": {}", types.join(" or ")) };
            let _ = writeln!(page, "- **{status}** {description}{body}");
        }
    }

    /// The objects that routes name, and those that these name.
    fn objects(&self, page: &mut String, named: BTreeMap<String, Value>) {
        let _ = writeln!(page, "\n## Objects");
        let mut waiting = named;
        let mut written: BTreeMap<String, String> = BTreeMap::new();
        while let Some((name, schema)) = waiting.pop_first() {
            if written.contains_key(&name) {
                continue;
            }
            let mut text = format!("\n### {name}\n\n");
            self.object_of(&mut text, &name, &schema, &mut waiting);
            written.insert(name, text);
        }
        page.extend(written.into_values());
    }

    fn object_of(
        &self,
        page: &mut String,
        name: &str,
        schema: &Value,
        named: &mut BTreeMap<String, Value>,
    ) {
        if let Some(text) = schema["description"].as_str() {
            let _ = writeln!(page, "{}\n", text.trim_end());
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            let _ = writeln!(page, "One of {}.", values.join(", "));
            return;
        }
        if let Some(choices) = schema["oneOf"].as_array()
            && choices.iter().any(is_written_out)
        {
            let _ = writeln!(page, "One of these:");
            for choice in choices {
                let _ = writeln!(page);
                self.object_of(page, name, choice, named);
            }
            return;
        }
        let mut members: Vec<(&str, &Value, bool)> = Vec::new();
        let parts = if schema["allOf"].is_array() {
            array(&schema["allOf"])
        } else {
            std::slice::from_ref(schema)
        };
        for part in parts {
            if part["$ref"].is_string() {
                let _ = writeln!(page, "All of {}, and:\n", self.type_of(part, "", named));
            }
            let required: Vec<&str> =
                array(&part["required"]).iter().filter_map(Value::as_str).collect();
            let of_part = object(&part["properties"]);
            members.extend(of_part.map(|(name, value)| (name, value, required.contains(&name))));
        }
        if members.is_empty() {
            let _ = writeln!(page, "{}", self.type_of(schema, "", named));
            return;
        }
        // what the server answers has all its members, some of them null
        let is_sent_by_client = ["Input", "Change"].iter().any(|end| name.ends_with(end));
        let _ = writeln!(page, "| member | type | |\n|---|---|---|");
        for (member, value, is_required) in members {
            let optional = if is_required || !is_sent_by_client { "" } else { " (optional)" };
            let of_items = name.strip_prefix("Page_").unwrap_or(name);
            let _ = writeln!(
                page,
                "| `{member}`{optional} | {} | {} |",
                self.type_of(value, of_items, named).replace('|', "\\|"),
                one_line(value["description"].as_str().unwrap_or_default()).replace('|', "\\|")
            );
        }
    }

    /// `written_out_as` is the name under which an object without one gets its own section.
    fn type_of(
        &self,
        schema: &Value,
        written_out_as: &str,
        named: &mut BTreeMap<String, Value>,
    ) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
            if let Some(schema) = self.document["components"]["schemas"].get(name) {
                named.insert(name.to_owned(), schema.clone());
            }
            return link(name);
        }
        if is_written_out(schema) && !written_out_as.is_empty() {
            named.entry(written_out_as.to_owned()).or_insert_with(|| schema.clone());
            return link(written_out_as);
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[choice].as_array() {
                let types: Vec<String> = choices
                    .iter()
                    .map(|choice| self.type_of(choice, written_out_as, named))
                    .collect();
                return types.join(" or ");
            }
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            return values.join(" or ");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return "any JSON".to_owned(),
        };
        let words = types.iter().map(|kind| match *kind {
            "array" => {
                format!("list of {}", self.type_of(&schema["items"], written_out_as, named))
            }
            "object" if schema["additionalProperties"].is_object() => {
                format!("object of {}", self.type_of(&schema["additionalProperties"], "", named))
            }
            other => other.to_owned(),
        });
        words.collect::<Vec<_>>().join(" or ") + &bounds(schema)
    }
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

/// Whether a schema has members of its own and no name.
fn is_written_out(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["allOf"].is_array()
}

fn bounds(schema: &Value) -> String {
    let bound = |name: &str, words: &str| {
        let value = &schema[name];
        (!value.is_null()).then(|| format!("{words} {value}"))
    };
    let all = [
        bound("minimum", "at least"),
        bound("maximum", "at most"),
        bound("minLength", "length at least"),
        bound("maxLength", "length at most"),
        bound("minItems", "items at least"),
        bound("maxItems", "items at most"),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// Whether an answer is one that every route can give, which the top of the page says.
fn is_common(status: &str, response: &Value) -> bool {
    let is_problem = response["content"]["application/problem+json"].is_object();
    is_problem && !matches!(status, "409" | "410")
}

fn title(tag: &str) -> String {
    let mut letters = tag.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + &letters.as_str().replace('-', " ")
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY).iter().map(|(name, value)| (name.as_str(), value))
}

const HEAD: &str = "\
# API reference

Made from the OpenAPI document, which a server shows at `/openapi.json` and for reading at `/docs`.

Every route under `/v1` wants `Authorization: Bearer KEY`. A key belongs to a tenant; an admin key names one
with the header `Postrider-Tenant` (`default` unless it does). Bodies are JSON, under whatever content type.
Lists have `limit` (1–250, by default 50) and `cursor`; a page's `next_cursor` is null when it is the last.
Times are RFC 3339, in UTC.

An error is `application/problem+json` (RFC 9457) with a stable `code`, a `detail` for people, and `errors` that
point at the places: 400 not readable, 401 no valid key, 403 its scope is not enough, 404 no such thing or not
for this key, 408 and 413 and 415 a body that is late, long or not JSON, 422 something in it is wrong, 429 too many
wrong keys, 503 busy (`Retry-After`).
";
