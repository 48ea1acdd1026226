//! A server on a unix socket with fixed answers, and what it was asked.

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    ops::Deref,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

/// Method and start of the path, status, body.
type Answer = (&'static str, u16, Value);

pub struct FakeAgent {
    pub folder: Folder,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

/// A folder of its own for each test, which goes with it.
pub struct Folder(PathBuf);

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub fn folder(name: &str) -> Folder {
    let folder = std::env::temp_dir().join(format!("ciliate-cli-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    Folder(folder)
}

/// The binary under test, asking the agent in `folder`, untouched by the environment of whoever runs the tests.
pub fn ciliate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ciliate"));
    let inherited = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("CILIATE_"));
    inherited.for_each(|name| {
        command.env_remove(name);
    });
    command.arg(format!("--run-dir={}", folder.display()));
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl FakeAgent {
    pub fn start(name: &str, answers: Vec<Answer>) -> Self {
        let folder = folder(name);
        let listener = UnixListener::bind(folder.join("ciliate.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away early is none of our business.
                serve(stream, &answers, &record).ok();
            }
        });
        Self { folder, asked }
    }

    pub fn requests(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(request, _)| request.clone()).collect()
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).filter(|b| !b.is_null()).collect()
    }
}

fn serve(
    stream: UnixStream,
    answers: &[Answer],
    record: &Mutex<Vec<(String, Value)>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    record.lock().unwrap().push((request.clone(), serde_json::from_slice(&body).unwrap_or_default()));
    // The longest start that fits, so that `/v1/endpoints` does not answer for what lies below it.
    let fits = answers.iter().filter(|(start, _, _)| {
        request.strip_prefix(start).is_some_and(|rest| rest.is_empty() || start.ends_with('='))
    });
    let (status, answer) = fits.max_by_key(|(start, _, _)| start.len()).map_or(
        (404, json!({"status": 404, "message": format!("nothing answers to {request}")})),
        |(_, s, a)| (*s, a.clone()),
    );
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.0 {status} X\r\nContent-Type: application/json\r\n\r\n{answer}\n")
}

pub fn endpoint() -> Value {
    json!({
        "id": 65, "name": "tiefighter", "namespace": "default", "serviceAccount": "default", "state": "ready",
        "identity": 31995, "labels": ["k8s:class=tiefighter", "k8s:io.kubernetes.pod.namespace=default"],
        "givenLabels": ["k8s:class=tiefighter"], "ipv4": "10.0.0.205", "ports": [], "publish": [],
        "device": {"name": "cil65", "ifindex": 12, "hostMac": "", "containerName": "eth0", "containerMac": ""},
        "policy": {"ingress": "disabled", "egress": "disabled", "audit": "off", "revision": 1, "ruleSet": 1,
                   "ingressIsolatedBy": [], "egressIsolatedBy": []},
        "created": "2026-01-02T03:04:05Z", "network": {"mtu": 1500, "hostsFile": "/run/ciliate/hosts"},
    })
}

pub fn status() -> Value {
    json!({
        "version": "0.1.0", "kernel": "6.18.0", "pid": 4242, "health": "ok", "subsystems": [],
        "nodeName": "n1", "clusterName": "default", "uptimeSeconds": 5, "residentBytes": 1024,
        "policyRevision": 1, "policies": 0, "identities": 11, "endpoints": {"ready": 2},
        "pools": [{"pool": "10.201.0.0/16", "used": 3, "capacity": 65533}], "maps": [], "lostEvents": {},
    })
}
