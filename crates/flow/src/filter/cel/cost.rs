//! How long an expression may take and how much memory it may need, before it is run.
//!
//! Bounds are of the kind that a value is at most as large as all that it is made of. What flows hold is not known then, so
//! it is taken to be of a usual size; a flow with longer lists is judged by what that makes of the bounds.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};

/// Elements of a list in a flow.
pub const USUAL: u64 = 32;
/// Characters of a text in a flow, and what any other value counts for.
const TEXT: u64 = 64;
/// Names of an enumeration.
const NAMES: u64 = 256;
/// Characters that are dealt with in one step.
const AT_ONCE: u64 = 256;

/// Of an expression or of its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Things done to get it.
    pub steps: u64,
    /// Elements, if it is a list.
    length: u64,
    /// Elements and characters of all of it.
    pub size: u64,
    /// The largest value on the way.
    pub largest: u64,
}

/// What names stand for, the innermost last.
type Scope<'a> = Vec<(&'a str, Bound)>;

/// Of a whole expression; `flow` is the name of the flow.
pub fn bound(expression: &IdedExpr, flow: &str) -> Bound {
    visit(expression, flow, &mut Vec::new())
}

/// A list or text in a flow.
const FIELD: Bound = Bound { steps: 1, length: USUAL, size: USUAL * TEXT, largest: 0 };

fn visit<'a>(expression: &'a IdedExpr, flow: &str, scope: &mut Scope<'a>) -> Bound {
    let bound = match &expression.expr {
        Expr::Unspecified => Bound::default(),
        Expr::Literal(literal) => Bound { steps: 1, length: 0, size: literal_size(literal), largest: 0 },
        Expr::Ident(name) => match scope.iter().rev().find(|(known, _)| known == name) {
            Some((_, bound)) => Bound { steps: 1, ..*bound },
            None if name == flow => FIELD,
            None => Bound { steps: 1, length: NAMES, size: NAMES, largest: 0 },
        },
        Expr::Select(select) => {
            let operand = visit(&select.operand, flow, scope);
            Bound { steps: operand.steps.saturating_add(1), ..operand }
        }
        Expr::Call(call) => {
            let parts: Vec<Bound> = call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .map(|part| visit(part, flow, scope))
                .collect();
            // Whatever it does, it does to all of its arguments: at a few characters a step.
            let sum = sum(&parts);
            Bound { steps: sum.steps.saturating_add(1).saturating_add(sum.size / AT_ONCE), ..sum }
        }
        Expr::List(list) => {
            let parts: Vec<Bound> = list.elements.iter().map(|part| visit(part, flow, scope)).collect();
            let count = u64::try_from(parts.len()).unwrap_or(u64::MAX);
            let sum = sum(&parts);
            Bound {
                steps: sum.steps.saturating_add(1).saturating_add(sum.size / AT_ONCE),
                length: count,
                size: sum.size.saturating_add(count),
                ..sum
            }
        }
        Expr::Map(map) => entries(map.entries.iter().map(|entry| &entry.expr), flow, scope),
        Expr::Struct(one) => entries(one.entries.iter().map(|entry| &entry.expr), flow, scope),
        Expr::Comprehension(one) => {
            let range = visit(&one.iter_range, flow, scope);
            let init = visit(&one.accu_init, flow, scope);
            let turns = range.length.max(1);
            let depth = scope.len();
            // One of a flow's has a usual size; another may be all of the list, and a list itself.
            let element = match is_field(&one.iter_range, flow) {
                true => Bound { size: TEXT, ..FIELD },
                false => Bound { steps: 1, length: range.size, ..range },
            };
            scope.push((&one.iter_var, element));
            if let Some(second) = &one.iter_var2 {
                scope.push((second, element));
            }
            // What a turn adds; no macro takes more than once what was there before.
            scope.push((&one.accu_var, Bound { steps: 1, ..Bound::default() }));
            let (condition, step) = (visit(&one.loop_cond, flow, scope), visit(&one.loop_step, flow, scope));
            let grown = Bound {
                steps: 1,
                length: init.length.saturating_add(step.length.max(1).saturating_mul(turns)),
                size: init.size.saturating_add(step.size.saturating_mul(turns)),
                largest: 0,
            };
            scope.truncate(depth);
            scope.push((&one.accu_var, grown));
            let result = visit(&one.result, flow, scope);
            scope.truncate(depth);
            let turn = condition.steps.saturating_add(step.steps).saturating_add(1);
            let steps = [range.steps, init.steps, turn.saturating_mul(turns), result.steps];
            Bound {
                steps: steps.into_iter().fold(0, u64::saturating_add),
                length: result.length,
                size: result.size,
                largest: [range, init, condition, step, grown, result]
                    .iter()
                    .map(|bound| bound.largest.max(bound.size))
                    .max()
                    .unwrap_or(0),
            }
        }
    };
    Bound { largest: bound.largest.max(bound.size), ..bound }
}

/// Whether it is a field of the flow, or a field of that.
fn is_field(expression: &IdedExpr, flow: &str) -> bool {
    match &expression.expr {
        Expr::Ident(name) => name == flow,
        Expr::Select(select) => is_field(&select.operand, flow),
        _ => false,
    }
}

fn literal_size(literal: &LiteralValue) -> u64 {
    let length = match literal {
        LiteralValue::String(text) => text.inner().len(),
        LiteralValue::Bytes(bytes) => bytes.inner().len(),
        LiteralValue::Boolean(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::Null
        | LiteralValue::UInt(_) => 1,
    };
    u64::try_from(length).unwrap_or(u64::MAX).max(1)
}

fn entries<'a>(entries: impl Iterator<Item = &'a EntryExpr>, flow: &str, scope: &mut Scope<'a>) -> Bound {
    let mut parts = Vec::new();
    for entry in entries {
        match entry {
            EntryExpr::StructField(field) => parts.push(visit(&field.value, flow, scope)),
            EntryExpr::MapEntry(entry) => {
                parts.push(visit(&entry.key, flow, scope));
                parts.push(visit(&entry.value, flow, scope));
            }
        }
    }
    let sum = sum(&parts);
    let count = u64::try_from(parts.len()).unwrap_or(u64::MAX);
    Bound {
        steps: sum.steps.saturating_add(1).saturating_add(sum.size / AT_ONCE),
        length: count,
        size: sum.size.saturating_add(count),
        ..sum
    }
}

fn sum(parts: &[Bound]) -> Bound {
    parts.iter().fold(Bound::default(), |sum, part| Bound {
        steps: sum.steps.saturating_add(part.steps),
        length: sum.length.saturating_add(part.length),
        size: sum.size.saturating_add(part.size),
        largest: sum.largest.max(part.largest),
    })
}
