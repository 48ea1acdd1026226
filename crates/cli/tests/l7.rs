//! Rules about requests with the real agent, the real proxy and real connections. Needs root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

use ciliate_net::Netns;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stage::{Stage, eventually, inside, said, text};
use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const RULE1: &str = include_str!("../../../examples/star-wars/rule1-l7.yaml");
const LANDING: (&str, &str) = ("POST", "/v1/request-landing");
const EXHAUST: (&str, &str) = ("PUT", "/v1/exhaust-port");
/// What takes longer hangs.
const SURELY: Duration = Duration::from_secs(10);

/// Starts the three of the story.
fn cast(stage: &Stage) {
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
fn ask(stage: &Stage, ship: &str, (method, path): (&str, &str)) -> (i32, String) {
    let url = format!("http://deathstar{path}");
    let output = stage.output(&["exec", ship, "--", "deathstar", "request", method, &url, "--timeout", "1"]);
    (output.status.code().unwrap_or(-1), text(&output.stdout).trim().to_owned())
}

/// A connection of the tiefighter to the station.
struct Line(BufReader<TcpStream>);

struct Ship {
    netns: Netns,
    station: SocketAddr,
}

impl Ship {
    fn new(stage: &Stage, name: &str) -> Self {
        let endpoint = |name| stage.json(&["endpoint", "get", name])[0].clone();
        let netns = endpoint(name)["device"]["netns"].as_str().unwrap().to_owned();
        let station = endpoint("deathstar")["ipv4"].as_str().unwrap().to_owned();
        Self {
            netns: Netns::open(Path::new(&netns)).unwrap(),
            station: format!("{station}:80").parse().unwrap(),
        }
    }

    fn call(&self) -> std::io::Result<Line> {
        let station = self.station;
        let stream = self.netns.run(move || TcpStream::connect_timeout(&station, SURELY)).unwrap()?;
        stream.set_read_timeout(Some(SURELY))?;
        stream.set_nodelay(true)?;
        Ok(Line(BufReader::new(stream)))
    }
}

impl Line {
    fn say(&mut self, (method, path): (&str, &str)) -> std::io::Result<()> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: deathstar\r\nContent-Length: 0\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())
    }

    /// Status and body of the next answer.
    fn hear(&mut self) -> std::io::Result<(u16, String)> {
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

    fn ask(&mut self, request: (&str, &str)) -> std::io::Result<(u16, String)> {
        self.say(request)?;
        self.hear()
    }
}

fn landed() -> (u16, String) {
    (200, "Ship landed".to_owned())
}

fn denied() -> (u16, String) {
    (403, "Access denied".to_owned())
}

fn pid_of(stage: &Stage, process: &[&str]) -> Pid {
    Pid::from_raw(i32::try_from(stage.json(process)["pid"].as_i64().unwrap()).unwrap())
}

/// Command lines of all processes of this place.
fn processes() -> Vec<String> {
    let command = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).ok();
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(command);
    all.map(|command| text(&command).replace('\0', " ")).collect()
}

