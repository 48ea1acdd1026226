//! HTTP/1.0 and 1.1.

mod body;
mod connection;
mod head;
mod line;
mod response;
mod rewrite;
mod server;
mod state;
mod step;

pub(crate) use body::NO_TRAILERS;
pub use connection::Connection;
pub use step::{
    ClientEnd, ClientNext, ClientStep, Decision, Rejudged, Response, ServerEnd, ServerNext, ServerStep,
};
