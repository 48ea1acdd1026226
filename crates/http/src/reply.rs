//! What clients get from the proxy itself.

use crate::Settings;

/// The body of a denial, as Cilium's proxy has it, if the setting `denied_body` says nothing else.
pub const ACCESS_DENIED: &str = "Access denied\r\n";

/// Whether the connection goes on after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// HTTP/1.1 goes on without saying so.
    Persistent,
    /// HTTP/1.0 goes on if told.
    KeepAlive,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub status: u16,
    /// The request was HEAD: there is a Content-Length but no body.
    pub body: BodySent,
    pub persistence: Persistence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodySent {
    Yes,
    No,
}

/// Reason phrase and body.
pub(crate) fn text(status: u16, settings: &Settings) -> (&'static str, &str) {
    match status {
        403 => ("Forbidden", &settings.denied_body),
        400 => ("Bad Request", "Bad request\r\n"),
        405 => ("Method Not Allowed", "Method not allowed\r\n"),
        408 => ("Request Timeout", "Request timeout\r\n"),
        414 => ("URI Too Long", "URI too long\r\n"),
        431 => ("Request Header Fields Too Large", "Request header fields too large\r\n"),
        502 => ("Bad Gateway", "Bad gateway\r\n"),
        503 => ("Service Unavailable", "Service unavailable\r\n"),
        504 => ("Gateway Timeout", "Gateway timeout\r\n"),
        505 => ("HTTP Version Not Supported", "HTTP version not supported\r\n"),
        _ => ("Error", "Error\r\n"),
    }
}

impl Reply {
    pub(crate) fn write(&self, settings: &Settings, out: &mut Vec<u8>) {
        let (reason, body) = text(self.status, settings);
        let connection = match self.persistence {
            Persistence::Persistent => "",
            Persistence::KeepAlive => "connection: keep-alive\r\n",
            Persistence::Close => "connection: close\r\n",
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-length: {}\r\ncontent-type: text/plain\r\nserver: ciliate\r\n{connection}\r\n",
            self.status,
            body.len(),
        );
        out.extend_from_slice(head.as_bytes());
        if self.body == BodySent::Yes {
            out.extend_from_slice(body.as_bytes());
        }
    }
}
