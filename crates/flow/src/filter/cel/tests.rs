use super::{
    view::{DESTINATION, EVENT_TYPE, FLAGS, FLOW as FIELDS, Field, IP, LAYER4, Message, SOURCE, TCP, UDP},
    *,
};
use crate::{mask::POOL, message::tests::flow as any_flow};
use cel::objects::{Key, Map};
use proptest::prelude::*;
use std::collections::HashMap;

fn says(text: &str, flow: &Flow) -> bool {
    Expression::any(&[Expression::read(text).unwrap()], flow)
}

/// As the view has it, all of a message made.
fn shown(field: Field<'_>, flow: &Flow) -> Option<Value> {
    let text = |text: &str| Value::String(Arc::new(text.to_owned()));
    Some(match field {
        Field::Flag(yes) => Value::Bool(yes),
        Field::Int(number) => Value::Int(number),
        Field::UInt(number) => Value::UInt(number),
        Field::Text(shown) => text(&shown),
        Field::Made(value) => value,
        Field::Texts(texts) => Value::List(Arc::new(texts.iter().map(|shown| text(shown)).collect())),
        Field::Message(Message(fields)) => {
            let fields = fields
                .iter()
                .filter_map(|(name, get)| Some((Key::from((*name).to_owned()), shown(get(flow), flow)?)));
            Value::Map(Map { map: Arc::new(fields.collect::<HashMap<_, _>>()) })
        }
        Field::None | Field::Elsewhere => return None,
    })
}

proptest! {
    /// What is made of a flow at once is what its message says.
    #[test]
    fn a_view_is_what_the_message_says(flow in any_flow()) {
        for (name, get) in FIELDS.0 {
            let field = get(&flow);
            if !matches!(field, Field::Elsewhere) {
                prop_assert_eq!(shown(field, &flow), whole::field(&flow, name), "{}", name);
            }
        }
    }
}

#[test]
fn a_view_has_all_fields_of_its_messages() {
    for (name, message) in [
        ("CiliumEventType", &EVENT_TYPE),
        ("Endpoint", &SOURCE),
        ("Endpoint", &DESTINATION),
        ("IP", &IP),
        ("TCP", &TCP),
        ("UDP", &UDP),
        ("TCPFlags", &FLAGS),
    ] {
        let described = POOL.as_ref().unwrap().get_message_by_name(&format!("flow.{name}")).unwrap();
        for field in described.fields() {
            assert!(message.0.iter().any(|(name, _)| *name == field.name()), "{}", field.full_name());
        }
    }
    assert_eq!(LAYER4.0.len(), 2);
}

#[test]
fn patterns_are_compiled_once_and_bounded() {
    let flow = Flow::from_message(&ciliate_hubble::flow::Flow {
        node_name: "node-1".to_owned(),
        ..Default::default()
    })
    .unwrap();
    assert!(says("_flow.node_name.matches('^node-[0-9]$')", &flow));
    assert!(says("matches(_flow.node_name, 'ode')", &flow));
    assert!(!says("_flow.node_name.matches('(a{1000}){1000}')", &flow), "too large is an error");
    assert!(says("!(_flow.node_name.matches('^x'))", &flow));
}

#[test]
fn what_takes_too_long_or_too_much_is_refused() {
    let doubled = |times| format!("['ab']{}.size() == 1", ".map(x, x + x)".repeat(times));
    let listed = |times| format!("['ab']{}.size() == 1", ".map(x, [x, x])".repeat(times));
    let ones = vec!["1"; 1000].join(",");
    for text in [
        doubled(100),
        listed(100),
        format!("[{ones}].all(a, [{ones}].all(b, a == b))"),
        "_flow.source.labels.all(a, _flow.source.labels.all(b, _flow.source.labels.map(c, a + b + c).size() > 0))"
            .to_owned(),
    ] {
        assert!(Expression::read(&text).is_err(), "{text}");
    }
    for text in [
        doubled(3),
        "_flow.source.labels.exists(a, _flow.destination.labels.exists(b, a == b))".to_owned(),
        format!("_flow.source.identity in [{}]", vec!["1u"; 1000].join(",")),
        "_flow.egress_denied_by.exists(p, p.labels.exists(l, l.startsWith('k8s:') || l == 'x'))".to_owned(),
    ] {
        assert!(Expression::read(&text).is_ok(), "{text}");
    }
}

