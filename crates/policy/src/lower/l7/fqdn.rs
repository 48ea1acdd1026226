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
    found.pop().filter(|pattern| is_server(pattern, problems))
}

/// The root may be asked about, but it is nobody's address.
fn is_server(pattern: &NamePattern, problems: &mut Problems) -> bool {
    let server = !pattern.as_str().is_empty();
    if !server {
        problems.fail("names the root, which is no server");
    }
    server
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
    pattern(text, problems).filter(|pattern| is_server(pattern, problems))
}

fn exact(text: &str, problems: &mut Problems) -> Option<NamePattern> {
    text.parse().map(NamePattern::MatchName).map_err(|error| problems.fail(format!("{error}"))).ok()
}

/// A pattern without a star is a name, so that the two are not taken for different things.
fn pattern(text: &str, problems: &mut Problems) -> Option<NamePattern> {
    if !text.contains('*') {
        return exact(text, problems);
    }
    text.parse().map(NamePattern::MatchPattern).map_err(|error| problems.fail(format!("{error}"))).ok()
}
