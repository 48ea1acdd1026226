//! Address classes: which prefixes tell peers apart by address, and what holds for each.

use crate::{
    rule_set::{ClassId, PeerKind},
    selector::Block,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// Some addresses of some kinds of peers.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub kinds: &'a [PeerKind],
    pub block: &'a Block,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Classes {
    pub prefixes: BTreeMap<(PeerKind, IpNet), ClassId>,
    /// The claims, by number, that hold for peers of a class.
    pub claims: Vec<(ClassId, usize)>,
}

/// Splits the addresses of each kind of peer wherever a claim or an exception starts.
pub fn classes(claims: &[Claim<'_>]) -> Classes {
    let mut found = Classes::default();
    let mut ids: BTreeMap<BTreeSet<usize>, ClassId> = BTreeMap::new();
    for kind in PeerKind::ALL {
        // Prefixes sort before their parts, so the parts of a prefix follow it.
        let mut edges: BTreeMap<IpNet, Edge> = BTreeMap::new();
        for (number, claim) in claims.iter().enumerate().filter(|(_, claim)| claim.kinds.contains(&kind)) {
            edges.entry(claim.block.net).or_default().starts.push(number);
            for except in &claim.block.except {
                edges.entry(*except).or_default().ends.push(number);
            }
        }
        let mut around: Vec<(IpNet, BTreeSet<usize>)> = Vec::new();
        for (net, edge) in edges {
            while around.last().is_some_and(|(outer, _)| !outer.contains(&net)) {
                around.pop();
            }
            let outer = around.last().map(|(_, holds)| holds);
            let mut holds = outer.cloned().unwrap_or_default();
            holds.extend(edge.starts);
            edge.ends.iter().for_each(|number| {
                holds.remove(number);
            });
            // A prefix where nothing changes needs no entry: the one around it answers.
            if outer.map_or(!holds.is_empty(), |outer| *outer != holds) {
                let next = ClassId(u32::try_from(ids.len()).unwrap_or(u32::MAX));
                let id = *ids.entry(holds.clone()).or_insert_with(|| {
                    found.claims.extend(holds.iter().map(|number| (next, *number)));
                    next
                });
                found.prefixes.insert((kind, net), id);
            }
            around.push((net, holds));
        }
    }
    found
}

/// What starts and ends at a prefix, by number of claim.
#[derive(Default)]
struct Edge {
    starts: Vec<usize>,
    ends: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(net: &str, except: &[&str]) -> Block {
        Block { net: net.parse().unwrap(), except: except.iter().map(|e| e.parse().unwrap()).collect() }
    }

    #[test]
    fn an_exception_is_a_class_of_its_own() {
        let blocks = [block("10.0.0.0/8", &["10.1.0.0/16"]), block("10.1.2.0/24", &[])];
        let claims: Vec<_> = blocks.iter().map(|block| Claim { kinds: &[PeerKind::World], block }).collect();
        let found = classes(&claims);
        let shown: Vec<_> = found.prefixes.iter().map(|((_, net), id)| (net.to_string(), id.0)).collect();
        assert_eq!(shown, [("10.0.0.0/8".into(), 0), ("10.1.0.0/16".into(), 1), ("10.1.2.0/24".into(), 2)]);
        assert_eq!(found.claims, [(ClassId(0), 0), (ClassId(2), 1)]);
    }

    #[test]
    fn a_prefix_that_changes_nothing_is_left_out() {
        let blocks = [block("10.0.0.0/8", &["10.1.0.0/16"]), block("10.1.0.0/16", &["10.1.0.0/24"])];
        let claims: Vec<_> = blocks.iter().map(|block| Claim { kinds: &[PeerKind::World], block }).collect();
        assert_eq!(classes(&claims).prefixes.len(), 3);
        let twice = [Claim { kinds: &[PeerKind::World], block: &block("10.0.0.0/8", &["10.0.0.0/8"]) }];
        assert_eq!(classes(&twice), Classes::default());
    }

    proptest! {
        /// The class of the longest prefix names exactly the claims whose blocks hold the address.
        #[test]
        fn the_longest_prefix_decides(
            nets in proptest::collection::vec((0u32..16, 24u8..=32, proptest::collection::vec((0u32..16, 24u8..=32), 0..3)), 0..8),
            address in 0u32..16,
        ) {
            let net = |(low, len): (u32, u8)| {
                IpNet::from(ipnet::Ipv4Net::new((0x0a00_0000 | (low << 4)).into(), len).unwrap()).trunc()
            };
            let blocks: Vec<_> = nets.iter().map(|(low, len, except)| {
                let outer = net((*low, *len));
                let except = except.iter().map(|e| net(*e)).filter(|e| outer.contains(e)).collect();
                Block { net: outer, except }
            }).collect();
            let claims: Vec<_> = blocks.iter().map(|block| Claim { kinds: &[PeerKind::Node], block }).collect();
            let found = classes(&claims);
            let address = std::net::IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 | (address << 4)));
            let longest = found.prefixes.iter().filter(|((_, net), _)| net.contains(&address)).max_by_key(|((_, net), _)| net.prefix_len());
            let held: BTreeSet<usize> = found.claims.iter().filter(|(c, _)| longest.is_some_and(|(_, id)| id == c)).map(|(_, n)| *n).collect();
            let expected: BTreeSet<usize> = blocks.iter().enumerate().filter(|(_, b)| b.contains(&address.into())).map(|(i, _)| i).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
