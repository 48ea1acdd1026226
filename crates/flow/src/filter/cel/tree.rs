//! The tree of an expression.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// How many loops lie inside each other.
pub fn loops(expression: &IdedExpr) -> usize {
    let below = parts(expression).into_iter().map(loops).max().unwrap_or(0);
    match &expression.expr {
        Expr::Comprehension(one) => below.max(loops(&one.loop_step).saturating_add(1)),
        _ => below,
    }
}

/// Names that loops give to elements.
pub fn bound_names(expression: &IdedExpr) -> Vec<String> {
    let mut names: Vec<String> = parts(expression).into_iter().flat_map(bound_names).collect();
    if let Expr::Comprehension(one) = &expression.expr {
        names.extend([&one.iter_var, &one.accu_var].into_iter().chain(&one.iter_var2).cloned());
    }
    names
}

/// The name that selections begin with, and the fields that they select: `a.b.c` is of `a`, `b` and `c`. None for
/// anything else, as for the question whether there is such a field.
pub fn selected(expression: &IdedExpr) -> Option<(&str, Vec<&str>)> {
    match &expression.expr {
        Expr::Ident(name) => Some((name, Vec::new())),
        Expr::Select(select) if !select.test => {
            let (name, mut fields) = selected(&select.operand)?;
            fields.push(&select.field);
            Some((name, fields))
        }
        _ => None,
    }
}

/// What it is made of at once.
pub fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
        match entry {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        }
    }
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.args.iter().chain(call.target.as_deref()).collect(),
        Expr::Comprehension(one) => {
            vec![&one.iter_range, &one.accu_init, &one.loop_cond, &one.loop_step, &one.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|one| of_entry(&one.expr)).collect(),
        Expr::Struct(one) => one.entries.iter().flat_map(|one| of_entry(&one.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
    }
}

/// The same parts, to be changed.
pub fn parts_mut(expression: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    fn of_entry(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
        match entry {
            EntryExpr::StructField(field) => vec![&mut field.value],
            EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
        }
    }
    match &mut expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.args.iter_mut().chain(call.target.as_deref_mut()).collect(),
        Expr::Comprehension(one) => {
            let one = &mut **one;
            vec![
                &mut one.iter_range,
                &mut one.accu_init,
                &mut one.loop_cond,
                &mut one.loop_step,
                &mut one.result,
            ]
        }
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map.entries.iter_mut().flat_map(|one| of_entry(&mut one.expr)).collect(),
        Expr::Struct(one) => one.entries.iter_mut().flat_map(|one| of_entry(&mut one.expr)).collect(),
        Expr::Select(select) => vec![&mut select.operand],
    }
}
