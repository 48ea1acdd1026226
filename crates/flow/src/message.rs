//! Flows as messages of Hubble's interface, and back.

mod read;
mod write;

pub use read::tcp_flags;

/// Why a message is no flow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("{field} is {text:?}, which is not an address")]
    Address { field: &'static str, text: String },
    #[error("{field} is {number}, which is not a port (0 to 65535)")]
    Port { field: &'static str, number: u32 },
    #[error("{field} is {number}, which is not a type or code of ICMP (0 to 255)")]
    Icmp { field: &'static str, number: u32 },
}

#[cfg(test)]
pub(crate) mod tests;
