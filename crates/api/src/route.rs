//! The one table of routes: the server, the client's tests and the OpenAPI document come from it.

use crate::{
    AddressEntry, ApplyRequest, ApplyResult, BpfEndpoint, BpfMetric, ConfigPatch, ConfigRow, Connection,
    ConnectionFilter, DbTable, DebugInfo, DeleteRequest, Endpoint, EndpointHealth, EndpointLogEntry,
    EndpointPatch, EndpointRequest, Event, Flushed, IdentityEntry, IpcacheEntry, MapEvent, MapInfo,
    MonitorFilter, ObjectView, PolicyEntry, Recording, RecordingRequest, SelectorRow, Shutdown, Status,
    TraceReply, TraceRequest, WaitReply, WaitRequest,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        })
    }
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// How a body is laid out.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    None,
    Json(SchemaOf),
    /// One JSON value a line, without end.
    Lines(SchemaOf),
    Text,
}

/// One method on one path. A segment in braces stands for any value.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub summary: &'static str,
    pub request: Shape,
    /// Sent as `?json=`, see [`encode_query`](crate::encode_query).
    pub query: Shape,
    pub response: Shape,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn json<T: JsonSchema>() -> Shape {
    Shape::Json(of::<T>)
}

const fn get(path: &'static str, summary: &'static str, response: Shape) -> Route {
    Route { method: Method::Get, path, summary, request: Shape::None, query: Shape::None, response }
}

const fn with_body(
    method: Method,
    path: &'static str,
    summary: &'static str,
    request: Shape,
    response: Shape,
) -> Route {
    Route { method, path, summary, request, query: Shape::None, response }
}

const fn with_query(
    method: Method,
    path: &'static str,
    summary: &'static str,
    query: Shape,
    response: Shape,
) -> Route {
    Route { method, path, summary, request: Shape::None, query, response }
}

/// Every route of the agent.
pub const ROUTES: &[Route] = &[
    get("/v1/status", "How the agent and its parts are", json::<Status>()),
    get("/v1/endpoints", "All endpoints", json::<Vec<Endpoint>>()),
    with_body(
        Method::Post,
        "/v1/endpoints",
        "Put a network namespace under policy",
        json::<EndpointRequest>(),
        json::<Endpoint>(),
    ),
    get("/v1/endpoints/{endpoint}", "One endpoint", json::<Endpoint>()),
    with_body(
        Method::Patch,
        "/v1/endpoints/{endpoint}",
        "Change labels or options",
        json::<EndpointPatch>(),
        json::<Endpoint>(),
    ),
    with_body(
        Method::Delete,
        "/v1/endpoints/{endpoint}",
        "Remove an endpoint",
        Shape::None,
        json::<Endpoint>(),
    ),
    get("/v1/endpoints/{endpoint}/log", "What happened to it", json::<Vec<EndpointLogEntry>>()),
    get("/v1/endpoints/{endpoint}/health", "How it is", json::<EndpointHealth>()),
    get("/v1/identities", "All identities", json::<Vec<IdentityEntry>>()),
    get("/v1/identities/{identity}", "One identity", json::<IdentityEntry>()),
    get("/v1/ips", "Addresses with their identities", json::<Vec<AddressEntry>>()),
    get("/v1/policies", "All objects; `?kind=` of one kind", json::<Vec<ObjectView>>()),
    with_body(
        Method::Post,
        "/v1/policies",
        "Apply objects, all or none; answers when they are enforced",
        json::<ApplyRequest>(),
        json::<ApplyResult>(),
    ),
    with_body(
        Method::Delete,
        "/v1/policies",
        "Delete objects, all or none",
        json::<DeleteRequest>(),
        json::<ApplyResult>(),
    ),
    get("/v1/policies/selectors", "Selectors and whom they select", json::<Vec<SelectorRow>>()),
    with_body(
        Method::Post,
        "/v1/policies/trace",
        "Which rule decides a packet; one answer for each protocol asked about",
        json::<TraceRequest>(),
        json::<Vec<TraceReply>>(),
    ),
    with_body(
        Method::Post,
        "/v1/policies/wait",
        "Wait until a revision is enforced everywhere",
        json::<WaitRequest>(),
        json::<WaitReply>(),
    ),
    with_body(
        Method::Post,
        "/v1/validate",
        "Check objects strictly and change nothing",
        json::<ApplyRequest>(),
        json::<ApplyResult>(),
    ),
    with_query(
        Method::Get,
        "/v1/monitor",
        "Events as they happen",
        json::<MonitorFilter>(),
        Shape::Lines(of::<Event>),
    ),
    get("/v1/recordings", "Recordings of packets that go on or have ended", json::<Vec<Recording>>()),
    with_body(
        Method::Post,
        "/v1/recordings",
        "Begin to record packets into a file of the node",
        json::<RecordingRequest>(),
        json::<Recording>(),
    ),
    with_body(
        Method::Delete,
        "/v1/recordings/{recording}",
        "End a recording; answers when its file is complete",
        Shape::None,
        json::<Recording>(),
    ),
    get("/v1/bpf/endpoints", "The kernel's endpoints", json::<Vec<BpfEndpoint>>()),
    get("/v1/bpf/policy", "The kernel's rules, endpoint by endpoint", json::<Vec<PolicyEntry>>()),
    get("/v1/bpf/policy/{endpoint}", "The kernel's rules for one endpoint", json::<Vec<PolicyEntry>>()),
    with_query(
        Method::Get,
        "/v1/bpf/connections",
        "The kernel's connections",
        json::<ConnectionFilter>(),
        json::<Vec<Connection>>(),
    ),
    with_query(
        Method::Delete,
        "/v1/bpf/connections",
        "Forget connections; the next packet of each is judged anew",
        json::<ConnectionFilter>(),
        json::<Flushed>(),
    ),
    get("/v1/bpf/ipcache", "The kernel's identities by address", json::<Vec<IpcacheEntry>>()),
    get("/v1/bpf/ipcache/{address}", "The entry that decides an address", json::<IpcacheEntry>()),
    get("/v1/bpf/metrics", "The kernel's counters", json::<Vec<BpfMetric>>()),
    get("/v1/maps", "The kernel's maps", json::<Vec<MapInfo>>()),
    get("/v1/maps/{map}", "What the agent wrote into a map", json::<Vec<serde_json::Value>>()),
    get("/v1/maps/{map}/events", "The last writes of the agent", json::<Vec<MapEvent>>()),
    get("/v1/metrics", "Metrics in the Prometheus text format", Shape::Text),
    get("/v1/config", "All settings", json::<Vec<ConfigRow>>()),
    with_body(
        Method::Patch,
        "/v1/config",
        "Change settings of the running agent",
        json::<ConfigPatch>(),
        json::<Vec<ConfigRow>>(),
    ),
    get("/v1/db", "The agent's tables", json::<Vec<DbTable>>()),
    get("/v1/db/{table}", "The rows of a table", json::<Vec<serde_json::Value>>()),
    with_body(Method::Post, "/v1/shutdown", "End the agent", json::<Shutdown>(), Shape::None),
    get("/v1/debuginfo", "Everything one needs to look into a fault", json::<DebugInfo>()),
    get("/v1/openapi.json", "This API", json::<serde_json::Value>()),
];
