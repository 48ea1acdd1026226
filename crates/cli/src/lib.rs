//! The command line of Ciliate: verbs to requests, answers to tables.
//!
//! Each verb has a module of its name; `ciliate endpoint` is in `endpoint.rs`.

mod agent;
mod app;
mod bpf;
mod cleanup;
mod completion;
mod config;
mod context;
mod db;
mod debuginfo;
mod down;
mod endpoint;
mod exec;
mod exit;
mod fqdn;
mod history;
mod hubble;
mod identity;
mod ip;
mod launched;
mod man;
mod map;
mod metrics;
mod monitor;
mod objects;
mod observe;
mod output;
mod policy;
mod progress;
mod proxy;
mod recorder;
mod relay;
mod run;
mod settings_flags;
mod status;
mod top;
mod up;
mod version;

use app::{App, Verb};
use clap::{CommandFactory, FromArgMatches};
use context::Context;
use exit::Code;
use std::{ffi::OsString, path::Path, process::ExitCode};

/// The tree of verbs, for documents, completion and manual pages.
pub fn command() -> clap::Command {
    App::command()
}

/// The exit codes in a table.
pub fn exit_codes() -> String {
    exit::table()
}

/// Does what the arguments say; the first is the program's own name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let arguments = as_hubble(arguments);
    let app = match parse(&arguments) {
        Ok(app) => app,
        Err(error) => match error.downcast_ref() {
            Some(error) => return usage(error),
            None => return failed(error, |_, code| code as u8),
        },
    };
    let launches = matches!(app.verb, Verb::Run(_) | Verb::Exec(_));
    let context = match app.verb {
        Verb::Hubble(_) => Context::of_hubble(app.globals),
        _ => Context::new(app.globals),
    };
    match dispatch(app.verb, &context) {
        Ok(code) => code.into(),
        Err(error) => failed(error, |error, code| if launches { launch_code(error) } else { code as u8 }),
    }
}

/// Flags first, then what Hubble's file says for those that were not given.
fn parse(arguments: &[OsString]) -> anyhow::Result<App> {
    let command = named(arguments.first());
    let matches = command.clone().try_get_matches_from(arguments)?;
    let matches = match hubble::settings::with_file(&command, &matches)? {
        Some((command, file)) => command.try_get_matches_from(arguments).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            observe::raw_filter::usage(format!("{}: {first}", file.display()))
        })?,
        None => matches,
    };
    Ok(App::from_arg_matches(&matches)?)
}

/// Says what went wrong, if anything did.
fn failed(error: anyhow::Error, code: impl FnOnce(&anyhow::Error, Code) -> u8) -> ExitCode {
    let error = context::explain(error);
    let Some(kind) = exit::code_of(&error) else { return ExitCode::SUCCESS };
    eprintln!("error: {}", exit::message(&error));
    code(&error, kind).into()
}

/// Called as `cilium` or `cilium-dbg` it has the same verbs and says that name.
fn named(program: Option<&OsString>) -> clap::Command {
    let file = program.map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    match file {
        Some("cilium") => command().name("cilium"),
        Some("cilium-dbg") => command().name("cilium-dbg"),
        Some(_) | None => command(),
    }
}

/// Called as `hubble` it has the verbs of that program.
fn as_hubble(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_hubble = |program: &OsString| Path::new(program).file_name().is_some_and(|name| name == "hubble");
    if arguments.first().is_some_and(is_hubble) {
        arguments.insert(1, "hubble".into());
    }
    arguments
}

/// Help and version are no mistakes; a closed pipe is not one either.
fn usage(error: &clap::Error) -> ExitCode {
    match (error.print(), error.use_stderr()) {
        (_, true) => (Code::Usage as u8).into(),
        (_, false) => ExitCode::SUCCESS,
    }
}

/// With what `run` and `exec` end when the command could not be run.
fn launch_code(error: &anyhow::Error) -> u8 {
    match error.chain().find_map(|cause| cause.downcast_ref::<ciliate_net::Error>()) {
        Some(error @ ciliate_net::Error::Start { .. }) => error.exit_code(),
        Some(_) | None => Code::LaunchFailed as u8,
    }
}

fn dispatch(verb: Verb, context: &Context) -> anyhow::Result<u8> {
    match verb {
        Verb::Run(args) => return args.run(context),
        Verb::Exec(args) => return args.run(context),
        Verb::Up(args) => args.run(context),
        Verb::Down(args) => args.run(context),
        Verb::Status(args) => args.run(context),
        Verb::Apply(args) => args.run(context),
        Verb::Get(args) => args.run(context),
        Verb::Delete(args) => args.run(context),
        Verb::Validate(args) => args.run(context),
        Verb::Endpoint(command) => command.run(context),
        Verb::Identity(command) => command.run(context),
        Verb::Ip(command) => command.run(context),
        Verb::Policy(command) => command.run(context),
        Verb::Proxy(command) => command.run(context),
        Verb::Fqdn(command) => command.run(context),
        Verb::History(command) => command.run(context),
        Verb::Monitor(args) => args.run(context),
        Verb::Observe(args) => args.run(context),
        Verb::Top(args) => args.run(context),
        Verb::Recorder(command) => command.run(context),
        Verb::Hubble(args) => args.run(context),
        Verb::Relay(command) => command.run(context),
        Verb::Bpf(command) => command.run(context),
        Verb::Map(command) => command.run(context),
        Verb::Metrics(command) => command.run(context),
        Verb::Config(args) => args.run(context),
        Verb::Db(command) => command.run(context),
        Verb::Cleanup(args) => args.run(context),
        Verb::Debuginfo(args) => args.run(context),
        Verb::Agent(args) => args.run(context),
        Verb::Completion(args) => args.run(),
        Verb::Man(args) => args.run(),
        Verb::Version(args) => args.run(context),
        Verb::ExitCodes => output::emit(&exit::table()).map_err(Into::into),
    }?;
    Ok(Code::Success as u8)
}
