//! CNI plug-in: containers of podman, containerd and others become endpoints.
//!
//! Speaks [CNI](https://www.cni.dev/docs/spec/) 0.3.0 to 1.1.0. It only translates: the agent makes devices, addresses
//! and policy. Standard library, JSON and the agent's blocking client, so that it starts in a millisecond.

mod attachment;
mod command;
mod config;
mod environment;
mod error;
mod labels;
mod outcome;
mod version;

pub use error::{Code, Error};

use config::Config;
use environment::{Command, Environment};
use std::{ffi::OsString, io};
use version::Version;

/// What goes to standard output, and whether the exit code is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    pub success: bool,
}

/// Carries out one call.
pub fn answer(variable: impl Fn(&str) -> Option<OsString>, input: io::Result<Vec<u8>>) -> Answer {
    let input =
        input.map_err(|e| Error::new(Code::Io, "cannot read the network configuration", e.to_string()));
    // The answer, an error too, is of the version that was asked for; it may be readable when the rest is not.
    let version = input.as_deref().ok().and_then(Version::of_input).unwrap_or(Version::LATEST);
    let outcome = input.and_then(|input| {
        let environment = Environment::read(&variable)?;
        match &environment.command {
            Command::Version => Ok(version::listing(&input)),
            Command::Attachment(kind, attachment) => {
                let config = Config::parse(&input)?;
                command::attachment(*kind, attachment, &environment, &config)
            }
            Command::CollectGarbage => command::collect_garbage(&Config::parse(&input)?),
            Command::Status => command::status(&Config::parse(&input)?),
        }
    });
    match outcome {
        Ok(text) => Answer { text, success: true },
        Err(error) => Answer { text: error.to_json(version), success: false },
    }
}
