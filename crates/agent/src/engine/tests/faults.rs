//! What fails leaves no trace, wherever it fails.

use super::{
    order::{Step, addresses, assert_between, differences, step},
    world::{Outcome, World, policy, request},
};
use crate::kernel::memory::Fault;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_refused_change_changes_nothing(
        steps in prop::collection::vec(step(), 2..8),
        last in step(),
        after_writes in 0..16_usize,
    ) {
        let mut world = World::new();
        let addresses = addresses();
        for step in &steps {
            drop(step.run(world.engine()));
        }
        let before = world.judgements(&addresses);
        let wanted = {
            let mut other = World::new();
            for step in steps.iter().chain([&last]) {
                drop(step.run(other.engine()));
            }
            other.judgements(&addresses)
        };
        let views = world.engine().endpoint_views();
        let objects = world.engine().objects(None).unwrap();
        let seen = world.watch(&addresses);
        let outcome = world.with_fault(after_writes, Fault::Refuse, |engine| last.run(engine));
        world.kernel.held().check = None;
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let deletes = matches!(last, Step::Delete(_));
        match outcome {
            // A deletion goes on from where it failed: its endpoint is cut off first of all.
            Outcome::Refused if !deletes => {
                let after = world.judgements(&addresses);
                prop_assert_eq!(differences(&after, &before), Vec::<String>::new());
                if !matches!(last, Step::Create(..)) {
                    assert_between(&before, &wanted, &seen, &format!("{last:?}"));
                }
                prop_assert_eq!(world.engine().objects(None).unwrap(), objects);
                let now = world.engine().endpoint_views();
                let plain = |list: &[ciliate_api::Endpoint]| {
                    list.iter().map(|e| (e.id, e.identity, e.labels.clone(), e.state, e.ipv4)).collect::<Vec<_>>()
                };
                prop_assert_eq!(plain(&now), plain(&views));
            }
            Outcome::Refused | Outcome::Done | Outcome::Killed => {}
        }
        // Asked again it works, and a restart finds the same.
        let first = last.run(world.engine()).map_err(|e| e.0.status);
        prop_assert!(!matches!(first, Err(500)), "{:?}", first);
        // An endpoint whose switch was refused is switched within a second.
        world.engine().tick().unwrap();
        let after = world.judgements(&addresses);
        world.start().unwrap();
        prop_assert_eq!(differences(&world.judgements(&addresses), &after), Vec::<String>::new());
    }
}

#[test]
fn all_documents_are_applied_or_none() {
    let mut world = World::new();
    world.create("a", &["app=a"]).unwrap();
    let good = policy("good", "a", "  ingress: [{}]");
    let bad = policy("bad", "a", "  ingress: [{fromCIDR: [300.0.0.0/8]}]");
    let failure = world.apply(&format!("{good}{bad}")).unwrap_err();
    assert_eq!(failure.0.status, 400);
    let problem = &failure.0.problems[0];
    assert_eq!((problem.origin.as_str(), problem.document), ("test.yaml", Some(2)));
    assert!(problem.field.as_ref().is_some_and(|f| f.contains("fromCIDR")), "{problem:?}");
    assert!(world.engine().objects(None).unwrap().is_empty());
    let twice = world.apply(&format!("{good}{good}")).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
}

#[test]
fn what_cannot_be_is_refused_with_what_would_be_right() {
    let mut world = World::new();
    world.create("a", &["app=a"]).unwrap();
    let refused = |world: &mut World, change: fn(&mut ciliate_api::EndpointRequest)| {
        let mut asked = request("b", &["app=b"]);
        change(&mut asked);
        world.engine().create_endpoint(asked).map(|e| e.name).map_err(|e| (e.0.status, e.0.message))
    };
    for (change, status, word) in [
        (
            (|r| r.name = Some("a".to_owned())) as fn(&mut ciliate_api::EndpointRequest),
            409,
            "a belongs to endpoint 1",
        ),
        (|r| r.name = Some("-".to_owned()), 400, "cannot be an endpoint's"),
        (|r| r.namespace = Some("Shop".to_owned()), 400, "lower-case"),
        (|r| r.labels = vec!["reserved:host".to_owned()], 400, "cannot be given"),
        (|r| r.addresses = vec!["10.8.0.1".parse().unwrap()], 400, "10.9.0.0/24"),
        (|r| r.addresses = vec!["10.9.0.2".parse().unwrap()], 409, "in use"),
        (|r| r.addresses = vec!["fd00::1".parse().unwrap()], 400, "family"),
        (|r| r.netns = ciliate_api::NetnsRef::Path("/run/netns/a".into()), 409, "is endpoint 1"),
        (|r| r.ports = vec!["x=1/TCP".parse().unwrap(), "x=2/TCP".parse().unwrap()], 400, "twice"),
    ] {
        let (found, message) = refused(&mut world, change).unwrap_err();
        assert_eq!(found, status, "{message}");
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(world.engine().endpoint_views().len(), 1);
    assert_eq!(refused(&mut world, |_| {}), Ok("b".to_owned()));
}

#[test]
fn an_exhausted_pool_is_named_and_nothing_is_half_made() {
    let mut world = World::new();
    let mut made = 0;
    let failure = loop {
        match world.create(&format!("e{made}"), &[]) {
            Ok(_) => made += 1,
            Err(failure) => break failure,
        }
    };
    assert_eq!(made, 253);
    assert!(failure.to_string().contains("10.9.0.0/24"), "{failure}");
    assert_eq!(world.kernel.held().devices.len(), 253);
    world.engine().delete_endpoint(&"e7".parse().unwrap()).unwrap();
    world.create("last", &[]).unwrap();
}
