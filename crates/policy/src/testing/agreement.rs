//! The engine's rule sets, its explanations and the naive model agree, whatever the world and its history.

use super::{
    generate,
    look_up::{Other, look_up},
    naive,
    world::{Being, Packet, World},
};
use crate::{
    Change, Engine, Object, Subject, Verdict,
    rule_set::{Action, PeerKind},
};
use ciliate_types::{Direction, Identity, Label};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

fn check(world: &World, engine: &mut Engine, packet: Packet) -> Result<(), TestCaseError> {
    let beings = world.beings(engine);
    for source in &beings {
        for destination in &beings {
            let explained = engine.explain(&packet.query(source, destination));
            for (direction, subject, other) in
                [(Direction::Egress, source, destination), (Direction::Ingress, destination, source)]
            {
                let naive = naive::allows(world, direction, subject, other, packet);
                let story = match direction {
                    Direction::Egress => &explained.egress,
                    Direction::Ingress => &explained.ingress,
                };
                prop_assert_eq!(
                    story.verdict == Verdict::Allowed,
                    naive,
                    "explain against naive: {} of {} with {}, {:?}\n{}",
                    direction,
                    subject.labels,
                    other.labels,
                    packet,
                    explained
                );
                if subject.kind != PeerKind::Endpoint {
                    continue;
                }
                let set = engine.rule_set(&Subject::endpoint(&subject.labels, &subject.named_ports));
                let peer = Other { identity: other.identity, address: other.address };
                let found = look_up(set.direction(direction), peer, packet.protocol, packet.port);
                prop_assert_eq!(
                    found.action == Action::Allow,
                    naive,
                    "rule set against naive: {} of {} with {} ({}), {:?}\n{}\n{:#?}",
                    direction,
                    subject.labels,
                    other.labels,
                    other.address,
                    packet,
                    explained,
                    set.direction(direction)
                );
                prop_assert_eq!(found.rule, story.decided_by, "the deciding rule");
            }
        }
    }
    Ok(())
}

/// Everybody's rule set is what an engine that was told everything at once comes to.
fn check_history(world: &World, engine: &mut Engine) -> Result<(), TestCaseError> {
    let mut fresh = world.engine();
    prop_assert_eq!(engine.prefixes(), fresh.prefixes());
    for being in endpoints(world) {
        let subject = Subject::endpoint(&being.labels, &being.named_ports);
        prop_assert_eq!(engine.rule_set(&subject), fresh.rule_set(&subject));
    }
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
        world in generate::world(4),
        packets in proptest::collection::vec(generate::packet(), 1..4),
    ) {
        let mut engine = world.engine();
        for packet in packets {
            check(&world, &mut engine, packet)?;
        }
    }

    /// After changes one by one, in any order, with rule sets asked for in between.
    #[test]
    fn history_leaves_no_trace(
        world in generate::world(4),
        changes in proptest::collection::vec((0..6_u8, any::<prop::sample::Index>(), generate::policy(), generate::group()), 1..8),
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
            let stale = effect.map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?.stale;
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
    fn objects_are_written_as_they_are_read(object in generate::policy()) {
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
    let (mut allowed, mut denied, mut kinds) = (0, 0, BTreeSet::new());
    for _ in 0..60 {
        let world = generate::world(4).new_tree(&mut runner).unwrap().current();
        let packet = generate::packet().new_tree(&mut runner).unwrap().current();
        let mut engine = Engine::new(world.settings.clone());
        engine.replace(world.objects.iter().cloned().map(Change::Put).collect()).unwrap();
        kinds.extend(world.objects.iter().map(Object::kind));
        for source in &world.inside {
            for destination in &world.inside {
                match naive::allows(&world, Direction::Ingress, destination, source, packet) {
                    true => allowed += 1,
                    false => denied += 1,
                }
            }
        }
    }
    assert!(allowed > 300 && denied > 300 && kinds.len() == 4, "{allowed} {denied} {kinds:?}");
}
