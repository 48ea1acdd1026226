//! Blocking client of the agent: standard library only, so that the CNI plug-in starts in a millisecond.

mod http;

use crate::{
    AddressEntry, ApiError, ApplyRequest, ApplyResult, BpfEndpoint, BpfMetric, ClientError, ConfigPatch,
    ConfigRow, Connection, ConnectionFilter, DbTable, DebugInfo, DeleteRequest, Endpoint, EndpointHealth,
    EndpointLogEntry, EndpointPatch, EndpointRef, EndpointRequest, Event, Flushed, IdentityEntry,
    IpcacheEntry, MapEvent, MapInfo, Method, MonitorFilter, ObjectView, PolicyEntry, Recording,
    RecordingRequest, SelectorRow, Shutdown, ShutdownMode, Status, TraceReply, TraceRequest, WaitReply,
    WaitRequest, encode_query, escape,
};
use ciliate_types::Identity;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{BufRead, BufReader},
    marker::PhantomData,
    net::IpAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// One connection per call.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// An answer may take 30 seconds.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), timeout: Duration::from_secs(30) }
    }

    /// How long an answer may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn status(&self) -> Result<Status> {
        self.get("/v1/status")
    }

    pub fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.get("/v1/endpoints")
    }

    pub fn endpoint(&self, endpoint: &EndpointRef) -> Result<Endpoint> {
        self.get(&endpoint_path(endpoint, ""))
    }

    pub fn create_endpoint(&self, request: &EndpointRequest) -> Result<Endpoint> {
        self.send(Method::Post, "/v1/endpoints", request)
    }

    pub fn patch_endpoint(&self, endpoint: &EndpointRef, patch: &EndpointPatch) -> Result<Endpoint> {
        self.send(Method::Patch, &endpoint_path(endpoint, ""), patch)
    }

    /// Answers with the endpoint as it last was.
    pub fn delete_endpoint(&self, endpoint: &EndpointRef) -> Result<Endpoint> {
        self.call(Method::Delete, &endpoint_path(endpoint, ""), None)
    }

    pub fn endpoint_log(&self, endpoint: &EndpointRef) -> Result<Vec<EndpointLogEntry>> {
        self.get(&endpoint_path(endpoint, "/log"))
    }

    pub fn endpoint_health(&self, endpoint: &EndpointRef) -> Result<EndpointHealth> {
        self.get(&endpoint_path(endpoint, "/health"))
    }

    pub fn identities(&self) -> Result<Vec<IdentityEntry>> {
        self.get("/v1/identities")
    }

    pub fn identity(&self, identity: Identity) -> Result<IdentityEntry> {
        self.get(&format!("/v1/identities/{identity}"))
    }

    pub fn ips(&self) -> Result<Vec<AddressEntry>> {
        self.get("/v1/ips")
    }

    /// All objects, or those of one kind (`cnp`, `CiliumNetworkPolicy`, …).
    pub fn objects(&self, kind: Option<&str>) -> Result<Vec<ObjectView>> {
        match kind {
            Some(kind) => self.get(&format!("/v1/policies?kind={}", escape(kind))),
            None => self.get("/v1/policies"),
        }
    }

    pub fn apply(&self, request: &ApplyRequest) -> Result<ApplyResult> {
        self.send(Method::Post, "/v1/policies", request)
    }

    pub fn delete_objects(&self, request: &DeleteRequest) -> Result<ApplyResult> {
        self.send(Method::Delete, "/v1/policies", request)
    }

    /// Unknown fields are mistakes here.
    pub fn validate(&self, request: &ApplyRequest) -> Result<ApplyResult> {
        self.send(Method::Post, "/v1/validate", request)
    }

    pub fn selectors(&self) -> Result<Vec<SelectorRow>> {
        self.get("/v1/policies/selectors")
    }

    pub fn trace(&self, request: &TraceRequest) -> Result<Vec<TraceReply>> {
        self.send(Method::Post, "/v1/policies/trace", request)
    }

    /// Waits as long as the request says.
    pub fn wait_for_policy(&self, request: &WaitRequest) -> Result<WaitReply> {
        let patience = Duration::from_secs(request.timeout_seconds).saturating_add(self.timeout);
        self.clone().with_timeout(patience).send(Method::Post, "/v1/policies/wait", request)
    }

    /// Events until the agent ends or the stream is dropped.
    pub fn monitor(&self, filter: &MonitorFilter) -> Result<Stream<Event>> {
        let target = format!("/v1/monitor{}", query(filter)?);
        let response = self.exchange(Method::Get, &target, None, None)?;
        Ok(Stream { reader: response.lines(), route: target, item: PhantomData })
    }

    pub fn recordings(&self) -> Result<Vec<Recording>> {
        self.get("/v1/recordings")
    }

    pub fn start_recording(&self, request: &RecordingRequest) -> Result<Recording> {
        self.send(Method::Post, "/v1/recordings", request)
    }

    /// Returns when its file is complete.
    pub fn stop_recording(&self, id: u64) -> Result<Recording> {
        self.call(Method::Delete, &format!("/v1/recordings/{id}"), None)
    }

    pub fn bpf_endpoints(&self) -> Result<Vec<BpfEndpoint>> {
        self.get("/v1/bpf/endpoints")
    }

    pub fn bpf_policy(&self, endpoint: Option<&EndpointRef>) -> Result<Vec<PolicyEntry>> {
        match endpoint {
            Some(endpoint) => self.get(&format!("/v1/bpf/policy/{}", escape(&endpoint.to_string()))),
            None => self.get("/v1/bpf/policy"),
        }
    }

    pub fn connections(&self, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
        self.get(&format!("/v1/bpf/connections{}", query(filter)?))
    }

    pub fn flush_connections(&self, filter: &ConnectionFilter) -> Result<Flushed> {
        self.call(Method::Delete, &format!("/v1/bpf/connections{}", query(filter)?), None)
    }

    pub fn ipcache(&self) -> Result<Vec<IpcacheEntry>> {
        self.get("/v1/bpf/ipcache")
    }

    pub fn ipcache_lookup(&self, address: IpAddr) -> Result<IpcacheEntry> {
        self.get(&format!("/v1/bpf/ipcache/{}", escape(&address.to_string())))
    }

    pub fn bpf_metrics(&self) -> Result<Vec<BpfMetric>> {
        self.get("/v1/bpf/metrics")
    }

    pub fn maps(&self) -> Result<Vec<MapInfo>> {
        self.get("/v1/maps")
    }

    pub fn map(&self, name: &str) -> Result<Vec<serde_json::Value>> {
        self.get(&format!("/v1/maps/{}", escape(name)))
    }

    pub fn map_events(&self, name: &str) -> Result<Vec<MapEvent>> {
        self.get(&format!("/v1/maps/{}/events", escape(name)))
    }

    /// In the Prometheus text format.
    pub fn metrics(&self) -> Result<String> {
        let body = self.exchange(Method::Get, "/v1/metrics", None, Some(self.timeout))?.body()?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    pub fn config(&self) -> Result<Vec<ConfigRow>> {
        self.get("/v1/config")
    }

    pub fn set_config(&self, patch: &ConfigPatch) -> Result<Vec<ConfigRow>> {
        self.send(Method::Patch, "/v1/config", patch)
    }

    pub fn tables(&self) -> Result<Vec<DbTable>> {
        self.get("/v1/db")
    }

    pub fn table(&self, name: &str) -> Result<Vec<serde_json::Value>> {
        self.get(&format!("/v1/db/{}", escape(name)))
    }

    /// Returns when all is taken down (`Down`) or the agent has begun to stop (`Stop`).
    pub fn shutdown(&self, mode: ShutdownMode) -> Result<()> {
        let body = to_json("/v1/shutdown", &Shutdown { mode })?;
        self.exchange(Method::Post, "/v1/shutdown", Some(&body), Some(self.timeout)).map(drop)
    }

    pub fn debuginfo(&self) -> Result<DebugInfo> {
        self.get("/v1/debuginfo")
    }

    pub fn openapi(&self) -> Result<serde_json::Value> {
        self.get("/v1/openapi.json")
    }

    fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T> {
        self.call(Method::Get, target, None)
    }

    fn send<B: Serialize, T: DeserializeOwned>(&self, method: Method, target: &str, body: &B) -> Result<T> {
        self.call(method, target, Some(&to_json(target, body)?))
    }

    fn call<T: DeserializeOwned>(&self, method: Method, target: &str, body: Option<&[u8]>) -> Result<T> {
        let body = self.exchange(method, target, body, Some(self.timeout))?.body()?;
        serde_json::from_slice(&body)
            .map_err(|e| ClientError::Answer { route: format!("{method} {target}"), reason: e.to_string() })
    }

    /// Sends and checks the status.
    fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Option<&[u8]>,
        timeout: Option<Duration>,
    ) -> Result<http::Response> {
        let stream = http::connect(&self.socket)
            .map_err(|source| ClientError::Connect { path: self.socket.clone(), source })?;
        let method = method.to_string();
        let response = http::exchange(stream, &http::Request { method: &method, target, body, timeout })?;
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        let status = response.status;
        let body = response.body()?;
        let error = serde_json::from_slice(&body).unwrap_or_else(|_| {
            ApiError::new(status, format!("{method} {target}: {}", String::from_utf8_lossy(&body)))
        });
        Err(ClientError::Refused(ApiError { status, ..error }))
    }
}

