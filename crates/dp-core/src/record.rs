//! Whole packets for those who record them, with what became of each.

use crate::{flow::Packet, hook::Action, scene::Scene, tables::Tables};
use ciliate_abi::{
    Direction, EventKind, Fate, RECORDINGS_MAX, RecordFilter, RecordTally, RecordTallyKey, Recorded,
    Recording, TracePoint, Tuple,
};

/// What recordings want of one packet. It lies in memory of its own: what the verifier cannot follow cannot multiply the
/// states that it has to check.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// A bit for each recording with a filter that matches.
    pub matching: u8,
    /// A bit for each recording that gets the packet.
    pub recordings: u8,
    /// What became of the packet: a [`Fate`], and the kind of event that would say so, with its detail.
    pub fate: u8,
    pub kind: u8,
    pub detail: u8,
    pub pad: [u8; 3],
    /// Most bytes that one of them wants.
    pub snap: u32,
}

const _: () = assert!(RECORDINGS_MAX <= u8::BITS as usize);
// Its map stays from build to build of one version of the layouts.
const _: () = assert!(size_of::<Wish>() == 12);

/// Hands a packet to the recordings that want it. Only called while there are any.
#[inline(never)]
pub fn record<P: Packet, T: Tables>(scene: &Scene, packet: &P, tables: &T) {
    let Some(recorder) = tables.recorder() else { return };
    let time = tables.nanoseconds();
    tables.with_wish(|wish| {
        wish.begin(scene);
        let mut left = recorder.filters;
        for filter in &recorder.filter {
            if left == 0 {
                break;
            }
            left = left.wrapping_sub(1);
            ask(filter, scene, wish);
        }
        if wish.matching == 0 {
            return;
        }
        for (number, recording) in (0_u32..).zip(&recorder.recordings) {
            if wish.matching >> number & 1 != 0 && time < recording.until {
                admit(recording, number, scene, tables, wish);
            }
        }
        if wish.recordings == 0 {
            return;
        }
        let taken = tables.record(packet, wish, |recorded| {
            *recorded = Recorded {
                event: scene.event(wish.kind, wish.detail, time),
                recordings: u32::from(wish.recordings),
                captured: 0,
                length: packet.length(),
                fate: wish.fate,
                pad: [0; 3],
            };
        });
        if !taken {
            let bytes = u64::from(wish.snap.min(packet.length()));
            for recording in 0..RECORDINGS_MAX as u32 {
                if wish.recordings >> recording & 1 != 0 {
                    let key = RecordTallyKey { recording, ifindex: scene.ifindex };
                    tables.tally(&key, &RecordTally { matched: 0, lost: 1, lost_bytes: bytes });
                }
            }
        }
    });
}

impl Wish {
    /// Of a packet whose outcome is settled.
    #[inline(always)]
    fn begin(&mut self, scene: &Scene) {
        let (fate, kind, detail) = match (scene.action, scene.direction) {
            (Action::Drop, _) => (Fate::Dropped, EventKind::Drop, scene.drop_reason),
            (Action::Deliver, _) | (Action::Pass, Direction::Ingress) => {
                (Fate::ToEndpoint, EventKind::Trace, TracePoint::ToEndpoint as u8)
            }
            (Action::Pass, Direction::Egress) => (Fate::ToStack, EventKind::Trace, TracePoint::ToStack as u8),
            (Action::Proxy | Action::ProxyBack, _) => {
                (Fate::ToProxy, EventKind::Trace, TracePoint::ToProxy as u8)
            }
            (Action::AnswerArp | Action::AnswerSolicitation, _) => {
                (Fate::Answered, EventKind::Trace, TracePoint::FromEndpoint as u8)
            }
        };
        *self = Self { fate: fate as u8, kind: kind as u8, detail, ..Self::default() };
    }
}

/// Notes the recording of a filter that matches.
#[inline(never)]
fn ask(filter: &RecordFilter, scene: &Scene, wish: &mut Wish) {
    let flow = &scene.flow;
    let tuple = Tuple {
        source: &flow.source,
        destination: &flow.destination,
        source_port: flow.source_port,
        destination_port: flow.destination_port,
        protocol: flow.protocol,
    };
    if filter.matches(&tuple) {
        wish.matching |= 1_u8.wrapping_shl(u32::from(filter.recording));
    }
}

/// Counts a packet that matches, and takes it unless it is none of the sample.
#[inline(never)]
fn admit<T: Tables>(recording: &Recording, number: u32, scene: &Scene, tables: &T, wish: &mut Wish) {
    let key = RecordTallyKey { recording: number, ifindex: scene.ifindex };
    tables.tally(&key, &RecordTally { matched: 1, lost: 0, lost_bytes: 0 });
    let sampled = match recording.one_of {
        0 | 1 => true,
        one_of => tables.random().checked_rem(one_of) == Some(0),
    };
    if sampled {
        wish.recordings |= 1_u8.wrapping_shl(number);
        wish.snap = wish.snap.max(recording.snap);
    }
}
