//! Programs inside an endpoint. Needs root.
//!
//! A launcher takes the signals of its process, so each test runs it as a process of its own: this binary again.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

#[path = "support/stale.rs"]
mod stale;

use ciliate_net::{Launch, Netns, rewrite_in_place};
use std::{
    fs,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Output, Stdio},
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("launch", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return launcher(rest);
    }
    stale::remove_stale_namespaces();
    type Test = fn(&World);
    let tests: [(&str, Test); 9] = [
        ("exit codes are those of the program", exit_codes),
        ("what cannot be started is told from what fails", not_started),
        ("a program has its own network, name and hosts file", surroundings),
        ("a rewritten hosts file is seen at once", rewritten_hosts),
        ("streams are the caller's", streams),
        ("signals are passed on", signals),
        ("a key on the terminal arrives once", terminal),
        ("a program ends with its launcher", killed_launcher),
        ("a detached program lives on", detached),
    ];
    let chosen = |name: &str| arguments.iter().all(|a| a.starts_with('-') || name.contains(a.as_str()));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.into_iter().filter(|(name, _)| chosen(name)) {
        // As the usual harness prints it: who counts tests reads these lines.
        let outcome = std::panic::catch_unwind(|| test(&World::new()));
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
    }
    println!("test result: {}. {passed} passed; {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    ExitCode::from(u8::from(failed > 0))
}

/// `launch NETNS HOSTS MODE PROGRAM ARGUMENT...`
fn launcher(arguments: &[String]) -> ExitCode {
    let [netns, hosts, mode, program, rest @ ..] = arguments else { return ExitCode::from(99) };
    let mut launch = Launch::new(Netns::open(netns.as_ref()).unwrap(), program).hosts(hosts.as_ref());
    launch.arguments = rest.iter().map(Into::into).collect();
    launch.environment = vec![("COLOUR".into(), "blue".into())];
    launch.hostname = Some("deathstar".into());
    let outcome = match mode.as_str() {
        "run" => launch.start().and_then(|running| running.wait()),
        log => launch.detach(Some(log.as_ref())).map(|pid| {
            println!("{pid}");
            0
        }),
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        error.exit_code()
    }))
}

struct World {
    netns: PathBuf,
    folder: PathBuf,
}

impl World {
    fn new() -> Self {
        let name = format!("cil-test-{}-launch", std::process::id());
        let world =
            Self { netns: Path::new("/run/netns").join(&name), folder: std::env::temp_dir().join(name) };
        fs::create_dir_all(&world.folder).unwrap();
        fs::write(world.hosts(), "10.201.0.9 xwing\n").unwrap();
        Netns::create(&world.netns).expect("tests of the network need root");
        world
    }

    fn hosts(&self) -> PathBuf {
        self.folder.join("hosts")
    }

    fn command(&self, mode: &str, program: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("launch").arg(&self.netns).arg(self.hosts()).arg(mode).args(program);
        command
    }

    fn run(&self, program: &[&str]) -> Output {
        self.command("run", program).stdin(Stdio::null()).output().unwrap()
    }

    fn code(&self, program: &[&str]) -> Option<i32> {
        self.run(program).status.code()
    }

