//! How policies and selectors look.

use crate::{
    output::{Cell, Page, Table, View, json},
    row,
};
use ciliate_api::SelectorRow;
use serde::Serialize;
use serde_json::Value;

/// For people too that is JSON, with the revision below it.
#[derive(Debug, Serialize)]
pub struct Policies {
    pub policies: Vec<Value>,
    pub revision: u64,
}

impl View for Policies {
    fn text(&self, _: &Page) -> String {
        format!("{}Revision: {}\n", json(&self.policies).unwrap_or_default(), self.revision)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Selectors(pub Vec<SelectorRow>);

impl View for Selectors {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|selector| {
            row![
                &selector.selector,
                Cell::lines(&selector.users),
                Cell::lines(selector.identities.iter().map(ToString::to_string))
            ]
        });
        Table::new(&["SELECTOR", "USERS", "IDENTITIES"]).wrap("SELECTOR").rows(rows).render(page)
    }
}
