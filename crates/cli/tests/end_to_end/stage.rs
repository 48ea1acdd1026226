//! A place of its own for each test: mount, network and process namespaces that vanish with it.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Names the test that runs inside.
const INSIDE: &str = "CILIATE_TEST_INSIDE";
/// Where it keeps everything; the path of a socket in it must stay below 108 bytes.
const FOLDER: &str = "CILIATE_TEST_FOLDER";

/// Runs `body` inside fresh namespaces. The test calls itself again there, so whatever it leaves dies with it.
pub fn inside(test: &str, body: impl FnOnce(&Stage)) {
    if env::var(INSIDE).is_ok_and(|name| name == test) {
        body(&Stage::set(env::var_os(FOLDER).unwrap().into()));
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        assert!(env::var_os("CI").is_none(), "{test} needs root");
        eprintln!("{test}: not run, it needs root");
        return;
    }
    // Another run of the same tests may be under way, or may have been killed.
    let seen_by_all = fs::Permissions::from_mode(0o755);
    let folder =
        tempfile::Builder::new().prefix("ciliate-").permissions(seen_by_all).tempdir().unwrap().keep();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"])
        .args(["--propagation", "private", "--"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .env(FOLDER, &folder)
        .stdin(Stdio::null())
        .process_group(0);
    let output = command.output().unwrap();
    // What was mounted there went with the namespaces.
    fs::remove_dir(&folder).unwrap();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

/// Folders, an own bpffs and the programs.
pub struct Stage {
    pub folder: PathBuf,
}

/// What `ciliate down` must leave as it was.
#[derive(Debug, PartialEq, Eq)]
pub struct Traces {
    addresses: Vec<String>,
    routes: Vec<String>,
    rules: String,
    pinned: Vec<String>,
    run: Vec<String>,
    sysctls: BTreeMap<String, String>,
}

impl Stage {
    fn set(folder: PathBuf) -> Self {
        shell(&format!("mount -t tmpfs -o mode=0755 stage {}", folder.display()));
        for name in ["bpf", "run", "state"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        shell(&format!("mount -t bpf bpf {}", folder.join("bpf").display()));
        shell("ip link set lo up");
        Self { folder }
    }

    /// The binary with this stage's folders.
    pub fn ciliate(&self, arguments: &[&str]) -> Command {
        self.build(Path::new(env!("CARGO_BIN_EXE_ciliate")), arguments)
    }

    /// Another build of the binary, with this stage's folders.
    pub fn build(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for name in env::vars().map(|(name, _)| name).filter(|name| name.starts_with("CILIATE_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("CILIATE_STATE_DIR", self.folder.join("state"))
            .env("CILIATE_RUN_DIR", self.folder.join("run/ciliate"))
            .env("CILIATE_BPF_ROOT", self.folder.join("bpf/ciliate"))
            .env("PATH", format!("{}:{}", programs().display(), env::var("PATH").unwrap_or_default()));
        command
    }

    pub fn program(&self, name: &str) -> PathBuf {
        programs().join(name)
    }

    /// Standard output of what must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "ciliate {arguments:?}: {}{}", output.status, said(&output));
        text(&output.stdout)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        serde_json::from_str(&self.done(&arguments)).unwrap()
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        self.ciliate(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Code and standard error of what must fail.
    pub fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        assert!(!output.status.success(), "ciliate {arguments:?} should have failed: {}", said(&output));
        (output.status.code().unwrap_or(-1), text(&output.stderr))
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub fn traces(&self) -> Traces {
        // Caches and counters change by themselves; what is configured must not.
        let lines = |command: &str| -> Vec<String> {
            let lines = shell(command);
            lines.lines().map(str::to_owned).collect()
        };
        let sysctls = lines("sysctl -a --pattern '^net\\.ipv[46]\\.(ip_forward|conf\\.)' 2>/dev/null");
        let sysctls = sysctls.iter().filter_map(|line| line.split_once(" = "));
        Traces {
            addresses: lines("ip -o addr"),
            routes: lines("ip route show table all; ip -6 route show table all; ip rule; ip -6 rule"),
            rules: shell("nft list ruleset"),
            pinned: tree(&self.folder.join("bpf")),
            run: tree(&self.folder.join("run")),
            sysctls: sysctls.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }
}

/// Where our own programs are; those of other packages are built when they are missing.
fn programs() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_ciliate")).parent().unwrap().to_owned();
    for package in ["deathstar", "ciliate-cni"] {
        if !folder.join(package).exists() {
            let status = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--package", package])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(status.is_ok_and(|s| s.success()), "{package} cannot be built");
        }
    }
    folder
}

pub fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", said(&output));
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn said(output: &Output) -> String {
    format!("\n{}{}", text(&output.stdout), text(&output.stderr))
}

/// Tries until it holds, for at most ten seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found.push(entry.path().display().to_string());
        if entry.path().is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}
