//! The verdict of one direction, from what every rule said.

use super::{Considered, DirectionExplanation, Verdict};
use crate::{
    l7::{Fit, Request},
    rule_set::{Action, SETTING_PRECEDENCE},
};

/// Of all rules that match the one with the highest precedence decides; redirections of one precedence do together.
pub fn decide(found: &mut DirectionExplanation, request: Option<&Request>) {
    let Some(top) = found.rules.iter().filter(|rule| rule.matches()).map(precedence).max() else {
        (found.verdict, found.reason) = match found.isolated {
            false => (Verdict::Allowed, format!("no policy isolates {}", found.direction)),
            true => (Verdict::Denied, "no rule allows it".to_owned()),
        };
        return;
    };
    let mut deciding: Vec<&Considered> =
        found.rules.iter().filter(|rule| rule.matches() && precedence(rule) == top).collect();
    deciding.sort_by_key(|rule| rule.rule);
    let Some(first) = deciding.first() else { return };
    let (verdict, by, reason) = match (first.action, request) {
        (Action::Allow, _) => (Verdict::Allowed, Some(*first), name(first)),
        (Action::Deny, _) => (Verdict::Denied, Some(*first), name(first)),
        (Action::Redirect, None) => {
            let ways: Vec<_> = deciding.iter().flat_map(|rule| &rule.l7).map(String::as_str).collect();
            (Verdict::Redirected, Some(*first), format!("to the proxy: allowed if {}", ways.join(", or ")))
        }
        (Action::Redirect, Some(request)) => judge(&deciding, request),
    };
    (found.verdict, found.decided_by, found.reason) = (verdict, by.map(|rule| rule.rule), reason);
}

fn judge<'a>(rules: &[&'a Considered], request: &Request) -> (Verdict, Option<&'a Considered>, String) {
    if let Some(rule) = rules.iter().find(|rule| rule.request == Some(Fit::Matches)) {
        return (Verdict::Allowed, Some(rule), name(rule));
    }
    let unknown = rules.iter().filter_map(|rule| match &rule.request {
        Some(Fit::Unknown(why)) => Some((*rule, why.as_str())),
        Some(Fit::Matches | Fit::Differs(_)) | None => None,
    });
    let unknown: Vec<_> = unknown.collect();
    match unknown.first() {
        Some((rule, _)) => {
            let ways: Vec<_> = unknown.iter().map(|(_, why)| *why).collect();
            (Verdict::Redirected, Some(rule), format!("to the proxy: {}", ways.join(", or ")))
        }
        None => (Verdict::Denied, None, format!("the proxy refuses it: no rule allows {request}")),
    }
}

fn precedence(rule: &Considered) -> u32 {
    match rule.object {
        Some(_) => rule.action.precedence(),
        None => SETTING_PRECEDENCE,
    }
}

fn name(rule: &Considered) -> String {
    let object = rule.object.as_ref().map_or_else(|| "setting".to_owned(), ToString::to_string);
    format!("{object} {}", rule.section)
}
