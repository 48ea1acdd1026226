//! Identities that come and go while large rule sets are in force. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests state plainly what they expect")]

#[path = "support/node.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod node;

use ciliate_bpf::Extended;
use ciliate_policy::rule_set::{Action, Peer, RuleSet};
use ciliate_types::Identity;
use node::{NEVER, SURELY, connect, listen, on_node, rules};

/// Whoever may enter at port 80: ten thousand, and some more.
fn allowing(more: &[Identity]) -> RuleSet {
    let crowd = (1_000_000..1_010_000).map(Identity::new);
    rules(crowd.chain(more.iter().copied()).map(|who| (Peer::Identity(who), 80, Action::Allow, 10, 7)))
}

#[test]
fn an_identity_joins_and_leaves_ten_thousand_others_by_one_entry() {
    on_node("churn", |node| {
        let friend = node.endpoint(10, &RuleSet::default());
        let (before, after) = (allowing(&[]), allowing(&[friend.identity]));
        let server = node.endpoint(12, &before);
        let _http = listen(&server, 80);
        connect(&friend, server.v4, 80, NEVER).unwrap_err();

        let entries =
            |node: &node::Node| node.datapath.policy_entries(server.rule_set).unwrap().entries.len();
        assert_eq!(entries(node), 10_000);
        let joined = node.datapath.extend_rule_set(server.rule_set, &before, &after, &[]).unwrap();
        assert_eq!(joined, Extended::InPlace { written: 1, deleted: 0 });
        assert_eq!(entries(node), 10_001);
        connect(&friend, server.v4, 80, SURELY).unwrap();

        // Somebody may still have it: this revokes, and is no change for in place.
        let revoked = node.datapath.extend_rule_set(server.rule_set, &after, &before, &[]).unwrap();
        assert_eq!(revoked, Extended::NotPossible);
        let gone = [friend.identity];
        let left = node.datapath.extend_rule_set(server.rule_set, &after, &before, &gone).unwrap();
        assert_eq!(left, Extended::InPlace { written: 0, deleted: 1 });
        assert_eq!(entries(node), 10_000);
        // What is equal is shared again.
        assert_eq!(node.datapath.write_rule_set(&before).unwrap(), server.rule_set);
    });
}

#[test]
fn what_is_freed_leaves_nothing_behind() {
    on_node("freed", |node| {
        let in_use = |node: &node::Node| {
            let usage = node.datapath.usage();
            let of = |name: &str| usage.iter().find(|map| map.name == name).unwrap().entries;
            (of("POLICY"), of("RULE_SETS"))
        };
        let before = in_use(node);
        let handle = node.datapath.write_rule_set(&allowing(&[])).unwrap();
        let grown = allowing(&[Identity::new(300)]);
        let extended = node.datapath.extend_rule_set(handle, &allowing(&[]), &grown, &[]).unwrap();
        assert_eq!(extended, Extended::InPlace { written: 1, deleted: 0 });
        node.datapath.release_rule_set(handle);
        while in_use(node) != before {
            let _ = node.datapath.sweep().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // Opened again, nothing is found that nobody accounts for.
        let settings = node.settings.clone();
        let again = ciliate_bpf::Datapath::open(&settings).unwrap();
        assert_eq!(again.usage(), node.datapath.usage());
        assert!(again.policy_entries(handle).is_err());
    });
}