/// The story of issue 4 by hand: what a user types and sees, and that nothing of it stays.
#[test]
fn the_story_of_requests_leaves_nothing() {
    inside("the_story_of_requests_leaves_nothing", |stage| {
        let before = stage.traces();
        stage.done(&["up"]);
        cast(stage);
        let serving = || processes().iter().any(|command| command.contains(" proxy serve"));
        assert!(!serving(), "nobody needs it yet");
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        assert!(serving());

        // What a monitor prints of a landing and a shot; what it prints of landings before it was heard goes.
        let watch = |arguments: &[&str]| {
            let mut monitor = stage.ciliate(arguments).stdout(Stdio::piped()).spawn().unwrap();
            let output = BufReader::new(monitor.stdout.take().unwrap());
            let (sender, lines) = std::sync::mpsc::channel();
            thread::spawn(move || {
                output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
            let land = || assert_eq!(ask(stage, "tiefighter", LANDING), (0, "Ship landed".to_owned()));
            eventually("the monitor is heard", || {
                land();
                lines.try_recv().is_ok()
            });
            while lines.recv_timeout(Duration::from_millis(300)).is_ok() {}
            land();
            assert_eq!(ask(stage, "tiefighter", EXHAUST), (22, "Access denied".to_owned()));
            assert_eq!(ask(stage, "xwing", LANDING).0, 28, "not for the alliance");
            let mut seen: Vec<String> = Vec::new();
            while !seen.last().is_some_and(|line| line.contains("/v1/exhaust-port")) {
                seen.push(lines.recv_timeout(SURELY).expect("a line of the monitor"));
            }
            monitor.kill().unwrap();
            monitor.wait().unwrap();
            seen
        };
        let lines = watch(&["monitor", "-t", "l7"]);
        let all = lines.join("\n");
        assert_eq!(lines.len(), 3, "{all}");
        assert!(lines[0].starts_with("<- Request http from "), "{all}");
        assert!(
            lines[0].contains("k8s:class=tiefighter") && lines[0].contains("k8s:class=deathstar"),
            "{all}"
        );
        let forwarded = "verdict Forwarded POST http://deathstar/v1/request-landing => 0, \
                         rule cnp/default/rule1 spec.ingress[0].toPorts[0]";
        assert!(lines[0].contains(forwarded), "{all}");
        assert!(lines[1].starts_with("<- Response http to ") && lines[1].contains(" => 200, rule "), "{all}");
        assert!(lines[2].ends_with("verdict Denied PUT http://deathstar/v1/exhaust-port => 403"), "{all}");

        // Requests of the ship and answers to it are told apart by who sent them.
        let from = watch(&["monitor", "--json", "-t", "l7", "--from", "tiefighter"]);
        let expected = [("request", 0), ("request", 403)];
        assert_eq!(from.len(), expected.len(), "{from:#?}");
        for (line, (message, status)) in from.iter().zip(expected) {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&event["type"], &event["message"]), (&"l7".into(), &message.into()), "{event}");
            assert_eq!(event["http"]["status"].as_u64().unwrap_or(0), status, "{event}");
            assert_eq!(event["source"]["name"], "default/tiefighter", "{event}");
        }

        let trace = |request: &str, expected: &str| {
            stage.done(&[
                "policy",
                "trace",
                "tiefighter",
                "deathstar",
                "--dport",
                "80/TCP",
                "--l7",
                request,
                "--expect",
                expected,
            ])
        };
        assert!(trace("POST /v1/request-landing", "allowed").contains("cnp/default/rule1"));
        trace("PUT /v1/exhaust-port", "denied");
        let status = stage.json(&["proxy", "status"]);
        assert!(status["requests"]["forwarded"].as_u64().unwrap() >= 2, "{status}");
        assert!(status["requests"]["denied"].as_u64().unwrap() >= 2, "{status}");
        assert!(stage.done(&["proxy", "config"]).contains("cnp/default/rule1"));

        stage.done(&["delete", "-f", &rule]);
        assert_ne!(ask(stage, "tiefighter", EXHAUST).1, "Access denied");
        assert_eq!(ask(stage, "xwing", LANDING), (0, "Ship landed".to_owned()));
        stage.done(&["down"]);
        assert!(!serving(), "{:?}", processes());
        assert_eq!(stage.traces(), before);
    });
}

/// Requests on an open connection and new connections go on whatever becomes of the agent.
#[test]
fn requests_go_on_without_the_agent() {
    inside("requests_go_on_without_the_agent", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        let ship = Ship::new(stage, "tiefighter");
        let over = AtomicBool::new(false);
        let (kept, fresh) = (AtomicU64::new(0), AtomicU64::new(0));
        let go_on = || !over.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let one = scope.spawn(|| {
                let mut line = ship.call().unwrap();
                while go_on() {
                    assert_eq!(line.ask(LANDING).expect("the open connection goes on"), landed());
                    assert_eq!(line.ask(EXHAUST).expect("the open connection goes on"), denied());
                    kept.fetch_add(2, Ordering::Relaxed);
                }
            });
            let new = scope.spawn(|| {
                while go_on() {
                    let mut line = ship.call().expect("a new connection");
                    assert_eq!(line.ask(LANDING).expect("an answer"), landed());
                    fresh.fetch_add(1, Ordering::Relaxed);
                }
            });
            for _ in 0..3 {
                let proxy = pid_of(stage, &["proxy", "status"]);
                kill(pid_of(stage, &["status"]), Signal::SIGKILL).unwrap();
                let (before, alone) =
                    ((kept.load(Ordering::Relaxed), fresh.load(Ordering::Relaxed)), Instant::now());
                let go_on_alone = || {
                    kept.load(Ordering::Relaxed) > before.0 + 20
                        && fresh.load(Ordering::Relaxed) > before.1 + 5
                };
                eventually("requests go on", || one.is_finished() || new.is_finished() || go_on_alone());
                eprintln!("without an agent for {:?}", alone.elapsed());
                stage.done(&["up"]);
                assert_eq!(pid_of(stage, &["proxy", "status"]), proxy, "the same process");
            }
            over.store(true, Ordering::Relaxed);
            one.join().unwrap();
            new.join().unwrap();
        });
        eprintln!("{kept:?} requests on one connection, {fresh:?} new connections, no failure");
        stage.done(&["down"]);
    });
}

