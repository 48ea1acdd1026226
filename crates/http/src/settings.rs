//! What an operator can set: limits, how strictly paths are read, what a denial says.

use crate::ACCESS_DENIED;

/// Settings of the HTTP proxy; they hold for connections that begin after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub limits: Limits,
    pub paths: Paths,
    /// What a denied client reads (Cilium's `http-403-msg`). gRPC gets it as its message.
    pub denied_body: Box<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), paths: Paths::default(), denied_body: ACCESS_DENIED.into() }
    }
}

/// Sizes in bytes, unless the name says otherwise. What lies above is refused with a status and a reason of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request line and headers together (431).
    pub request_head: usize,
    /// The target in the request line (414).
    pub target: usize,
    /// How many headers a request has (431).
    pub headers: usize,
    /// Status line and headers of a response together.
    pub response_head: usize,
    /// A line with the size of a chunk, its extensions included.
    pub chunk_line: usize,
    /// All trailers of a body together.
    pub trailers: usize,
    /// How many requests of a client may be waiting for their responses; more are left unread until one is answered.
    pub pipeline: usize,
    /// How many streams a client may have open at a time on one connection of HTTP/2.
    pub streams: usize,
    /// How many more streams a client may have reset before a response began than responses have ended (CVE-2023-44487).
    pub premature_resets: usize,
    /// How many bytes of headers either side of HTTP/2 may have remembered.
    pub header_table: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: 60 * 1024,
            target: 16 * 1024,
            headers: 100,
            response_head: 64 * 1024,
            chunk_line: 256,
            trailers: 8 * 1024,
            pipeline: 64,
            streams: 250,
            premature_resets: 200,
            header_table: 64 * 1024,
        }
    }
}

/// What happens to paths that two readers could read differently. The defaults refuse them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    pub dot_segments: DotSegments,
    pub repeated_slashes: RepeatedSlashes,
    pub escaped_slashes: EscapedSlashes,
}

/// `/a/./b`, `/a/../b` and their escaped forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DotSegments {
    #[default]
    Refuse,
    /// They are taken out before matching and forwarding (RFC 3986, 5.2.4), as Cilium's Envoy does.
    Resolve,
}

/// `/a//b`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatedSlashes {
    #[default]
    Refuse,
    /// One is left, before matching and forwarding, as Cilium's Envoy does.
    Merge,
}

/// `%2F` and `%5C`. Some interfaces need them in names of things (`/projects/group%2Fname`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    #[default]
    Refuse,
    /// Matched and forwarded as they are; for finding dot segments they count as slashes.
    Keep,
}
