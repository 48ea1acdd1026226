//! Prefixes and names that change together: an address that was found under a name has an identity with the labels of both, and
//! has to have the right one before rules count that tell it from others. After every single write, the kernel's or the proxy's,
//! what each end's policy says is what it said before or what it says after.

use super::{
    order::{assert_between, differences},
    world::{Judgements, World, apply_request, policy},
};
use crate::{engine::Engine, failure::Failure, kernel::memory::Fault};
use ciliate_api::{DeleteRequest, ObjectRef};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

const APPS: [&str; 2] = ["a", "b"];
const NAMES: [&str; 4] = ["a.example.com", "b.example.com", "deep.b.example.com", "other.example"];
const ADDRESSES: [&str; 5] = ["198.51.100.1", "198.51.100.2", "198.51.100.130", "203.0.113.1", "2001:db8::1"];
const BODIES: [&str; 19] = [
    "  egress: [{toFQDNs: [{matchName: a.example.com}]}]",
    "  egress: [{toFQDNs: [{matchPattern: '*.example.com'}]}]",
    "  egress: [{toFQDNs: [{matchPattern: '**.example.com'}, {matchName: other.example}]}]",
    "  egress: [{toFQDNs: [{matchPattern: '*'}], toPorts: [{ports: [{port: '443', protocol: TCP}]}]}]",
    "  egress: [{toCIDR: [198.51.100.0/24]}]",
    "  egress: [{toCIDR: [198.51.100.1/32]}, {toFQDNs: [{matchName: b.example.com}]}]",
    "  egress: [{toCIDRSet: [{cidr: 198.51.100.0/24, except: [198.51.100.0/25]}]}]",
    "  egressDeny: [{toCIDR: [198.51.100.1/32]}]\n  egress: [{toFQDNs: [{matchPattern: '*.example.com'}]}]",
    "  egressDeny: [{toCIDR: [198.51.100.128/25]}]\n  egress: [{toEntities: [world]}]",
    "  egressDeny: [{toCIDR: [198.51.100.0/24]}]\n  egress: [{toEntities: [all]}]",
    "  egress: [{toCIDR: [0.0.0.0/0], toPorts: [{ports: [{port: '80', protocol: TCP}]}]}, {toFQDNs: [{matchName: a.example.com}]}]",
    "  egress: [{toCIDRSet: [{cidrGroupRef: g}]}]",
    "  egressDeny: [{toCIDRSet: [{cidrGroupRef: g}]}]\n  egress: [{toFQDNs: [{matchPattern: '*'}]}]",
    "  egressDeny: [{toCIDRSet: [{cidrGroupRef: g}]}]\n  enableDefaultDeny: {egress: false}",
    "  egress: [{toCIDR: ['2001:db8::/64']}, {toFQDNs: [{matchName: other.example}]}]",
    "  egressDeny: [{toCIDR: ['2001:db8::1/128']}]\n  egress: [{toFQDNs: [{matchPattern: '*'}]}]",
    "  ingress: [{fromCIDR: [198.51.100.0/25]}]",
    "  ingressDeny: [{fromCIDR: [198.51.100.1/32, 203.0.113.0/24]}]\n  ingress: [{fromEntities: [world]}]",
    "  egress: [{toEntities: [world]}]\n  egressDeny: [{toEntities: [world-ipv6]}]",
];
const GROUPS: [&str; 4] = [
    "[198.51.100.0/24]",
    "[198.51.100.1/32, 203.0.113.0/24]",
    "[203.0.113.1/32, 198.51.100.0/25]",
    "['2001:db8::1/128', 198.51.100.130/32]",
];
const POLICIES: usize = 4;
/// Longer than a number rests.
const HOUR: Duration = Duration::from_secs(3600);

/// What is there when all is done: enough to build the same world at once.
#[derive(Clone, Debug, Default)]
struct Contents {
    /// Application and body of each policy.
    policies: BTreeMap<usize, (usize, usize)>,
    group: Option<usize>,
}

