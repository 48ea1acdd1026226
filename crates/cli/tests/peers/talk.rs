//! Running other people's programs inside of endpoints, and hearing what they and the monitor say.

use crate::stage::{Stage, eventually};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// What takes longer hangs.
const SURELY: Duration = Duration::from_secs(60);
/// After this long nothing more comes.
const SILENCE: Duration = Duration::from_millis(300);

/// A program of the folder `scripts`.
pub fn script(name: &str) -> String {
    root().join("scripts").join(name).display().to_string()
}

/// A program in Python beside this file.
pub fn python(name: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name);
    [script("python-peers"), "run".to_owned(), file.display().to_string()].to_vec()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Starts an endpoint with these labels that runs the command, and returns its IPv4 address.
pub fn endpoint<S: AsRef<str>>(stage: &Stage, name: &str, labels: &[&str], command: &[S]) -> String {
    let log = stage.folder.join(format!("{name}.log")).display().to_string();
    let mut arguments = vec!["run", "--detach", "--name", name, "--log", &log];
    for label in labels {
        arguments.extend(["-l", label]);
    }
    arguments.push("--");
    arguments.extend(command.iter().map(AsRef::as_ref));
    stage.done(&arguments);
    stage.json(&["endpoint", "get", name])[0]["ipv4"].as_str().unwrap().to_owned()
}

/// An endpoint that does nothing until [`exec`].
pub fn idle(stage: &Stage, name: &str, labels: &[&str]) -> String {
    endpoint(stage, name, labels, &["sleep", "infinity"])
}

fn inside_of<S: AsRef<str>>(stage: &Stage, endpoint: &str, command: &[S]) -> Command {
    let seconds = SURELY.as_secs().to_string();
    let mut arguments = vec!["exec", endpoint, "--", "timeout", &seconds];
    arguments.extend(command.iter().map(AsRef::as_ref));
    stage.ciliate(&arguments)
}

/// Runs a command in an endpoint to its end; `input` is what it reads.
pub fn exec<S: AsRef<str>>(stage: &Stage, endpoint: &str, command: &[S], input: &str) -> Output {
    let mut command = inside_of(stage, endpoint, command);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Lines of a process's output as they come.
struct Lines(Receiver<String>);

impl Lines {
    fn of(child: &mut Child) -> Self {
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self(lines)
    }

    fn next(&self) -> String {
        match self.0.recv_timeout(SURELY) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was said for {SURELY:?}"),
            Err(RecvTimeoutError::Disconnected) => "(ended)".to_owned(),
        }
    }
}

/// A program in an endpoint that is told something line by line and answers each.
pub struct Talker {
    child: Child,
    input: ChildStdin,
    output: Lines,
}

impl Talker {
    pub fn start<S: AsRef<str>>(stage: &Stage, endpoint: &str, command: &[S]) -> Self {
        let mut child =
            inside_of(stage, endpoint, command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { input: child.stdin.take().unwrap(), output: Lines::of(&mut child), child }
    }

    /// Says a line, and returns the line that answers it; `(ended)` when there is none to come.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub fn hear(&self) -> String {
        self.output.next()
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ciliate monitor -t l7`, from when it is heard.
pub struct Monitor {
    child: Child,
    lines: Lines,
}

impl Monitor {
    /// `poke` makes a request that the monitor sees once it is there.
    pub fn start(stage: &Stage, mut poke: impl FnMut()) -> Self {
        let mut child =
            stage.ciliate(&["monitor", "--json", "-t", "l7"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = Lines::of(&mut child);
        eventually("the monitor is heard", || {
            poke();
            lines.0.recv_timeout(SILENCE).is_ok()
        });
        let monitor = Self { child, lines };
        monitor.seen();
        monitor
    }

    /// All that it has shown since it was asked last.
    pub fn seen(&self) -> Vec<Value> {
        let next = || self.lines.0.recv_timeout(SILENCE).ok();
        std::iter::from_fn(next).map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
