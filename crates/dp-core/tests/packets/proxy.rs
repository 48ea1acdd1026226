//! Connections that go to the proxy.

use crate::{
    endpoint::{v4, v6},
    frame::Frame,
    world::{ACK, RST, SYN, allow, delivered, entry, memory},
};
use ciliate_abi::{DropReason, ENTRY_ALLOW, ENTRY_DENY, ENTRY_REDIRECT, mark};
use ciliate_dp_core::{Action, model::Memory};

#[test]
fn a_redirected_connection_goes_to_the_proxy_both_ways() {
    let mut memory = memory();
    entry(&mut memory, 0, 6, (80, 16), ENTRY_REDIRECT, 5, 7);
    for address in [v4, v6] {
        let out = Frame::tcp(address(2), 40000, address(4), 80, SYN).bytes();
        let back = Frame::tcp(address(4), 80, address(2), 40000, SYN | ACK).bytes();
        assert_eq!(memory.from_endpoint(&out, 2), Ok(Action::Proxy));
        assert_eq!(memory.from_endpoint(&back, 4), Ok(Action::Proxy));
        // What the proxy sends on and back enters the endpoints; what others send goes to the proxy.
        assert_eq!(memory.to_endpoint_marked(&out, 4, mark::FORWARD), Ok(Action::Pass));
        assert_eq!(memory.to_endpoint_marked(&back, 2, mark::BACK), Ok(Action::Pass));
        assert_eq!(memory.to_endpoint(&out, 4), Ok(Action::ProxyBack));
        let other = Frame::tcp(address(2), 40000, address(4), 81, SYN).bytes();
        assert_eq!(memory.from_endpoint(&other, 2), Err(DropReason::Policy));
        assert_eq!(memory.to_endpoint_marked(&other, 4, mark::FORWARD), Err(DropReason::Policy));
    }
}

#[test]
fn an_allowance_without_filter_beats_a_redirection_and_a_denial_beats_both() {
    let mut memory = memory();
    entry(&mut memory, 0, 6, (80, 16), ENTRY_REDIRECT, 5, 7);
    entry(&mut memory, 0, 6, (0, 0), ENTRY_ALLOW, 10, 8);
    let out = Frame::tcp(v4(2), 40000, v4(4), 80, SYN).bytes();
    assert!(delivered(memory.from_endpoint(&out, 2)));
    entry(&mut memory, 0, 6, (80, 12), ENTRY_DENY, 20, 9);
    let out = Frame::tcp(v4(2), 40001, v4(4), 80, SYN).bytes();
    assert_eq!(memory.from_endpoint(&out, 2), Err(DropReason::PolicyDeny));
}

#[test]
fn a_connection_that_has_to_go_to_the_proxy_later_goes_there_and_stays() {
    let mut memory = memory();
    allow(&mut memory, 6, 80);
    let packet = |flags| Frame::tcp(v4(2), 40000, v4(4), 80, flags).bytes();
    assert!(delivered(memory.from_endpoint(&packet(SYN), 2)));
    let renew = |memory: &mut Memory, action| {
        entry(memory, 0, 6, (80, 16), action, 10, 7);
        memory.endpoints.get_mut(&v4(4)).unwrap().epoch += 1;
    };
    renew(&mut memory, ENTRY_REDIRECT);
    assert_eq!(memory.from_endpoint(&packet(ACK), 2), Ok(Action::Proxy));
    renew(&mut memory, ENTRY_ALLOW);
    assert_eq!(memory.from_endpoint(&packet(ACK), 2), Ok(Action::Proxy));
    renew(&mut memory, ENTRY_DENY);
    assert_eq!(memory.from_endpoint(&packet(ACK), 2), Err(DropReason::PolicyDeny));
    // The end that the proxy puts to it still arrives.
    let reset = Frame::tcp(v4(4), 80, v4(2), 40000, RST).bytes();
    assert_eq!(memory.to_endpoint_marked(&reset, 2, mark::BACK), Ok(Action::Pass));
}
