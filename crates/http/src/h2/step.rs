//! What a connection tells its driver to do.

use crate::{Refusal, ServerFault};
use std::ops::Range;

/// What to do with bytes that the client sent: send `input[forward]` to the server, then what was appended to `to_server`; and what was appended
/// to `to_client` to the client, behind everything that it already has coming.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ClientStep {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    pub forward: Range<usize>,
    /// A request was answered with an error before any rule was asked; the connection goes on. At most one a step.
    pub refused: Option<Refusal>,
    pub next: ClientNext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ClientNext {
    /// Nothing more can be done with what there is.
    More,
    /// Call again with the rest at once.
    Again,
    /// Read nothing from the client, and call again after the next step of the server: answers for the client wait for a place between its frames.
    Wait,
    /// The connection cannot go on: send what there is to the client, then close both.
    Close(Refusal),
}

/// What to do with bytes that the server sent: send `input[forward]` to the client, then what was appended to `to_client`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ServerStep {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    pub forward: Range<usize>,
    pub next: ServerNext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ServerNext {
    /// Nothing more can be done with what there is.
    More,
    /// Call again with the rest at once.
    Again,
    /// Call again after the next step of the client: its window is used up by a denial that the server knows nothing of.
    Wait,
    /// Cut both connections.
    Abort(ServerFault),
}
