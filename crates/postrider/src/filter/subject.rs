//! An event as filters see it, prepared once for all of them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map, Value};
use cel::{Context, Env, ExecutionError};
use postrider_core::event_type::EventType;
use postrider_core::id::UnixMs;
use postrider_core::matching::Verdict;
use postrider_signature::timestamp;

use super::Filter;
use super::cost::{self, Weighed};

/// Data beyond this is not shown to filters: preparing 256 KiB takes up to 50 ms (measured: of
/// an object with 29,000 members), against microseconds for what events usually hold.
const DATA_BYTES_MAX: usize = 256 << 10;
/// What one filter may cost on one event: some thousand items looked at closely, and 5 ms in the
/// worst case found.
const COST_MAX: u64 = 50_000;
/// What all filters together may cost on one event before each further one gets
/// [`COST_LEFT_MIN`] only: thousands of filters as people write them.
const EVENT_COST_MAX: u64 = 200_000;
/// Enough for a filter that goes over no list, or a short one.
const COST_LEFT_MIN: u64 = 1_000;
/// Of a name that a failure speaks of; it may come from the event.
const NAME_CHARS_MAX: usize = 64;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// An event's `type`, `timestamp` and `data`, for any number of filters.
pub struct Subject {
    /// `Err` where no filter can be asked about it: why.
    prepared: Result<Prepared, &'static str>,
    cost: u64,
}

struct Prepared {
    context: Context<'static, 'static>,
    data: Weighed,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Subject {
    /// `data` is JSON text that was checked when it arrived.
    pub fn new(event_type: &EventType, occurred_at: UnixMs, data: &[u8]) -> Self {
        Self { prepared: prepare(event_type, occurred_at, data), cost: 0 }
    }

    /// What a filter says of the event. The same for the same filter and event, unless others
    /// before it have used up what an event's filters may cost together.
    pub fn verdict(&mut self, filter: &Filter) -> Verdict {
        let failed = |why: &str| Verdict::Failed(why.into());
        let prepared = match &self.prepared {
            Ok(prepared) => prepared,
            Err(why) => return failed(why),
        };
        let left = EVENT_COST_MAX.saturating_sub(self.cost).clamp(COST_LEFT_MIN, COST_MAX);
        let cost = cost::bound(&filter.expression, &prepared.data, left);
        if cost > left {
            return failed("it would take too long on an event as large as this one");
        }
        self.cost += cost;
        // a fault of the library must not take the event with it
        let run = AssertUnwindSafe(|| run(filter, &prepared.context));
        catch_unwind(run).unwrap_or_else(|_| failed("it can't be worked out"))
    }
}

fn run(filter: &Filter, context: &Context<'static, 'static>) -> Verdict {
    match context.resolve(&filter.expression) {
        Ok(Value::Bool(true)) => Verdict::Yes,
        Ok(Value::Bool(false)) => Verdict::No,
        Ok(_) => Verdict::Failed("it says something else than true or false".into()),
        Err(error) => Verdict::Failed(in_words(&error).into()),
    }
}

fn prepare(
    event_type: &EventType,
    occurred_at: UnixMs,
    data: &[u8],
) -> Result<Prepared, &'static str> {
    if data.len() > DATA_BYTES_MAX {
        return Err("filters look at no more than 256 KiB of data");
    }
    let data: serde_json::Value =
        serde_json::from_slice(data).map_err(|_| "its data can't be read")?;
    let mut context = Context::with_env(ENV.clone());
    context.add_variable_from_value("type", event_type.as_str().to_owned());
    context.add_variable_from_value("timestamp", timestamp::format_ms(occurred_at));
    let weighed = Weighed::of(&data);
    context.add_variable_from_value("data", cel_value(data));
    Ok(Prepared { context, data: weighed })
}

/// JSON as CEL has it: whole numbers are `int` where they fit, so that they mix with those that a
/// filter is written with.
fn cel_value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(is) => Value::Bool(is),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::UInt(uint),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text)),
        serde_json::Value::Array(items) => {
            Value::List(Arc::new(items.into_iter().map(cel_value).collect()))
        }
        serde_json::Value::Object(members) => {
            let entries = members
                .into_iter()
                .map(|(key, value)| (Key::String(Arc::new(key)), cel_value(value)));
            let map: HashMap<Key, Value> = entries.collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

/// The library's own texts hold values of the event, as long as they come.
fn in_words(error: &ExecutionError) -> String {
    let short = |name: &str| name.chars().take(NAME_CHARS_MAX).collect::<String>();
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no {} in it", short(name)),
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(" and ");
            format!("{} does not go with {types}", operator(overload.function()))
        }
        ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::UnsupportedIndex(..)
        | ExecutionError::UnsupportedKeyType(_)
        | ExecutionError::NotSupportedAsMethod { .. } => {
            "something in it has another type than the filter takes".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "an index is beyond the end of its list".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number becomes too large".to_owned(),
        _ => "it can't be worked out on this event".to_owned(),
    }
}

/// `_==_` as people write it.
fn operator(name: &str) -> String {
    name.trim_matches(['_', '@']).chars().take(NAME_CHARS_MAX).collect()
}
