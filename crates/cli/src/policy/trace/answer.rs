//! The answer to `ciliate policy trace`, rule by rule.

use crate::output::{Page, Tone, View};
use ciliate_api::{DirectionTrace, RuleOutcome, TraceReply, TraceSide, Verdict};
use ciliate_types::Direction;
use serde::{Serialize, Serializer};

/// One answer, or one for each protocol.
pub struct Answers(pub Vec<TraceReply>);

impl Serialize for Answers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl View for Answers {
    fn text(&self, page: &Page) -> String {
        let texts: Vec<String> = self.0.iter().map(|reply| text(reply, page)).collect();
        texts.join("\n")
    }
}

fn text(reply: &TraceReply, page: &Page) -> String {
    let mut text = format!("{}\n", "-".repeat(64));
    text.push_str(&format!(
        "Tracing From: {}\n       => To: {}\n       Ports: [{}]\n",
        side(&reply.source),
        side(&reply.destination),
        reply.traffic
    ));
    if let Some(request) = &reply.request {
        text.push_str(&format!("     Request: {request}\n"));
    }
    for direction in &reply.directions {
        text.push_str(&judgement(direction, reply, page));
    }
    let verdict = reply.verdict.to_string();
    text.push_str(&format!("\nFinal verdict: {}\n", page.paint(&verdict, tone(reply.verdict))));
    text
}

/// `[k8s:org=empire] (endpoint 65)`
fn side(side: &TraceSide) -> String {
    let mut text = format!("[{}]", side.labels);
    if let Some(endpoint) = side.endpoint {
        text.push_str(&format!(" (endpoint {endpoint})"));
    }
    if let Some(address) = side.address {
        text.push_str(&format!(" ({address})"));
    }
    text
}

/// What one direction says and every rule that it weighed.
fn judgement(direction: &DirectionTrace, reply: &TraceReply, page: &Page) -> String {
    let (name, subject) = match direction.direction {
        Direction::Ingress => ("Ingress", &reply.destination),
        Direction::Egress => ("Egress", &reply.source),
    };
    let whom = match subject.endpoint {
        Some(endpoint) => format!("endpoint {endpoint}"),
        None => format!("[{}]", subject.labels),
    };
    let mut text = format!("\nResolving {} policy for {whom}\n", direction.direction);
    match direction.isolated_by.as_slice() {
        [] => text.push_str("  Not isolated\n"),
        policies => text.push_str(&format!("  Isolated by {}\n", policies.join(", "))),
    }
    for considered in &direction.considered {
        let tone = match considered.outcome {
            RuleOutcome::Decides => Tone::Title,
            RuleOutcome::Overruled => Tone::Doubtful,
            RuleOutcome::NoMatch => Tone::Faint,
        };
        let outcome = page.paint(&considered.outcome.to_string(), tone);
        text.push_str(&format!("  * Rule {}: {outcome}\n      {}\n", considered.rule, considered.why));
        considered.l7.iter().for_each(|way| text.push_str(&format!("      allows {way}\n")));
    }
    let verdict = direction.verdict.to_string().to_lowercase();
    text.push_str(&format!("{name} verdict: {}", page.paint(&verdict, tone(direction.verdict))));
    if let Some(rule) = &direction.decided_by {
        text.push_str(&format!(", by rule {rule}"));
        if !rule.description.is_empty() {
            text.push_str(&format!(" ({})", rule.description));
        }
        if direction.verdict == Verdict::Redirected {
            text.push_str(&format!(", {}", direction.why));
        }
    } else if !direction.why.is_empty() {
        text.push_str(&format!(", {}", direction.why));
    }
    text.push('\n');
    text
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Allowed => Tone::Good,
        Verdict::Denied => Tone::Bad,
        Verdict::Redirected | Verdict::Audit => Tone::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_answer_says_what_a_request_has_to_be_like() {
        let rule = json!({"id": 16, "object": "cnp/default/rule1", "section": "spec.ingress[0].toPorts[0]"});
        let reply: TraceReply = serde_json::from_value(json!({
            "source": {"labels": ["k8s:org=empire"]}, "destination": {"labels": ["k8s:class=deathstar"]},
            "traffic": "80/TCP", "request": "http PUT /v1", "verdict": "redirected", "text": "",
            "directions": [{
                "direction": "ingress", "isolatedBy": [], "verdict": "redirected", "why": "to the proxy: allowed if http method POST",
                "considered": [{"rule": rule, "outcome": "decides", "why": "any peer", "l7": ["http method POST"]}], "decidedBy": rule,
            }],
        }))
        .unwrap();
        let shown = text(&reply, &Page::plain());
        for line in [
            "     Request: http PUT /v1",
            "      allows http method POST",
            "Ingress verdict: redirected, by rule cnp/default/rule1 spec.ingress[0].toPorts[0], to the proxy: allowed if http method POST",
            "Final verdict: REDIRECTED",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line:?} is not in\n{shown}");
        }
    }

    #[test]
    fn the_answer_names_the_rule_that_decided_and_those_that_did_not() {
        let rule = json!({"id": 16, "object": "cnp/default/rule1", "section": "spec.ingress[0]", "description": "empire only"});
        let reply: TraceReply = serde_json::from_value(json!({
            "source": {"endpoint": 66, "labels": ["k8s:org=alliance"]},
            "destination": {"endpoint": 65, "labels": ["k8s:org=empire"]},
            "traffic": "80/TCP", "verdict": "denied", "text": "",
            "directions": [
                {"direction": "egress", "isolatedBy": [], "considered": [], "verdict": "allowed", "why": "no policy selects it"},
                {"direction": "ingress", "isolatedBy": ["cnp/default/rule1"], "verdict": "denied", "why": "no rule allows it",
                 "considered": [{"rule": rule, "outcome": "no-match", "why": "the source lacks org=empire"}]},
            ],
        }))
        .unwrap();
        let expected = "\
----------------------------------------------------------------
Tracing From: [k8s:org=alliance] (endpoint 66)
       => To: [k8s:org=empire] (endpoint 65)
       Ports: [80/TCP]

Resolving egress policy for endpoint 66
  Not isolated
Egress verdict: allowed, no policy selects it

Resolving ingress policy for endpoint 65
  Isolated by cnp/default/rule1
  * Rule cnp/default/rule1 spec.ingress[0]: no match
      the source lacks org=empire
Ingress verdict: denied, no rule allows it

Final verdict: DENIED
";
        assert_eq!(text(&reply, &Page::plain()), expected);
    }
}
