//! What a recorded packet's comment says: words of the form `name=value`, with quotes around values that have spaces.

use ciliate_abi::{Fate, event_flags};
use ciliate_flow::{End, Event, Flow, Judgement, Outcome, PolicyRef, TraceReason, TrafficDirection};
use std::fmt::{Display, Write as _};

/// Adds the comment to `text`. `flags` are [`event_flags`].
pub fn write(text: &mut String, flow: &Flow, fate: Option<Fate>, flags: u8) {
    let verdict = match fate {
        Some(Fate::Dropped) => "DROPPED",
        Some(Fate::ToProxy) => "REDIRECTED",
        Some(Fate::ToEndpoint | Fate::ToStack) if flags & event_flags::AUDIT != 0 => "AUDIT",
        Some(Fate::ToEndpoint | Fate::ToStack | Fate::Answered) => "FORWARDED",
        None => "UNKNOWN",
    };
    word(text, "verdict", verdict);
    match flow.event {
        Event::Drop(reason) => word(text, "reason", reason.as_str_name()),
        Event::Trace(_, reason) => word(text, "connection", connection(reason)),
        Event::Other(other) => word(text, "event", format_args!("{}/{}", other.kind, other.sub)),
        Event::PolicyVerdict(_) | Event::Request => {}
    }
    let to = match fate {
        Some(Fate::ToEndpoint) => Some("endpoint"),
        Some(Fate::ToStack) => Some("host-stack"),
        Some(Fate::ToProxy) => Some("proxy"),
        // The node answered what asked for its address.
        Some(Fate::Answered) => Some("sender"),
        Some(Fate::Dropped) | None => None,
    };
    if let Some(to) = to {
        word(text, "to", to);
    }
    match flow.direction {
        TrafficDirection::Ingress => word(text, "direction", "ingress"),
        TrafficDirection::Egress => word(text, "direction", "egress"),
        TrafficDirection::Unknown => {}
    }
    party(text, "source", &flow.source);
    party(text, "destination", &flow.destination);
    judgement(text, "egress", flow.egress.as_deref());
    judgement(text, "ingress", flow.ingress.as_deref());
}

fn connection(reason: TraceReason) -> &'static str {
    match reason {
        TraceReason::New => "new",
        TraceReason::Established => "established",
        TraceReason::Reply => "reply",
        TraceReason::Related => "related",
        _ => "unknown",
    }
}

/// An endpoint has a name; of others the labels say most.
fn party(text: &mut String, side: &str, end: &End) {
    let party = &end.party;
    name(text, side, "identity");
    value(text, party.identity);
    if party.pod.is_empty() {
        if !party.labels.is_empty() {
            name(text, side, "labels");
            value(text, party.labels.join(","));
        }
    } else {
        name(text, side, "name");
        value(text, format_args!("{}/{}", party.namespace, party.pod));
    }
}

/// Nothing where no policy applies.
fn judgement(text: &mut String, direction: &str, judgement: Option<&Judgement>) {
    let Some(judgement) = judgement else { return };
    name(
        text,
        direction,
        match judgement.outcome {
            Outcome::Allowed => "allowed-by",
            Outcome::Denied => "denied-by",
        },
    );
    let policies: Vec<String> = judgement.by.iter().map(policy).collect();
    value(text, policies.join(","));
}

/// `CiliumNetworkPolicy/demo/web:spec.ingress[0]`.
fn policy(policy: &PolicyRef) -> String {
    let parts = [&policy.kind, &policy.namespace, &policy.name];
    let named: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let mut text = named.join("/");
    if !policy.section.is_empty() {
        let _ = write!(text, ":{}", policy.section);
    }
    text
}

fn word(text: &mut String, called: &str, what: impl Display) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(called);
    value(text, what);
}

fn name(text: &mut String, side: &str, what: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(side);
    text.push('.');
    text.push_str(what);
}

fn value(text: &mut String, what: impl Display) {
    text.push('=');
    let start = text.len();
    // Writing to a string does not fail.
    let _ = write!(text, "{what}");
    let plain = |letter: char| letter.is_ascii_graphic() && letter != '"';
    if text.get(start..).is_some_and(|written| !written.chars().all(plain)) {
        let quoted = format!("{:?}", text.get(start..).unwrap_or_default());
        text.truncate(start);
        text.push_str(&quoted);
    }
}
