//! From flags to the messages that a server understands.

use super::{
    flags::{Ends, FilterFlags, Given, Polarity},
    question::{Sets, Setter},
};
use crate::exit::{Code, Failure};
use ciliate_flow::{Filter, FilterError, read_filters, shortened};
use ciliate_hubble::flow::FlowFilter;

/// Filters as people give them.
#[derive(Debug, clap::Args)]
pub struct Filters {
    #[command(flatten)]
    flags: FilterFlags,
    /// Filters as JSON messages of Hubble's interface: flows have to match one
    #[arg(long, value_name = "JSON", help_heading = "Filters")]
    allowlist: Vec<String>,
    /// Filters as JSON messages of Hubble's interface: flows must match none
    #[arg(long, value_name = "JSON", help_heading = "Filters")]
    denylist: Vec<String>,
}

impl Filters {
    /// As messages.
    ///
    /// # Errors
    /// Names the flag that is wrong, and says what would be right.
    pub fn raw(&self) -> anyhow::Result<RawFilters> {
        let list = |polarity| -> anyhow::Result<Vec<FlowFilter>> {
            let mut pair = Pair::default();
            let mut given = self.flags.0.iter().filter(|flag| flag.polarity == polarity).peekable();
            if given.peek().is_none() {
                return Ok(Vec::new());
            }
            given.try_for_each(|flag| pair.add(flag))?;
            pair.check_namespaces()?;
            Ok(pair.finish())
        };
        let mut filters = RawFilters { allow: list(Polarity::Wanted)?, deny: list(Polarity::Unwanted)? };
        filters.allow.extend(messages("allowlist", &self.allowlist)?);
        filters.deny.extend(messages("denylist", &self.denylist)?);
        // What only shows in combination, such as requests that the types leave out.
        filters.compile()?;
        Ok(filters)
    }
}

/// A flow has to match one of the first and none of the second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawFilters {
    pub allow: Vec<FlowFilter>,
    pub deny: Vec<FlowFilter>,
}

/// What is said about either end is asked of the source in one message and of the destination in the other.
#[derive(Default)]
struct Pair {
    left: FlowFilter,
    right: FlowFilter,
    either: Vec<String>,
    source: Vec<String>,
    destination: Vec<String>,
    flags: Vec<&'static str>,
}

/// Flags of a row cannot be combined; of the names in brackets each with those outside.
const CONFLICTS: [&[&str]; 19] = [
    &[
        "from-fqdn",
        "from-ip",
        "ip",
        "fqdn",
        "from-namespace",
        "namespace",
        "from-all-namespaces",
        "all-namespaces",
    ],
    &["from-fqdn", "from-ip", "ip", "fqdn", "from-pod", "pod"],
    &["to-fqdn", "to-ip", "ip", "fqdn", "to-namespace", "namespace", "to-all-namespaces", "all-namespaces"],
    &["to-fqdn", "to-ip", "ip", "fqdn", "to-pod", "pod"],
    &["to-pod", "namespace", "all-namespaces"],
    &["from-pod", "namespace", "all-namespaces"],
    &["to-service", "namespace", "all-namespaces"],
    &["from-service", "namespace", "all-namespaces"],
    &["label", "from-label"],
    &["label", "to-label"],
    &["service", "from-service"],
    &["service", "to-service"],
    &["port", "from-port"],
    &["port", "to-port"],
    &["identity", "from-identity"],
    &["identity", "to-identity"],
    &["workload", "from-workload"],
    &["workload", "to-workload"],
    &["encrypted", "unencrypted"],
];

impl RawFilters {
    /// What judges flows here.
    pub fn compile(&self) -> anyhow::Result<Filter> {
        Filter::new(&self.allow, &self.deny).map_err(|error| usage(error.to_string()))
    }

    /// As a file for `--config` of Hubble's tools, in YAML.
    pub fn yaml(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for (name, filters) in [("allowlist", &self.allow), ("denylist", &self.deny)] {
            if !filters.is_empty() {
                text.push_str(&format!("{name}:\n"));
            }
            for filter in filters {
                let json = serde_json::to_string(filter)?.replace('\'', "''");
                text.push_str(&format!("    - '{json}'\n"));
            }
        }
        if text.is_empty() {
            text.push_str("{}\n");
        }
        Ok(text)
    }
}

