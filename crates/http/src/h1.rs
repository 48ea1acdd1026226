//! HTTP/1.0 and 1.1.

mod step;

pub use step::{ClientEnd, ClientNext, ClientStep, Decision, Response, ServerEnd, ServerNext, ServerStep};
