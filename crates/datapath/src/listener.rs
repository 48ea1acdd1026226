//! Which socket gets a connection that is on its way to the proxy.

use crate::maps::{KernelTables, PROXY_LISTENERS};
use aya_ebpf::{
    bindings::{bpf_sk_lookup, sk_action},
    programs::SkLookupContext,
};
use ciliate_abi::{Address, ConnectionKey, Listener};
use ciliate_dp_core::{connection, flow::TCP};

/// Of linux/socket.h.
const AF_INET: u32 = 2;

/// Everything that is not the proxy's takes its usual way. What is and finds no socket is refused.
#[inline(always)]
pub fn choose(context: &SkLookupContext) -> u32 {
    // SAFETY: the kernel hands the program a valid context.
    let lookup = unsafe { &*context.lookup };
    let Ok(protocol) = u8::try_from(lookup.protocol) else { return sk_action::SK_PASS };
    let mut key = ConnectionKey {
        low: Address([0; 16]),
        high: Address([0; 16]),
        low_port: 0,
        high_port: 0,
        protocol,
        pad: [0; 3],
    };
    match lookup.family {
        AF_INET => key_v4(lookup, &mut key),
        _ => key_v6(lookup, &mut key),
    }
    if !connection::is_proxied(&KernelTables, &key) {
        return sk_action::SK_PASS;
    }
    let listener = match (protocol == TCP, lookup.family == AF_INET) {
        (true, true) => Listener::TcpV4,
        (true, false) => Listener::TcpV6,
        (false, true) => Listener::UdpV4,
        (false, false) => Listener::UdpV6,
    };
    match PROXY_LISTENERS.redirect_sk_lookup(context, listener as u32, 0) {
        Ok(()) => sk_action::SK_PASS,
        Err(_) => sk_action::SK_DROP,
    }
}

// Two functions: merged, they would read the context at a computed place, which the verifier does not allow.

#[inline(never)]
fn key_v4(lookup: &bpf_sk_lookup, key: &mut ConnectionKey) {
    let remote = Address::v4(lookup.remote_ip4.to_ne_bytes());
    let local = Address::v4(lookup.local_ip4.to_ne_bytes());
    put_ends(lookup, &remote, &local, key);
}

#[inline(never)]
fn key_v6(lookup: &bpf_sk_lookup, key: &mut ConnectionKey) {
    let (remote, local) = (wide(lookup.remote_ip6), wide(lookup.local_ip6));
    put_ends(lookup, &remote, &local, key);
}

#[inline(always)]
fn put_ends(lookup: &bpf_sk_lookup, remote: &Address, local: &Address, key: &mut ConnectionKey) {
    let remote_port = u16::from_be(lookup.remote_port);
    connection::key_of((remote, remote_port), (local, lookup.local_port as u16), key);
}

/// An address from its words, each in the order of the wire.
#[inline(always)]
fn wide(words: [u32; 4]) -> Address {
    let [a, b, c, d] = words.map(u32::to_ne_bytes);
    let [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]] = [a, b, c, d];
    Address::v6([a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3])
}
