//! What an element of `toPorts` asks of requests, and where it may ask at all.

mod fqdn;
mod http;
mod kafka;

pub use fqdn::{selector as fqdn_selector, server_name};

use super::each;
use crate::{object::cilium::PortRule, parse::path::Problems, rule::TrafficMatch};
use ciliate_types::{Direction, L7Rules, Protocol};
use std::sync::Arc;

/// Where an element of `toPorts` stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub direction: Direction,
    pub deny: bool,
    /// Of the policy; none if it is clusterwide.
    pub namespace: Option<&'a str>,
}

/// The one kind of rules that an element of `toPorts` has, or none.
pub fn rules(element: &PortRule, place: Place<'_>, problems: &mut Problems) -> Option<Arc<L7Rules>> {
    if place.deny {
        refuse_in_deny(element, problems);
        return None;
    }
    let rules = element.rules.as_ref();
    let kinds = [
        ("http", rules.is_some_and(|rules| rules.http.is_some())),
        ("kafka", rules.is_some_and(|rules| rules.kafka.is_some())),
        ("dns", rules.is_some_and(|rules| rules.dns.is_some())),
        ("serverNames", element.server_names.is_some()),
    ];
    let mut used = kinds.into_iter().filter(|(_, used)| *used).map(|(kind, _)| kind);
    let kind = used.next()?;
    if let Some(second) = used.next() {
        let field = if second == "serverNames" { second } else { "rules" };
        let why = match second {
            "serverNames" => "requests inside of TLS cannot be read",
            _ => "the requests on a port are of one kind",
        };
        problems.at(field, |p| {
            p.fail(format!("{kind} and {second} cannot stand in one element of toPorts: {why}"));
        });
        return None;
    }
    if kind == "dns" && place.direction == Direction::Ingress {
        problems.at("rules", |p| {
            p.at("dns", |p| p.fail("is about names that an endpoint asks for: write it under egress"));
        });
        return None;
    }
    check_ports(element, kind, problems);
    let empty = |p: &mut Problems| {
        p.fail("is empty: leave it out to allow every request, or name what is allowed");
        None
    };
    let lowered = match (rules, &element.server_names) {
        (_, Some(names)) => problems.at("serverNames", |p| match names.is_empty() {
            true => empty(p),
            false => Some(L7Rules::Tls(
                each(names, p, |name, p| server_name(name, p)).into_iter().flatten().collect(),
            )),
        }),
        (Some(rules), None) => problems.at("rules", |p| {
            p.at(kind, |p| match (&rules.http, &rules.kafka, &rules.dns) {
                (Some(list), ..) if !list.is_empty() => {
                    Some(L7Rules::Http(each(list, p, |rule, p| http::rule(rule, place.namespace, p))))
                }
                (_, Some(list), _) if !list.is_empty() => Some(L7Rules::Kafka(each(list, p, kafka::rule))),
                (.., Some(list)) if !list.is_empty() => {
                    Some(L7Rules::Dns(each(list, p, fqdn::rule).into_iter().flatten().collect()))
                }
                _ => empty(p),
            })
        }),
        (None, None) => None,
    };
    lowered.map(Arc::new)
}

fn refuse_in_deny(element: &PortRule, problems: &mut Problems) {
    let fields = [("rules", element.rules.is_some()), ("serverNames", element.server_names.is_some())];
    for (field, _) in fields.into_iter().filter(|(_, used)| *used) {
        problems.at(field, |p| {
            p.fail(format!(
                "{field} cannot stand in a deny rule: what no allow rule names is refused anyway"
            ));
        });
    }
}

/// Requests are read on TCP, and of DNS also on UDP.
fn check_ports(element: &PortRule, kind: &str, problems: &mut Problems) {
    problems.at("ports", |p| {
        each(&element.ports, p, |port, p| {
            let protocol = port.protocol.as_deref().unwrap_or("ANY").to_ascii_uppercase();
            let fits = match protocol.as_str() {
                "TCP" => true,
                "UDP" | "ANY" | "" => kind == "dns",
                _ => false,
            };
            if !fits {
                let wanted = if kind == "dns" { "TCP, UDP or ANY" } else { "TCP" };
                p.at("protocol", |p| p.fail(format!("{kind} needs protocol {wanted}, not {protocol}")));
            }
            if port.port == "0" {
                p.at("port", |p| p.fail(format!("{kind} needs a port: write its number or its name, not 0")));
            }
            let first = port.port.parse().unwrap_or(0);
            if kind == "dns" && port.end_port.is_some_and(|end| end > first) {
                p.at("endPort", |p| p.fail("dns rules are for single ports, not for a range"));
            }
        });
    });
}

/// Takes away what the proxy has no eyes for: of `ANY` with DNS rules that is SCTP.
pub fn limit(traffic: &mut Vec<TrafficMatch>) {
    traffic.retain(|traffic| match traffic {
        TrafficMatch::Any => false,
        TrafficMatch::Ports(protocol, _) | TrafficMatch::Named(protocol, _) => {
            [Protocol::TCP, Protocol::UDP].contains(protocol)
        }
    });
}

/// A text that says something.
fn said(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}