/// All in one request.
#[derive(Clone, Debug)]
struct Change {
    policies: BTreeMap<usize, (usize, usize)>,
    group: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Apply(Change),
    Withdraw(BTreeSet<usize>),
    /// Somebody asks for a name and gets an address.
    Learn(usize, usize),
    /// A name is over.
    Forget(usize),
    /// The agent.
    Restart,
    RestartProxy,
    /// Numbers that nobody has are forgotten.
    Expire,
    /// The proxy does not answer one of the next requests.
    Deaf(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let policies = prop::collection::btree_map(0..POLICIES, (0..APPS.len(), 0..BODIES.len()), 1..4);
    (policies, prop::option::weighted(0.4, 0..GROUPS.len()))
        .prop_map(|(policies, group)| Change { policies, group })
}

fn withdraw() -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..POLICIES, 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => change().prop_map(Step::Apply),
        3 => withdraw().prop_map(Step::Withdraw),
        8 => (0..NAMES.len(), 0..ADDRESSES.len()).prop_map(|(n, a)| Step::Learn(n, a)),
        1 => (0..NAMES.len()).prop_map(Step::Forget),
        1 => Just(Step::Restart),
        1 => Just(Step::RestartProxy),
        2 => Just(Step::Expire),
        1 => (0..5_usize).prop_map(Step::Deaf),
    ]
}

impl Contents {
    fn note(&mut self, step: &Step) {
        match step {
            Step::Apply(change) => {
                self.policies.extend(&change.policies);
                self.group = change.group.or(self.group);
            }
            Step::Withdraw(numbers) => self.policies.retain(|number, _| !numbers.contains(number)),
            Step::Learn(..)
            | Step::Forget(_)
            | Step::Restart
            | Step::RestartProxy
            | Step::Expire
            | Step::Deaf(_) => {}
        }
    }

    fn text(policies: &BTreeMap<usize, (usize, usize)>, group: Option<usize>) -> String {
        let policies =
            policies.iter().map(|(n, (app, body))| policy(&format!("p{n}"), APPS[*app], BODIES[*body]));
        let group = group.map(|group| {
            format!(
                "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {{name: g}}\nspec: {{externalCIDRs: {}}}\n---\n",
                GROUPS[group]
            )
        });
        policies.chain(group).collect()
    }
}

fn run(engine: &mut Engine, step: &Step) -> Result<(), Failure> {
    match step {
        Step::Apply(change) => {
            engine.apply(&apply_request(&Contents::text(&change.policies, change.group))).map(drop)
        }
        Step::Withdraw(numbers) => {
            let object =
                |n: &usize| ObjectRef { kind: "cnp".to_owned(), namespace: None, name: format!("p{n}") };
            let objects = numbers.iter().map(object).collect();
            engine.delete_objects(&DeleteRequest { objects, ..DeleteRequest::default() }).map(drop)
        }
        Step::Expire => engine.release_identities(Instant::now().checked_add(HOUR).unwrap()),
        Step::Learn(..) | Step::Forget(_) | Step::Restart | Step::RestartProxy | Step::Deaf(_) => Ok(()),
    }
}

/// Two endpoints, and a policy that keeps the proxy in business.
fn world() -> World {
    let mut world = World::new();
    for (name, app) in ["x", "y"].into_iter().zip(APPS) {
        world.create(name, &[&format!("app={app}")]).unwrap();
    }
    let group = Contents::text(&BTreeMap::new(), Some(0));
    let names = policy("names", "none", BODIES[0]);
    world.apply(&(group + &names)).unwrap();
    world
}

fn addresses() -> Vec<IpAddr> {
    let others = ADDRESSES.into_iter().chain(["192.0.2.1", "198.51.100.77"]);
    ["10.9.0.2", "10.9.0.3"].into_iter().chain(others).map(|a| a.parse().unwrap()).collect()
}

/// The agent hears of what the proxy wants numbers for.
fn number(world: &mut World) {
    let wanted = world.proxy.wanted();
    if !wanted.is_empty() {
        // It may be refused when the proxy is deaf; it asks again then.
        drop(world.engine().number_names(wanted));
    }
}

/// What the deaf proxy has missed it hears within a second. Until then addresses may have less than policy gives them, and a
/// change that brings it up to date shows, for a moment, what the policies of before give them.
fn catch_up(world: &mut World) {
    if world.engine().names_owed {
        world.proxy.refuse_after(None);
        world.engine().tick().unwrap();
        number(world);
    }
}

/// The same in a world without a history.
fn afresh(contents: &Contents, known: &BTreeSet<(usize, usize)>) -> World {
    let mut world = world();
    for (name, address) in known {
        world.proxy.learn(NAMES[*name], ADDRESSES[*address].parse().unwrap());
    }
    number(&mut world);
    let text = Contents::text(&contents.policies, contents.group);
    if !text.is_empty() {
        world.apply(&text).unwrap();
    }
    world
}

