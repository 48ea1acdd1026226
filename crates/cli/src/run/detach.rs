//! `run --detach`: another process of this program watches over the command.
//!
//! The watcher's standard input is a socket to its starter, over which it says that the command runs or why not.

use super::Args;
use crate::{
    context::Context,
    endpoint::{EndpointRow, Wanted},
    exit::{self, Code, Failure},
    launched::Held,
    output::emit,
};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::{
    env,
    ffi::OsString,
    fmt::Display,
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
};

/// What the watcher says, as one JSON value.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Report {
    Running { endpoint: EndpointRow, pid: u32 },
    Failed { message: String, code: u8 },
}

/// Starts the watcher and returns once the command runs.
pub fn start(context: &Context, args: &Args) -> anyhow::Result<u8> {
    let (mut ours, theirs) = UnixStream::pair().context("cannot make a socket to the watcher")?;
    let name = args.wanted.name.clone().unwrap_or_default();
    let output = output(context, args, &name)?;
    let program = env::current_exe().context("cannot find this program's own file")?;
    let watcher = Command::new(&program)
        .arg("run")
        .arg("--watch")
        .args(context.same_flags())
        .args(flags(args))
        .arg("--")
        .args(&args.command)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut text = String::new();
    ours.read_to_string(&mut text).context("the watcher's report broke off")?;
    match serde_json::from_str(&text) {
        Ok(Report::Running { endpoint, pid }) => {
            emit(&format!("{endpoint}, running under pid {pid}\n"))?;
            Ok(0)
        }
        Ok(Report::Failed { message, code }) => {
            eprintln!("error: {message}");
            Ok(code)
        }
        Err(_) => Err(Failure::new(
            Code::LaunchFailed,
            format!("the watcher (pid {}) ended without a report", watcher.id()),
        )
        .into()),
    }
}

/// The flags that make the watcher do what this process was asked to do.
fn flags(args: &Args) -> Vec<OsString> {
    let Wanted { name, namespace, labels, service_account, ports, addresses, publish } = &args.wanted;
    let mut flags = Vec::new();
    let mut add = |flag: &str, value: &dyn Display| flags.push(format!("--{flag}={value}").into());
    name.iter().for_each(|name| add("name", name));
    add("namespace", namespace);
    labels.iter().for_each(|label| add("label", label));
    service_account.iter().for_each(|account| add("service-account", account));
    ports.iter().for_each(|port| add("port", port));
    addresses.iter().for_each(|address| add("ip", address));
    publish.iter().for_each(|publish| add("publish", publish));
    args.environment.iter().for_each(|(name, value)| add("env", &format!("{name}={value}")));
    if let Some(directory) = &args.directory {
        flags.extend(["--workdir".into(), directory.into()]);
    }
    flags
}

/// Where the command's output goes: the file that was named, or one that lives as long as the command.
fn output(context: &Context, args: &Args, name: &str) -> anyhow::Result<File> {
    let path = match &args.log {
        Some(path) => path.clone(),
        None => {
            let socket = context.socket()?;
            let run_dir = socket.parent().unwrap_or(Path::new("/"));
            context.client()?.status()?;
            let held = Held::take(run_dir, &args.wanted.namespace, name)?;
            held.log()
        }
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write the log {}", path.display()))
}

/// The watcher's side: runs `launch` and reports once.
pub fn watch(
    launch: impl FnOnce(&mut dyn FnMut(&EndpointRow, u32) -> anyhow::Result<()>) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    nix::unistd::setsid().ok();
    let stdin = io::stdin();
    let mut reports = UnixStream::from(stdin.as_fd().try_clone_to_owned().context("no socket to report on")?);
    // The command must not hold the socket, and reads nothing.
    let nothing = File::open("/dev/null").context("cannot open /dev/null")?;
    nix::unistd::dup2_stdin(&nothing).context("cannot close standard input")?;
    let mut reported = false;
    let mut started = |endpoint: &EndpointRow, pid: u32| {
        reported = true;
        report(&mut reports, &Report::Running { endpoint: endpoint.clone(), pid })
    };
    let result = launch(&mut started);
    if let (false, Err(error)) = (reported, &result) {
        let code = crate::launch_code(error);
        report(&mut reports, &Report::Failed { message: exit::message(error), code })?;
    }
    result
}

fn report(reports: &mut UnixStream, report: &Report) -> anyhow::Result<()> {
    reports.write_all(&serde_json::to_vec(report)?)?;
    reports.shutdown(std::net::Shutdown::Both)?;
    Ok(())
}
