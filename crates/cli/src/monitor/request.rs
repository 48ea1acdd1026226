//! A request or response as a line, in Cilium's manner and with the rule that decided.

use crate::output::{Page, Tone};
use ciliate_api::{Content, DnsAnswerView, Event, Message, PeerView, RequestEvent, RequestVerdict, RuleView};
use ciliate_types::Direction;

/// `<- Request http from 257 ([k8s:org=empire]) to 256 ([k8s:class=deathstar]), identity 257->256, verdict Forwarded …`
pub fn line(seen: &RequestEvent, page: &Page) -> String {
    let arrow = match seen.direction {
        Direction::Ingress => "<-",
        Direction::Egress => "->",
    };
    let (source, destination) = (end(&seen.source), end(&seen.destination));
    let ends = match seen.message {
        Message::Request => format!("from {source} to {destination}"),
        Message::Response => format!("to {destination} from {source}"),
    };
    let tone = match seen.verdict {
        RequestVerdict::Forwarded => Tone::Good,
        RequestVerdict::Denied | RequestVerdict::Refused => Tone::Bad,
        RequestVerdict::Audited => Tone::Doubtful,
    };
    format!(
        "{arrow} {} {} {ends}, identity {}->{}, verdict {} {}{}",
        seen.message,
        seen.content.protocol(),
        seen.source.identity,
        seen.destination.identity,
        page.paint(&seen.verdict.to_string(), tone),
        content(&seen.content),
        seen.rule.as_ref().map_or_else(|| denied_by(&seen.denied_by), |rule| format!(", rule {rule}"))
    )
}

/// Whose rules would have had to match.
fn denied_by(rules: &[RuleView]) -> String {
    let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
    if rules.is_empty() { String::new() } else { format!(", no rule of {}", rules.join(", ")) }
}

/// `257 ([k8s:class=tiefighter k8s:org=empire])`; 0 is no endpoint of this node.
fn end(peer: &PeerView) -> String {
    let labels: Vec<String> = peer.labels.iter().map(ToString::to_string).collect();
    format!("{} ([{}])", peer.endpoint.map_or(0, |id| id.get()), labels.join(" "))
}

fn content(content: &Content) -> String {
    match content {
        Content::Http { version: _, method, path, host, status, grpc_status, headers: _ } => {
            let grpc = grpc_status.map_or(String::new(), |status| format!(" grpc-status {status}"));
            format!("{method} http://{host}{path} => {}{grpc}", status.unwrap_or_default())
        }
        Content::Kafka { api, topics, error, .. } => {
            let error = error.map_or(String::new(), |error| format!(" => {error}"));
            let topics = if topics.is_empty() { "-".to_owned() } else { topics.join(",") };
            format!("{api} topic {topics}{error}")
        }
        Content::Tls { server_name } => format!("server name {}", server_name.as_deref().unwrap_or("-")),
        Content::Dns { name, kind, answer: None } => format!("DNS Query: {name} {kind}"),
        Content::Dns { name, kind, answer: Some(answer) } => {
            format!("DNS Query: {name} {kind} => {}", dns_answer(answer))
        }
        Content::Malformed { reason } => reason.clone(),
    }
}

/// `RCODE 0, TTL 60, CNAME edge.example, 192.0.2.7 192.0.2.8`
fn dns_answer(answer: &DnsAnswerView) -> String {
    let mut text = format!("RCODE {}", answer.code);
    if !answer.addresses.is_empty() {
        text.push_str(&format!(", TTL {}", answer.ttl));
    }
    if !answer.aliases.is_empty() {
        text.push_str(&format!(", CNAME {}", answer.aliases.join(" ")));
    }
    if !answer.addresses.is_empty() {
        let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
        text.push_str(&format!(", {}", addresses.join(" ")));
    }
    text
}

/// One end by name and labels, indented.
pub fn side(title: &str, peer: &PeerView) -> String {
    let name = peer.name.as_deref().unwrap_or("-");
    format!("    {title:<12} {name} [{}]\n", peer.labels)
}

