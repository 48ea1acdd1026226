//! The configuration made ready for judging, and the copy of it on disk.

use crate::message::{Configuration, Filter, FilterRule, Secrets};
use ciliate_dns::{Name, NameMatcher, SelectorId};
use ciliate_http::RuleSet;
use ciliate_tls::ServerNames;
use ciliate_types::{HttpRule, KafkaRule, L7Rules, NamePattern};
use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;

/// Everything that connections are judged by.
#[derive(Debug, Default)]
pub struct Ready {
    pub revision: u64,
    filters: HashMap<u64, Arc<ReadyFilter>>,
    /// What no filter stands for: it lets nothing through.
    nothing: Arc<ReadyFilter>,
}

/// One filter, made ready for many requests.
#[derive(Debug, Default)]
pub struct ReadyFilter {
    rules: Vec<FilterRule>,
    pub http: Option<HttpFilter>,
    pub kafka: Vec<KafkaRule>,
    pub tls: Option<ServerNames>,
    pub dns: Option<DnsFilter>,
}

/// Which names may be asked for.
#[derive(Debug)]
pub struct DnsFilter {
    matcher: NameMatcher,
    /// For each selector, the number by which the kernel knows the rule that it is part of.
    owners: Vec<u32>,
}

#[derive(Debug)]
pub struct HttpFilter {
    pub rules: RuleSet,
    /// For each of the rules, the number by which the kernel knows the rule that it is part of.
    owners: Vec<u32>,
}

#[derive(Debug, Error)]
#[error("{policy} {section}: {reason}")]
pub struct ConfigurationError {
    policy: String,
    section: String,
    reason: String,
}

impl Ready {
    pub fn new(configuration: &Configuration) -> Result<Self, ConfigurationError> {
        let ready = |(digest, filter): (&crate::message::Digest, &Filter)| {
            ReadyFilter::new(filter, &configuration.secrets).map(|filter| (digest.0, Arc::new(filter)))
        };
        Ok(Self {
            revision: configuration.revision,
            filters: configuration.filters.iter().map(ready).collect::<Result<_, _>>()?,
            nothing: Arc::default(),
        })
    }

    /// The filter that an entry of the kernel names. One that nobody has told of lets nothing through.
    #[must_use]
    pub fn filter(&self, digest: u64) -> Arc<ReadyFilter> {
        Arc::clone(self.filters.get(&digest).unwrap_or(&self.nothing))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.filters.len()
    }
}

impl ReadyFilter {
    fn new(filter: &Filter, secrets: &Secrets) -> Result<Self, ConfigurationError> {
        let mut ready = Self { rules: filter.rules.clone(), ..Self::default() };
        let (mut http, mut owners): (Vec<HttpRule>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut names: Vec<&NamePattern> = Vec::new();
        let (mut asked, mut askers): (Vec<NamePattern>, Vec<u32>) = (Vec::new(), Vec::new());
        for rule in &filter.rules {
            match &rule.l7 {
                L7Rules::Http(list) => {
                    http.extend(list.iter().cloned());
                    owners.extend(list.iter().map(|_| rule.rule));
                }
                L7Rules::Kafka(list) => ready.kafka.extend(list.iter().cloned()),
                L7Rules::Dns(list) => {
                    asked.extend(list.iter().cloned());
                    askers.extend(list.iter().map(|_| rule.rule));
                }
                L7Rules::Tls(list) => names.extend(list),
            }
        }
        if !http.is_empty() {
            let secret = |namespace: &str, name: &str| {
                Some(secrets.get(&format!("{namespace}/{name}"))?.expose().to_vec())
            };
            let rules = RuleSet::compile(&http, &secret).map_err(|error| ready.blame(&error))?;
            ready.http = Some(HttpFilter { rules, owners });
        }
        if !asked.is_empty() {
            let matcher = NameMatcher::new((0..).map(SelectorId).zip(asked));
            ready.dns = Some(DnsFilter { matcher, owners: askers });
        }
        if !names.is_empty() {
            ready.tls = Some(ServerNames::new(names));
        }
        Ok(ready)
    }

    fn blame(&self, error: &ciliate_http::RuleError) -> ConfigurationError {
        let first = self.rules.first();
        ConfigurationError {
            policy: first.map_or_else(String::new, |rule| rule.policy.clone()),
            section: first.map_or_else(String::new, |rule| rule.section.clone()),
            reason: error.to_string(),
        }
    }

    /// The kernel's numbers of all rules.
    pub fn rule_numbers(&self) -> impl Iterator<Item = u32> {
        self.rules.iter().map(|rule| rule.rule)
    }

    /// The kernel's number of the first rule.
    #[must_use]
    pub fn first_rule(&self) -> u32 {
        self.rules.first().map_or(0, |rule| rule.rule)
    }
}

impl DnsFilter {
    /// The kernel's number of a rule that lets the name be asked for.
    #[must_use]
    pub fn allows(&self, name: &Name) -> Option<u32> {
        let mut found = Vec::new();
        self.matcher.matching(name, &mut found);
        let first = usize::try_from(found.first()?.0).ok()?;
        Some(self.owners.get(first).copied().unwrap_or_default())
    }
}

impl HttpFilter {
    #[must_use]
    pub fn owner(&self, rule: usize) -> u32 {
        self.owners.get(rule).copied().unwrap_or_default()
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("proxy.json")
}

/// The configuration of an earlier process; none at the first start.
pub fn load(state_dir: &Path) -> io::Result<Option<Configuration>> {
    match fs::read(path(state_dir)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the configuration in the place of the old one, all or nothing.
pub fn save(state_dir: &Path, configuration: &Configuration) -> io::Result<()> {
    let (path, new) = (path(state_dir), state_dir.join("proxy.json.new"));
    // Secrets may be in it. One that was left behind may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(configuration)?)?;
    fs::rename(new, path)
}
