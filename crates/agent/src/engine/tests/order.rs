//! No packet meets a half-way state: at every single write of a change, what each end's policy says of a packet is
//! what it said before, or what it says after.

use super::world::{Judgements, World, policy, request};
use crate::{engine::Engine, failure::Failure, kernel::memory::Fault};
use ciliate_api::{DeleteRequest, EndpointPatch, EndpointRef};
use proptest::prelude::*;
use std::net::IpAddr;

/// One change of the world.
#[derive(Clone, Debug)]
pub enum Step {
    Create(usize, usize),
    Delete(usize),
    Relabel(usize, usize),
    Apply(Vec<Rule>),
    Withdraw(Vec<usize>),
    Namespace(usize),
    Restart,
}

/// A policy: its number, whom it selects, and one of some typical rule bodies.
#[derive(Clone, Debug)]
pub struct Rule {
    number: usize,
    app: usize,
    body: usize,
}

const APPS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 4] = ["w", "x", "y", "z"];
const BODIES: [&str; 12] = [
    "  ingress: [{fromEndpoints: [{matchLabels: {app: b}}]}]",
    "  ingress: [{fromEndpoints: [{}], toPorts: [{ports: [{port: '80', protocol: TCP}]}]}]",
    "  ingress: [{fromCIDR: [198.51.100.0/24]}]",
    "  ingress: [{fromCIDRSet: [{cidr: 198.51.100.0/24, except: [198.51.100.128/25]}]}]",
    "  ingress: [{fromEntities: [world]}]\n  ingressDeny: [{fromCIDR: [198.51.100.128/25]}]",
    "  ingressDeny: [{fromCIDR: [198.51.100.0/24]}]\n  enableDefaultDeny: {ingress: false}",
    "  ingressDeny: [{fromEndpoints: [{matchLabels: {app: c}}]}]\n  ingress: [{fromEntities: [all]}]",
    "  egress: [{toEndpoints: [{matchLabels: {app: a}}]}]",
    "  egress: [{toCIDR: [198.51.100.0/25], toPorts: [{ports: [{port: '443', protocol: TCP}]}]}]",
    "  egressDeny: [{toEntities: [world]}]\n  egress: [{toEntities: [all]}]",
    "  ingress: [{fromEndpoints: [{matchLabels: {'io.cilium.k8s.namespace.labels.team': red}}]}]",
    "  ingress: [{fromCIDR: [10.9.0.0/16, 192.0.2.0/24]}, {fromEntities: [host]}]",
];
const TEAMS: [&str; 2] = ["red", "blue"];

fn rule() -> impl Strategy<Value = Rule> {
    (0..4_usize, 0..APPS.len(), 0..BODIES.len()).prop_map(|(number, app, body)| Rule { number, app, body })
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..NAMES.len(), 0..APPS.len()).prop_map(|(n, a)| Step::Create(n, a)),
        2 => (0..NAMES.len()).prop_map(Step::Delete),
        3 => (0..NAMES.len(), 0..APPS.len()).prop_map(|(n, a)| Step::Relabel(n, a)),
        6 => prop::collection::vec(rule(), 1..3).prop_map(Step::Apply),
        3 => prop::collection::vec(0..4_usize, 1..3).prop_map(Step::Withdraw),
        1 => (0..TEAMS.len()).prop_map(Step::Namespace),
        1 => Just(Step::Restart),
    ]
}

impl Step {
    pub fn run(&self, engine: &mut Engine) -> Result<(), Failure> {
        let reference = |name: usize| NAMES[name].parse::<EndpointRef>().unwrap();
        let label = |app: usize| format!("app={}", APPS[app]);
        match self {
            Self::Create(name, app) => {
                engine.create_endpoint(request(NAMES[*name], &[&label(*app)])).map(drop)
            }
            Self::Delete(name) => engine.delete_endpoint(&reference(*name)).map(drop),
            Self::Relabel(name, app) => {
                let patch = EndpointPatch { add_labels: vec![label(*app)], ..EndpointPatch::default() };
                engine.patch_endpoint(&reference(*name), patch).map(drop)
            }
            Self::Apply(rules) => {
                let mut numbers: Vec<usize> = rules.iter().map(|r| r.number).collect();
                numbers.dedup();
                let text: String = rules
                    .iter()
                    .take(numbers.len())
                    .map(|r| policy(&format!("p{}", r.number), APPS[r.app], BODIES[r.body]))
                    .collect();
                engine.apply(&super::world::apply_request(&text)).map(drop)
            }
            Self::Withdraw(numbers) => {
                let object = |n: &usize| ciliate_api::ObjectRef {
                    kind: "cnp".to_owned(),
                    namespace: None,
                    name: format!("p{n}"),
                };
                let objects = numbers.iter().map(object).collect();
                engine.delete_objects(&DeleteRequest { objects, ..DeleteRequest::default() }).map(drop)
            }
            Self::Namespace(team) => {
                let team = TEAMS[*team];
                let text = format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata: {{name: default, labels: {{team: {team}}}}}"
                );
                engine.apply(&super::world::apply_request(&text)).map(drop)
            }
            Self::Restart => Ok(()),
        }
    }
}

