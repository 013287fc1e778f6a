//! What running a filter on an event can cost at most, worked out before it runs.
//!
//! Everything is counted in one unit: a step of the evaluation, or an item of the event (a value,
//! and each 64 bytes of a text) that is looked at or copied. A macro runs its body once for each
//! item of what it goes over, and no list has more items than it weighs; so from the weights of
//! the event's parts follows a bound for the whole expression, in one walk over it.

use std::collections::HashMap;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};
use serde_json::Value;

/// Bytes of text that count as one item.
const BYTES_AN_ITEM: usize = 64;
/// How much more a step costs that searches a text than one that copies it (measured).
const SEARCHING: u64 = 4;
/// How much more a member of an object weighs than an item of a list, for it is hashed (measured).
const MEMBER: u64 = 2;
/// What `type` and `timestamp` weigh, which are short.
const SHORT_TEXT: u64 = 4;

/// How heavy a part of an event is.
#[derive(Debug)]
pub(super) struct Weighed {
    weight: u64,
    /// Items of a list or members of an object.
    len: u64,
    members: HashMap<String, Weighed>,
}

impl Weighed {
    pub(super) fn of(value: &Value) -> Self {
        let leaf = |weight| Self { weight, len: 0, members: HashMap::new() };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => leaf(1),
            Value::String(text) => leaf(weight_of(text.len())),
            Value::Array(items) => {
                let weight = items.iter().map(|item| Self::of(item).weight).sum::<u64>() + 1;
                Self { weight, len: count(items.len()), members: HashMap::new() }
            }
            Value::Object(members) => {
                let of_key = |key: &String| weight_of(key.len()) + MEMBER;
                let keys: u64 = members.keys().map(of_key).sum();
                let members: HashMap<_, _> =
                    members.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect();
                let weight = keys + members.values().map(|member| member.weight).sum::<u64>() + 1;
                Self { weight, len: count(members.len()), members }
            }
        }
    }

    /// The part that a path of fields leads to.
    fn at(&self, fields: &[&str]) -> Option<&Self> {
        fields.iter().try_fold(self, |part, field| part.members.get(*field))
    }
}

/// What `expression` costs at most on an event whose `data` is `data`; more than `limit` is only
/// known to be more.
pub(super) fn bound(expression: &IdedExpr, data: &Weighed, limit: u64) -> u64 {
    let mut bounding = Bounding { data, limit, cost: 0, scope: Vec::new() };
    bounding.visit(expression, 1);
    bounding.cost
}

struct Bounding<'a> {
    data: &'a Weighed,
    limit: u64,
    cost: u64,
    /// Variables of the macros around, innermost last.
    scope: Vec<Variable<'a>>,
}

/// A variable of a macro: what all its values weigh together, over so many runs of its body.
struct Variable<'a> {
    name: &'a str,
    weight: u64,
    runs: u64,
}

