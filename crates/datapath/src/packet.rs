//! A socket buffer as the decisions see it.

use aya_ebpf::{EbpfContext as _, helpers::generated::bpf_skb_load_bytes, programs::TcContext};
use ciliate_dp_core::Packet;
use core::mem::MaybeUninit;

pub struct Frame<'a> {
    context: &'a TcContext,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub fn new(context: &'a TcContext) -> Self {
        Self { context }
    }

    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands the program a valid context.
        unsafe { (*self.context.skb.skb).ifindex }
    }
}

impl Packet for Frame<'_> {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the helper fills all N bytes or fails, whatever the offset.
        unsafe {
            match bpf_skb_load_bytes(
                self.context.as_ptr().cast(),
                offset,
                bytes.as_mut_ptr().cast(),
                N as u32,
            ) {
                0 => Some(bytes.assume_init()),
                _ => None,
            }
        }
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.context.len()
    }

    #[inline(always)]
    fn ethertype(&self) -> u16 {
        // SAFETY: as above.
        unsafe { u16::from_be((*self.context.skb.skb).protocol as u16) }
    }

    #[inline(always)]
    fn mark(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.context.skb.skb).mark }
    }

    #[inline(always)]
    fn is_tagged(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.context.skb.skb).vlan_present != 0 }
    }

    #[inline(always)]
    fn capture<const N: usize>(&self, into: &mut [u8; N], most: u32) -> u32 {
        let count = most.min(self.context.len()).min(N as u32);
        if count == 0 {
            return 0;
        }
        // The verifier has to see that this many are some, and not too many. What the compiler knows already it would
        // not compute again, so it must not know; kernel 6.1 refuses the programs otherwise.
        let count = (core::hint::black_box(count.wrapping_sub(1)) & (N as u32 - 1)) + 1;
        // SAFETY: `into` has room for as many; the helper fills them or fails.
        let result = unsafe {
            bpf_skb_load_bytes(self.context.as_ptr().cast(), 0, into.as_mut_ptr().cast(), count)
        };
        if result == 0 { count } else { 0 }
    }
}
