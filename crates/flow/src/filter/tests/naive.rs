//! The obvious reading of filters, over messages, with no regard for time.

use super::*;
use crate::message::tests::flow as any_flow;
use hubble::{Flow as Message, FlowFilter, layer4::Protocol, layer7::Record};
use proptest::{collection::vec, prelude::*};
use std::sync::Arc;

fn ports(message: &Message) -> Option<(u32, u32)> {
    match message.l4.as_ref()?.protocol.as_ref()? {
        Protocol::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
        Protocol::Udp(udp) => Some((udp.source_port, udp.destination_port)),
        Protocol::Sctp(sctp) => Some((sctp.source_port, sctp.destination_port)),
        _ => None,
    }
}

fn is_protocol(message: &Message, name: &str) -> bool {
    let l4 = message.l4.as_ref().and_then(|l4| l4.protocol.as_ref());
    let l7 = message.l7.as_ref().and_then(|l7| l7.record.as_ref());
    match name {
        "tcp" => matches!(l4, Some(Protocol::Tcp(_))),
        "udp" => matches!(l4, Some(Protocol::Udp(_))),
        "icmp" => matches!(l4, Some(Protocol::IcmPv4(_) | Protocol::IcmPv6(_))),
        "icmpv6" => matches!(l4, Some(Protocol::IcmPv6(_))),
        "dns" => matches!(l7, Some(Record::Dns(_))),
        "http" => matches!(l7, Some(Record::Http(_))),
        other => panic!("{other}"),
    }
}

fn one_of<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

/// The fields that [`any_filter`] makes.
fn naive(filter: &FlowFilter, message: &Message) -> bool {
    let source = message.source.clone().unwrap_or_default();
    let http = match message.l7.as_ref().and_then(|l7| l7.record.clone()) {
        Some(Record::Http(http)) => Some(http),
        _ => None,
    };
    one_of(&filter.verdict, |v| *v == message.verdict)
        && one_of(&filter.drop_reason_desc, |v| {
            message.verdict() == hubble::Verdict::Dropped && *v == message.drop_reason_desc
        })
        && one_of(&filter.destination_port, |v| ports(message).is_some_and(|p| p.1.to_string() == *v))
        && one_of(&filter.source_port, |v| {
            let (first, last) = v.split_once('-').unwrap();
            let range = first.parse().unwrap()..=last.parse().unwrap();
            ports(message).is_some_and(|p| range.contains(&p.0))
        })
        && one_of(&filter.protocol, |v| is_protocol(message, v))
        && one_of(&filter.source_identity, |v| *v == source.identity)
        && one_of(&filter.source_pod, |v| {
            let (namespace, pod) = v.split_once('/').unwrap();
            !(source.namespace.is_empty() && source.pod_name.is_empty())
                && (namespace.is_empty() || namespace == source.namespace)
                && source.pod_name.starts_with(pod)
        })
        && one_of(&filter.source_label, |v| match v.strip_prefix('!') {
            Some(key) => !source.labels.iter().any(|label| label.starts_with(&format!("k8s:{key}="))),
            None => source.labels.contains(&format!("k8s:{v}")),
        })
        && one_of(&filter.reply, |v| match message.is_reply {
            Some(reply) => reply.value == *v,
            None => message.verdict() == hubble::Verdict::Dropped && !v,
        })
        && one_of(&filter.http_method, |v| {
            http.as_ref().is_some_and(|http| http.method.to_lowercase() == v.to_lowercase())
        })
        && one_of(&filter.http_status_code, |v| {
            let digits = v.trim_end_matches('+');
            http.as_ref().is_some_and(|http| http.code > 99 && http.code.to_string().starts_with(digits))
        })
        && one_of(&filter.event_type, |v| {
            let event = message.event_type.unwrap_or_default();
            v.r#type == event.r#type && (!v.match_sub_type || v.sub_type == event.sub_type)
        })
        && one_of(&filter.destination_ip, |v| message.ip.as_ref().is_some_and(|ip| ip.destination == *v))
        && one_of(&filter.source_fqdn, |v| {
            let tail = v.trim_start_matches('*');
            message.source_names.iter().any(|name| name.ends_with(tail))
        })
}

fn few<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    (0..4_u8, vec(value, 1..4)).prop_map(|(used, values)| if used == 0 { values } else { Vec::new() })
}

