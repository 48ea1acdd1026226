//! Names of servers: `toFQDNs`, `rules.dns` and `serverNames`.

use super::said;
use crate::{object::l7::FqdnSelector, parse::path::Problems};
use ciliate_types::NamePattern;

/// An element of `toFQDNs`.
pub fn selector(written: &FqdnSelector, problems: &mut Problems) -> Option<NamePattern> {
    let mut found = rule(written, problems);
    if found.len() > 1 {
        problems.fail("wants either matchName or matchPattern");
    }
    found.pop()
}

/// An element of `rules.dns`: with both fields either may match, as in Cilium.
pub fn rule(written: &FqdnSelector, problems: &mut Problems) -> Vec<NamePattern> {
    let name = said(written.match_name.as_ref()).map(|text| problems.at("matchName", |p| exact(text, p)));
    let pattern =
        said(written.match_pattern.as_ref()).map(|text| problems.at("matchPattern", |p| pattern(text, p)));
    if name.is_none() && pattern.is_none() {
        problems.fail("names nothing: write matchName or matchPattern, \"*\" for every name");
    }
    name.into_iter().chain(pattern).flatten().collect()
}

/// An element of `serverNames`.
pub fn server_name(text: &str, problems: &mut Problems) -> Option<NamePattern> {
    pattern(text, problems)
}

fn exact(text: &str, problems: &mut Problems) -> Option<NamePattern> {
    let name = text.parse().map_err(|error| problems.fail(format!("{error}"))).ok();
    let name = name.filter(|name: &ciliate_types::DomainName| !name.as_str().is_empty());
    if name.is_none() && text.trim_end_matches('.').is_empty() {
        problems.fail(format!("{text:?} names no server"));
    }
    name.map(NamePattern::MatchName)
}

/// A pattern without a star is a name, so that the two are not taken for different things.
fn pattern(text: &str, problems: &mut Problems) -> Option<NamePattern> {
    if !text.contains('*') {
        return exact(text, problems);
    }
    text.parse().map(NamePattern::MatchPattern).map_err(|error| problems.fail(format!("{error}"))).ok()
}
