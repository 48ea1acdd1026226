//! HTTP/2 with prior knowledge, and gRPC over it.

mod answer;
mod block;
mod connection;
mod decoder;
mod encoder;
mod frame;
mod huffman;
mod passage;
mod pieces;
mod requests;
mod server;
mod settings;
mod step;
mod stream;
mod table;

pub use answer::GRPC_DENIED;
pub use connection::Connection;
pub use step::{ClientNext, ClientStep, ServerNext, ServerStep};

/// Whether a client begins to speak HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Http2,
    /// Anything else: [`h1`](crate::h1) knows what to do with it.
    Http1,
    /// More bytes are needed to tell.
    Unknown,
}

/// Looks at the first bytes of a client.
#[must_use]
pub fn spoken(input: &[u8]) -> Spoken {
    let known = input.len().min(frame::PREFACE.len());
    match input.get(..known) == frame::PREFACE.get(..known) {
        false => Spoken::Http1,
        true if known < frame::PREFACE.len() => Spoken::Unknown,
        true => Spoken::Http2,
    }
}