    fn text(&self, script: &str) -> String {
        let output = self.run(&["sh", "-c", script]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        Netns::delete(&self.netns).unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state
        .rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim_start().is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Reads up to the end of a line.
fn line(child: &mut Child) -> String {
    let stream = child.stdout.as_mut().unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        text.push(char::from(byte[0]));
    }
    text
}

fn exit_codes(world: &World) {
    assert_eq!(world.code(&["true"]), Some(0));
    assert_eq!(world.code(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(world.code(&["sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(world.code(&["sh", "-c", "kill -TERM $$"]), Some(143));
}

fn not_started(world: &World) {
    let output = world.run(&["/nowhere/program"]);
    assert_eq!(output.status.code(), Some(127));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(r#"cannot start "/nowhere/program": No such file"#), "{error}");
    assert_eq!(world.code(&["/etc/passwd"]), Some(126));
}

fn surroundings(world: &World) {
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let theirs = world.text("readlink /proc/self/ns/net");
    assert_ne!(theirs.trim(), own.to_str().unwrap());
    let kept = Netns::open(&world.netns).unwrap().run(|| fs::read_link("/proc/thread-self/ns/net").unwrap());
    assert_eq!(theirs.trim(), kept.unwrap().to_str().unwrap());
    assert_eq!(world.text("uname -n; cat /etc/hosts; echo $COLOUR"), "deathstar\n10.201.0.9 xwing\nblue\n");
    assert_ne!(
        fs::read_to_string("/etc/hosts").unwrap(),
        "10.201.0.9 xwing\n",
        "the host's own is untouched"
    );
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "deathstar\n");
    assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains("/etc/hosts"));
}

fn rewritten_hosts(world: &World) {
    let mut child = world
        .command("run", &["sh", "-c", "read x; cat /etc/hosts"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    rewrite_in_place(&world.hosts(), b"10.201.0.10 tie\n").unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "10.201.0.10 tie\n");
    rewrite_in_place(&world.hosts(), b"short\n").unwrap();
    assert_eq!(fs::read(world.hosts()).unwrap(), b"short\n");
}

fn streams(world: &World) {
    let mut child =
        world.command("run", &["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"landed").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"landed");
    let script = "cat /proc/$$/status | grep -E 'Sig(Blk|Ign)'";
    let masks = world.text(script);
    for mask in masks.lines() {
        let bits = mask.rsplit('\t').next().unwrap();
        // Nothing that the launcher catches is blocked in the program: HUP, INT, QUIT, USR1, USR2, ALRM, TERM, CHLD.
        let caught = [1, 2, 3, 10, 12, 14, 15, 17].iter().fold(0_u64, |all, n| all | 1 << (n - 1));
        assert_eq!(u64::from_str_radix(bits, 16).unwrap() & caught, 0, "{masks}");
    }
}

fn signals(world: &World) {
    for (signal, code) in [("TERM", 42), ("INT", 42), ("HUP", 42), ("USR1", 42), ("QUIT", 42)] {
        let script = format!("trap 'exit 42' {signal}; echo ready; while :; do sleep 0.05; done");
        let mut child = world.command("run", &["sh", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(line(&mut child), "ready");
        kill(signal, child.id());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
    }
    let mut child = world
        .command("run", &["sh", "-c", "echo ready; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    line(&mut child);
    kill("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

fn terminal(world: &World) {
    let script = r#"trap 'echo got' INT; tty >/dev/null || exit 9; echo ready; n=0; while [ $n -lt 20 ]; do sleep 0.05; n=$((n+1)); done; exit 3"#;
    let inner = world.command("run", &["sh", "-c", script]);
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"));
    let line_of: Vec<_> = std::iter::once(inner.get_program()).chain(inner.get_args()).map(quote).collect();
    // Without `exec` some shells stay between and end by the key themselves.
    let mut child = Command::new("script")
        .args(["-qec", &format!("exec {}", line_of.join(" ")), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(line(&mut child).trim(), "ready");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"\x03").unwrap();
    stdin.flush().unwrap();
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest.matches("got").count(), 1, "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    drop(stdin);
}

fn killed_launcher(world: &World) {
    let mut child =
        world.command("run", &["sh", "-c", "echo $$; exec sleep 60"]).stdout(Stdio::piped()).spawn().unwrap();
    let pid: u32 = line(&mut child).parse().unwrap();
    assert!(alive(pid));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    until("the program ends", || !alive(pid));
}

fn detached(world: &World) {
    let log = world.folder.join("log");
    fs::write(&log, "old\n").unwrap();
    let output = world
        .command(
            log.to_str().unwrap(),
            &["sh", "-c", "echo out; echo err >&2; cat; ps -o sid= -p $$; exec sleep 60"],
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let pid: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    until("the log is written", || fs::read_to_string(&log).unwrap().lines().count() == 4);
    assert!(alive(pid), "its launcher is gone, it is not");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert_eq!(lines, ["old", "out", "err", pid.to_string().as_str()], "a session of its own");
    kill("KILL", pid);
    until("it ends", || !alive(pid));
}
