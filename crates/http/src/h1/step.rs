//! What a connection tells its driver to do.

use crate::{Edit, Refusal, ServerFault};
use std::ops::Range;

/// What is to happen to a request.
#[derive(Debug)]
#[must_use]
pub enum Decision<T> {
    /// It goes to the server, changed by `edits`, which is mostly empty; `token` comes back with its response.
    Allow { token: T, edits: Vec<Edit> },
    /// The client gets 403; the connection goes on.
    Deny,
}

/// What to do with bytes that the client sent. First `forward`, then what was appended to `to_server`, then what was appended to `to_client`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ClientStep {
    /// How many bytes of the input are done with. The next call begins behind them.
    pub consumed: usize,
    /// The part of the input that goes to the server as it is; empty if nothing does.
    pub forward: Range<usize>,
    pub next: ClientNext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ClientNext {
    /// Nothing more can be done with what there is: call again with the rest and more bytes behind it.
    More,
    /// Call again with the rest at once.
    Again,
    /// Read nothing from the client, and call again after the next step of the server.
    Wait,
    /// The client's last request has been read: whatever else it sends is not looked at. The connection ends with [`ServerNext::Close`], or
    /// at once if [`outstanding`](super::Connection::outstanding) is 0.
    Last,
    /// As `Last`, because of what the client sent; it is answered when its turn comes.
    Refused(Refusal),
    /// The same in the middle of a body: cut both connections, so that the server does not take the request for whole.
    Abort(Refusal),
}

/// A response begins; a call of gRPC has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<T> {
    pub token: T,
    pub status: u16,
    /// What a call of gRPC has come to, if the server has said it: 0 is success.
    pub grpc_status: Option<u16>,
}

/// What to do with bytes that the server sent. First `forward`, then what was appended to `to_client`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ServerStep<T> {
    /// How many bytes of the input are done with. The next call begins behind them.
    pub consumed: usize,
    /// The part of the input that goes to the client as it is; empty if nothing does.
    pub forward: Range<usize>,
    /// A final response, or 101, of which the head is in `forward`. At most one a step.
    pub response: Option<Response<T>>,
    pub next: ServerNext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ServerNext {
    /// Nothing more can be done with what there is.
    More,
    /// Call again with the rest at once.
    Again,
    /// Everything is answered that will be: send what there is to the client, then close both connections.
    Close,
    /// Cut both connections; if something was appended to `to_client` the client may have that first.
    Abort(ServerFault),
}

/// What the end of the client's bytes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ClientEnd {
    /// Nobody waits for anything: close both connections.
    Idle,
    /// Responses are outstanding, or a tunnel is open: pass the end on to the server, go on with what the server sends.
    HalfClosed,
    /// In the middle of a request: cut the connection to the server.
    Truncated,
}

/// What the end of the server's bytes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ServerEnd {
    /// At a place where it may end: send what there is to the client, then close both connections.
    Complete,
    /// Of a tunnel: pass the end on to the client, go on with what the client sends.
    HalfClosed,
    /// Before or in the middle of a response: cut the client's connection after what there is, so that it does not take it for whole.
    Truncated,
}

/// What rules that have changed say about requests that are not answered to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rejudged {
    Allowed,
    /// One of them is not allowed any more: cut both connections.
    Denied,
}
