use super::*;
use crate::events::packet::tests::seen;
use ciliate_abi::verdict_bits;
use ciliate_flow::{Outcome as Judged, PolicyRef};

fn known(name: &str) -> Known {
    let judgement = |outcome| {
        Arc::new(Judgement { outcome, by: vec![PolicyRef { name: name.to_owned(), ..PolicyRef::default() }] })
    };
    Known {
        view: ciliate_api::RuleView::default(),
        allowed: judgement(Judged::Allowed),
        denied: judgement(Judged::Denied),
        match_type: MatchType::L3L4,
    }
}

fn flows(seen: &Seen) -> Vec<String> {
    let (out, into) = (known("out"), known("in"));
    let rules = Rules { egress: Some(&out), ingress: Some(&into) };
    let mut flows = Vec::new();
    let by = |judgement: &Option<Arc<Judgement>>| {
        judgement.as_ref().map_or_else(String::new, |judgement| {
            let names: Vec<_> = judgement.by.iter().map(|policy| policy.name.as_str()).collect();
            format!("{:?} {}", judgement.outcome, names.join(" "))
        })
    };
    Flows::new(Arc::default(), "default").of(&Arc::new(State::new()), seen, Time(9), rules, |flow| {
        let (source, destination) = flow.transport.ports().unwrap_or_default();
        flows.push(format!(
            "{:?} {:?} {:?} {:?} {}:{source} {}:{destination} egress [{}] ingress [{}]",
            flow.event,
            flow.verdict,
            flow.direction,
            flow.answer,
            flow.source.address.expect("an address"),
            flow.destination.address.expect("an address"),
            by(&flow.egress),
            by(&flow.ingress),
        ));
    });
    flows
}

#[test]
fn one_event_of_the_kernel_is_its_verdicts_and_its_fate() {
    let ends = "10.0.0.1:4000 10.0.0.2:80";
    let trace = |reason| {
        format!(
            "Trace(ToEndpoint, {reason}) Forwarded Egress No {ends} egress [Allowed out] ingress [Allowed in]"
        )
    };
    assert_eq!(
        flows(&seen()),
        [
            format!("PolicyVerdict(None) Forwarded Egress No {ends} egress [Allowed out] ingress []"),
            format!("PolicyVerdict(None) Forwarded Ingress No {ends} egress [] ingress [Allowed in]"),
            trace("New"),
        ]
    );
    assert_eq!(
        flows(&Seen { verdicts: 0, flags: event_flags::ESTABLISHED, ..seen() }),
        [trace("Established")]
    );
}

#[test]
fn what_the_kernel_was_to_leave_out_is_no_flow() {
    let all = flows(&seen());
    let told = |flags| flows(&Seen { flags, ..seen() });
    assert_eq!(told(event_flags::PACKET_UNTOLD), all[..2]);
    assert_eq!(told(event_flags::VERDICTS_UNTOLD), all[2..]);
}

#[test]
fn a_denial_names_its_rule_and_what_had_let_it_pass_before() {
    let ends = "10.0.0.1:4000 10.0.0.2:80";
    let denied = Seen {
        kind: EventKind::Drop as u8,
        detail: ciliate_abi::DropReason::PolicyDeny as u8,
        direction: Direction::Ingress as u8,
        verdicts: verdict_bits(Direction::Egress, Outcome::Allowed)
            | verdict_bits(Direction::Ingress, Outcome::Denied),
        ..seen()
    };
    assert_eq!(
        flows(&denied),
        [
            format!("PolicyVerdict(None) Forwarded Egress No {ends} egress [Allowed out] ingress []"),
            format!(
                "PolicyVerdict(Some(PolicyDeny)) Dropped Ingress Unknown {ends} egress [] ingress [Denied in]"
            ),
            format!(
                "Drop(PolicyDeny) Dropped Ingress Unknown {ends} egress [Allowed out] ingress [Denied in]"
            ),
        ]
    );
}

#[test]
fn an_answer_that_is_refused_was_judged_as_what_it_answers() {
    let refused = Seen {
        kind: EventKind::Drop as u8,
        detail: ciliate_abi::DropReason::Policy as u8,
        direction: Direction::Ingress as u8,
        verdicts: verdict_bits(Direction::Ingress, Outcome::Unmatched),
        flags: event_flags::REPLY | event_flags::ESTABLISHED,
        ..seen()
    };
    let found = flows(&refused);
    assert!(found[0].contains("10.0.0.2:80 10.0.0.1:4000"), "{found:?}");
    assert!(found[1].contains("10.0.0.1:4000 10.0.0.2:80"), "{found:?}");
}

#[test]
fn hubble_knows_our_reasons() {
    use ciliate_abi::DropReason as Ours;
    for reason in Ours::ALL {
        let known = DropReason::try_from(i32::from(*reason as u8)).is_ok();
        assert_eq!(known, *reason != Ours::Multicast, "{reason:?}");
    }
}