/// A killed proxy has a successor at once; what it carried ends with a reset.
#[test]
fn a_killed_proxy_is_replaced() {
    inside("a_killed_proxy_is_replaced", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        let ship = Ship::new(stage, "tiefighter");
        for _ in 0..3 {
            let mut idle = ship.call().unwrap();
            assert_eq!(idle.ask(LANDING).unwrap(), landed());
            let mut halfway = ship.call().unwrap();
            halfway.0.get_mut().write_all(b"POST /v1/request-landing HTTP/1.1\r\nHost: d").unwrap();
            thread::sleep(Duration::from_millis(50));
            let proxy = pid_of(stage, &["proxy", "status"]);
            kill(proxy, Signal::SIGKILL).unwrap();
            let killed = Instant::now();
            eventually("a successor", || {
                let status = stage.output(&["proxy", "status", "-o", "json"]);
                let status = serde_json::from_slice::<serde_json::Value>(&status.stdout);
                status.is_ok_and(|status| status["pid"].as_i64() != Some(proxy.as_raw().into()))
            });
            eprintln!("another proxy answers {:?} after the kill", killed.elapsed());
            assert_eq!(ship.call().and_then(|mut line| line.ask(LANDING)).unwrap(), landed());
            eprintln!("the next request landed {:?} after the kill", killed.elapsed());
            for line in [&mut idle, &mut halfway] {
                let end = line.0.read(&mut [0; 64]).map_err(|error| error.kind());
                assert_eq!(end, Err(ErrorKind::ConnectionReset));
            }
            assert_ne!(pid_of(stage, &["proxy", "status"]), proxy);
            assert_eq!(ask(stage, "tiefighter", EXHAUST), (22, "Access denied".to_owned()));
            assert_eq!(ask(stage, "xwing", LANDING).0, 28, "not for the alliance");
        }
        stage.done(&["down"]);
    });
}

/// The next request on an open connection is judged by the policy of that moment.
#[test]
fn policies_reach_open_connections() {
    inside("policies_reach_open_connections", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        let ship = Ship::new(stage, "tiefighter");
        let mut line = ship.call().unwrap();
        assert_eq!(line.ask(LANDING).unwrap(), landed());

        let other = stage.file("rule1-other.yaml", &RULE1.replace("/v1/request-landing", "/v1/other"));
        stage.done(&["apply", "-f", &other]);
        assert_eq!(line.ask(LANDING).unwrap(), denied());
        stage.done(&["apply", "-f", &rule]);
        assert_eq!(line.ask(LANDING).unwrap(), landed());

        // No policy at all: the connection goes on, and everything passes.
        stage.done(&["delete", "-f", &rule]);
        let (status, body) = line.ask(EXHAUST).unwrap();
        assert!(status != 403 && body != "Access denied", "{status} {body}");

        // A policy that does not let the ship connect ends what is open, without a further request.
        stage.done(&["apply", "-f", &rule]);
        let mut line = ship.call().unwrap();
        assert_eq!(line.ask(LANDING).unwrap(), landed());
        let alliance =
            stage.file("rule1-alliance.yaml", &RULE1.replace("{org: empire}}]", "{org: alliance}}]"));
        stage.done(&["apply", "-f", &alliance]);
        let end = line.0.read(&mut [0; 64]).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
        assert_eq!(ask(stage, "xwing", LANDING), (0, "Ship landed".to_owned()));
        let (code, _) = ask(stage, "tiefighter", LANDING);
        assert_eq!(code, 28, "{}", said(&stage.output(&["proxy", "status"])));
        stage.done(&["down"]);
    });
}
