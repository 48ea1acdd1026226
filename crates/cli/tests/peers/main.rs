//! Clients and servers that other people wrote: rules about requests of Kafka, gRPC, WebSocket and TLS, and the interface for flows. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "../end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

mod discovery;
mod grpc;
mod kafka;
mod secrets;
mod server_names;
mod talk;
mod websocket;
