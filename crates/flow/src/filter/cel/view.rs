//! A flow as an expression sees it. A field is made when it is asked for, and no others.

use super::whole;
use crate::{Answer, End, Event, Flow, Party, Transport};
use cel::{
    ExecutionError, Value,
    common::{
        traits::Indexer,
        types::{CelBool, CelInt, CelList, CelString, CelUInt, Type},
        value::{CowVal, Val},
    },
};
use std::{borrow::Cow, net::IpAddr};

static TYPE: Type = Type::new_unspecified_type("flow.Flow");

/// A message: the flow's own or one inside of it.
#[derive(Clone, Debug)]
pub struct View<'a> {
    flow: &'a Flow,
    message: &'static Message,
}

/// Fields of a message by their names in Hubble's interface. Those of a flow that are not among them are asked of its
/// message as a whole.
#[derive(Debug)]
pub struct Message(pub &'static [(&'static str, Get)]);

pub type Get = for<'a> fn(&'a Flow) -> Field<'a>;

/// What a field holds.
pub enum Field<'a> {
    Flag(bool),
    Int(i64),
    UInt(u64),
    Text(Cow<'a, str>),
    Texts(&'a [String]),
    Made(Value),
    Message(&'static Message),
    /// A message that is not there.
    None,
    /// To be asked of the whole message.
    Elsewhere,
}

impl<'a> View<'a> {
    pub fn new(flow: &'a Flow) -> Self {
        Self { flow, message: &FLOW }
    }

    /// A field of a field of it and so on; none where one of them is none or is not there.
    pub fn field<'v>(&self, names: &[String]) -> Option<Box<dyn Val + 'v>>
    where
        'a: 'v,
    {
        let (first, mut rest) = names.split_first()?;
        let (mut name, mut message) = (first, self.message);
        while let (Field::Message(inner), Some((next, others))) =
            (message.get(name, self.flow), rest.split_first())
        {
            (name, message, rest) = (next, inner, others);
        }
        let value = View { flow: self.flow, message }.value(name)?;
        rest.iter().try_fold(value, |value, name| element(value, name))
    }

    /// A field as a value; none where it has no such field, or that is not there.
    fn value<'v>(&self, name: &str) -> Option<Box<dyn Val + 'v>>
    where
        'a: 'v,
    {
        Some(match self.message.get(name, self.flow) {
            Field::Flag(yes) => Box::new(CelBool::from(yes)),
            Field::Int(number) => Box::new(CelInt::from(number)),
            Field::UInt(number) => Box::new(CelUInt::from(number)),
            Field::Text(text) => Box::new(CelString::from(text)),
            Field::Texts(texts) => {
                let texts = texts
                    .iter()
                    .map(|text| -> Box<dyn Val + 'v> { Box::new(CelString::from(text.as_str())) });
                Box::new(CelList::from(texts.collect::<Vec<_>>()))
            }
            Field::Made(value) => value.try_into().ok()?,
            Field::Message(message) => Box::new(View { flow: self.flow, message }),
            Field::None => return None,
            Field::Elsewhere if std::ptr::eq(self.message, &FLOW) => {
                whole::field(self.flow, name)?.try_into().ok()?
            }
            Field::Elsewhere => return None,
        })
    }
}

impl Message {
    fn get<'a>(&self, name: &str, flow: &'a Flow) -> Field<'a> {
        let get = self.0.iter().find(|(known, _)| *known == name).map(|(_, get)| get);
        get.map_or(Field::Elsewhere, |get| get(flow))
    }
}

/// What a value has under a name, if it has something there.
pub fn element<'v>(value: Box<dyn Val + 'v>, name: &str) -> Option<Box<dyn Val + 'v>> {
    let name = CelString::from(name);
    match value.as_indexer() {
        None => None,
        Some(_) => value.into_indexer()?.steal(&name).ok(),
    }
}

impl Val for View<'_> {
    fn get_type(&self) -> &Type {
        &TYPE
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Indexer for View<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name.downcast_ref::<CelString<'_>>().map_or("", |name| name.inner());
        self.value(name).map(CowVal::Owned).ok_or_else(|| ExecutionError::no_such_key(name))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name.downcast_ref::<CelString<'_>>().map_or("", |name| name.inner());
        self.value(name).ok_or_else(|| ExecutionError::no_such_key(name))
    }
}

fn text(text: &str) -> Field<'_> {
    Field::Text(Cow::Borrowed(text))
}

fn address(address: Option<IpAddr>) -> Field<'static> {
    Field::Text(Cow::Owned(address.map_or_else(String::new, |address| address.to_string())))
}

fn names(end: &End) -> Field<'_> {
    Field::Texts(end.names.as_deref().unwrap_or_default())
}