/// Less than policy is never more than it: a verdict may say no for a moment, yes only if it says so before or after.
fn assert_no_more(before: &Judgements, after: &Judgements, seen: &[(String, Judgements)], what: &str) {
    for (step, verdicts) in seen {
        for (pair, passes) in verdicts {
            assert!(!passes || before[pair] || after[pair], "{what}: at {step:?} {pair:?} passes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_verdict_on_the_way_is_the_old_or_the_new_one(steps in prop::collection::vec(step(), 4..24)) {
        let mut world = world();
        let addresses = addresses();
        let (mut contents, mut known) = (Contents { group: Some(0), ..Contents::default() }, BTreeSet::new());
        for step in &steps {
            match step {
                Step::Restart | Step::RestartProxy | Step::Expire | Step::Deaf(_) => {}
                Step::Apply(_) | Step::Withdraw(_) | Step::Learn(..) | Step::Forget(_) => catch_up(&mut world),
            }
            let before = world.judgements(&addresses);
            let seen = world.watch(&addresses);
            let mut refused = false;
            match step {
                Step::Learn(name, address) => {
                    world.proxy.learn(NAMES[*name], ADDRESSES[*address].parse().unwrap());
                    known.insert((*name, *address));
                }
                Step::Forget(name) => {
                    world.proxy.forget(NAMES[*name]);
                    known.retain(|(known, _)| known != name);
                }
                Step::Restart => {
                    world.proxy.refuse_after(None);
                    world.start().unwrap();
                }
                Step::RestartProxy => world.proxy.restart(),
                Step::Deaf(after) => world.proxy.refuse_after(Some(*after)),
                Step::Apply(_) | Step::Withdraw(_) | Step::Expire => refused = run(world.engine(), step).is_err(),
            }
            number(&mut world);
            world.kernel.held().check = None;
            let after = world.judgements(&addresses);
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            let what = format!("{step:?}");
            match step {
                // While the agent has not numbered what is left of an address's names.
                Step::Forget(_) => assert_no_more(&before, &after, &seen, &what),
                _ => assert_between(&before, &after, &seen, &what),
            }
            match step {
                // What the deaf proxy has missed, it may hear of now.
                Step::Restart | Step::RestartProxy | Step::Expire if before != after => {
                    let right = afresh(&contents, &known).judgements(&addresses);
                    let wrong = |pair: &_| before[pair] != after[pair] && after[pair] != right[pair];
                    prop_assert_eq!(before.keys().find(|pair| wrong(pair)), None, "{:?}", step);
                }
                Step::Apply(_) | Step::Withdraw(_) if refused => {
                    prop_assert_eq!(differences(&before, &after), Vec::<String>::new(), "{:?}", step);
                }
                _ => contents.note(step),
            }
        }
        catch_up(&mut world);
        let now = world.judgements(&addresses);
        prop_assert_eq!(differences(&now, &afresh(&contents, &known).judgements(&addresses)), Vec::<String>::new());
    }

    /// The same when the agent is killed on the way; numbers that the next one has no use for are forgotten, and that is seen
    /// by nobody.
    #[test]
    fn a_killed_agent_leaves_names_and_prefixes_in_step(
        learned in prop::collection::btree_set((0..NAMES.len(), 0..ADDRESSES.len()), 0..6),
        first in change(),
        last in prop_oneof![3 => change().prop_map(Step::Apply), 1 => withdraw().prop_map(Step::Withdraw)],
        after_writes in 0..20_usize,
    ) {
        let addresses = addresses();
        let contents = Contents { policies: first.policies, group: first.group.or(Some(0)) };
        let mut world = afresh(&contents, &learned);
        let before = world.judgements(&addresses);
        let mut later = contents.clone();
        later.note(&last);
        let wanted = afresh(&later, &learned).judgements(&addresses);
        let seen = world.watch(&addresses);
        let outcome = world.with_fault(after_writes, Fault::Kill, |engine| run(engine, &last));
        world.start().unwrap();
        number(&mut world);
        run(world.engine(), &Step::Expire).unwrap();
        world.kernel.held().check = None;
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_between(&before, &wanted, &seen, &format!("{last:?} {outcome:?}"));
        let now = world.judgements(&addresses);
        let (undone, done) = (differences(&now, &before), differences(&now, &wanted));
        prop_assert!(undone.is_empty() || done.is_empty(), "{last:?} {outcome:?}: {undone:?} {done:?}");
        run(world.engine(), &last).unwrap();
        prop_assert_eq!(differences(&world.judgements(&addresses), &wanted), Vec::<String>::new());
    }
}