impl<'a> Bounding<'a> {
    /// Adds what evaluating `node` so many times costs, and returns what all its values weigh.
    fn visit(&mut self, node: &'a IdedExpr, times: u64) -> u64 {
        if self.cost > self.limit {
            return 0;
        }
        self.add(times);
        if let Some((root, fields)) = path(node) {
            return self.named(root, &fields, times);
        }
        match &node.expr {
            Expr::Literal(literal) => weight_of_literal(literal).saturating_mul(times),
            Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => times,
            Expr::Select(select) if select.test => {
                self.visit(&select.operand, times);
                times
            }
            Expr::Select(select) => {
                let weight = self.visit(&select.operand, times);
                self.add(weight);
                weight
            }
            Expr::Call(call) => self.call(call, times),
            Expr::List(list) => {
                let parts = list.elements.iter().collect();
                self.collection(parts, times)
            }
            Expr::Map(map) => {
                let parts = map.entries.iter().flat_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                    EntryExpr::StructField(field) => vec![&field.value],
                });
                self.collection(parts.collect(), times)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, times),
        }
    }

    /// A name, or fields of one: nothing is copied.
    fn named(&mut self, root: &str, fields: &[&str], times: u64) -> u64 {
        self.add(times.saturating_mul(count(fields.len())));
        if let Some(variable) = self.scope.iter().rev().find(|variable| variable.name == root) {
            let rounds = times.div_ceil(variable.runs.max(1));
            return variable.weight.saturating_mul(rounds);
        }
        let weight = match root {
            "data" => self.data.at(fields).map_or(1, |part| part.weight),
            _ => SHORT_TEXT,
        };
        weight.saturating_mul(times)
    }

    fn call(&mut self, call: &'a CallExpr, times: u64) -> u64 {
        let parts = call.target.as_deref().into_iter().chain(&call.args);
        let weights: Vec<u64> = parts.map(|part| self.visit(part, times)).collect();
        let first = weights.first().copied().unwrap_or_default();
        let last = weights.last().copied().unwrap_or_default();
        let all = weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
        match call.func_name.as_str() {
            "_&&_" | "_||_" | "!_" | "@not_strictly_false" => times,
            // two values are compared as far as the smaller one goes
            "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => {
                self.add(first.min(last));
                times
            }
            "startsWith" | "endsWith" => {
                self.add(last);
                times
            }
            "_[_]" | "_[?_]" => {
                let is_borrowed = call.args.first().is_some_and(|whole| path(whole).is_some());
                self.add(if is_borrowed { last } else { all });
                first
            }
            "_?_:_" | "dyn" => all,
            "_+_" | "string" => {
                self.add(all);
                all.saturating_add(times)
            }
            "contains" => {
                self.add(all.saturating_mul(SEARCHING));
                times
            }
            _ => {
                self.add(all);
                times
            }
        }
    }

    fn collection(&mut self, parts: Vec<&'a IdedExpr>, times: u64) -> u64 {
        let weights = parts.into_iter().map(|part| self.visit(part, times));
        let all = weights.fold(times, u64::saturating_add);
        self.add(all);
        all
    }

    fn comprehension(&mut self, body: &'a ComprehensionExpr, times: u64) -> u64 {
        let weight = self.visit(&body.iter_range, times);
        let runs = match self.len_of(&body.iter_range) {
            Some(len) => len.saturating_mul(times),
            None => weight,
        };
        // each item is copied into its variable
        self.add(weight);
        self.visit(&body.accu_init, times);
        let outer = self.scope.len();
        self.scope.push(Variable { name: &body.accu_var, weight: 0, runs });
        for name in [Some(&body.iter_var), body.iter_var2.as_ref()].into_iter().flatten() {
            self.scope.push(Variable { name, weight, runs });
        }
        self.visit(&body.loop_cond, runs);
        let made = self.visit(&body.loop_step, runs);
        self.visit(&body.result, times);
        self.scope.truncate(outer);
        made.saturating_add(times)
    }

    /// How many items a part of `data` has, where that is known exactly.
    fn len_of(&self, node: &IdedExpr) -> Option<u64> {
        let (root, fields) = path(node)?;
        let is_shadowed = self.scope.iter().any(|variable| variable.name == root);
        let part = (root == "data" && !is_shadowed).then(|| self.data.at(&fields))?;
        Some(part.map_or(0, |part| part.len))
    }

    fn add(&mut self, cost: u64) {
        self.cost = self.cost.saturating_add(cost);
    }
}

/// A name and the fields selected from it, in the order written.
fn path(node: &IdedExpr) -> Option<(&str, Vec<&str>)> {
    let mut fields = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                fields.reverse();
                return Some((name, fields));
            }
            Expr::Select(select) if !select.test => {
                fields.push(select.field.as_str());
                node = &select.operand;
            }
            _ => return None,
        }
    }
}

fn weight_of_literal(literal: &LiteralValue) -> u64 {
    match literal {
        LiteralValue::String(text) => weight_of(text.inner().len()),
        LiteralValue::Bytes(bytes) => weight_of(bytes.inner().len()),
        _ => 1,
    }
}

fn weight_of(bytes: usize) -> u64 {
    count(bytes / BYTES_AN_ITEM) + 1
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
