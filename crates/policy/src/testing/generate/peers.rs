//! Selectors of labels and prefixes of addresses, out of few words.

use crate::object::selector::{LabelSelector, MatchExpression};
use ipnet::IpNet;
use proptest::{collection::vec, prelude::*, sample::select};

const CIDRS: [&str; 12] = [
    "10.9.0.0/16",
    "10.9.1.0/24",
    "10.9.1.4/30",
    "10.9.1.5/32",
    "10.0.0.0/8",
    "10.0.0.0/30",
    "0.0.0.0/0",
    "::/0",
    "fd09::/16",
    "fd09::4/126",
    "fd00::/16",
    "fd00::2/127",
];

pub fn label_selector(
    keys: &'static [(&'static str, &'static [&'static str])],
) -> impl Strategy<Value = LabelSelector> {
    let pair = || select(keys).prop_flat_map(|(key, values)| (Just(key.to_owned()), select(values)));
    let expression = (select(keys), 0..4_usize, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |((key, values), operator, index, both)| {
            let chosen = if both { values.to_vec() } else { vec![*index.get(values)] };
            let (operator, takes) =
                [("In", true), ("NotIn", true), ("Exists", false), ("DoesNotExist", false)]
                    .get(operator)
                    .copied()
                    .unwrap_or(("Exists", false));
            let values = if takes { chosen.into_iter().map(ToOwned::to_owned).collect() } else { Vec::new() };
            MatchExpression { key: (*key).to_owned(), operator: operator.to_owned(), values }
        },
    );
    (vec(pair(), 0..=2), vec(expression, 0..=1)).prop_map(|(labels, match_expressions)| LabelSelector {
        match_labels: labels.into_iter().map(|(key, value)| (key, value.to_owned())).collect(),
        match_expressions,
    })
}

pub fn cidr() -> impl Strategy<Value = String> {
    select(CIDRS.as_slice()).prop_map(ToOwned::to_owned)
}

/// A prefix with some of its parts as exceptions. `strict` leaves out the prefix itself.
pub fn block(strict: bool) -> impl Strategy<Value = (String, Vec<String>)> {
    (cidr(), vec(any::<prop::sample::Index>(), 0..3)).prop_map(move |(net, picks)| {
        let outer: Option<IpNet> = net.parse().ok();
        let part = |text: &&str| {
            let inner: Option<IpNet> = text.parse().ok();
            outer.zip(inner).is_some_and(|(o, i)| o.contains(&i) && (!strict || o != i))
        };
        let parts: Vec<&str> = CIDRS.into_iter().filter(part).collect();
        let except = picks.iter().filter(|_| !parts.is_empty()).map(|pick| (*pick.get(&parts)).to_owned());
        (net, except.collect())
    })
}
