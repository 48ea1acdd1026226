//! A routing socket: requests are sent many at a time and answered before the call returns.

mod request;

pub(crate) use request::{
    ROUTE_PROTOCOL, Request, address, address_dump, host_prefix, link, link_by_name, link_dump, neighbour,
    route, route_dump, rule,
};

use crate::{Error, Netns};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

const KERNEL: (u32, u32) = (0, 0);
/// Length of a message header; messages start at multiples of four.
const HEADER: usize = 16;

/// A handle on the network of one namespace: that in which it was made, wherever it is used.
#[derive(Clone)]
pub struct Netlink(Arc<Mutex<Connection>>);

struct Connection {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// For the namespace of the calling thread.
    pub fn new() -> Result<Self, Error> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|e: io::Error| Error::kernel("open a routing socket", e))?;
        Ok(Self(Arc::new(Mutex::new(Connection { socket, sequence: 0 }))))
    }

    /// For another namespace.
    pub fn in_namespace(netns: &Netns) -> Result<Self, Error> {
        netns.run(Self::new)?
    }

    /// Carries out all requests in order; the first that fails is the error, later ones are still tried.
    pub(crate) fn perform(&self, requests: &[Request]) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).perform(requests)
    }

    /// All objects that answer a dump request, or the one that answers a plain request.
    pub(crate) fn query(&self, request: Request) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).query(request)
    }
}

impl Connection {
    fn send(&mut self, requests: &[Request], extra_flags: u16) -> io::Result<u32> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            let mut header = NetlinkHeader::default();
            header.flags = NLM_F_REQUEST | extra_flags | request.flags;
            header.sequence_number = self.sequence;
            let mut message =
                NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request.message.clone()));
            message.finalize();
            let start = bytes.len();
            bytes.resize(start.saturating_add(message.buffer_len().next_multiple_of(4)), 0);
            if let Some(space) = bytes.get_mut(start..) {
                message.serialize(space);
            }
        }
        self.socket.send_to(&bytes, &SocketAddr::new(KERNEL.0, KERNEL.1), 0)?;
        Ok(first)
    }

    fn perform(&mut self, requests: &[Request]) -> Result<(), Error> {
        let mut failed = None;
        // The kernel's queue for its answers is finite, so a long list goes in parts.
        for part in requests.chunks(32) {
            let wanted = |e| Error::kernel(part.first().map_or("", |r| r.what.as_str()), e);
            let first = self.send(part, NLM_F_ACK).map_err(wanted)?;
            let mut open = part.len();
            while open > 0 {
                let (bytes, _) = self.socket.recv_from_full().map_err(wanted)?;
                for frame in frames(&bytes) {
                    let Some((sequence, code, note)) = acknowledgement(frame) else { continue };
                    let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                    let Some(request) = part.get(at) else { continue };
                    open = open.saturating_sub(1);
                    if code != 0 && code != request.tolerated && failed.is_none() {
                        failed = Some(request.error(code, note));
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn query(&mut self, request: Request) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let what = request.what.clone();
        let broken = |e| Error::kernel(what.clone(), e);
        let dump = request.flags & NLM_F_DUMP == NLM_F_DUMP;
        let sequence = self.send(std::slice::from_ref(&request), 0).map_err(broken)?;
        let mut found = Vec::new();
        loop {
            let (bytes, _) = self.socket.recv_from_full().map_err(broken)?;
            for frame in frames(&bytes) {
                if let Some((seq, code, note)) = acknowledgement(frame) {
                    match (seq == sequence, code) {
                        (false, _) => continue,
                        (true, 0) => return Ok(found),
                        (true, _) => return Err(request.error(code, note)),
                    }
                }
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(frame)
                    .map_err(|e| Error::Answer { what: what.clone(), detail: e.to_string() })?;
                if answer.header.sequence_number != sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => found.push(message),
                    NetlinkPayload::Done(_) => return Ok(found),
                    _ => continue,
                }
                if !dump {
                    return Ok(found);
                }
            }
        }
    }
}

/// The messages of one datagram, each with its header; stops at the first that is cut off.
pub(crate) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        if length < HEADER {
            return None;
        }
        let (frame, _) = bytes.split_at_checked(length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(frame)
    })
}

/// Sequence number, error code (0: done) and the kernel's explanation, if this is an acknowledgement.
fn acknowledgement(frame: &[u8]) -> Option<(u32, i32, String)> {
    const ERROR: u16 = 2;
    const MESSAGE: u16 = 1;
    let word = |at: usize| frame.get(at..)?.first_chunk().copied();
    let half = |at: usize| frame.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes);
    if half(4)? != ERROR {
        return None;
    }
    let sequence = u32::from_ne_bytes(word(8)?);
    let code = i32::from_ne_bytes(word(HEADER)?);
    // Code, the request's header, then attributes: netlink(7), NLMSGERR_ATTR_MSG.
    let mut at = HEADER.saturating_add(4).saturating_add(HEADER);
    let mut note = String::new();
    while let (Some(length), Some(kind)) = (half(at), half(at.saturating_add(2))) {
        let length = usize::from(length);
        if length < 4 {
            break;
        }
        if kind == MESSAGE {
            let text = frame.get(at.saturating_add(4)..at.saturating_add(length)).unwrap_or_default();
            note = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
        }
        at = at.saturating_add(length.next_multiple_of(4));
    }
    Some((sequence, code, note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_explanation_is_found() {
        let text = b"Nexthop has invalid gateway.\0";
        let mut frame = vec![0; 36];
        frame[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        frame[8..12].copy_from_slice(&7_u32.to_ne_bytes());
        frame[16..20].copy_from_slice(&(-22_i32).to_ne_bytes());
        frame.extend_from_slice(&u16::try_from(text.len() + 4).unwrap().to_ne_bytes());
        frame.extend_from_slice(&1_u16.to_ne_bytes());
        frame.extend_from_slice(text);
        let length = u32::try_from(frame.len()).unwrap();
        frame[..4].copy_from_slice(&length.to_ne_bytes());
        frame.extend_from_slice(&[0; 3]);
        let all: Vec<_> = frames(&frame).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(acknowledgement(all[0]), Some((7, -22, "Nexthop has invalid gateway.".into())));
    }

    proptest! {
        /// Whatever arrives, frames stay within it, and nothing loops or panics.
        #[test]
        fn any_bytes_are_taken_apart_safely(bytes: Vec<u8>) {
            let total: usize = frames(&bytes).map(|f| { let _ = acknowledgement(f); f.len() }).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
