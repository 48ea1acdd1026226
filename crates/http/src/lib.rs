//! HTTP between one client and one server, judged by rules: bytes in, decisions and bytes out. No sockets, no clocks, no threads.
//!
//! Whatever two readers could read differently is refused before any rule is asked. What is left has one form, the
//! *canonical head*; it is what rules are matched against, and it is byte for byte what the server gets. Most heads arrive in that form
//! and are forwarded from the buffer they came in; others are rewritten first, and the result is read again from the start.
//!
//! # Driving HTTP/1
//!
//! One [`h1::Connection`] stands for a client's connection and the connection to the server that belongs to it alone:
//!
//! ```text
//! let settings = Arc::new(Settings::default());
//! let mut connection = h1::Connection::<Token>::new(settings);     // Token: whatever the caller wants back with the response
//!
//! // The client sent something; `input` is everything of it that was not consumed yet.
//! let step: h1::ClientStep = connection.client(input, &mut to_server, &mut to_client, |request: &Request<'_>| {
//!     match rules.judge(request, &mut scratch) {
//!         Some(matched) => Decision::Allow { token, edits: matched.edits },
//!         None => Decision::Deny,
//!     }
//! });
//! // 1. send input[step.forward] to the server, verbatim;
//! // 2. then what was appended to `to_server` (rewritten heads);
//! // 3. send what was appended to `to_client` (denials), after everything that the client already has coming;
//! // 4. drop input[..step.consumed]; go by step.next.
//!
//! // The server sent something.
//! let step: h1::ServerStep<Token> = connection.server(input, &mut to_client);
//! // 1. send input[step.forward] to the client, then what was appended to `to_client` (denials whose turn has come);
//! // 2. drop input[..step.consumed]; step.response has status and token when a response begins; go by step.next.
//!
//! connection.client_opaque();      // how many of the client's next bytes are body that nobody looks at: splice them, then
//! connection.client_spliced(n);    // say how many have gone; the same with server_opaque() and server_spliced(n)
//! connection.client_end();         // the client has sent its last byte: h1::ClientEnd
//! connection.server_end();         // the server has: h1::ServerEnd
//! connection.outstanding();        // responses that are still owed to the client; 0 = idle
//! connection.rejudge(|request| …); // after a change of the rules: are all requests that are still open allowed? If not, cut both sides
//! ```
//!
//! # Rules
//!
//! ```text
//! let rules: RuleSet = RuleSet::compile(&http_rules, &secrets)?;   // Err(RuleError): which rule, which field, which position
//! let matched: Option<Matched> = rules.judge(&request, &mut scratch);   // the first rule that matches; None = denied
//! matched.rule      // index into `http_rules`
//! matched.edits     // what ADD, DELETE and REPLACE do to the head
//! matched.logged    // LOG: header names that were not as wanted
//! ```
//! A `RuleSet` is `Send + Sync`; one `Scratch` per worker thread serves all rule sets. `secrets`: [`Secrets`].

mod bytes;
mod edit;
mod path;
mod refusal;
mod reply;
mod request;
mod rules;
mod settings;

pub mod h1;

pub use edit::Edit;
pub use refusal::{Refusal, ServerFault};
pub use reply::ACCESS_DENIED;
pub use request::{Headers, Request, Version};
pub use rules::{FieldName, Matched, RuleError, RuleSet, Scratch, Secrets};
pub use settings::{DotSegments, EscapedSlashes, Limits, Paths, RepeatedSlashes, Settings};
