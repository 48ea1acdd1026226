//! Flows: what was seen of one packet or one request, in a form that is small to keep and quick to filter.
//!
//! Hubble's messages are a flow's form outside of the process; [`Flow::to_message`] and [`Flow::from_message`] lead there and back.
//! Words that have a fixed meaning there (verdicts, reasons, points of observation) are used here too.

mod content;
mod filter;
mod flow;
mod mask;
mod message;
mod party;
mod shortened;
mod summary;
mod time;
mod uuid;

pub use ciliate_hubble::flow::{DropReason, TraceObservationPoint, TraceReason, TrafficDirection, Verdict};
pub use content::{Content, Dns, Header, Http, Kafka, Request, Stage};
pub use filter::{Filter, FilterError, Judge, Keys, List, MOST_BYTES, MOST_FILTERS, Unknown, read_filters};
pub use flow::{
    Answer, End, Event, EventType, Flow, Interface, Judgement, MatchType, Outcome, PolicyRef, Rare, TcpFlags,
    Transport,
};
pub use mask::{Mask, MaskError};
pub use message::MessageError;
pub use party::{Node, Party, Service, Workload};
pub use shortened::shortened;
pub use time::Time;
pub use uuid::{FlowId, Run};
