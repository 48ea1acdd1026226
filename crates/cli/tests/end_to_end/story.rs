//! The three of the story, what they ask for, and processes as tests look at them.

use crate::stage::{Stage, eventually, text};
use ciliate_net::Netns;
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Who may connect to the station.
pub const RULE1: &str = include_str!("../../../../examples/star-wars/rule1.yaml");
/// And what they may ask for.
pub const RULE1_L7: &str = include_str!("../../../../examples/star-wars/rule1-l7.yaml");
pub const LANDING: (&str, &str) = ("POST", "/v1/request-landing");
pub const EXHAUST: (&str, &str) = ("PUT", "/v1/exhaust-port");
/// What takes longer hangs.
pub const SURELY: Duration = Duration::from_secs(10);

/// Starts the three of the story.
pub fn cast(stage: &Stage) {
    let run = |name: &str, org: &str, command: &[&str]| {
        let labels = [format!("org={org}"), format!("class={name}")];
        let flags = ["run", "--detach", "--name", name, "-l", &labels[0], "-l", &labels[1], "--"];
        stage.done(&[&flags, command].concat());
    };
    run("deathstar", "empire", &["deathstar", "serve"]);
    run("tiefighter", "empire", &["sleep", "infinity"]);
    run("xwing", "alliance", &["sleep", "infinity"]);
    eventually("the station listens", || ask(stage, "tiefighter", LANDING).0 == 0);
}

/// Exit code (22: answered with 400 or more, 28: not answered) and body.
pub fn ask(stage: &Stage, ship: &str, (method, path): (&str, &str)) -> (i32, String) {
    let url = format!("http://deathstar{path}");
    let output = stage.output(&["exec", ship, "--", "deathstar", "request", method, &url, "--timeout", "1"]);
    (output.status.code().unwrap_or(-1), text(&output.stdout).trim().to_owned())
}

/// What `policy trace` says of a connection between two ships' ports 80, if it says what is expected.
pub fn traced(stage: &Stage, (from, to): (&str, &str), more: &[&str], expected: &str) -> String {
    let asked = ["policy", "trace", from, to, "--dport", "80/TCP", "--expect", expected];
    stage.done(&[&asked, more].concat())
}

/// What a command that goes on says, line by line, until this is dropped.
pub struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    pub fn of(stage: &Stage, arguments: &[&str]) -> Self {
        let mut child = stage.ciliate(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits until it says something of what `poke` does; that and what comes with it goes.
    pub fn wake(&self, mut poke: impl FnMut()) {
        eventually("the command is heard", || {
            poke();
            self.lines.try_recv().is_ok()
        });
        while self.lines.recv_timeout(Duration::from_millis(300)).is_ok() {}
    }

    pub fn next(&self) -> String {
        self.lines.recv_timeout(SURELY).unwrap()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A connection of the tiefighter to the station.
pub struct Line(pub BufReader<TcpStream>);

pub struct Ship {
    pub netns: Netns,
    pub station: SocketAddr,
}

impl Ship {
    pub fn new(stage: &Stage, name: &str) -> Self {
        let endpoint = |name| stage.json(&["endpoint", "get", name])[0].clone();
        let netns = endpoint(name)["device"]["netns"].as_str().unwrap().to_owned();
        let station = endpoint("deathstar")["ipv4"].as_str().unwrap().to_owned();
        Self {
            netns: Netns::open(Path::new(&netns)).unwrap(),
            station: format!("{station}:80").parse().unwrap(),
        }
    }

    pub fn call(&self) -> std::io::Result<Line> {
        let station = self.station;
        let stream = self.netns.run(move || TcpStream::connect_timeout(&station, SURELY)).unwrap()?;
        stream.set_read_timeout(Some(SURELY))?;
        stream.set_nodelay(true)?;
        Ok(Line(BufReader::new(stream)))
    }
}

impl Line {
    pub fn say(&mut self, (method, path): (&str, &str)) -> std::io::Result<()> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: deathstar\r\nContent-Length: 0\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())
    }

    /// Status and body of the next answer.
    pub fn hear(&mut self) -> std::io::Result<(u16, String)> {
        let (mut line, mut length) = (String::new(), 0);
        self.0.read_line(&mut line)?;
        let status =
            line.get(9..12).and_then(|digits| digits.parse().ok()).ok_or(ErrorKind::UnexpectedEof)?;
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, text(&body).trim().to_owned()))
    }

    pub fn ask(&mut self, request: (&str, &str)) -> std::io::Result<(u16, String)> {
        self.say(request)?;
        self.hear()
    }
}

pub fn landed() -> (u16, String) {
    (200, "Ship landed".to_owned())
}

pub fn denied() -> (u16, String) {
    (403, "Access denied".to_owned())
}

/// From a command that says it.
pub fn pid_of(stage: &Stage, command: &[&str], field: &str) -> Pid {
    Pid::from_raw(i32::try_from(stage.json(command)[field].as_i64().unwrap()).unwrap())
}

/// Command lines of all processes of this place.
pub fn processes() -> Vec<String> {
    let command = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).ok();
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(command);
    all.map(|command| text(&command).replace('\0', " ")).collect()
}

pub fn agent(stage: &Stage) -> Pid {
    pid_of(stage, &["status"], "pid")
}

/// The process that carries connections.
pub fn proxy(stage: &Stage) -> Pid {
    pid_of(stage, &["proxy", "status"], "pid")
}

/// Returns when it has ended.
pub fn kill_hard(pid: Pid) {
    kill(pid, Signal::SIGKILL).unwrap();
    // This process is the first one of its namespace, and so the one that buries orphans; others have their parents.
    while waitpid(pid, None).is_err() && fs::exists(format!("/proc/{pid}")).unwrap() {
        thread::sleep(Duration::from_millis(1));
    }
}