pub static FLOW: Message = Message(&[
    ("verdict", |flow| Field::Int(flow.verdict as i64)),
    ("drop_reason_desc", |flow| Field::Int(flow.drop_reason().unwrap_or_default() as i64)),
    ("traffic_direction", |flow| Field::Int(flow.direction as i64)),
    ("policy_match_type", |flow| Field::UInt(flow.match_type as u64)),
    ("trace_observation_point", |flow| match flow.event {
        Event::Trace(point, _) => Field::Int(point as i64),
        _ => Field::Int(0),
    }),
    ("is_reply", |flow| match flow.answer {
        Answer::No => Field::Flag(false),
        Answer::Yes => Field::Flag(true),
        Answer::Unknown => Field::None,
    }),
    ("event_type", |_| Field::Message(&EVENT_TYPE)),
    ("source", |_| Field::Message(&SOURCE)),
    ("destination", |_| Field::Message(&DESTINATION)),
    ("source_names", |flow| names(&flow.source)),
    ("destination_names", |flow| names(&flow.destination)),
    ("IP", |flow| match flow.source.address.or(flow.destination.address) {
        Some(_) => Field::Message(&IP),
        None => Field::None,
    }),
    ("l4", |flow| match flow.transport {
        Transport::Tcp { .. } | Transport::Udp { .. } => Field::Message(&LAYER4),
        Transport::None | Transport::Other(_) => Field::None,
        Transport::Sctp { .. } | Transport::Icmp { .. } | Transport::Icmp6 { .. } => Field::Elsewhere,
    }),
    ("l7", |flow| match flow.request {
        None => Field::None,
        Some(_) => Field::Elsewhere,
    }),
    ("node_name", |flow| text(&flow.node.name)),
    ("node_labels", |flow| Field::Texts(&flow.node.labels)),
    ("uuid", |flow| Field::Text(Cow::Owned(flow.id.to_string()))),
]);

pub static EVENT_TYPE: Message = Message(&[
    ("type", |flow| Field::Int(flow.event_type().kind.into())),
    ("sub_type", |flow| Field::Int(flow.event_type().sub.into())),
]);

/// The message of one end of a flow.
macro_rules! endpoint {
    ($end:ident) => {{
        fn party(flow: &Flow) -> &Party {
            &flow.$end.party
        }
        Message(&[
            ("ID", |flow| Field::UInt(party(flow).endpoint.into())),
            ("identity", |flow| Field::UInt(party(flow).identity.into())),
            ("cluster_name", |flow| text(&party(flow).cluster)),
            ("namespace", |flow| text(&party(flow).namespace)),
            ("labels", |flow| Field::Texts(&party(flow).labels)),
            ("pod_name", |flow| text(&party(flow).pod)),
            ("workloads", |flow| Field::Made(whole::workloads(party(flow)))),
        ])
    }};
}

pub static SOURCE: Message = endpoint!(source);
pub static DESTINATION: Message = endpoint!(destination);

pub static IP: Message = Message(&[
    ("source", |flow| address(flow.source.address)),
    ("source_xlated", |flow| address(flow.rare.as_deref().and_then(|rare| rare.source_translated))),
    ("destination", |flow| address(flow.destination.address)),
    ("ipVersion", |flow| match flow.source.address.or(flow.destination.address) {
        None => Field::Int(0),
        Some(IpAddr::V4(_)) => Field::Int(1),
        Some(IpAddr::V6(_)) => Field::Int(2),
    }),
    ("encrypted", |flow| Field::Flag(flow.rare.as_deref().is_some_and(|rare| rare.encrypted))),
]);

pub static LAYER4: Message = Message(&[
    ("TCP", |flow| match flow.transport {
        Transport::Tcp { .. } => Field::Message(&TCP),
        _ => Field::None,
    }),
    ("UDP", |flow| match flow.transport {
        Transport::Udp { .. } => Field::Message(&UDP),
        _ => Field::None,
    }),
]);

fn source_port(flow: &Flow) -> Field<'_> {
    Field::UInt(flow.transport.ports().map_or(0, |(source, _)| source.into()))
}

fn destination_port(flow: &Flow) -> Field<'_> {
    Field::UInt(flow.transport.ports().map_or(0, |(_, destination)| destination.into()))
}

pub static TCP: Message = Message(&[
    ("source_port", source_port),
    ("destination_port", destination_port),
    ("flags", |_| Field::Message(&FLAGS)),
]);

pub static UDP: Message = Message(&[("source_port", source_port), ("destination_port", destination_port)]);

fn flag(flow: &Flow, bit: usize) -> Field<'_> {
    match flow.transport {
        Transport::Tcp { flags, .. } => Field::Flag(flags.has(bit)),
        _ => Field::Flag(false),
    }
}

pub static FLAGS: Message = Message(&[
    ("FIN", |flow| flag(flow, 0)),
    ("SYN", |flow| flag(flow, 1)),
    ("RST", |flow| flag(flow, 2)),
    ("PSH", |flow| flag(flow, 3)),
    ("ACK", |flow| flag(flow, 4)),
    ("URG", |flow| flag(flow, 5)),
    ("ECE", |flow| flag(flow, 6)),
    ("CWR", |flow| flag(flow, 7)),
    ("NS", |flow| flag(flow, 8)),
]);