fn endpoint_path(endpoint: &EndpointRef, rest: &str) -> String {
    format!("/v1/endpoints/{}{rest}", escape(&endpoint.to_string()))
}

fn query<T: Serialize>(value: &T) -> Result<String> {
    encode_query(value).map_err(|e| ClientError::Answer { route: "query".to_owned(), reason: e.to_string() })
}

fn to_json<T: Serialize>(target: &str, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| ClientError::Answer { route: target.to_owned(), reason: e.to_string() })
}

/// Values as they come, one a line.
#[derive(Debug)]
pub struct Stream<T> {
    reader: BufReader<UnixStream>,
    route: String,
    item: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for Stream<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        loop {
            line.clear();
            match self.reader.read_line(&mut line) {
                Ok(0) => return None,
                // An empty line keeps the connection alive.
                Ok(_) if line.trim().is_empty() => {}
                Ok(_) => {
                    return Some(serde_json::from_str(&line).map_err(|e| ClientError::Answer {
                        route: self.route.clone(),
                        reason: e.to_string(),
                    }));
                }
                Err(e) => return Some(Err(e.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        os::unix::net::UnixListener,
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    /// Answers one connection with `answer` and returns what it was asked.
    fn server(answer: &'static str) -> (PathBuf, thread::JoinHandle<String>) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ciliate-api-{}-{number}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("bind");
        let bound = path.clone();
        let handle = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("accept");
            std::fs::remove_file(bound).expect("remove");
            let mut reader = BufReader::new(stream);
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") {
                reader.read_line(&mut asked).expect("read");
            }
            let length = asked.split("Content-Length: ").nth(1).and_then(|r| r.split("\r\n").next());
            let mut body = vec![0; length.expect("length").parse().expect("number")];
            std::io::Read::read_exact(&mut reader, &mut body).expect("body");
            asked.push_str(&String::from_utf8(body).expect("text"));
            reader.get_mut().write_all(answer.as_bytes()).expect("answer");
            asked
        });
        (path, handle)
    }

    #[test]
    fn a_refusal_comes_back_typed() {
        let (path, handle) = server(
            "HTTP/1.1 409 Conflict\r\nx: y\r\n\r\n{\"status\":409,\"message\":\"taken\",\"problems\":[{\"origin\":\"a.yaml\",\"line\":3,\"message\":\"bad\"}]}",
        );
        let error =
            Client::new(path).delete_endpoint(&"shop/cart 1".parse().expect("never")).expect_err("refused");
        assert_eq!(error.to_string(), "taken\n  a.yaml:3: bad");
        assert!(matches!(error, ClientError::Refused(ApiError { status: 409, .. })));
        assert!(
            handle.join().expect("served").starts_with("DELETE /v1/endpoints/shop%2Fcart%201 HTTP/1.0\r\n")
        );
    }

    #[test]
    fn answers_that_are_none_are_errors() {
        for answer in [
            "",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\n\r\n{",
            "HTTP/1.1 500 X\r\n\r\nplain",
        ] {
            let (path, handle) = server(answer);
            assert!(Client::new(path).identities().is_err(), "{answer:?}");
            handle.join().expect("served");
        }
    }

    #[test]
    fn a_missing_agent_is_named() {
        let error = Client::new("/nonexistent/s").status().expect_err("no agent");
        assert!(error.to_string().contains("/nonexistent/s"), "{error}");
        assert!(error.to_string().contains("ciliate up"), "{error}");
    }

    #[test]
    fn a_stream_yields_one_event_a_line_and_ends() {
        let (path, handle) = server(
            "HTTP/1.1 200 OK\r\n\r\n\n{\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"lost\",\"count\":7,\"place\":\"kernel\"}\n",
        );
        let filter = MonitorFilter { types: vec![crate::EventKind::Drop], ..Default::default() };
        let events: Vec<Event> =
            Client::new(path).monitor(&filter).expect("stream").map(|e| e.expect("event")).collect();
        assert!(matches!(events.as_slice(), [Event { body: crate::EventBody::Lost { count: 7, .. }, .. }]));
        let asked = handle.join().expect("served");
        let query = asked.split_whitespace().nth(1).and_then(|t| t.split_once('?')).map(|(_, q)| q);
        assert_eq!(crate::decode_query::<MonitorFilter>(query), Ok(filter));
    }
}