/// Time, both ends, how long the answer took, and the rule's description, indented.
pub fn particulars(event: &Event, seen: &RequestEvent) -> String {
    let mut text = format!("    {:<12} {:.6}\n", "time", event.time);
    text.push_str(&side("source", &seen.source));
    text.push_str(&side("destination", &seen.destination));
    if let Some(latency) = seen.latency {
        let taken = std::time::Duration::from_nanos(latency);
        text.push_str(&format!("    {:<12} {taken:.1?}\n", "took"));
    }
    if let Content::Kafka { version, client_id, correlation_id, .. } = &seen.content {
        let client = client_id.as_deref().unwrap_or("-");
        text.push_str(&format!(
            "    {:<12} version {version}, client ID {client}, correlation ID {correlation_id}\n",
            "kafka"
        ));
    }
    if let Content::Http { version, headers, .. } = &seen.content {
        text.push_str(&format!("    {:<12} {version}\n", "protocol"));
        for (name, value) in headers {
            text.push_str(&format!("    {:<12} {name}: {value}\n", "header"));
        }
    }
    if let Some(rule) = seen.rule.as_ref().filter(|rule| !rule.description.is_empty()) {
        text.push_str(&format!("    {:<12} {}\n", "because", rule.description));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn show(changed: Value) -> String {
        let mut event = json!({
            "message": "request", "verdict": "forwarded", "direction": "ingress",
            "source": {"address": "10.0.0.1", "port": 3434, "identity": 257, "endpoint": 7,
                       "labels": ["k8s:class=tiefighter", "k8s:org=empire"]},
            "destination": {"address": "10.0.0.2", "port": 80, "identity": 256, "endpoint": 65,
                            "labels": ["k8s:class=deathstar"]},
        });
        event.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        line(&serde_json::from_value(event).unwrap(), &Page::plain())
    }

    #[test]
    fn lines_read_as_in_cilium() {
        let ends =
            "7 ([k8s:class=tiefighter k8s:org=empire]) to 65 ([k8s:class=deathstar]), identity 257->256";
        let http = |status: Value| json!({"method": "POST", "path": "/v1/x?y", "host": "deathstar", "status": status});
        let rule = json!({"id": 16, "object": "cnp/default/rule1", "section": "spec.ingress[0].toPorts[0]"});
        for (changed, expected) in [
            (
                json!({"http": http(Value::Null), "rule": rule}),
                format!(
                    "<- Request http from {ends}, verdict Forwarded POST http://deathstar/v1/x?y => 0, \
                     rule cnp/default/rule1 spec.ingress[0].toPorts[0]"
                ),
            ),
            (
                json!({"http": http(json!(403)), "verdict": "denied", "direction": "egress"}),
                format!("-> Request http from {ends}, verdict Denied POST http://deathstar/v1/x?y => 403"),
            ),
            (
                json!({"kafka": {"api": "produce", "version": 9, "topics": ["a", "b"]}, "verdict": "audited"}),
                format!("<- Request kafka from {ends}, verdict Audited produce topic a,b"),
            ),
            (json!({"tls": {}}), format!("<- Request tls from {ends}, verdict Forwarded server name -")),
            (
                json!({"dns": {"name": "api.twitter.com.", "type": "AAAA"}}),
                format!("<- Request dns from {ends}, verdict Forwarded DNS Query: api.twitter.com. AAAA"),
            ),
            (
                json!({"dns": {"name": "api.twitter.com", "type": "A", "answer": {
                    "code": 0, "ttl": 60, "aliases": ["edge.twitter.com"], "addresses": ["192.0.2.7"]}}}),
                format!(
                    "<- Request dns from {ends}, verdict Forwarded DNS Query: api.twitter.com A => \
                     RCODE 0, TTL 60, CNAME edge.twitter.com, 192.0.2.7"
                ),
            ),
            (
                json!({"dns": {"name": "x", "type": "A", "answer": {"code": 5}}, "verdict": "denied", "deniedBy": [rule]}),
                format!(
                    "<- Request dns from {ends}, verdict Denied DNS Query: x A => RCODE 5, \
                     no rule of cnp/default/rule1 spec.ingress[0].toPorts[0]"
                ),
            ),
            (
                json!({"malformed": {"reason": "bare-lf"}, "verdict": "refused"}),
                format!("<- Request malformed from {ends}, verdict Refused bare-lf"),
            ),
            (
                json!({"http": http(json!(200)), "message": "response",
                       "destination": {"address": "10.0.0.1", "port": 3434, "identity": 300, "labels": []}}),
                "<- Response http to 0 ([]) from 7 ([k8s:class=tiefighter k8s:org=empire]), identity 257->300, \
                 verdict Forwarded POST http://deathstar/v1/x?y => 200"
                    .to_owned(),
            ),
        ] {
            assert_eq!(show(changed), expected);
        }
    }
}
