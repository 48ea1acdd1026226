//! What the names of an expression stand for, looked up as far as can be before there is a flow.

use super::{
    FLOW, tree,
    view::{View, element},
    whole,
};
use crate::mask;
use cel::{
    common::{
        ast::{Expr, IdedExpr, LiteralValue},
        types::CelInt,
        value::{CowVal, Val},
    },
    context::VariableResolver,
};

/// Names of one expression.
#[derive(Debug, Default)]
pub struct Names {
    /// Enumerations, by what it calls them.
    constants: Vec<(String, Box<dyn Val>)>,
    /// Fields of the flow, each by a name that no expression can have.
    fields: Vec<(String, Vec<String>)>,
}

impl Names {
    /// Adds an enumeration, or all of them.
    ///
    /// # Errors
    /// If nothing has that name.
    pub fn add_constant(&mut self, name: &str) -> Result<(), String> {
        let value = whole::constant(name).and_then(|value| value.try_into().ok());
        let value = value.ok_or_else(|| format!("has the unknown name {name}: the flow is {FLOW}"))?;
        self.constants.push((name.to_owned(), value));
        Ok(())
    }

    /// Makes a number of each name in an enumeration, and one name of each `_flow.a.b`, so that no flow has to be asked for
    /// the `a` of which it is the `b`. The names in `elements` stand for what a loop is at, and stay.
    ///
    /// # Errors
    /// If there is no such field or number.
    pub fn look_up(&mut self, expression: &mut IdedExpr, elements: &[String]) -> Result<(), String> {
        // Of `has(_flow.a.b)` the answer is in the flow, but what is asked can be wrong.
        if let Expr::Select(select) = &expression.expr
            && select.test
            && let Some((FLOW, mut fields)) = tree::selected(&select.operand)
            && !elements.iter().any(|element| element == FLOW)
        {
            fields.push(&select.field);
            check(&fields)?;
        }
        let selected = tree::selected(expression)
            .filter(|(name, fields)| !fields.is_empty() && !elements.iter().any(|element| element == name));
        let Some((name, fields)) = selected else {
            return tree::parts_mut(expression).into_iter().try_for_each(|part| self.look_up(part, elements));
        };
        let found = match name {
            FLOW => Some(Expr::Ident(self.field(&fields)?)),
            name => self.number(name, &fields)?.map(|number| Expr::Literal(LiteralValue::Int(number))),
        };
        if let Some(found) = found {
            expression.expr = found;
        }
        Ok(())
    }

    fn field(&mut self, fields: &[&str]) -> Result<String, String> {
        check(fields)?;
        let name = format!("{FLOW}.{}", fields.join("."));
        if !self.fields.iter().any(|(known, _)| *known == name) {
            self.fields.push((name.clone(), fields.iter().map(|&field| field.to_owned()).collect()));
        }
        Ok(name)
    }

    /// None of a whole enumeration, which is looked up by its name.
    fn number(&self, name: &str, fields: &[&str]) -> Result<Option<CelInt>, String> {
        let Some((_, all)) = self.constants.iter().find(|(known, _)| known == name) else { return Ok(None) };
        let mut value = all.clone_as_boxed();
        let mut path = name.to_owned();
        for field in fields {
            let known = whole::known(&path);
            value = element(value, field)
                .ok_or_else(|| format!("asks for {path}.{field}, but {path} has {known}"))?;
            path = format!("{path}.{field}");
        }
        Ok(value.downcast_ref::<CelInt>().map(|number| CelInt::from(*number.inner())))
    }
}

/// That the message of a flow has such a field, and that nothing on the way is a list or a wrapped value, of which only a mask
/// can have fields.
fn check(fields: &[&str]) -> Result<(), String> {
    let way = fields.split_last().map_or(&[][..], |(_, way)| way);
    if let Some(value) = whole::without_fields(way) {
        return Err(format!("asks for a field of {FLOW}.{value}, which is a list or a value"));
    }
    mask::walk(&fields.join("."))
        .map(drop)
        .map_err(|error| format!("asks for a field that no flow has: {error}"))
}

/// The names of an expression for one flow.
pub struct OfFlow<'a> {
    pub names: &'a Names,
    pub flow: View<'a>,
}

impl VariableResolver for OfFlow<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some((_, fields)) = self.names.fields.iter().find(|(name, _)| name == variable) {
            return self.flow.field(fields).map(CowVal::Owned);
        }
        if variable == FLOW {
            return Some(CowVal::Borrowed(&self.flow));
        }
        let found = self.names.constants.iter().find(|(name, _)| name == variable);
        found.map(|(_, value)| CowVal::Borrowed(value.as_ref()))
    }
}
