//! Frames (RFC 9113, 4 and 6).

/// What stands in front of every frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub len: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

pub(super) const HEADER: usize = 9;
/// The largest payload that everybody takes.
pub(super) const LARGEST: usize = 16_384;
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub(super) mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes (RFC 9113, 7).
pub(super) mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

impl Header {
    /// The header at the start of `bytes`, if it is whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, d, e, f, g] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            len: usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?,
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes([*d & 0x7f, *e, *f, *g]),
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let [_, a, b, c] = u32::try_from(self.len).unwrap_or_default().to_be_bytes();
        out.extend_from_slice(&[a, b, c, self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
    }
}

/// The payload of DATA or HEADERS without its padding; none if the padding is longer than what there is.
pub(super) fn unpadded(header: Header, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(flag::PADDED) {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

pub(super) fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    Header { len: payload.len(), kind, flags, stream }.write(out);
    out.extend_from_slice(payload);
}

pub(super) fn reset(out: &mut Vec<u8>, stream: u32, code: u32) {
    write(out, kind::RST_STREAM, 0, stream, &code.to_be_bytes());
}

pub(super) fn window_update(out: &mut Vec<u8>, stream: u32, credit: u32) {
    write(out, kind::WINDOW_UPDATE, 0, stream, &credit.to_be_bytes());
}

pub(super) fn go_away(out: &mut Vec<u8>, last: u32, code: u32, reason: &str) {
    let payload = [&last.to_be_bytes()[..], &code.to_be_bytes(), reason.as_bytes()].concat();
    write(out, kind::GOAWAY, 0, 0, &payload);
}

/// A block of headers in as many frames as it needs.
pub(super) fn headers(out: &mut Vec<u8>, stream: u32, end_stream: u8, block: &[u8]) {
    let mut pieces = block.chunks(LARGEST).peekable();
    let mut kind = kind::HEADERS;
    let mut flags = end_stream;
    loop {
        let piece = pieces.next().unwrap_or_default();
        if pieces.peek().is_none() {
            write(out, kind, flags | flag::END_HEADERS, stream, piece);
            return;
        }
        write(out, kind, flags, stream, piece);
        kind = kind::CONTINUATION;
        flags = 0;
    }
}
