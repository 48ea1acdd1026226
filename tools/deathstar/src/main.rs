//! The demonstration's space station: an HTTP/1.1 server that ships ask for permission to land, and the ships' client.
//! No library for HTTP: one small static file is a whole container image.

mod arguments;
mod client;
mod head;
mod routes;
mod server;
mod url;

use anyhow::Result;
use arguments::Command;
use std::{io::Write, process::ExitCode};

fn main() -> ExitCode {
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            // A reader that closes early has read enough.
            let _ = std::io::stdout().write_all(arguments::USAGE.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Command::Serve { port }) => report(server::run(port).map(|never| match never {})),
        Ok(Command::Request(request)) => client::run(&request),
        Err(problem) => {
            eprintln!("deathstar: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(2)
        }
    }
}

fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("deathstar: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
