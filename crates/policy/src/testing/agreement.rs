//! The engine's rule sets, its explanations and the naive model agree, whatever the world and its history.

use super::{
    generate,
    look_up::{Other, look_up},
    naive,
    world::{Being, Packet, World},
};
use crate::{
    Change, DirectionExplanation, Effect, Engine, Explanation, Object, Subject, Verdict,
    l7::{Fit, Request, judge},
    rule_set::{Action, DirectionRules, FilterDigest, PeerKind},
    testing::generate::Extent,
};
use ciliate_types::{Direction, Identity, L7Rules, Label, NamePattern};
use naive::Fate;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Everybody sends the packet to everybody, and the request where the proxy would look at it.
fn check(world: &World, engine: &mut Engine, packet: Packet, request: &Request) -> Result<(), TestCaseError> {
    let beings = world.beings(engine);
    for source in &beings {
        for destination in &beings {
            let whole = engine.explain(&packet.query(source, destination, None));
            let with_request = packet.query(source, destination, Some(request));
            for (direction, subject, other) in
                [(Direction::Egress, source, destination), (Direction::Ingress, destination, source)]
            {
                let pair = Pair { world, direction, subject, other, packet };
                let naive = naive::fate(world, direction, subject, other, packet, None);
                let story = told(&whole, direction);
                prop_assert_eq!(fate(story), naive, "explain against naive: {}\n{}", pair, whole);
                if subject.kind != PeerKind::Endpoint {
                    continue;
                }
                let set = engine.rule_set(&Subject::endpoint(&subject.labels, &subject.named_ports));
                let rules = set.direction(direction);
                let peer = Other { identity: other.identity, address: other.address };
                let found = look_up(rules, peer, packet.protocol, packet.port);
                let looked_up = match found.action {
                    Action::Allow => Fate::Allowed,
                    Action::Redirect => Fate::Redirected,
                    Action::Deny => Fate::Denied,
                };
                prop_assert_eq!(
                    looked_up,
                    naive,
                    "rule set against naive: {}\n{}\n{:#?}",
                    pair,
                    whole,
                    rules
                );
                prop_assert_eq!(found.rule, story.decided_by, "the deciding rule");
                check_filters(engine, rules, &found.filters, story)?;
                if naive == Fate::Redirected {
                    let naive = naive::fate(world, direction, subject, other, packet, Some(request));
                    let whole = engine.explain(&with_request);
                    let told = fate(told(&whole, direction));
                    prop_assert_eq!(told, naive, "explain against naive: {}\n{}", pair, whole);
                    let judged = proxy(rules, &found.filters, request);
                    prop_assert_eq!(
                        judged,
                        naive,
                        "filters against naive: {}\n{}\n{:#?}",
                        pair,
                        whole,
                        rules
                    );
                }
            }
        }
    }
    Ok(())
}

/// Who is asked about what, for messages.
struct Pair<'a> {
    world: &'a World,
    direction: Direction,
    subject: &'a Being,
    other: &'a Being,
    packet: Packet,
}

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { world, direction, subject, other, packet } = self;
        let (own, peer, identity) = (&subject.labels, &other.labels, other.identity);
        write!(
            f,
            "{direction} of {own} with {peer} ({identity}, {}), {packet:?}, names {:?}",
            other.address, world.names
        )
    }
}

fn told(explained: &Explanation, direction: Direction) -> &DirectionExplanation {
    match direction {
        Direction::Egress => &explained.egress,
        Direction::Ingress => &explained.ingress,
    }
}

fn fate(story: &DirectionExplanation) -> Fate {
    match story.verdict {
        Verdict::Allowed => Fate::Allowed,
        Verdict::Redirected => Fate::Redirected,
        Verdict::Denied => Fate::Denied,
    }
}

/// What the proxy does that was told the filters.
fn proxy(rules: &DirectionRules, digests: &BTreeSet<FilterDigest>, request: &Request) -> Fate {
    let filters = digests.iter().flat_map(|digest| &rules.filters[digest].rules);
    let sets: BTreeMap<_, &L7Rules> = filters.map(|rule| (rule.rule, &*rule.l7)).collect();
    let sets: Vec<_> = sets.into_values().collect();
    match judge(request, &sets).contains(&Fit::Matches) {
        true => Fate::Allowed,
        false => Fate::Denied,
    }
}

