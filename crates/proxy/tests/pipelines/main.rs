//! Random rules and random requests, and the corpus of bypass attempts, through the proxy and real sockets: whatever a server gets was allowed. Needs root.
//! `CILIATE_PIPELINES` says how many connections of each protocol; 60 unless told.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]
#![expect(clippy::panic, reason = "of the support")]

mod bypass;
#[path = "../../../http/tests/conversations/corpus.rs"]
mod corpus;
#[path = "../../../http/tests/conversations/frames.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod frames;
mod http1;
mod http2;
#[path = "../../../bpf/tests/support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;
#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod proxy;

use ciliate_policy::rule_set::{Action, Peer, RuleSet};
use ciliate_types::{HttpRule, L7Rules};
use node::{Endpoint, Node, rules};
use proptest::{prelude::*, sample::select};
use proxy::{Proxy, filter};

/// Whole texts that a method or a path may be, so that matching needs no second engine. None: any.
type Rule = (Option<&'static str>, Option<&'static [&'static str]>);

fn rule() -> impl Strategy<Value = Rule> {
    let paths: [&'static [&'static str]; 4] = [&["/"], &["/a"], &["/a", "/a/b"], &["/a/b?x=1", "/api"]];
    (
        prop::option::of(select(vec!["GET", "POST", "PUT"])),
        prop::option::weighted(0.9, select(paths.to_vec())),
    )
}

fn as_policy((method, paths): &Rule) -> HttpRule {
    let path = paths.map(|all| all.join("|").replace('?', "\\?"));
    HttpRule { method: method.map(str::to_owned), path, ..HttpRule::default() }
}

fn allowed(rules: &[Rule], method: &str, path: &str) -> bool {
    rules.iter().any(|(wanted, paths)| {
        wanted.is_none_or(|wanted| wanted == method) && paths.is_none_or(|paths| paths.contains(&path))
    })
}

/// How many connections are tried.
fn cases() -> u32 {
    std::env::var("CILIATE_PIPELINES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// A ship and a station whose requests the proxy reads.
fn place(node: &mut Node) -> (Endpoint, Endpoint) {
    let tie = node.endpoint(10, &RuleSet::default());
    let set = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 7)]);
    (tie, node.endpoint(12, &set))
}

fn configure(proxy: &Proxy, rules: &[Rule]) {
    proxy.configure([filter(7, L7Rules::Http(rules.iter().map(as_policy).collect()))]);
}
