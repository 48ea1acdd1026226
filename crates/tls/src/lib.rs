//! The server name that a TLS client asks for, read from its ClientHello without decrypting, and rules for such names.
//!
//! Bytes in, answers out; nothing here knows of sockets. [`HelloReader`] is shown what a client has sent until it has seen
//! the whole ClientHello, over however many segments and records; [`ServerNames`] says whether the name is allowed. [`AnswerReader`] tells
//! whether the server asks for a second one, and [`Interlude`] finds it.
//!
//! **Encrypted Client Hello.** The name in the clear of such a hello is the one of the provider in front, or any that the client
//! likes to write there; the true one is encrypted. Browsers send an extension of random bytes in the same place (GREASE, RFC 9849,
//! section 6.2) which is made to look the same, so the two cannot be told apart. Therefore [`OuterName::Ignored`], which should be the default,
//! takes every hello with this extension as one without a name: it matches no rule. [`OuterName::Counts`] is for those
//! who must let such browsers through and trust their clients not to hide where they go.

#![forbid(unsafe_code)]

mod alert;
mod answer;
mod hello;
mod names;
mod reader;

pub use alert::{ACCESS_DENIED, DECODE_ERROR};
pub use answer::{Ahead, Answer, AnswerReader, Interlude, Walked};
pub use hello::{ClientHello, OuterName};
pub use names::ServerNames;
pub use reader::{DEFAULT_LIMIT, HelloError, HelloReader, Progress};
