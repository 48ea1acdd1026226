//! Packets in, actions out, without a kernel.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

mod connections;
#[path = "../support/endpoint.rs"]
mod endpoint;
mod events;
#[path = "../support/frame.rs"]
mod frame;
mod ip;
mod policy;
mod proxy;
mod world;
