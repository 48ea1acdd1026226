//! HTTP between one client and one server, judged by rules: bytes in, decisions and bytes out. No sockets, no clocks, no threads.
//!
//! Whatever two readers could read differently is refused before any rule is asked. What is left has one form, the
//! *canonical head*; it is what rules are matched against, and it is byte for byte what the server gets. Most heads arrive in that form
//! and are forwarded from the buffer they came in; others are rewritten first, and the result is read again from the start.
//!
//! # Driving a connection
//!
//! One [`h1::Connection`] or [`h2::Connection`] stands for a client's connection and the connection to the server that belongs to it
//! alone; [`h2::spoken`] tells from the first bytes which. The driver owns sockets and buffers, hands over what was read and not consumed,
//! and does what the step says:
//!
//! ```
//! use ciliate_http::{RuleSet, Scratch, Settings, h1::{ClientNext, Connection, Decision}};
//! use ciliate_types::HttpRule;
//! use std::sync::Arc;
//!
//! let rule = HttpRule { method: Some("GET".into()), path: Some("/public/.*".into()), ..HttpRule::default() };
//! let rules = RuleSet::compile(&[rule], &|_namespace, _secret| None)?;
//! let mut scratch = Scratch::default();                            // one per thread
//! let mut connection = Connection::new(Arc::new(Settings::default()));
//!
//! let input = b"GET /public/a HTTP/1.1\r\nHost: a\r\n\r\nGET /private HTTP/1.1\r\nHost: a\r\n\r\n";
//! let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
//! let step = connection.client(input, &mut to_server, &mut to_client, |request| {
//!     match rules.judge(request, &mut scratch) {
//!         Some(matched) => Decision::Allow { token: matched.rule, edits: matched.edits },
//!         None => Decision::Deny,
//!     }
//! });
//! // 1. `input[step.forward]` goes to the server, as it is,
//! // 2. then what was appended to `to_server`: heads that had to be written anew;
//! // 3. what was appended to `to_client` goes to the client, behind everything that it already has coming;
//! // 4. `input[..step.consumed]` is done with, and `step.next` says how it goes on.
//! assert_eq!(&input[step.forward.clone()], b"GET /public/a HTTP/1.1\r\nHost: a\r\n\r\n");
//! assert_eq!((step.consumed, step.next), (input.len(), ClientNext::More));
//! assert!(to_server.is_empty() && to_client.is_empty());           // the denial waits for its turn
//!
//! let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
//! let step = connection.server(response, &mut to_client);
//! // `response[step.forward]` goes to the client, then what was appended to `to_client`.
//! assert_eq!(step.forward, 0..response.len());
//! assert_eq!(step.response.map(|response| (response.token, response.status)), Some((0, 200)));
//! assert!(to_client.starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
//! # Ok::<(), ciliate_http::RuleError>(())
//! ```
//!
//! Beside these: `client_opaque` and `server_opaque` say how many of the next bytes may be spliced past, `client_end` and `server_end` what the end of
//! either side means, `outstanding` how many responses are owed, `give_up` tells the client that the server is not there, and `rejudge` asks again
//! about everything that is open after the rules have changed.
//!
//! Each call appends at most a few hundred bytes for each request in its input. A driver that reads nothing from a client which has too much
//! coming bounds everything else.

mod bytes;
mod edit;
mod host;
mod path;
mod refusal;
mod reply;
mod request;
mod rules;
mod settings;
mod span;

pub mod h1;
pub mod h2;

pub use edit::Edit;
pub use refusal::{Refusal, ServerFault};
pub use reply::ACCESS_DENIED;
pub use request::{Headers, Request, Version};
pub use rules::{FieldName, Matched, RuleError, RuleSet, Scratch, Secrets, secret_value};
pub use settings::{DotSegments, EscapedSlashes, Limits, Paths, RepeatedSlashes, Settings};