/// The filters hold exactly the rules that redirect, and the engine knows them by their digests.
fn check_filters(
    engine: &Engine,
    rules: &DirectionRules,
    digests: &BTreeSet<FilterDigest>,
    story: &DirectionExplanation,
) -> Result<(), TestCaseError> {
    for (digest, filter) in &rules.filters {
        prop_assert_eq!(filter.digest(), *digest);
        prop_assert!(engine.filter(*digest).is_some_and(|known| Arc::ptr_eq(&known, filter)));
        prop_assert!(engine.filters().contains_key(digest));
        prop_assert!(
            rules.entries.values().any(|entry| entry.filter == *digest),
            "a filter that nobody names"
        );
    }
    for entry in rules.entries.values() {
        prop_assert_eq!(entry.action == Action::Redirect, entry.filter != FilterDigest::NONE);
        prop_assert_eq!(entry.action == Action::Redirect, rules.filters.contains_key(&entry.filter));
    }
    if !digests.is_empty() {
        let held: BTreeSet<_> =
            digests.iter().flat_map(|digest| &rules.filters[digest].rules).map(|rule| rule.rule).collect();
        let redirecting = story.rules.iter().filter(|rule| rule.matches() && rule.action == Action::Redirect);
        prop_assert_eq!(held, redirecting.map(|rule| rule.rule).collect::<BTreeSet<_>>());
    }
    Ok(())
}

/// Everybody's rule set is what an engine that was told everything at once comes to.
fn check_history(world: &World, engine: &mut Engine) -> Result<(), TestCaseError> {
    let mut fresh = world.engine();
    prop_assert_eq!(engine.prefixes(), fresh.prefixes());
    prop_assert_eq!(engine.fqdn_selectors(), fresh.fqdn_selectors());
    for being in endpoints(world) {
        let subject = Subject::endpoint(&being.labels, &being.named_ports);
        prop_assert_eq!(engine.rule_set(&subject), fresh.rule_set(&subject));
    }
    Ok(())
}

/// An effect names the patterns that came and went.
fn check_names(
    engine: &Engine,
    mut names: BTreeSet<NamePattern>,
    effect: &Effect,
) -> Result<(), TestCaseError> {
    for gone in &effect.names_removed {
        prop_assert!(names.remove(gone), "{} was not there", gone);
    }
    for fresh in &effect.names_added {
        prop_assert!(names.insert(fresh.clone()), "{} was there", fresh);
    }
    prop_assert_eq!(names, engine.fqdn_selectors().into_iter().map(|row| row.pattern).collect());
    Ok(())
}

fn endpoints(world: &World) -> impl Iterator<Item = &Being> {
    world.inside.iter().filter(|being| being.kind == PeerKind::Endpoint)
}

