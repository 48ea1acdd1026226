//! Which packets belong together, and for how long.

use crate::{
    endpoint::{v4, v6},
    frame::Frame,
    world::{ACK, FIN, RST, SYN, delivered, memory},
};
use ciliate_abi::DropReason;
use ciliate_dp_core::model::Memory;

#[test]
fn an_answer_passes_where_a_new_connection_would_not() {
    let memory = memory();
    for address in [v4, v6] {
        let out = Frame::tcp(address(4), 40000, address(2), 80, SYN);
        let back = Frame::tcp(address(2), 80, address(4), 40000, SYN | ACK);
        assert!(delivered(memory.from_endpoint(&out.bytes(), 4)));
        assert!(delivered(memory.from_endpoint(&back.bytes(), 2)));
        let unasked = Frame::tcp(address(2), 81, address(4), 40000, SYN | ACK);
        assert_eq!(memory.from_endpoint(&unasked.bytes(), 2), Err(DropReason::Policy));
    }
}

/// Whoever was once connected to must not be able to connect back from the same port.
#[test]
fn a_syn_in_answer_direction_is_a_new_connection() {
    let memory = memory();
    let out = Frame::tcp(v4(4), 40000, v4(2), 80, SYN);
    assert!(delivered(memory.from_endpoint(&out.bytes(), 4)));
    let back = Frame::tcp(v4(2), 80, v4(4), 40000, SYN);
    assert_eq!(memory.from_endpoint(&back.bytes(), 2), Err(DropReason::Policy));
}

#[test]
fn a_connection_ends_with_its_lifetime_and_with_fin_and_rst() {
    for (flags, lifetime) in [(ACK, 7451), (RST, 10)] {
        let memory = memory();
        assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(4), 1, v4(2), 80, SYN).bytes(), 4)));
        let back = |flags| Frame::tcp(v4(2), 80, v4(4), 1, flags).bytes();
        assert!(delivered(memory.from_endpoint(&back(flags), 2)));
        memory.now.set(1000 + lifetime - 1);
        assert!(memory.connections.borrow().values().all(|c| c.expires == 1000 + lifetime));
        memory.now.set(1000 + lifetime);
        assert_eq!(memory.from_endpoint(&back(ACK), 2), Err(DropReason::Policy));
    }
    let memory = memory();
    for (from, flags) in [(4, SYN), (2, SYN | ACK), (4, FIN | ACK)] {
        let frame = match from {
            4 => Frame::tcp(v4(4), 1, v4(2), 80, flags),
            _ => Frame::tcp(v4(2), 80, v4(4), 1, flags),
        };
        assert!(delivered(memory.from_endpoint(&frame.bytes(), from)));
    }
    let expires = |memory: &Memory| memory.connections.borrow().values().next().unwrap().expires;
    assert_eq!(expires(&memory), 1000 + 7451, "half closed");
    assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(2), 80, v4(4), 1, FIN | ACK).bytes(), 2)));
    assert_eq!(expires(&memory), 1000 + 10, "closed");
}

#[test]
fn connections_count_packets_and_bytes_by_direction() {
    let memory = memory();
    let out = Frame::tcp(v4(4), 1, v4(2), 80, SYN).bytes();
    let back = Frame::tcp(v4(2), 80, v4(4), 1, ACK).bytes();
    for (frame, from) in [(&out, 4), (&back, 2), (&back, 2)] {
        assert!(delivered(memory.from_endpoint(frame, from)));
    }
    // Judged again, and counted all the same.
    let mut memory = memory;
    memory.config.peers_epoch += 1;
    memory.endpoints.get_mut(&v4(4)).unwrap().epoch += 100;
    assert!(delivered(memory.from_endpoint(&back, 2)));
    let connections = memory.connections.borrow();
    let row = connections.values().next().unwrap();
    let length = out.len() as u64 - 14;
    assert_eq!((row.packets, row.bytes), ([1, 3], [length, 3 * length]));
}
