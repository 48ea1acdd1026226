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
    let (remote, local) = ends(lookup);
    let mut key = ConnectionKey {
        low: remote,
        high: local,
        low_port: 0,
        high_port: 0,
        protocol,
        pad: [0; 3],
    };
    let remote_port = u16::from_be(lookup.remote_port);
    connection::key_of((&remote, remote_port), (&local, lookup.local_port as u16), &mut key);
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

#[inline(always)]
fn ends(lookup: &bpf_sk_lookup) -> (Address, Address) {
    if lookup.family == AF_INET {
        (Address::v4(lookup.remote_ip4.to_ne_bytes()), Address::v4(lookup.local_ip4.to_ne_bytes()))
    } else {
        (wide(lookup.remote_ip6), wide(lookup.local_ip6))
    }
}

/// An address from its words, each in the order of the wire.
#[inline(always)]
fn wide(words: [u32; 4]) -> Address {
    let mut bytes = [0; 16];
    let (chunks, _) = bytes.as_chunks_mut::<4>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_ne_bytes();
    }
    Address::v6(bytes)
}
