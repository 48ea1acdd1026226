//! What is done for each CNI command.

use crate::{
    Code, Error,
    attachment::{Attachments, Queued},
    config::{self, Config},
    environment::{AttachmentId, Environment, Kind},
    error::{agent_is_down, is_unknown},
    labels, outcome,
    version::Version,
};
use ciliate_api::{Client, Endpoint, EndpointRef, EndpointRequest, Health, NetnsRef};
use std::path::PathBuf;

/// The answer of commands that have none.
const NOTHING: String = String::new();

pub(crate) fn attachment(
    kind: Kind,
    id: &AttachmentId,
    environment: &Environment,
    config: &Config,
) -> Result<String, Error> {
    match kind {
        Kind::Add => add(id, environment, config),
        Kind::Delete => delete(id, config),
        Kind::Check => check(id, config),
    }
}

fn reference(id: &AttachmentId) -> EndpointRef {
    EndpointRef::Container { id: id.container.clone(), interface: Some(id.interface.clone()) }
}

fn add(id: &AttachmentId, environment: &Environment, config: &Config) -> Result<String, Error> {
    if config.previous.is_some() {
        let message = "ciliate-cni makes the container's device itself: put it first in the list of plug-ins";
        return Err(Error::new(Code::InvalidConfig, message, ""));
    }
    let netns = environment.netns.clone().unwrap_or_default();
    let request = request(id, environment, config, netns.clone())?;
    let attachments = Attachments::of(config);
    let client = Client::new(&config.socket);
    attachments.unqueue_deletion(id);
    attachments.note(id)?;
    match client.create_endpoint(&request) {
        Ok(endpoint) => Ok(outcome::json(config.version, &endpoint, &netns.to_string_lossy())),
        Err(e) => {
            if agent_is_down(&e) {
                attachments.forget(id);
            }
            Err(Error::of_agent(format!("cannot add container {}", id.container), &e))
        }
    }
}

fn request(
    id: &AttachmentId,
    environment: &Environment,
    config: &Config,
    netns: PathBuf,
) -> Result<EndpointRequest, Error> {
    let argument = |key: &str| environment.arguments.get(key).filter(|v| !v.is_empty()).cloned();
    if argument("MAC").is_some() {
        let message = "MAC in CNI_ARGS is not supported: the agent chooses Ethernet addresses";
        return Err(Error::new(Code::UnsupportedField, message, ""));
    }
    let mut addresses = config.addresses.clone();
    if let Some(list) = argument("IP") {
        for text in list.split(',') {
            addresses.push(config::address(text, "IP of CNI_ARGS")?);
        }
    }
    // Runtimes may say the same in several places.
    let mut seen = std::collections::BTreeSet::new();
    addresses.retain(|a| seen.insert(*a));
    Ok(EndpointRequest {
        name: Some(argument("K8S_POD_NAME").unwrap_or_else(|| short_name(&id.container))),
        namespace: argument("K8S_POD_NAMESPACE").or_else(|| config.namespace.clone()),
        service_account: argument("SERVICE_ACCOUNT").or_else(|| config.service_account.clone()),
        labels: labels::collect(config, environment)?,
        netns: NetnsRef::Path(netns),
        interface: Some(id.interface.clone()),
        addresses,
        ports: Vec::new(),
        publish: config.publish.clone(),
        container_id: Some(id.container.clone()),
    })
}

/// The usual short form of an id of 64 hexadecimal digits; others are names already.
fn short_name(container: &str) -> String {
    let hash = container.len() == 64 && container.chars().all(|c| c.is_ascii_hexdigit());
    match container.get(..12) {
        Some(short) if hash => short.to_owned(),
        Some(_) | None => container.trim_end_matches(['-', '_', '.']).to_owned(),
    }
}

/// Succeeds if the endpoint is gone, or will be as soon as the agent is back: a runtime that cannot delete keeps the
/// container, or forgets the device. Until then the kernel enforces what it did, on a device that goes with its namespace.
fn delete(id: &AttachmentId, config: &Config) -> Result<String, Error> {
    let attachments = Attachments::of(config);
    match delete_now(id, config)? {
        Deletion::Done => {}
        Deletion::AgentIsDown => match attachments.queue_deletion(id)? {
            Queued::NothingToDelete => {}
            // The agent listens before it looks at the queue: if it missed this one, it can be reached now.
            Queued::Waiting => match delete_now(id, config)? {
                Deletion::Done => attachments.unqueue_deletion(id),
                Deletion::AgentIsDown => {}
            },
        },
    }
    attachments.forget(id);
    Ok(NOTHING)
}

