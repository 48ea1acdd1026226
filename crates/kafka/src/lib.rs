//! Kafka requests: frames, rules and denials. Bytes in, steps out; nothing here knows of sockets.
//!
//! A [`Session`] goes with a connection. [`Session::client`] is shown what the client has sent and says what of it goes on to the server;
//! [`Session::server`] is shown what the server has sent and says what of it goes to the client, with denials put in where the client expects
//! them: answers come in the order of the requests. Of large records only as much is held as a decision needs: a request that a rule
//! allows by its header is passed on as it arrives, and so is nearly every answer.
//!
//! # What rules mean
//!
//! As in Cilium, a request that names several topics needs each of them allowed by some rule, and a rule's topic says nothing about
//! requests that name none (a heartbeat, say). Beyond that:
//! - Requests for all topics (`Metadata` or `OffsetFetch` without a list) match no rule with a topic. Topics in `DescribeConfigs`, `AlterConfigs` and
//!   the like count. Requests about rights (`CreateAcls`), with share sessions (`ShareFetch`), among brokers, and those of versions or kinds that are not
//!   known here match no rule with a topic either. So that clients need not meet that, the versions that a broker offers in its
//!   answer to `ApiVersions` are lowered to the known ones.
//! - A topic id counts as its name, which is learnt from the answers to `Metadata` ([`TopicIds`]); until then the client is told
//!   `UNKNOWN_TOPIC_ID`, and asks.
//! - A fetch in a session counts as a fetch of all topics of the session, so a rule that is taken away ends it. Of a session that this connection did not
//!   start nothing is known: the client is told `FETCH_SESSION_ID_NOT_FOUND`, and starts a new one.
//! - A denied `Metadata` is passed on with those of its topics that are allowed, if any, and the answer gets the others added with their
//!   error: clients believe no answer without brokers, and ask for all topics they use at once, so that one wrong name
//!   would else stop all the work of a producer.

#![forbid(unsafe_code)]

mod api;
mod denial;
mod header;
mod policy;
mod request;
mod response;
mod schema;
mod session;
mod topics;
mod walk;

pub use api::{api_key, api_name, role_keys};
pub use header::RequestHeader;
pub use policy::Policy;
pub use request::{Judged, Reason, Verdict};
pub use session::{Answered, ClientStep, Limits, Mode, ServerStep, Session, SessionError};
pub use topics::{TopicId, TopicIds};
pub use walk::Malformed;
