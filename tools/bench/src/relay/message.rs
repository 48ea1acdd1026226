//! Messages of Hubble's interface as far as they matter here: what a node sends is made once and given its moment; what a follower gets is read
//! no further than its moments. Numbers of fields are those of `GetFlowsResponse` and `Flow`.

use crate::history::traffic::Traffic;
use bytes::Bytes;
use ciliate_flow::Time;
use ciliate_hubble::Timestamp;
use prost::Message as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Flows that a node repeats.
const DIFFERENT: usize = 512;

/// `GetFlowsResponse` with a flow that is encoded already.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sent {
    #[prost(bytes = "bytes", tag = "1")]
    flow: Bytes,
    #[prost(bytes = "bytes", tag = "1000")]
    node_name: Bytes,
    #[prost(message, optional, tag = "1001")]
    time: Option<Timestamp>,
}

/// `GetFlowsResponse`; what has no field here is passed over.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Told {
    #[prost(message, optional, tag = "1")]
    pub flow: Option<Moments>,
    #[prost(message, optional, tag = "3")]
    pub lost: Option<LostEvents>,
}

/// Of a `Flow`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Moments {
    /// When it happened.
    #[prost(message, optional, tag = "1")]
    pub time: Option<Timestamp>,
    /// `socket_cookie`: here when the node handed it on, in nanoseconds since 1970.
    #[prost(uint64, tag = "32")]
    pub handed_on: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct LostEvents {
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn timestamp(nanoseconds: u64) -> Timestamp {
    Timestamp::from(Time(nanoseconds))
}

pub fn nanoseconds(time: &Timestamp) -> u64 {
    Time::from(time).0
}

/// The flows of one node.
pub struct Script {
    name: Bytes,
    flows: std::iter::Cycle<std::vec::IntoIter<Bytes>>,
}

impl Script {
    /// As a busy node of this name sees them.
    pub fn new(name: &str, seed: u64) -> Self {
        let flows = Traffic::new(seed, Time(now()), 1000).take(DIFFERENT).map(|flow| {
            let mut message = flow.to_message();
            (message.time, message.node_name) = (None, name.to_owned());
            Bytes::from(message.encode_to_vec())
        });
        let flows: Vec<Bytes> = flows.collect();
        Self { name: Bytes::from(name.to_owned()), flows: flows.into_iter().cycle() }
    }

    /// The next flow, which happened then and is handed on now.
    pub fn next(&mut self, happened: u64, handed_on: u64) -> Sent {
        let time = timestamp(happened);
        let rest = self.flows.next().unwrap_or_default();
        let head = Moments { time: Some(time), handed_on };
        let mut flow = head.encode_to_vec();
        flow.extend_from_slice(&rest);
        Sent { flow: flow.into(), node_name: self.name.clone(), time: Some(time) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_hubble::observer::{GetFlowsResponse, get_flows_response::ResponseTypes};

    #[test]
    fn what_is_sent_is_what_hubble_means() {
        let sent = Script::new("node-7", 1).next(5_000_000_001, 6).encode_to_vec();
        let response = GetFlowsResponse::decode(sent.as_slice()).expect("a message");
        let Some(ResponseTypes::Flow(flow)) = response.response_types else { unreachable!("no flow") };
        let time = Some(Timestamp { seconds: 5, nanos: 1 });
        assert_eq!((flow.time, flow.node_name.as_str(), flow.socket_cookie), (time, "node-7", 6));
        assert!(flow.source.is_some() && flow.l4.is_some(), "{flow:?}");
        assert_eq!((response.time, response.node_name.as_str()), (time, "node-7"));
        let told = Told::decode(sent.as_slice()).expect("a message");
        assert_eq!(told.flow, Some(Moments { time, handed_on: 6 }));
    }
}
