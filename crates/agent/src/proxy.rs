//! The proxy, as the engine sees it: a process of its own that is started when a rule first needs it, is told of every change
//! before the kernel is, and outlives the agent.

mod attention;
mod supervisor;

pub use attention::Attention;
pub use supervisor::{News, Supervisor};

use crate::failure::{Failure, Result};
use ciliate_policy::rule_set::{Filter, FilterDigest};
use ciliate_proxy::message::{self, Configuration, Digest, FilterRule, NameRules, NameSet, Secrets};
use ciliate_types::EndpointId;
use std::{collections::BTreeMap, io, sync::Arc};

/// Whoever carries out what the filters say.
pub trait Proxy: Send {
    /// Starts it if need be, and has it know these filters besides those that it knows.
    fn learn(&mut self, configuration: &Configuration) -> io::Result<()>;
    /// Has it know these filters and no others.
    fn configure(&mut self, configuration: &Configuration) -> io::Result<()>;
    /// Has it judge every connection anew.
    fn switched(&mut self) -> io::Result<()>;
    /// The sets that addresses which it knows would need under these rules.
    fn plan(&mut self, rules: &NameRules) -> io::Result<Vec<NameSet>>;
    /// Has it forget what names resolved to for an endpoint that is gone.
    fn forget_endpoint(&mut self, endpoint: EndpointId) -> io::Result<()>;
    /// Ends it, and every connection that it carries.
    fn end(&mut self) -> io::Result<()>;
}

/// What proxies that earlier agents told have given to addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    Nothing,
    /// Identities by their names. Whoever gave them has to hear what becomes of them, even that no rule names anything any more.
    Names,
}

type Filters = BTreeMap<FilterDigest, Arc<Filter>>;

/// What the proxy was told last.
pub struct Told {
    proxy: Box<dyn Proxy>,
    filters: Filters,
    names: NameRules,
    secrets: Secrets,
    /// Whether it has any rules of ours.
    is_told: bool,
    earlier: Earlier,
    /// Whether it may still judge open connections by what was before the last change.
    is_behind: bool,
    revision: u64,
}

impl Told {
    pub fn new(proxy: Box<dyn Proxy>) -> Self {
        Self {
            proxy,
            filters: Filters::new(),
            names: NameRules::default(),
            secrets: Secrets::new(),
            is_told: false,
            earlier: Earlier::Nothing,
            is_behind: false,
            revision: 0,
        }
    }

    /// Whether it knows all of these filters.
    pub fn knows(&self, filters: &Filters) -> bool {
        filters.keys().all(|digest| self.filters.contains_key(digest))
    }

    /// Makes the proxy know these filters, besides those that the kernel may still name.
    pub fn learn(&mut self, wanted: Filters, secrets: Secrets) -> Result<()> {
        let (mut all, mut values) = (self.filters.clone(), self.secrets.clone());
        all.extend(wanted);
        values.extend(secrets);
        // An earlier agent's filters stay: the kernel may name them until everything is restored.
        let revision = self.revision.saturating_add(1);
        self.proxy.learn(&configuration(revision, &all, &self.names, &values)).map_err(failure)?;
        (self.filters, self.secrets, self.revision, self.is_told) = (all, values, revision, true);
        Ok(())
    }

    /// The filters have these secrets now, and no others. What is open is judged by them when this returns.
    pub fn learn_secrets(&mut self, secrets: Secrets) -> Result<()> {
        if secrets == self.secrets {
            return Ok(());
        }
        self.secrets = secrets;
        if !self.is_told {
            return Ok(());
        }
        self.is_behind = true;
        let revision = self.revision.saturating_add(1);
        self.proxy
            .configure(&configuration(revision, &self.filters, &self.names, &self.secrets))
            .map_err(silence)?;
        self.proxy.switched().map_err(silence)?;
        (self.revision, self.is_behind) = (revision, false);
        Ok(())
    }

    /// What an earlier agent told; the proxy hears of it with the next change.
    pub fn restore_names(&mut self, names: NameRules, earlier: Earlier) {
        (self.names, self.earlier) = (names, earlier);
    }

