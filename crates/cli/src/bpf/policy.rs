//! How the kernel's rules look.

use crate::{
    output::{Cell, Page, Table, Tone, View},
    row,
};
use ciliate_api::PolicyEntry;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Entries(pub Vec<PolicyEntry>);

impl View for Entries {
    fn text(&self, page: &Page) -> String {
        let titles = [
            "ENDPOINT",
            "POLICY",
            "DIRECTION",
            "LABELS (source:key[=value])",
            "PORT/PROTO",
            "PRECEDENCE",
            "RULE",
        ];
        let rows = self.0.iter().map(|entry| {
            let tone = if entry.action == "Deny" { Tone::Bad } else { Tone::Good };
            let direction = match entry.direction {
                ciliate_types::Direction::Ingress => "Ingress",
                ciliate_types::Direction::Egress => "Egress",
            };
            row![
                Cell::optional(entry.endpoint),
                Cell::toned(&entry.action, tone),
                direction,
                Cell::lines(entry.peer.split(',')),
                &entry.traffic,
                entry.precedence,
                entry.rule.to_string(),
            ]
        });
        Table::new(&titles).wrap("LABELS (source:key[=value])").rows(rows).render(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_api::RuleView;
    use ciliate_types::Direction;

    #[test]
    fn rules_show_whom_they_let_in_and_where_they_stand() {
        let entry = PolicyEntry {
            endpoint: "829".parse().ok(),
            rule_set: 3,
            action: "Allow".to_owned(),
            direction: Direction::Ingress,
            peer: "k8s:class=tiefighter,k8s:org=empire".to_owned(),
            identity: None,
            traffic: "80/TCP".to_owned(),
            precedence: 7,
            rule: RuleView {
                id: 16,
                object: "cnp/default/rule1".to_owned(),
                section: "spec.ingress[0].toPorts[0]".to_owned(),
                description: String::new(),
            },
        };
        let expected = "\
ENDPOINT   POLICY   DIRECTION   LABELS (source:key[=value])   PORT/PROTO   PRECEDENCE   RULE
829        Allow    Ingress     k8s:class=tiefighter          80/TCP       7            cnp/default/rule1 spec.ingress[0].toPorts[0]
                                k8s:org=empire
";
        assert_eq!(Entries(vec![entry]).text(&Page::plain()), expected);
    }
}