/// What the agent does after every change: it tells the engine of prefixes that came and went.
fn follow_prefixes(world: &World, engine: &mut Engine, known: &mut BTreeSet<Identity>) {
    let wanted = world.prefix_identities(engine);
    for gone in known.iter().filter(|identity| !wanted.contains_key(*identity)) {
        engine.remove_identity(*gone);
    }
    *known = wanted.keys().copied().collect();
    for (identity, info) in wanted {
        engine.put_identity(identity, info);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn explain_rule_sets_and_the_naive_model_agree(
        world in generate::world_of(Extent::Requests, 4),
        packets in proptest::collection::vec((generate::packet_of(Extent::Requests), generate::request()), 1..4),
    ) {
        let mut engine = world.engine();
        for (packet, request) in &packets {
            check(&world, &mut engine, *packet, request)?;
        }
    }

    /// After changes one by one, in any order, with rule sets asked for in between.
    #[test]
    fn history_leaves_no_trace(
        world in generate::world_of(Extent::Requests, 4),
        changes in proptest::collection::vec((0..6_u8, any::<prop::sample::Index>(), generate::policy(Extent::Requests), generate::group()), 1..8),
    ) {
        let mut now = world.clone();
        let mut engine = world.engine();
        let mut known = BTreeSet::new();
        follow_prefixes(&now, &mut engine, &mut known);
        check_history(&now, &mut engine)?;
        for (kind, index, policy, group) in changes {
            let before: Vec<_> = endpoints(&now)
                .map(|b| (b.labels.clone(), engine.rule_set(&Subject::endpoint(&b.labels, &b.named_ports))))
                .collect();
            let names = engine.fqdn_selectors().into_iter().map(|row| row.pattern).collect();
            let effect = match kind {
                0 | 1 => {
                    let object = if kind == 0 { policy } else { group };
                    now.objects.retain(|o| o.key() != object.key());
                    now.objects.push(object.clone());
                    engine.replace(vec![Change::Put(object)])
                }
                2 | 3 if !now.objects.is_empty() => {
                    let gone = now.objects.remove(index.index(now.objects.len()));
                    engine.replace(vec![Change::Delete(gone.key())])
                }
                4 if now.inside.len() > 4 => {
                    let gone = now.inside.remove(0);
                    Ok(engine.remove_identity(gone.identity))
                }
                _ => {
                    let at = index.index(now.inside.len());
                    let being = &mut now.inside[at];
                    being.labels.insert(Label::new("k8s", "tier", "x"));
                    Ok(engine.put_identity(being.identity, being.info()))
                }
            };
            let effect = effect.map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
            check_names(&engine, names, &effect)?;
            let stale = effect.stale;
            for (labels, set) in before.iter().filter(|(labels, _)| !stale.contains(&Arc::new(labels.clone()))) {
                if let Some(being) = endpoints(&now).find(|b| b.labels == *labels) {
                    let after = engine.rule_set(&Subject::endpoint(labels, &being.named_ports));
                    prop_assert!(Arc::ptr_eq(set, &after), "changed without being named: {}", labels);
                }
            }
            follow_prefixes(&now, &mut engine, &mut known);
            check_history(&now, &mut engine)?;
        }
    }

    /// What was written, read again, is the same object.
    #[test]
    fn objects_are_written_as_they_are_read(object in generate::policy(Extent::Requests)) {
        let text = serde_json::to_string(&object).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let parsed = crate::parse(&text, "test", "default").map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(&parsed[0].object, &object);
        prop_assert!(parsed[0].warnings.is_empty());
        let again = crate::parse(&parsed[0].raw.to_string(), "test", "other").map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(&again[0].object, &object);
    }
}

#[test]
fn generated_worlds_are_not_empty_talk() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut allowed, mut denied, mut redirected, mut let_through) = (0, 0, 0, 0);
    let (mut kinds, mut named) = (BTreeSet::new(), 0);
    for _ in 0..80 {
        let world = generate::world_of(Extent::Requests, 4).new_tree(&mut runner).unwrap().current();
        let packet = generate::packet_of(Extent::Requests).new_tree(&mut runner).unwrap().current();
        let request = generate::request().new_tree(&mut runner).unwrap().current();
        let mut engine = Engine::new(world.settings.clone());
        engine.replace(world.objects.iter().cloned().map(Change::Put).collect()).unwrap();
        kinds.extend(world.objects.iter().map(Object::kind));
        let beings = world.beings(&engine);
        named += beings.iter().filter(|being| being.labels.iter().any(|l| l.source() == "fqdn")).count();
        for source in &beings {
            for destination in &beings {
                for (direction, subject, other) in
                    [(Direction::Ingress, destination, source), (Direction::Egress, source, destination)]
                {
                    if subject.kind != PeerKind::Endpoint {
                        continue;
                    }
                    match naive::fate(&world, direction, subject, other, packet, None) {
                        Fate::Allowed => allowed += 1,
                        Fate::Denied => denied += 1,
                        Fate::Redirected => {
                            redirected += 1;
                            let fate = naive::fate(&world, direction, subject, other, packet, Some(&request));
                            let_through += i32::from(fate == Fate::Allowed);
                        }
                    }
                }
            }
        }
    }
    let counts = (allowed, denied, redirected, let_through, named);
    assert!(
        allowed > 300 && denied > 300 && redirected > 300 && let_through > 50 && named > 20,
        "{counts:?}"
    );
    assert_eq!(kinds.len(), 4);
}
