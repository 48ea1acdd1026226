//! Recordings from outside: a client that asks for one, and the file as tshark reads it.

use crate::stage::{Stage, eventually, text};
use ciliate_net::Netns;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// What tshark says of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Seconds with nanoseconds.
    pub time: String,
    pub interface: String,
    pub source: String,
    pub destination: String,
    pub protocol: u8,
    /// The destination's.
    pub port: u16,
    pub captured: u32,
    pub length: u32,
    pub comment: String,
}

/// All packets of a file. A file that is not in order fails.
pub fn read(path: &PathBuf) -> Vec<Frame> {
    let fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "ip.src",
        "ipv6.src",
        "ip.dst",
        "ipv6.dst",
        "ip.proto",
        "ipv6.nxt",
        "tcp.dstport",
        "udp.dstport",
        "frame.cap_len",
        "frame.len",
        "frame.comment",
    ];
    let mut command = Command::new("tshark");
    // The first of several values: packets that errors quote have some, too.
    command.args(["-n", "-r"]).arg(path).args(["-T", "fields", "-E", "occurrence=f"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
        .lines()
        .map(|line| {
            let values: Vec<&str> = line.split('\t').collect();
            let either = |a: usize, b: usize| if values[a].is_empty() { values[b] } else { values[a] };
            Frame {
                time: values[0].to_owned(),
                interface: values[1].to_owned(),
                source: either(2, 3).to_owned(),
                destination: either(4, 5).to_owned(),
                protocol: either(6, 7).parse().unwrap_or_default(),
                port: either(8, 9).parse().unwrap_or_default(),
                captured: values[10].parse().unwrap(),
                length: values[11].parse().unwrap(),
                comment: values[12].to_owned(),
            }
        })
        .collect()
}

pub fn contains(file: &[u8], part: &str) -> bool {
    file.windows(part.len()).any(|window| window == part.as_bytes())
}

/// `hubble record` that goes on.
pub struct Recording {
    client: Child,
    out: BufReader<ChildStdout>,
    pub path: PathBuf,
}

impl Recording {
    /// Returns when packets are recorded.
    pub fn start(stage: &Stage, arguments: &[&str]) -> Self {
        let folder = stage.folder.join("run/ciliate/pcaps");
        let files = || -> Vec<PathBuf> {
            fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        };
        let before = files();
        let mut client = stage
            .ciliate(&[&["hubble", "record"], arguments].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(client.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.contains("Status: 0 packets (0 bytes) written"), "{line}");
        let path = files().into_iter().find(|path| !before.contains(path)).unwrap();
        Self { client, out, path }
    }

    /// As Ctrl-C does; what it printed besides.
    pub fn stop(&mut self) -> String {
        let pid = i32::try_from(self.client.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        self.wait()
    }

    pub fn wait(&mut self) -> String {
        let mut said = String::new();
        self.out.read_to_string(&mut said).unwrap();
        let output = self.client.wait().unwrap();
        assert!(output.success(), "{said}");
        said
    }

    /// What it printed when it fails, and its errors.
    pub fn fails(&mut self) -> (String, String) {
        let (mut said, mut errors) = (String::new(), String::new());
        self.out.read_to_string(&mut said).unwrap();
        self.client.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(!self.client.wait().unwrap().success());
        (said, errors)
    }
}

/// An endpoint that sends packets, also when no agent is there to ask about it.
pub struct Talker(Netns);

impl Talker {
    pub fn new(stage: &Stage, name: &str) -> Self {
        let endpoint = stage.json(&["endpoint", "get", name])[0].clone();
        Self(Netns::open(Path::new(endpoint["device"]["netns"].as_str().unwrap())).unwrap())
    }

    /// Sends so many packets of UDP with 100 bytes. They are on their way when this returns.
    pub fn send(&self, to: &str, port: u16, packets: u32) {
        let target = SocketAddr::new(to.parse().unwrap(), port);
        let own = SocketAddr::new(if target.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() }, 0);
        self.0
            .run(move || {
                let socket = UdpSocket::bind(own).unwrap();
                for _ in 0..packets {
                    // Nobody listens there, which the socket is told.
                    eventually("a packet is sent", || socket.send_to(&[7; 100], target).is_ok());
                }
            })
            .unwrap();
    }
}
