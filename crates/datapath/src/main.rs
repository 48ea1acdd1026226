//! The kernel programs: a context and maps around the decisions of `ciliate-dp-core`.
#![no_std]
#![no_main]

mod listener;
mod maps;
mod packet;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, BPF_F_INGRESS, TC_ACT_OK, TC_ACT_SHOT},
    helpers::generated::{bpf_redirect, bpf_redirect_peer, bpf_skb_change_tail, bpf_skb_store_bytes},
    macros::{classifier, sk_lookup},
    programs::{SkLookupContext, TcContext},
};
use ciliate_abi::mark;
use ciliate_dp_core::{
    Action, Scene, Tables as _, from_endpoint,
    neighbor::{Advertisement, ArpReply},
    to_endpoint,
};
use maps::KernelTables;
use packet::Frame;

/// Packets that come out of an endpoint: on ingress of its device on the host's side.
#[classifier]
pub fn cil_from_endpoint(context: TcContext) -> i32 {
    let Some(scene) = maps::scene() else { return TC_ACT_SHOT };
    let frame = Frame::new(&context);
    let action = from_endpoint(&frame, &KernelTables, scene, frame.ifindex());
    act(&context, scene, action)
}

/// Packets that the host's stack sends to an endpoint: on egress of its device on the host's side.
#[classifier]
pub fn cil_to_endpoint(context: TcContext) -> i32 {
    let Some(scene) = maps::scene() else { return TC_ACT_SHOT };
    let frame = Frame::new(&context);
    let action = to_endpoint(&frame, &KernelTables, scene, frame.ifindex());
    act(&context, scene, action)
}

/// Connections that the host's stack is about to deliver: those of the proxy go to its sockets, whatever the address.
#[sk_lookup]
pub fn cil_sk_lookup(context: SkLookupContext) -> u32 {
    listener::choose(&context)
}

#[inline(always)]
fn act(context: &TcContext, scene: &Scene, action: Action) -> i32 {
    match action {
        Action::Pass => TC_ACT_OK,
        Action::Drop => TC_ACT_SHOT,
        Action::Deliver => match store(context, &scene.receiver.addresses) {
            // SAFETY: a plain helper call; a device that is gone makes the kernel drop the packet.
            true => unsafe { bpf_redirect_peer(scene.receiver.ifindex, 0) as i32 },
            false => TC_ACT_SHOT,
        },
        Action::Proxy => {
            set_mark(context, mark::TO_PROXY);
            TC_ACT_OK
        }
        Action::ProxyBack => turn_back(context.as_ptr().cast()),
        Action::AnswerArp | Action::AnswerSolicitation => answer(context.as_ptr().cast(), scene),
    }
}

/// Sends a packet that was leaving the host's stack back into it, to the proxy.
#[inline(never)]
fn turn_back(skb: *mut __sk_buff) -> i32 {
    let context = TcContext::new(skb);
    let Some(config) = KernelTables.config() else { return TC_ACT_SHOT };
    set_mark(&context, mark::TO_PROXY);
    match store(&context, &config.proxy_mac) {
        // SAFETY: a plain helper call.
        true => unsafe { bpf_redirect(config.proxy_ifindex, u64::from(BPF_F_INGRESS)) as i32 },
        false => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn set_mark(context: &TcContext, value: u32) {
    // SAFETY: the kernel hands the program a valid context, whose mark it may write.
    unsafe {
        let skb = context.skb.skb;
        (*skb).mark = (*skb).mark & !mark::MASK | value;
    }
}

/// Replaces a question by its answer and sends it back.
#[inline(never)]
fn answer(skb: *mut __sk_buff, scene: &Scene) -> i32 {
    let asker = &scene.flow.source;
    let context = TcContext::new(skb);
    let (Some(config), Some(endpoint)) = (KernelTables.config(), KernelTables.endpoint(asker)) else {
        return TC_ACT_SHOT;
    };
    let stored = match scene.action {
        Action::AnswerArp => replace(&context, &ArpReply::new(config, endpoint, asker)),
        _ => replace(&context, &Advertisement::new(config, endpoint, asker)),
    };
    match stored {
        // SAFETY: a plain helper call.
        true => unsafe { bpf_redirect(scene.ifindex, 0) as i32 },
        false => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn replace<T>(context: &TcContext, frame: &T) -> bool {
    // SAFETY: the context's own pointer; the verifier checks helper arguments.
    let resized = unsafe { bpf_skb_change_tail(context.as_ptr().cast(), size_of::<T>() as u32, 0) };
    resized == 0 && store(context, frame)
}

/// Writes plain bytes to the packet's start.
#[inline(always)]
fn store<T>(context: &TcContext, bytes: &T) -> bool {
    // SAFETY: `bytes` is valid for its size; the helper checks the packet's bounds.
    unsafe {
        bpf_skb_store_bytes(
            context.as_ptr().cast(),
            0,
            core::ptr::from_ref(bytes).cast(),
            size_of::<T>() as u32,
            0,
        ) == 0
    }
}

/// The helpers that forward packets need no GPL, ring buffer and clock do.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