    /// It is not started for rules that name nothing.
    fn needs_no(&self, names: &NameRules) -> bool {
        !self.is_told && self.earlier == Earlier::Nothing && names.patterns.is_empty()
    }

    /// Makes the proxy give addresses identities by these rules.
    pub fn learn_names(&mut self, names: NameRules) -> Result<()> {
        if self.needs_no(&names) || self.is_told && names == self.names {
            self.names = names;
            return Ok(());
        }
        let revision = self.revision.saturating_add(1);
        self.proxy.learn(&configuration(revision, &self.filters, &names, &self.secrets)).map_err(failure)?;
        (self.names, self.revision, self.is_told) = (names, revision, true);
        Ok(())
    }

    /// The sets that known addresses would need under these rules.
    pub fn plan(&mut self, names: &NameRules) -> Result<Vec<NameSet>> {
        if self.needs_no(names) {
            return Ok(Vec::new());
        }
        self.proxy.plan(names).map_err(failure)
    }

    pub fn forget_endpoint(&mut self, endpoint: EndpointId) {
        if self.is_told
            && let Err(error) = self.proxy.forget_endpoint(endpoint)
        {
            tracing::warn!(%endpoint, %error, "the proxy still knows names of an endpoint that is gone");
        }
    }

    /// The kernel names no filters but these any more, and maybe others for the first time.
    pub fn switched(&mut self, wanted: Filters) -> Result<()> {
        if self.filters.is_empty() && !self.is_behind {
            return Ok(());
        }
        self.is_behind = true;
        self.proxy.switched().map_err(silence)?;
        let revision = self.revision.saturating_add(1);
        self.proxy
            .configure(&configuration(revision, &wanted, &self.names, &self.secrets))
            .map_err(silence)?;
        (self.filters, self.revision, self.is_behind) = (wanted, revision, false);
        Ok(())
    }

    /// Tells it once more of a change that it did not acknowledge.
    pub fn catch_up(&mut self, wanted: impl FnOnce() -> Filters) -> Result<()> {
        if self.is_behind { self.switched(wanted()) } else { Ok(()) }
    }

    pub fn end(&mut self) -> Result<()> {
        self.proxy.end().map_err(silence)
    }
}

fn configuration(revision: u64, filters: &Filters, names: &NameRules, secrets: &Secrets) -> Configuration {
    let filters = filters.iter().map(|(digest, filter)| (Digest(digest.0), content(filter)));
    Configuration { revision, filters: filters.collect(), names: names.clone(), secrets: secrets.clone() }
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

/// Of what is not taken back when the proxy does not hear it.
fn silence(error: io::Error) -> Failure {
    Failure::unavailable(format!("the proxy does not answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Answers the first `Switched` with a failure and counts those that it takes.
    struct Deaf {
        asked: u32,
        heard: Arc<AtomicU32>,
    }

    impl Proxy for Deaf {
        fn learn(&mut self, _: &Configuration) -> io::Result<()> {
            Ok(())
        }

        fn configure(&mut self, _: &Configuration) -> io::Result<()> {
            Ok(())
        }

        fn switched(&mut self) -> io::Result<()> {
            self.asked = self.asked.saturating_add(1);
            if self.asked == 1 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.heard.fetch_add(1, Relaxed);
            Ok(())
        }

        fn plan(&mut self, _: &NameRules) -> io::Result<Vec<NameSet>> {
            Ok(Vec::new())
        }

        fn forget_endpoint(&mut self, _: EndpointId) -> io::Result<()> {
            Ok(())
        }

        fn end(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_change_that_was_not_acknowledged_is_told_again_once() {
        let heard = Arc::new(AtomicU32::new(0));
        let mut told = Told::new(Box::new(Deaf { asked: 0, heard: Arc::clone(&heard) }));
        let filters = || Filters::from([(FilterDigest(7), Arc::new(Filter { rules: Vec::new() }))]);
        told.learn(filters(), Secrets::new()).unwrap();
        told.catch_up(filters).unwrap();
        assert_eq!(heard.load(Relaxed), 0, "nothing has changed yet");
        assert!(told.switched(filters()).is_err());
        told.catch_up(filters).unwrap();
        told.catch_up(filters).unwrap();
        assert_eq!(heard.load(Relaxed), 1);
    }
}
