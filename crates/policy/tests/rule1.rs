//! The first policy of the quick start, from text to rule set.

use ciliate_policy::{
    Change, Engine, IdentityInfo, NamedPorts, Settings, Subject, endpoint_labels, parse,
    rule_set::{Action, EntryKey, Otherwise, Peer, RuleId, Traffic},
};
use ciliate_types::{Identity, Label, Labels, PortPrefix, Protocol};
use std::{collections::BTreeMap, sync::Arc};

const RULE1: &str = r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata:
  name: "rule1"
spec:
  description: "L3-L4 policy to restrict deathstar access to empire ships only"
  endpointSelector:
    matchLabels: {org: empire, class: deathstar}
  ingress:
  - fromEndpoints:
    - matchLabels: {org: empire}
    toPorts:
    - ports:
      - {port: "80", protocol: TCP}
"#;

#[expect(clippy::unwrap_used, reason = "a test")]
fn labels(user: &[&str]) -> Labels {
    let user = user.iter().map(|l| Label::parse(l, "k8s").unwrap()).collect();
    endpoint_labels(&user, "default", &BTreeMap::new(), None, "default")
}

#[test]
fn the_empire_may_land_and_the_alliance_may_not() {
    let mut engine = Engine::new(Settings::default());
    let (deathstar, tiefighter, xwing) = (
        labels(&["org=empire", "class=deathstar"]),
        labels(&["org=empire", "class=tiefighter"]),
        labels(&["org=alliance", "class=xwing"]),
    );
    for (number, labels) in [(256, &deathstar), (257, &tiefighter), (258, &xwing)] {
        engine.put_identity(
            Identity::new(number),
            IdentityInfo { labels: labels.clone(), ..Default::default() },
        );
    }
    let none = NamedPorts::new();
    let open = engine.rule_set(&Subject::endpoint(&deathstar, &none));
    assert_eq!(open.ingress.otherwise, Otherwise::Allow);

    let parsed = parse(RULE1, "rule1.yaml", "default").unwrap();
    assert_eq!(parsed[0].raw["metadata"]["namespace"], "default");
    let effect = engine.replace(vec![Change::Put(parsed[0].object.clone())]).unwrap();
    assert_eq!(effect.stale, [Arc::new(deathstar.clone())]);

    let closed = engine.rule_set(&Subject::endpoint(&deathstar, &none));
    assert_eq!((closed.ingress.otherwise, closed.egress.otherwise), (Otherwise::Deny, Otherwise::Allow));
    let port80 = Traffic::Ports(Protocol::TCP, PortPrefix { value: 80, len: 16 });
    let peers: Vec<_> = closed.ingress.entries.keys().copied().collect();
    assert_eq!(
        peers,
        [
            EntryKey { peer: Peer::Identity(Identity::new(1)), traffic: Traffic::Any },
            EntryKey { peer: Peer::Identity(Identity::new(256)), traffic: port80 },
            EntryKey { peer: Peer::Identity(Identity::new(257)), traffic: port80 },
        ]
    );
    let rule = engine.rule(closed.ingress.entries[&peers[1]].rule).unwrap();
    assert_eq!(rule.object.unwrap().to_string(), "cnp/default/rule1");
    assert_eq!((rule.section.as_str(), rule.action), ("spec.ingress[0].toPorts[0]", Action::Allow));
    assert_eq!(engine.rule(RuleId::LOCALHOST).unwrap().section, "allow-localhost");

    let xwing_set = engine.rule_set(&Subject::endpoint(&xwing, &none));
    assert!(Arc::ptr_eq(&xwing_set, &open), "equal rule sets are one allocation");
    let effect = engine.replace(vec![Change::Delete(parsed[0].object.key())]).unwrap();
    assert_eq!(effect.stale, [Arc::new(deathstar.clone())]);
    assert!(Arc::ptr_eq(&engine.rule_set(&Subject::endpoint(&deathstar, &none)), &open));
}