/// A flow with lists of thousands of elements is no match rather than a long wait.
#[test]
fn flows_that_would_take_too_long_are_no_match() {
    let labels = |count| {
        let source = ciliate_hubble::flow::Endpoint {
            labels: (0..count).map(|number| format!("k8s:l{number}=x")).collect(),
            ..Default::default()
        };
        Flow::from_message(&ciliate_hubble::flow::Flow { source: Some(source), ..Default::default() })
            .unwrap()
    };
    let pairs = "_flow.source.labels.exists(a, _flow.source.labels.exists(b, a == b))";
    assert!(says(pairs, &labels(40)));
    assert!(!says(pairs, &labels(10_000)));
}

/// Looking names up before there is a flow changes no answer.
#[test]
fn names_mean_the_same_wherever_they_stand() {
    let flow = Flow::from_message(&ciliate_hubble::flow::Flow {
        verdict: ciliate_hubble::flow::Verdict::Dropped.into(),
        source: Some(ciliate_hubble::flow::Endpoint {
            identity: 5,
            labels: vec!["k8s:app=web".to_owned()],
            ..Default::default()
        }),
        l7: Some(ciliate_hubble::flow::Layer7 {
            record: Some(ciliate_hubble::flow::layer7::Record::Http(ciliate_hubble::flow::Http {
                code: 404,
                ..Default::default()
            })),
            ..Default::default()
        }),
        ..Default::default()
    })
    .unwrap();
    for text in [
        "_flow.verdict == Verdict.DROPPED && _flow['verdict'] == Verdict['DROPPED']",
        "_flow.verdict == flow.Verdict.DROPPED && flow['Verdict'].DROPPED == Verdict.DROPPED",
        "_flow.source.identity == 5u && _flow['source'].identity == _flow.source['identity']",
        "_flow.l7.http.code == 404u && has(_flow.l7.http.code) && has(_flow.l7) && has(_flow.source.identity)",
        "!has(_flow.l4) && !has(_flow.IP)",
        "_flow.source.labels[0] == 'k8s:app=web' && _flow.source.labels.exists(_flow, _flow == 'k8s:app=web')",
        "[{'DROPPED': 7}].exists(Verdict, Verdict.DROPPED == 7)",
        "[_flow].exists(one, one.source.identity == 5u)",
    ] {
        assert!(says(text, &flow), "{text}");
    }
    for text in ["_flow.l4.TCP.flags.SYN", "_flow.l7.dns.rcode == 0u", "_flow['nothing'] == 1"] {
        assert!(!says(text, &flow), "{text} is an error, and that is no match");
        assert!(!says(&format!("!({text})"), &flow), "{text} is an error, and so is its opposite");
    }
}

#[test]
fn names_that_nothing_has_are_refused_with_those_that_there_are() {
    for (text, expected) in [
        ("_flow.verdct == 1", "flow.Flow has no \"verdct\", it has time, "),
        ("[1].exists(x, x == _flow.source.lables[0])", "flow.Endpoint has no \"lables\", it has ID, "),
        ("has(_flow.l7.htp)", "flow.Layer7 has no \"htp\", it has type, "),
        ("_flow.source.identity.more == 1", "a field of _flow.source.identity, which is a list or a value"),
        ("_flow.is_reply.value", "a field of _flow.is_reply, which is a list or a value"),
        ("_flow.egress_denied_by.name == 'x'", "a field of _flow.egress_denied_by, which is a list"),
        ("has(_flow.source.labels.x)", "a field of _flow.source.labels, which is a list"),
        ("_flow.flow.verdict == 1", "flow.Flow has no \"flow\""),
        (
            "_flow.verdict == Verdict.DROPED",
            "Verdict.DROPED, but Verdict has VERDICT_UNKNOWN, FORWARDED, DROPPED, ",
        ),
        ("_flow.verdict == flow.Verdit.DROPPED", "flow.Verdit, but flow has "),
        ("_flow.verdict == Verdikt.DROPPED", "unknown name Verdikt: the flow is _flow"),
    ] {
        let error = Expression::read(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
