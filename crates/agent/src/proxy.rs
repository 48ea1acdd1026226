//! The proxy, as the engine sees it: a process of its own that is started when a rule first needs it, is told of every change
//! before the kernel is, and outlives the agent.

mod attention;
mod keeper;

pub use attention::Attention;
pub use keeper::{Keeper, News};

use crate::failure::{Failure, Result};
use ciliate_policy::rule_set::{Filter, FilterDigest};
use ciliate_proxy::message::{self, Configuration, Digest, FilterRule};
use std::{collections::BTreeMap, io, sync::Arc};

/// Whoever carries out what the filters say.
pub trait Proxy: Send {
    /// Starts it if need be, and has it know these filters besides those that it knows.
    fn learn(&mut self, configuration: &Configuration) -> io::Result<()>;
    /// Has it know these filters and no others.
    fn configure(&mut self, configuration: &Configuration) -> io::Result<()>;
    /// Has it judge every connection anew.
    fn switched(&mut self) -> io::Result<()>;
    /// Ends it, and every connection that it carries.
    fn end(&mut self) -> io::Result<()>;
}

type Filters = BTreeMap<FilterDigest, Arc<Filter>>;

/// What the proxy was told last.
pub struct Told {
    proxy: Box<dyn Proxy>,
    filters: Filters,
    revision: u64,
}

impl Told {
    pub fn new(proxy: Box<dyn Proxy>) -> Self {
        Self { proxy, filters: Filters::new(), revision: 0 }
    }

    /// Makes the proxy know these filters, besides those that the kernel may still name.
    pub fn learn(&mut self, wanted: Filters) -> Result<()> {
        if wanted.keys().all(|digest| self.filters.contains_key(digest)) {
            return Ok(());
        }
        let mut all = self.filters.clone();
        all.extend(wanted);
        // An earlier agent's filters stay: the kernel may name them until everything is restored.
        let revision = self.revision.saturating_add(1);
        self.proxy.learn(&configuration(revision, &all)).map_err(failure)?;
        (self.filters, self.revision) = (all, revision);
        Ok(())
    }

    /// The kernel names no filters but these any more, and maybe others for the first time.
    pub fn switched(&mut self, wanted: Filters) -> Result<()> {
        if self.filters.is_empty() {
            return Ok(());
        }
        self.proxy.switched().map_err(failure)?;
        let revision = self.revision.saturating_add(1);
        self.proxy.configure(&configuration(revision, &wanted)).map_err(failure)?;
        (self.filters, self.revision) = (wanted, revision);
        Ok(())
    }

    pub fn end(&mut self) -> Result<()> {
        self.proxy.end().map_err(failure)
    }
}

fn configuration(revision: u64, filters: &Filters) -> Configuration {
    let filters = filters.iter().map(|(digest, filter)| (Digest(digest.0), content(filter)));
    Configuration { revision, filters: filters.collect() }
}

fn content(filter: &Filter) -> message::Filter {
    let rule = |rule: &ciliate_policy::rule_set::FilterRule| FilterRule {
        rule: rule.rule.0,
        policy: rule.object.to_string(),
        section: rule.section.to_string(),
        l7: (*rule.l7).clone(),
    };
    message::Filter { rules: filter.rules.iter().map(rule).collect() }
}

fn failure(error: io::Error) -> Failure {
    Failure::unavailable(format!(
        "the proxy cannot carry out the rules about requests: {error}; nothing was changed"
    ))
}
