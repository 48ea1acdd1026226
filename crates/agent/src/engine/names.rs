//! Names of servers: what the proxy is told of them, and the numbers of sets of patterns.
//!
//! The proxy gives addresses their identities. An identity has to be known to every rule set before that, and an address has to
//! have the right one before rule sets follow that tell it from others; so each change of the patterns or prefixes in use goes
//! like this: ask the proxy which sets it would need, number them, have rule sets know them, tell the proxy, switch the rules.

use super::Engine;
use crate::{failure::Result, identity::Meaning};
use ciliate_proxy::message::{Around, NameIdentity, NameRules, NameSet};
use ciliate_types::NamePattern;
use ipnet::IpNet;
use std::collections::BTreeSet;

/// The patterns and prefixes that policies use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    patterns: BTreeSet<NamePattern>,
    prefixes: BTreeSet<IpNet>,
}

impl Usage {
    /// What either of the two uses.
    pub fn or(&self, other: &Self) -> Self {
        Self {
            patterns: self.patterns.union(&other.patterns).cloned().collect(),
            prefixes: self.prefixes.union(&other.prefixes).copied().collect(),
        }
    }

    fn holds(&self, set: &NameSet) -> bool {
        set.patterns.is_subset(&self.patterns)
            && set.around.prefix().is_none_or(|net| self.prefixes.contains(&net))
    }

    /// The sets of names that are surely asked for: every pattern by itself, and all that match an exact name.
    fn foreseeable(&self) -> BTreeSet<NameSet> {
        let matching = |pattern: &NamePattern| match pattern {
            NamePattern::MatchName(name) => {
                self.patterns.iter().filter(|other| other.matches(name.as_str())).cloned().collect()
            }
            NamePattern::MatchPattern(_) => BTreeSet::from([pattern.clone()]),
        };
        let single = |pattern: &NamePattern| BTreeSet::from([pattern.clone()]);
        let all = self.patterns.iter().flat_map(|pattern| [matching(pattern), single(pattern)]);
        all.flat_map(|patterns| {
            [Around::WorldIpv4, Around::WorldIpv6]
                .map(|around| NameSet { patterns: patterns.clone(), around })
        })
        .collect()
    }
}

impl Engine {
    /// What the policies of now use.
    pub(super) fn usage_of_names(&self) -> Usage {
        let patterns: BTreeSet<_> = self.policy.fqdn_selectors().into_iter().map(|row| row.pattern).collect();
        // Without names nobody asks what is around them.
        let prefixes = if patterns.is_empty() { BTreeSet::new() } else { self.policy.prefixes() };
        Usage { patterns, prefixes }
    }

    /// What the proxy is to know of this.
    pub(super) fn name_rules(&self, usage: &Usage) -> NameRules {
        let identities = self.identities.names();
        let numbered = |net: &IpNet| Some((*net, self.identities.of_prefix(net)?));
        NameRules {
            patterns: usage.patterns.clone(),
            identities: identities
                .map(|(set, identity)| NameIdentity { set: NameSet::clone(set), identity })
                .collect(),
            prefixes: usage.prefixes.iter().filter_map(numbered).collect(),
        }
    }

    /// Numbers what is needed, and has the proxy go by it. Prefixes have their numbers already.
    pub(super) fn admit_names(&mut self, usage: &Usage) -> Result<()> {
        let mut sets = usage.foreseeable();
        sets.extend(self.proxy.plan(&self.name_rules(usage))?);
        sets.retain(|set| usage.holds(set));
        self.number_sets(sets)?;
        let rules = self.name_rules(usage);
        self.proxy.learn_names(rules)
    }

    fn number_sets(&mut self, sets: BTreeSet<NameSet>) -> Result<()> {
        let meanings: Vec<_> = sets.into_iter().map(Meaning::Names).collect();
        let is_new = meanings.iter().any(|meaning| self.identities.find(meaning).is_none());
        if is_new {
            self.admit(meanings)?;
        }
        Ok(())
    }

    /// The proxy has met addresses of sets without a number.
    pub fn number_names(&mut self, sets: Vec<NameSet>) -> Result<()> {
        let usage = self.usage_of_names();
        // Policies may have changed since it asked.
        self.number_sets(sets.into_iter().filter(|set| usage.holds(set)).collect())?;
        self.settle_names(&usage);
        let told = self.proxy.learn_names(self.name_rules(&usage));
        // It asks once only.
        self.names_owed |= told.is_err();
        self.publish();
        told
    }

    /// Holds the identities of names that may still be met, and lets go of others; they are forgotten later.
    pub(super) fn settle_names(&mut self, usage: &Usage) {
        let held = |identity: &_| self.state.identities.get(identity).is_some_and(|row| row.references > 0);
        let moved: Vec<_> = self
            .identities
            .names()
            .map(|(set, identity)| (usage.holds(set), identity))
            .filter(|(wanted, identity)| *wanted != held(identity))
            .collect();
        for (wanted, identity) in moved {
            match wanted {
                true => self.identities.hold(&mut self.state, identity),
                false => self.identities.let_go(&mut self.state, identity),
            }
        }
    }

    /// After a change is in force: the proxy goes by the policies of now, and by no others.
    pub(super) fn conclude_names(&mut self) -> Result<()> {
        let usage = self.usage_of_names();
        self.settle_names(&usage);
        self.admit_names(&usage)?;
        self.settle_names(&usage);
        Ok(())
    }
}