/// Addresses of the pool's first endpoints, of the host, and of the world inside and outside of the rules' prefixes.
pub fn addresses() -> Vec<IpAddr> {
    let pool = (2..9).map(|n| format!("10.9.0.{n}"));
    let others = ["192.0.2.1", "198.51.100.1", "198.51.100.200", "203.0.113.1"].map(str::to_owned);
    pool.chain(others).map(|a| a.parse().unwrap()).collect()
}

pub fn assert_between(before: &Judgements, after: &Judgements, seen: &[(String, Judgements)], what: &str) {
    for (step, verdicts) in seen {
        for (pair, passes) in verdicts {
            assert!(
                before[pair] == *passes || after[pair] == *passes,
                "{what}: at {step:?} the verdict for {pair:?} is {passes}, before and after it is {}\n{:#?}",
                before[pair],
                seen.iter().map(|(step, v)| (step, v[pair])).collect::<Vec<_>>(),
            );
        }
    }
}

/// Shows only what differs.
pub fn differences(left: &Judgements, right: &Judgements) -> Vec<String> {
    let differs = left.iter().filter(|(pair, passes)| right.get(pair) != Some(passes));
    differs.map(|(pair, passes)| format!("{pair:?}: {passes}")).collect()
}

/// Endpoints that the request is about appear or vanish: nobody can send to or from them meanwhile.
fn settled(step: &Step) -> bool {
    !matches!(step, Step::Create(..) | Step::Delete(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_verdict_on_the_way_is_the_old_or_the_new_one(steps in prop::collection::vec(step(), 4..14)) {
        let mut world = World::new();
        let addresses = addresses();
        for step in steps {
            let before = world.judgements(&addresses);
            let known: Vec<IpAddr> = world.kernel.held().endpoints.keys().copied().collect();
            let seen = world.watch(&addresses);
            match &step {
                Step::Restart => world.start().unwrap(),
                // Requests that make no sense are refused and change nothing, which is checked too.
                other => drop(other.run(world.engine())),
            }
            world.kernel.held().check = None;
            let after = world.judgements(&addresses);
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            if settled(&step) {
                assert_between(&before, &after, &seen, &format!("{step:?}"));
            } else {
                let there: Vec<IpAddr> = world.kernel.held().endpoints.keys().copied().collect();
                let stays = |a: &IpAddr| known.contains(a) == there.contains(a);
                let part = |v: &Judgements| -> Judgements {
                    v.iter().filter(|((_, s, d, _), _)| stays(s) && stays(d)).map(|(k, v)| (*k, *v)).collect()
                };
                let seen: Vec<_> = seen.iter().map(|(step, v)| (step.clone(), part(v))).collect();
                assert_between(&part(&before), &part(&after), &seen, &format!("{step:?}"));
            }
            if let Step::Restart = step {
                prop_assert_eq!(differences(&before, &after), Vec::<String>::new());
            }
        }
    }

    /// Killed before any write, the next agent brings the world to what it was before or to what was asked for, and
    /// no verdict on the way is neither.
    #[test]
    fn a_killed_agent_is_followed_by_one_that_completes_or_undoes(
        steps in prop::collection::vec(step(), 2..8),
        last in step().prop_filter("a change", settled),
        after_writes in 0..24_usize,
    ) {
        let mut world = World::new();
        let addresses = addresses();
        for step in &steps {
            drop(step.run(world.engine()));
        }
        let before = world.judgements(&addresses);
        // What was asked for, seen in a world without the accident.
        let wanted = {
            let mut other = World::new();
            for step in steps.iter().chain([&last]) {
                drop(step.run(other.engine()));
            }
            other.judgements(&addresses)
        };
        let seen = world.watch(&addresses);
        let outcome = world.with_fault(after_writes, Fault::Kill, |engine| last.run(engine));
        world.start().unwrap();
        world.kernel.held().check = None;
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_between(&before, &wanted, &seen, &format!("{last:?} {outcome:?}"));
        let now = world.judgements(&addresses);
        prop_assert!(now == before || now == wanted, "{:?} {:?}", last, outcome);
        // And the world goes on.
        drop(last.run(world.engine()));
        prop_assert_eq!(differences(&world.judgements(&addresses), &wanted), Vec::<String>::new());
    }
}
