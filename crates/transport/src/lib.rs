//! What carries gRPC: unix sockets, TCP, and TLS whose certificates are read again when their files change.
//!
//! [`accept`] gives a server its connections, a bounded number of them, after TLS and in bounded time; [`serve`] answers their
//! requests and bounds what each may take; [`connect`] makes one to a server.

mod accept;
mod address;
mod anybody;
mod backoff;
mod codec;
mod connect;
mod connection;
mod pem;
mod refusals;
mod reload;
mod serve;
mod socket;
mod tls;

pub use accept::{Incoming, Limits, Listener, Secrecy, accept};
pub use address::{Address, AddressError, HostPort};
pub use backoff::Backoff;
pub use codec::{ByteCodec, FromBytes};
pub use connect::{Dialed, connect};
pub use connection::{Client, Connection, Origin};
pub use pem::{CertificateError, certificates, identity, roots};
pub use rustls::pki_types::ServerName;
pub use serve::{Bounds, serve};
pub use socket::{SocketError, bind};
pub use tls::{ClientFiles, ClientTls, HTTP2, ServerFiles, ServerTls, Trust};
