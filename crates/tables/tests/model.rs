//! Tables against plain maps and a plain log.

use ciliate_tables::{AnyTable, Change, Table};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Remove(u8),
    /// Starts a copy; what follows goes there until it is kept or dropped.
    Begin,
    Commit,
    Abort,
    /// Deals with everything so far.
    Reconcile,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..4_u8).prop_map(|(k, v)| Step::Put(k, v)),
        3 => (0..6_u8).prop_map(Step::Remove),
        1 => Just(Step::Begin),
        1 => Just(Step::Commit),
        1 => Just(Step::Abort),
        2 => Just(Step::Reconcile),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn a_follower_of_the_changes_has_the_rows_and_a_dropped_copy_leaves_no_trace(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut table: Table<u8, u8> = Table::new("model", &[]);
        let mut model: BTreeMap<u8, u8> = BTreeMap::new();
        let mut saved: Option<(Table<u8, u8>, BTreeMap<u8, u8>)> = None;
        let mut follower: BTreeMap<u8, u8> = BTreeMap::new();
        let mut followed = 0;
        for step in steps {
            match step {
                Step::Put(k, v) => prop_assert_eq!(table.put(k, v), model.insert(k, v)),
                Step::Remove(k) => prop_assert_eq!(table.remove(&k), model.remove(&k)),
                Step::Begin => saved = saved.or_else(|| Some((table.clone(), model.clone()))),
                Step::Commit => saved = None,
                Step::Abort => {
                    if let Some((t, m)) = saved.take() {
                        (table, model) = (t, m);
                    }
                }
                // Within a transaction nobody looks.
                Step::Reconcile if saved.is_none() => {
                    let mut keys = Vec::new();
                    for change in table.changes_since(followed) {
                        match change {
                            Change::Put(k, v) => {
                                follower.insert(*k, *v);
                                keys.push(*k);
                            }
                            Change::Delete(k) => {
                                follower.remove(k);
                                keys.push(*k);
                            }
                        }
                    }
                    let changes = keys.len();
                    keys.sort_unstable();
                    keys.dedup();
                    prop_assert_eq!(changes, keys.len(), "each key once");
                    followed = table.revision();
                    prop_assert_eq!(&follower, &model);
                }
                Step::Reconcile => {}
                Step::Forget => table.forget_deletions(followed),
            }
            prop_assert!(table.iter().map(|(k, v)| (*k, *v)).eq(model.iter().map(|(k, v)| (*k, *v))));
            prop_assert_eq!(table.len(), model.len());
        }
    }
}

#[test]
fn nothing_is_pruned_before_everything_is_listed() {
    let mut table: Table<u8, u8> = Table::new("t", &["store", "kernel"]);
    table.put(1, 1);
    table.listed("store");
    assert!(table.initialised().is_none());
    table.listed("kernel");
    let initialised = table.initialised().expect("both have listed");
    assert_eq!(initialised.prune([1, 2, 3], |k| *k), [2, 3]);
}

#[test]
fn an_equal_value_is_no_change() {
    let mut table: Table<u8, u8> = Table::new("t", &[]);
    table.put(1, 1);
    let revision = table.revision();
    table.put(1, 1);
    assert_eq!(table.update(&1, |v| *v), Some(1));
    assert_eq!(table.revision(), revision);
    assert_eq!(table.update(&2, |v| *v), None);
}

#[test]
fn a_table_shows_itself() {
    let mut table: Table<u8, &'static str> = Table::new("names", &[]);
    table.put(7, "seven");
    let any: &dyn AnyTable = &table;
    assert_eq!(any.name(), "names");
    assert_eq!(any.rows_as_json(), [serde_json::json!({"key": 7, "revision": 1, "value": "seven"})]);
}
