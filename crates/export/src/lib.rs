//! Exporters of flows: each reads the log of flows with a cursor of its own, on a thread of its own, and brings what its filters
//! let through to a file or to a system that collects logs.
//!
//! A receiver may be slow, away or full: what waits for it is bounded, what there is no room for is counted and told in one sum,
//! and nobody else notices.

mod address;
mod buffer;
pub mod config;
mod connection;
mod counts;
mod event;
mod exporter;
mod exports;
mod fault;
mod selection;
mod service;
mod sink;
mod spec;

pub use buffer::Bounds;
pub use counts::{ExporterReport, Report};
pub use exports::{Changes, Exports};
pub use selection::{Selection, SelectionError};
pub use service::{Reports, Service, ServiceError, Sources};
#[doc(hidden)]
pub use sink::acks_in;
pub use spec::{
    Answers, Compression, FileTarget, FluentdKeys, FluentdTarget, OtlpProtocol, OtlpTarget, Spec,
    SyslogRoute, SyslogTarget, Target,
};