fn any_filter() -> impl Strategy<Value = FlowFilter> {
    let first = (
        few(0..7_i32),
        few(prop_oneof![Just(133), Just(181), Just(0)]),
        few((0..2000_u16).prop_map(|port| port.to_string())),
        few((0..60000_u32).prop_map(|port| format!("{port}-{}", port.saturating_add(9000).min(65535)))),
        few(prop_oneof![Just("tcp"), Just("udp"), Just("icmp"), Just("icmpv6"), Just("dns"), Just("http")]),
        few(0..400_u32),
        few(("[a-z]{0,2}", "[a-z]{0,1}").prop_map(|(namespace, pod)| format!("{namespace}/{pod}"))),
    );
    let second = (
        few(prop_oneof!["![a-z]", "[a-z]=[a-z]"]),
        few(any::<bool>()),
        few("[A-Za-z]{3}"),
        few("[1-5]([0-9]\\+|\\+|[0-9]{2})"),
        few((0..7_i32, any::<bool>(), 0..3_i32)),
        few(prop_oneof![Just("10.0.0.2"), Just("fd00::2")]),
        few("\\*[a-z]?\\.com"),
    );
    (first, second).prop_map(|(first, second)| {
        let (verdict, drop_reason_desc, destination_port, source_port, protocol, source_identity, source_pod) = first;
        let (source_label, reply, http_method, http_status_code, events, destination_ip, source_fqdn) = second;
        let asks_http = !http_method.is_empty() || !http_status_code.is_empty();
        let event = |(r#type, match_sub_type, sub_type)| hubble::EventTypeFilter {
            r#type: if asks_http || r#type == 0 { 129 } else { r#type },
            match_sub_type,
            sub_type,
        };
        FlowFilter {
            verdict,
            drop_reason_desc,
            destination_port,
            source_port,
            protocol: protocol.into_iter().map(str::to_owned).collect(),
            source_identity,
            source_pod,
            source_label,
            reply,
            http_method,
            http_status_code,
            event_type: events.into_iter().map(event).collect(),
            destination_ip: destination_ip.into_iter().map(str::to_owned).collect(),
            source_fqdn,
            ..FlowFilter::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn compiled_filters_say_what_the_obvious_reading_says(
        flow in any_flow(), allow in vec(any_filter(), 0..3), deny in vec(any_filter(), 0..2)
    ) {
        let message = flow.to_message();
        let filter = Filter::new(&allow, &deny).unwrap();
        let expected = (allow.is_empty() || allow.iter().any(|one| naive(one, &message)))
            && !deny.iter().any(|one| naive(one, &message));
        prop_assert_eq!(filter.matches(&flow), expected);
        let mut judge = Judge::new(Arc::new(filter));
        prop_assert_eq!((judge.passes(&flow), judge.passes(&flow)), (expected, expected));
    }

    /// Whatever is written into a filter, it is compiled or refused, and asked without a panic.
    #[test]
    fn no_text_brings_a_filter_down(flow in any_flow(), text in "\\PC{0,12}|[a-z!=<>(),:/*.+ 0-9]{0,16}", field in 0..15_usize) {
        let mut filter = FlowFilter::default();
        let fields = [
            &mut filter.uuid, &mut filter.source_ip, &mut filter.source_pod, &mut filter.source_fqdn,
            &mut filter.source_label, &mut filter.source_service, &mut filter.source_cluster_name,
            &mut filter.http_status_code, &mut filter.protocol, &mut filter.source_port, &mut filter.dns_query,
            &mut filter.http_path, &mut filter.node_name, &mut filter.node_labels,
        ];
        match fields.into_iter().nth(field) {
            Some(field) => field.push(text),
            None => filter.experimental = Some(hubble::flow_filter::Experimental { cel_expression: vec![text] }),
        }
        if let Ok(filter) = Filter::new(&[filter], &[]) {
            let _ = filter.matches(&flow);
        }
    }

    /// The two ways of matching a name: going back to the last star, and a regular expression.
    #[test]
    fn stars_stand_for_any_run(pattern in "[ab.*]{1,8}", name in "[ab.]{0,10}") {
        let Ok(glob) = super::super::name::NameGlob::read(&pattern) else { return Ok(()) };
        let trimmed = pattern.strip_suffix('.').unwrap_or(&pattern);
        let expression = format!("^{}$", trimmed.replace('.', "[.]").replace('*', "[-_.0-9a-z]*"));
        prop_assert_eq!(glob.fits(&name), regex::Regex::new(&expression).unwrap().is_match(&name));
    }
}
