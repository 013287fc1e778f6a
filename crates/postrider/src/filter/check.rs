//! What an expression may be made of, so that running it is bounded and its names mean something.

use cel::IdedExpr;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr};

/// Depth of an expression: evaluation recurses, at up to 8 KiB of stack for each level without
/// optimisation, on threads that have 2 MiB.
const DEPTH_MAX: usize = 48;
/// Macros within macros (`all`, `exists`, `map`, …): each multiplies the work by a list's length.
const MACRO_NESTING_MAX: usize = 2;

/// What an expression can name besides the variables of its macros.
pub(super) const VARIABLES: [&str; 3] = ["type", "timestamp", "data"];
/// Functions that can be called. None of them makes more than it is given.
const FUNCTIONS: [&str; 10] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "dyn",
];
const OPERATORS: [&str; 20] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "-_",
    "_+_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "_[?_]",
];

/// Why an expression is refused.
#[derive(Debug)]
pub(super) struct Unfit {
    /// The parser's number of the part at fault.
    pub(super) node: u64,
    pub(super) message: String,
}

pub(super) fn check(expression: &IdedExpr) -> Result<(), Unfit> {
    Checking { variables: VARIABLES.to_vec(), nesting: 0 }.visit(expression, 1)
}

struct Checking<'a> {
    variables: Vec<&'a str>,
    nesting: usize,
}

impl<'a> Checking<'a> {
    fn visit(&mut self, node: &'a IdedExpr, depth: usize) -> Result<(), Unfit> {
        let unfit = |message: String| Err(Unfit { node: node.id, message });
        if depth > DEPTH_MAX {
            return unfit(format!("nested more than {DEPTH_MAX} levels deep"));
        }
        let below = depth + 1;
        match &node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if self.variables.contains(&name.as_str()) => Ok(()),
            Expr::Ident(_) => {
                unfit("there is no such name; there are type, timestamp and data".to_owned())
            }
            Expr::Select(select) => self.visit(&select.operand, below),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                if name == "timestamp" {
                    let how = "timestamp is a text to compare with one: timestamp > '2026-01-31'";
                    return unfit(how.to_owned());
                }
                if !FUNCTIONS.contains(&name) && !OPERATORS.contains(&name) {
                    let known = FUNCTIONS.join(", ");
                    return unfit(format!("there is no such function; there are {known}"));
                }
                let parts = call.target.as_deref().into_iter().chain(&call.args);
                parts.into_iter().try_for_each(|part| self.visit(part, below))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|part| self.visit(part, below)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, below)?;
                    self.visit(&entry.value, below)
                }
                EntryExpr::StructField(field) => self.visit(&field.value, below),
            }),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range, below)?;
                if self.nesting == MACRO_NESTING_MAX {
                    return unfit(format!(
                        "macros such as all and map nest at most {MACRO_NESTING_MAX} deep"
                    ));
                }
                self.macro_body(comprehension, below)
            }
            Expr::Struct(_) => unfit("there are no such objects".to_owned()),
            Expr::Unspecified => unfit("something is missing here".to_owned()),
        }
    }

    fn macro_body(&mut self, body: &'a ComprehensionExpr, depth: usize) -> Result<(), Unfit> {
        let outer = self.variables.len();
        self.nesting += 1;
        self.variables.extend([body.accu_var.as_str(), body.iter_var.as_str()]);
        self.variables.extend(body.iter_var2.as_deref());
        let parts = [&body.accu_init, &body.loop_cond, &body.loop_step, &body.result];
        parts.into_iter().try_for_each(|part| self.visit(part, depth))?;
        self.variables.truncate(outer);
        self.nesting -= 1;
        Ok(())
    }
}
