//! Exit codes, and which error ends with which.

use ciliate_api::ClientError;
use std::{fmt, io};
use thiserror::Error;

/// The codes of every verb but `run` and `exec`, which pass on their command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Success = 0,
    Failure = 1,
    Usage = 2,
    NotRunning = 3,
    PermissionDenied = 4,
    TimedOut = 5,
    NotFound = 6,
    /// `run` and `exec`: Ciliate failed, not the command.
    LaunchFailed = 125,
}

impl Code {
    const ALL: [Self; 8] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::NotRunning,
        Self::PermissionDenied,
        Self::TimedOut,
        Self::NotFound,
        Self::LaunchFailed,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; also when the reader of a pipe went away",
            Self::Failure => "the request failed or was refused; nothing has changed",
            Self::Usage => "wrong usage, found before anything was done",
            Self::NotRunning => "the agent cannot be reached",
            Self::PermissionDenied => "this user may not talk to the agent, or may not do this",
            Self::TimedOut => "what was waited for did not happen in time",
            Self::NotFound => "what was asked for does not exist",
            Self::LaunchFailed => "`run`, `exec`: Ciliate itself failed",
        }
    }
}

/// The table of exit codes, for `help exit-codes`, the man page and the reference.
pub fn table() -> String {
    let mut text = String::new();
    for code in Code::ALL {
        text.push_str(&format!("  {:<5} {}\n", code as u8, code.meaning()));
    }
    text.push_str(
        "  126   `run`, `exec`: the command cannot be executed\n  \
         127   `run`, `exec`: the command was not found\n  \
         128+n `run`, `exec`: the command was ended by signal n\n\n\
         Otherwise `run` and `exec` end with the code of their command.\n",
    );
    text
}

/// An error that knows its exit code.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

/// What an error ends the program with. `None`: the reader of our output went away, which is no error.
pub fn code_of(error: &anyhow::Error) -> Option<Code> {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.code);
        }
        if let Some(client) = cause.downcast_ref::<ClientError>() {
            return Some(code_of_client(client));
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::BrokenPipe => return None,
                io::ErrorKind::PermissionDenied => return Some(Code::PermissionDenied),
                _ => {}
            }
        }
    }
    Some(Code::Failure)
}

/// The error with its causes, without those that it quotes already.
pub fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn code_of_client(error: &ClientError) -> Code {
    match error {
        ClientError::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Code::PermissionDenied
        }
        ClientError::Connect { .. } | ClientError::Io(_) => Code::NotRunning,
        ClientError::Answer { .. } => Code::Failure,
        ClientError::Refused(refused) => match refused.status {
            401 | 403 => Code::PermissionDenied,
            404 => Code::NotFound,
            504 => Code::TimedOut,
            _ => Code::Failure,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_api::ApiError;

    #[test]
    fn errors_have_their_codes() {
        let connect = |kind: io::ErrorKind| ClientError::Connect { path: "/x".into(), source: kind.into() };
        let refused = |status| ClientError::Refused(ApiError::new(status, "no"));
        for (error, code) in [
            (anyhow::Error::from(connect(io::ErrorKind::NotFound)), Some(Code::NotRunning)),
            (connect(io::ErrorKind::PermissionDenied).into(), Some(Code::PermissionDenied)),
            (anyhow::Error::from(refused(404)).context("while reading"), Some(Code::NotFound)),
            (refused(400).into(), Some(Code::Failure)),
            (refused(504).into(), Some(Code::TimedOut)),
            (io::Error::from(io::ErrorKind::BrokenPipe).into(), None),
            (Failure::new(Code::TimedOut, "late").into(), Some(Code::TimedOut)),
            (anyhow::anyhow!("other"), Some(Code::Failure)),
        ] {
            assert_eq!(code_of(&error), code, "{error:#}");
        }
    }
}
