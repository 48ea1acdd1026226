//! The agent's local API: one set of types for both sides, the settings, and a small blocking client.

mod bpf;
mod client;
mod daemon;
mod endpoint;
mod error;
mod identity;
mod monitor;
mod object;
mod openapi;
mod query;
mod recording;
mod route;
pub mod settings;
mod status;
mod trace;

pub use bpf::{
    BpfEndpoint, BpfMetric, Carried, Connection, ConnectionFilter, ConnectionTuple, Flushed, IpcacheEntry,
    MapEvent, MapInfo, PolicyEntry,
};
pub use client::{Client, Stream};
pub use daemon::{ConfigPatch, ConfigRow, DbTable, DebugInfo, Shutdown, ShutdownMode};
pub use endpoint::{
    AuditMode, Device, Endpoint, EndpointHealth, EndpointLogEntry, EndpointPatch, EndpointPolicy,
    EndpointRef, EndpointRequest, EndpointState, Enforcement, NamedPort, NetnsRef, Network, Publish,
};
pub use error::{ApiError, ClientError, Problem};
pub use identity::{AddressEntry, AddressSource, IdentityEntry};
pub use monitor::{
    Content, DnsAnswerView, Event, EventBody, EventKind, Message, MonitorFilter, PacketEvent, PeerView,
    RequestEvent, RequestVerdict, Verdict,
};
pub use object::{
    ApplyRequest, ApplyResult, DeleteRequest, ObjectAction, ObjectRef, ObjectResult, ObjectView, SelectorRow,
    WaitReply, WaitRequest,
};
pub use openapi::document;
pub use query::{decode as decode_query, encode as encode_query, escape, unescape};
pub use recording::{Recording, RecordingEnd, RecordingRequest};
pub use route::{Method, ROUTES, Route, Shape};
pub use status::{Health, MapPressure, PoolStatus, Status, Subsystem};
pub use trace::{
    ConsideredRule, DirectionTrace, RuleOutcome, RuleView, TracePeer, TraceReply, TraceRequest, TraceSide,
};

/// Path of the socket below the run directory.
pub const SOCKET_NAME: &str = "ciliate.sock";