enum Deletion {
    Done,
    AgentIsDown,
}

fn delete_now(id: &AttachmentId, config: &Config) -> Result<Deletion, Error> {
    match Client::new(&config.socket).delete_endpoint(&reference(id)) {
        Ok(_) => Ok(Deletion::Done),
        Err(e) if is_unknown(&e) => Ok(Deletion::Done),
        Err(e) if agent_is_down(&e) => Ok(Deletion::AgentIsDown),
        Err(e) => Err(Error::of_agent(format!("cannot delete container {}", id.container), &e)),
    }
}

fn check(id: &AttachmentId, config: &Config) -> Result<String, Error> {
    if config.version < Version::V0_4_0 {
        let message = format!("CHECK is not part of CNI {}: 0.4.0 is the first that has it", config.version);
        return Err(Error::new(Code::IncompatibleVersion, message, ""));
    }
    let Some(previous) = &config.previous else {
        return Err(Error::new(
            Code::InvalidConfig,
            "prevResult is missing or cannot be read: CHECK needs it",
            "",
        ));
    };
    let client = Client::new(&config.socket);
    let failed = |e| Error::of_agent(format!("cannot check container {}", id.container), &e);
    let endpoint = client.endpoint(&reference(id)).map_err(failed)?;
    let health = client.endpoint_health(&reference(id)).map_err(failed)?;
    let changed = |what: String| Error::new(Code::Changed, format!("container {}: {what}", id.container), "");
    for ip in &previous.ips {
        let wanted = config::address(&ip.address, "prevResult.ips")?;
        if !holds(&endpoint, wanted) {
            return Err(changed(format!("endpoint {} does not have the address {wanted}", endpoint.id)));
        }
    }
    for (part, state) in
        [("kernel's entries", health.bpf), ("devices, addresses or routes", health.connected)]
    {
        match state {
            Health::Ok | Health::Disabled => {}
            // Reachable in part is not as it was promised either.
            Health::Warning | Health::Failure => {
                return Err(changed(format!(
                    "the {part} of endpoint {0} are not as they were made; see `ciliate endpoint health {0}`",
                    endpoint.id
                )));
            }
        }
    }
    Ok(NOTHING)
}

fn holds(endpoint: &Endpoint, address: std::net::IpAddr) -> bool {
    let held = [endpoint.ipv4.map(std::net::IpAddr::V4), endpoint.ipv6.map(std::net::IpAddr::V6)];
    held.into_iter().flatten().any(|a| a == address)
}

/// Deletes what this network has attached and the runtime no longer knows.
pub(crate) fn collect_garbage(config: &Config) -> Result<String, Error> {
    let Some(valid) = &config.valid_attachments else {
        return Err(Error::new(Code::InvalidConfig, "cni.dev/valid-attachments is missing: GC needs it", ""));
    };
    let mut failure = None;
    for id in Attachments::of(config).all()? {
        if !valid.contains(&id) {
            // One that resists must not keep the others.
            failure = delete(&id, config).err().or(failure);
        }
    }
    failure.map_or(Ok(NOTHING), Err)
}

/// Whether ADD would work.
pub(crate) fn status(config: &Config) -> Result<String, Error> {
    let status = Client::new(&config.socket)
        .status()
        .map_err(|e| Error::new(Code::Unavailable, "the agent does not answer", e.to_string()))?;
    match status.health {
        Health::Ok | Health::Warning | Health::Disabled => Ok(NOTHING),
        Health::Failure => {
            let failed = status.subsystems.iter().filter(|s| s.health == Health::Failure);
            let list: Vec<_> = failed.map(|s| format!("{}: {}", s.name, s.message)).collect();
            Err(Error::new(Code::LimitedConnectivity, "the agent reports failures", list.join("; ")))
        }
    }
}
