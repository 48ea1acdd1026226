//! What the names of an expression stand for, looked up as far as can be before there is a flow.

use super::{FLOW, tree, view::View, whole};
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
    /// Of an enumeration, or of all of them.
    ///
    /// # Errors
    ///
    /// If nothing has that name.
    pub fn add_constant(&mut self, name: &str) -> Result<(), ()> {
        let value = whole::constant(name).and_then(|value| value.try_into().ok()).ok_or(())?;
        self.constants.push((name.to_owned(), value));
        Ok(())
    }

    /// Makes a number of each name in an enumeration, and one name of each `_flow.a.b`, so that no flow has to be asked for
    /// the `a` of which it is the `b`. The names in `elements` stand for what a loop is at, and stay.
    pub fn look_up(&mut self, expression: &mut IdedExpr, elements: &[String]) {
        let found = tree::selected(expression)
            .filter(|(name, fields)| !fields.is_empty() && !elements.iter().any(|element| element == name))
            .map(|(name, fields)| match name {
                FLOW => Some(Expr::Ident(self.field(&fields))),
                name => self.number(name, &fields).map(|number| Expr::Literal(LiteralValue::Int(number))),
            });
        match found {
            Some(Some(found)) => expression.expr = found,
            // A whole enumeration, which is looked up by its name.
            Some(None) => (),
            None => tree::parts_mut(expression).into_iter().for_each(|part| self.look_up(part, elements)),
        }
    }

    fn field(&mut self, fields: &[&str]) -> String {
        let name = format!("{FLOW}.{}", fields.join("."));
        if !self.fields.iter().any(|(known, _)| *known == name) {
            self.fields.push((name.clone(), fields.iter().map(|&field| field.to_owned()).collect()));
        }
        name
    }

    fn number(&self, name: &str, fields: &[&str]) -> Option<CelInt> {
        let (_, all) = self.constants.iter().find(|(known, _)| known == name)?;
        let mut value = all.clone_as_boxed();
        for field in fields {
            value = super::view::element(value, field)?;
        }
        value.downcast_ref::<CelInt>().map(|number| CelInt::from(*number.inner()))
    }
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