impl Pair {
    fn add(&mut self, given: &Given) -> anyhow::Result<()> {
        let flag = given.flag();
        self.flags.push(flag);
        for row in CONFLICTS.iter().filter(|row| row.contains(&flag)) {
            let other = self.flags.iter().find(|other| **other != flag && row.contains(other));
            if let Some(other) = other {
                return Err(usage(format!("--{other} and --{flag} cannot be combined")));
            }
        }
        let namespace = match given.question.sets {
            Sets::Namespace => Some(given.value.clone()),
            Sets::AllNamespaces => Some(String::new()),
            Sets::Ends { source, destination } => {
                let (left, right): (Setter, Setter) = match given.ends {
                    Ends::Either => (source, destination),
                    Ends::From => (source, source),
                    Ends::To => (destination, destination),
                };
                self.set(given, left, right)?;
                None
            }
            Sets::Whole(setter) => {
                self.set(given, setter, setter)?;
                None
            }
        };
        if let Some(namespace) = namespace {
            match given.ends {
                Ends::Either => self.either.push(namespace),
                Ends::From => self.source.push(namespace),
                Ends::To => self.destination.push(namespace),
            }
        }
        Ok(())
    }

    fn set(&mut self, given: &Given, left: Setter, right: Setter) -> anyhow::Result<()> {
        let wrong = |what: String| usage(format!("--{}: {what}", given.flag()));
        // By itself first, so that what is wrong is known by its flag.
        let mut alone = FlowFilter::default();
        left(&mut alone, &given.value).map_err(wrong)?;
        Filter::new(&[alone], &[]).map_err(|error| match error {
            FilterError::Field { what, .. } => wrong(what),
            other => wrong(other.to_string()),
        })?;
        left(&mut self.left, &given.value).map_err(wrong)?;
        right(&mut self.right, &given.value).map_err(wrong)
    }

    /// Names that say another namespace than the flags do, or pods and services of different ones, match nothing.
    fn check_namespaces(&self) -> anyhow::Result<()> {
        let said = |name: &String| name.split_once('/').map(|(namespace, _)| namespace.to_owned());
        let agree = |flag: &str, namespaces: &[String], names: &[String]| {
            for (name, own) in names.iter().filter_map(|name| Some((name, said(name)?))) {
                let other = namespaces.iter().find(|one| !own.is_empty() && **one != own);
                if let Some(other) = other {
                    return Err(usage(format!(
                        "--{flag} {other} and {name:?} are about different namespaces"
                    )));
                }
            }
            Ok(())
        };
        for FlowFilter { source_pod, source_service, destination_pod, destination_service, .. } in
            [&self.left, &self.right]
        {
            for names in [source_pod, source_service, destination_pod, destination_service] {
                agree("namespace", &self.either, names)?;
            }
            for (flag, namespaces, pods, services) in [
                ("from-namespace", &self.source, source_pod, source_service),
                ("to-namespace", &self.destination, destination_pod, destination_service),
            ] {
                agree(flag, namespaces, pods)?;
                agree(flag, namespaces, services)?;
                for pod in pods.iter().filter_map(said).filter(|namespace| !namespace.is_empty()) {
                    if let Some(service) = services.iter().find(|one| said(one).is_none_or(|own| own != pod))
                    {
                        return Err(usage(format!(
                            "pods of {pod:?} and the service {service:?} are about different namespaces"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<FlowFilter> {
        for filter in [&mut self.left, &mut self.right] {
            in_namespaces(&self.destination, &mut filter.destination_pod, &mut filter.destination_service);
            in_namespaces(&self.source, &mut filter.source_pod, &mut filter.source_service);
        }
        in_namespaces(&self.either, &mut self.left.source_pod, &mut self.left.source_service);
        in_namespaces(&self.either, &mut self.right.destination_pod, &mut self.right.destination_service);
        match self.left == self.right {
            true => vec![self.left],
            false => vec![self.left, self.right],
        }
    }
}

/// Names without a namespace are meant in each of these; without any name all pods are.
fn in_namespaces(namespaces: &[String], pods: &mut Vec<String>, services: &mut Vec<String>) {
    if namespaces.is_empty() {
        return;
    }
    if pods.is_empty() && services.is_empty() {
        pods.push(String::new());
    }
    for names in [pods, services] {
        let within = |name: &String| match name.contains('/') {
            true => vec![name.clone()],
            false => namespaces.iter().map(|namespace| format!("{namespace}/{name}")).collect(),
        };
        *names = names.iter().flat_map(within).collect();
    }
}

/// Messages in JSON, one or several in a text.
fn messages(flag: &str, texts: &[String]) -> anyhow::Result<Vec<FlowFilter>> {
    let mut messages = Vec::new();
    for text in texts {
        messages.extend(read_filters(text).map_err(|what| usage(format!("--{flag}: {what}")))?);
    }
    for message in &messages {
        Filter::new(std::slice::from_ref(message), &[]).map_err(|error| match error {
            FilterError::Field { field, what, .. } => usage(format!("--{flag}: {field}: {what}")),
            other => usage(format!("--{flag}: {other}")),
        })?;
    }
    Ok(messages)
}

pub fn usage(message: String) -> anyhow::Error {
    Failure::new(Code::Usage, shortened(&message)).into()
}
