//! Queries by UDP: one thread that judges each, asks the server in the client's name, and releases the answer once the kernel
//! has its addresses.
//!
//! ```text
//! listener -> gate -> pending, lane -> server
//! server -> lane -> pending -> names -> speaker -> client
//! ```

mod datagram;
mod gates;
mod lanes;
mod many;
mod random;
mod thread;
pub mod words;

pub use datagram::listener;
pub use random::Random;
pub use thread::Dns;
