//! What an agent and its datapath say of themselves, as text.

use super::escaped;
use crate::observe::moment::TimeFormat;
use ciliate_hubble::{
    Int32Value, UInt32Value,
    flow::{AgentEvent, Endpoint, ServiceUpsertNotificationAddr, agent_event::Notification},
};

/// What an event is about, in parentheses or in a column of its own.
#[expect(deprecated, reason = "older servers send events of services")]
pub fn details(event: &AgentEvent, format: TimeFormat) -> String {
    let named = |name: &str, text: &str| match text {
        "" => String::new(),
        text => format!(", {name}: {text}"),
    };
    let text = match &event.notification {
        Some(Notification::Unknown(one)) => {
            format!("type: {}, notification: {}", one.r#type, one.notification)
        }
        Some(Notification::AgentStart(one)) => format!("start time: {}", format.print(one.time.as_ref())),
        Some(Notification::PolicyUpdate(one)) => {
            format!(
                "labels: [{}], revision: {}, count: {}",
                one.labels.join(","),
                one.revision,
                one.rule_count
            )
        }
        Some(Notification::EndpointRegenerate(one)) => {
            format!("id: {}, labels: [{}]{}", one.id, one.labels.join(","), named("error", &one.error))
        }
        Some(Notification::EndpointUpdate(one)) => {
            format!(
                "id: {}{}{}",
                one.id,
                named("namespace", &one.namespace),
                named("pod name", &one.pod_name)
            )
        }
        Some(Notification::IpcacheUpdate(one)) => {
            let old =
                one.old_identity.map_or_else(String::new, |old| format!(", old identity: {}", old.value));
            let hosts = named("host ip", &one.host_ip) + &named("old host ip", &one.old_host_ip);
            format!(
                "cidr: {}, identity: {}{old}{hosts}, encrypt key: {}",
                one.cidr, one.identity, one.encrypt_key
            )
        }
        Some(Notification::ServiceUpsert(one)) => {
            let frontend = one.frontend_address.as_ref().map(place).unwrap_or_default();
            let backends: Vec<String> = one.backend_addresses.iter().map(place).collect();
            let backends = match backends.as_slice() {
                [] => String::new(),
                backends => format!("[{}]", backends.join(",")),
            };
            let parts = [
                ("frontend", &frontend),
                ("backends", &backends),
                ("type", &one.r#type),
                ("traffic policy", &one.traffic_policy),
                ("namespace", &one.namespace),
                ("name", &one.name),
            ];
            format!("id: {}{}", one.id, parts.map(|(name, text)| named(name, text)).concat())
        }
        Some(Notification::ServiceDelete(one)) => format!("id: {}", one.id),
        None => "UNKNOWN".to_owned(),
    };
    escaped(&text)
}

/// `10.0.0.1:80`
fn place(address: &ServiceUpsertNotificationAddr) -> String {
    match address.ip.contains(':') {
        true => format!("[{}]:{}", address.ip, address.port),
        false => format!("{}:{}", address.ip, address.port),
    }
}

/// `demo/web (ID: 12)`
pub fn endpoint(endpoint: Option<&Endpoint>) -> String {
    let Some(endpoint) = endpoint else { return "N/A".to_owned() };
    let id = format!("ID: {}", endpoint.id);
    match (endpoint.namespace.as_str(), endpoint.pod_name.as_str(), endpoint.labels.as_slice()) {
        (namespace, pod, _) if !namespace.is_empty() && !pod.is_empty() => {
            escaped(&format!("{namespace}/{pod} ({id})"))
        }
        (_, _, [label]) if label.starts_with("reserved:") => escaped(&format!("{label} ({id})")),
        _ => id,
    }
}

pub fn mark(hash: Option<UInt32Value>) -> String {
    hash.map_or_else(|| "N/A".to_owned(), |hash| format!("{:#x}", hash.value))
}

pub fn cpu(cpu: Option<Int32Value>) -> String {
    cpu.map_or_else(|| "N/A".to_owned(), |cpu| format!("{:02}", cpu.value))
}
