//! What an exporter is to do: checked, and comparable, so that a change of the file changes only what it is about.

use crate::{
    buffer::Bounds,
    connection::Route,
    selection::{Selection, SelectionError},
    sink::syslog::{Facility, Form},
};
use ciliate_flow::Time;
use ciliate_hubble::flow::FlowFilter;
use ciliate_transport::HostPort;
use std::{path::PathBuf, time::Duration};

/// One exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Unique among the exporters of a node; a metric's label.
    pub name: String,
    pub target: Target,
    /// Flows that match one of these are exported; all if there are none.
    pub allow: Vec<FlowFilter>,
    /// Flows that match one of these are not.
    pub deny: Vec<FlowFilter>,
    /// Fields of a flow that are exported; all if there are none.
    pub mask: Vec<String>,
    /// Flows after this are not exported.
    pub end: Option<Time>,
    pub bounds: Bounds,
}

/// Where flows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    File(FileTarget),
    /// The agent's standard output.
    Stdout,
    Syslog(SyslogTarget),
    Fluentd(FluentdTarget),
    Otlp(OtlpTarget),
}

/// A file of JSON lines, and older ones beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTarget {
    pub path: PathBuf,
    /// A file that would grow beyond this is put aside.
    pub most_bytes: u64,
    /// Files that were put aside and are kept; 0 = all of them.
    pub backups: usize,
    pub compression: Compression,
}

/// A server of syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    pub route: SyslogRoute,
    pub facility: Facility,
    /// 1 to 48 printable ASCII characters.
    pub app_name: String,
    pub form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogRoute {
    Udp(HostPort),
    /// With octet counting.
    Stream(Route),
}

/// A receiver of Fluentd's forward protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FluentdTarget {
    pub route: Route,
    /// What receivers route events by.
    pub tag: String,
    pub answers: Answers,
    /// None where the receiver does not greet.
    pub keys: Option<FluentdKeys>,
}

/// Whether a receiver says what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    Awaited,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FluentdKeys {
    /// Holds nothing but the key, with or without an end of line; so does the file with the password.
    pub shared_key_file: PathBuf,
    /// Name of a user, and the file with the password.
    pub login: Option<(String, PathBuf)>,
}

/// A receiver of OpenTelemetry's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpTarget {
    pub route: Route,
    pub protocol: OtlpProtocol,
    /// Of HTTP.
    pub path: String,
    /// Names and values, valid in HTTP.
    pub headers: Vec<(String, String)>,
    /// Attributes of the resource besides those that name the node.
    pub resource: Vec<(String, String)>,
    /// How long an answer may take.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// What becomes of files that were put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

impl FileTarget {
    /// Cilium's.
    pub const DEFAULT_MEGABYTES: u32 = 10;
    /// Cilium's.
    pub const DEFAULT_BACKUPS: usize = 5;
}

impl Bounds {
    pub const DEFAULT_FLOWS: usize = 16_384;
    /// What flows may take apart from their number: those of an outage among long requests.
    pub const BYTES: usize = 64 << 20;

    #[must_use]
    pub const fn of_flows(flows: usize) -> Self {
        Self { flows, bytes: Self::BYTES }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::of_flows(Self::DEFAULT_FLOWS)
    }
}

impl Spec {
    /// Its filters and its mask, made ready.
    ///
    /// # Errors
    /// Says what is wrong with which filter or field.
    pub fn selection(&self) -> Result<Selection, SelectionError> {
        Selection::new(&self.allow, &self.deny, &self.mask)
    }
}
