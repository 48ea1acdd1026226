//! Whole packets for those who record them, with what became of each.

use crate::{flow::Packet, scene::Scene, tables::Tables};
use ciliate_abi::{
    EventKind, Fate, RecordFilter, RecordTally, RecordTallyKey, Recorded, Recording, TracePoint, Tuple,
};

/// What recordings want of one packet. It lies in memory of its own: what the verifier cannot follow cannot multiply the
/// states that it has to check.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// A bit for each recording with a filter that matches.
    pub matching: u32,
    /// A bit for each recording that gets the packet.
    pub recordings: u32,
    /// Most bytes that one of them wants.
    pub snap: u32,
}

/// Hands a packet to the recordings that want it. Only called while there are any.
///
/// A `reason` of 0 stands for none.
#[inline(never)]
pub fn record<P: Packet, T: Tables>(scene: &Scene, packet: &P, tables: &T, fate: Fate, reason: u8) {
    let Some(recorder) = tables.recorder() else { return };
    let time = tables.nanoseconds();
    tables.with_wish(|wish| {
        *wish = Wish::default();
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
        let (kind, detail) = match fate {
            Fate::Dropped => (EventKind::Drop, reason),
            Fate::ToEndpoint => (EventKind::Trace, TracePoint::ToEndpoint as u8),
            Fate::ToStack => (EventKind::Trace, TracePoint::ToStack as u8),
            Fate::ToProxy => (EventKind::Trace, TracePoint::ToProxy as u8),
            Fate::Answered => (EventKind::Trace, TracePoint::FromEndpoint as u8),
        };
        let taken = tables.record(packet, wish, |recorded| {
            *recorded = Recorded {
                event: scene.event(kind, detail, time),
                recordings: wish.recordings,
                captured: 0,
                length: packet.length(),
                fate: fate as u8,
                pad: [0; 3],
            };
        });
        if !taken {
            let bytes = u64::from(wish.snap.min(packet.length()));
            for recording in 0..ciliate_abi::RECORDINGS_MAX as u32 {
                if wish.recordings >> recording & 1 != 0 {
                    let key = RecordTallyKey { recording, ifindex: scene.ifindex };
                    tables.tally(&key, &RecordTally { matched: 0, lost: 1, lost_bytes: bytes });
                }
            }
        }
    });
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
        wish.matching |= 1_u32.wrapping_shl(u32::from(filter.recording));
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
        wish.recordings |= 1_u32.wrapping_shl(number);
        wish.snap = wish.snap.max(recording.snap);
    }
}
