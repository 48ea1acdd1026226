//! Why the agent did not do what it was asked.

use ciliate_api::{ApiError, Problem};
use ciliate_policy::InputError;
use std::fmt;

/// An error on its way to the client. Everything that is not put into words by us is an internal error.
#[derive(Clone, Debug)]
pub struct Failure(pub ApiError);

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The request is wrong in itself.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self(ApiError::new(400, message))
    }

    pub fn absent(message: impl Into<String>) -> Self {
        Self(ApiError::new(404, message))
    }

    /// The request is right but does not go with what is there.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self(ApiError::new(409, message))
    }

    /// Asking again later may help.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self(ApiError::new(503, message))
    }

    pub fn timeout(message: impl Into<String>) -> Self {
        Self(ApiError::new(504, message))
    }

    /// Puts what was attempted before what failed.
    pub fn while_doing(self, what: impl fmt::Display) -> Self {
        Self(ApiError { message: format!("{what}: {}", self.0.message), ..self.0 })
    }

    pub fn input(errors: Vec<InputError>) -> Self {
        let problems: Vec<Problem> = errors.into_iter().map(problem).collect();
        let message = match problems.len() {
            1 => "the input has a mistake; nothing was changed".to_owned(),
            n => format!("the input has {n} mistakes; nothing was changed"),
        };
        Self(ApiError { status: 400, message, problems })
    }
}

/// A mistake as clients read it.
pub fn problem(error: InputError) -> Problem {
    let message = match error.object {
        Some(object) => format!("{object}: {}", error.message),
        None => error.message,
    };
    Problem {
        origin: error.origin,
        document: (error.document > 1).then_some(error.document),
        line: (error.line > 0).then_some(error.line),
        field: (!error.field.is_empty()).then_some(error.field),
        message,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !message.contains(&cause_text) {
                message.push_str(": ");
                message.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self(ApiError::new(500, message))
    }
}
