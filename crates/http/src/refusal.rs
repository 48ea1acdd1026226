//! Why a request or a response goes no further, whatever the rules say.

use std::fmt;

macro_rules! reasons {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident => $status:literal $name:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Stable, for counters and flow records.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What the client gets to see, if it has no response to this request yet.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

reasons! {
    /// What is wrong with what a client sent. The connection ends with it.
    Refusal {
        BareLf => 400 "bare-lf" "a line ends with LF alone, not with CR LF",
        BareCr => 400 "bare-cr" "a CR stands without LF behind it",
        Nul => 400 "nul" "the head has a zero byte",
        Control => 400 "control-character" "the head has a control character",
        Method => 400 "method" "the method is no token",
        Target => 400 "target" "the target has a character that has no place there, or no known form",
        Fragment => 400 "fragment" "the target has a fragment",
        Version => 505 "version" "the version is neither HTTP/1.0 nor HTTP/1.1",
        RequestLine => 400 "request-line" "the request line is not a method, a target and a version with one space between each",
        HeaderName => 400 "header-name" "the name of a header is no token",
        SpaceBeforeColon => 400 "space-before-colon" "white space stands between the name of a header and its colon",
        Folding => 400 "obsolete-folding" "a header goes on in a further line",
        HostMissing => 400 "host-missing" "HTTP/1.1 wants a Host header",
        HostRepeated => 400 "host-repeated" "there is more than one Host header",
        HostInvalid => 400 "host-invalid" "the Host header is no host with an optional port",
        HostDiffers => 400 "host-differs" "the Host header differs from the target's authority",
        LengthRepeated => 400 "content-length-repeated" "there is more than one Content-Length",
        LengthInvalid => 400 "content-length-invalid" "Content-Length is no plain decimal number",
        LengthAndCoding => 400 "content-length-and-transfer-encoding" "there are both Content-Length and Transfer-Encoding",
        Coding => 400 "transfer-encoding" "Transfer-Encoding is anything but one `chunked` in HTTP/1.1",
        ConnectionNames => 400 "connection-names" "the Connection header names a header that the message cannot do without",
        UnderscoreName => 400 "underscore-name" "a header with underscores could be taken for one that says where a message ends",
        PathDots => 400 "path-dot-segments" "the path has dot segments",
        PathSlashes => 400 "path-repeated-slashes" "the path has several slashes in a row",
        PathEscapedSlash => 400 "path-escaped-slash" "the path has an escaped slash or backslash",
        PathBackslash => 400 "path-backslash" "the path has a backslash",
        PathControl => 400 "path-escaped-control" "the path has an escaped control character",
        PathEscape => 400 "path-escape" "the path has a % without two hexadecimal digits, or an overlong form of UTF-8",
        PathParameters => 400 "path-parameters" "a segment of the path is empty or dots but for its parameters",
        Connect => 405 "connect" "CONNECT would open a tunnel that no rule sees",
        TargetTooLong => 414 "target-too-long" "the target is longer than the setting `target` allows",
        HeadTooLarge => 431 "head-too-large" "the head is larger than the setting `request_head` allows",
        TooManyHeaders => 431 "too-many-headers" "there are more headers than the setting `headers` allows",
        ChunkSize => 400 "chunk-size" "the size of a chunk is not one to fifteen hexadecimal digits",
        ChunkLine => 400 "chunk-line" "the line of a chunk's size is malformed, or longer than the setting `chunk_line` allows",
        ChunkEnd => 400 "chunk-end" "a chunk does not end where its size says",
        Trailer => 400 "trailer" "a trailer is malformed, or one that only a head may have",
        Preface => 400 "h2-preface" "the connection does not begin with the preface of HTTP/2 and SETTINGS",
        Frame => 400 "h2-frame" "a frame is malformed, or has no place where it stands",
        FrameSize => 400 "h2-frame-size" "a frame is larger than the server allows, or has not the size of its kind",
        StreamId => 400 "h2-stream" "a frame belongs to a stream that is not open",
        FlowControl => 400 "h2-flow-control" "a window is updated by nothing or beyond its bounds",
        Compression => 400 "h2-compression" "a block of headers cannot be read, and no later one could",
        Continuations => 400 "h2-continuations" "a block of headers comes in too many frames",
        RapidReset => 400 "h2-rapid-reset" "more streams were reset without waiting for an answer than the setting `premature_resets` allows",
        TooManyStreams => 503 "h2-streams" "more streams are open than the setting `streams` allows",
        PseudoHeader => 400 "h2-pseudo-header" "a pseudo-header is missing, repeated, unknown, or stands behind other headers",
        UpperCase => 400 "h2-upper-case" "the name of a header has letters in upper case",
        ConnectionHeader => 400 "h2-connection-header" "a header speaks of the connection, which HTTP/2 does otherwise",
        LengthDiffers => 400 "content-length-differs" "the body has not the length that Content-Length says",
        TrailersTooLarge => 431 "trailers-too-large" "the trailers are larger than the setting `trailers` allows",
    }
}

reasons! {
    /// What is wrong with what a server sent. Both connections end with it; if nothing of the response has gone on yet, the client gets the status.
    ServerFault {
        StatusLine => 502 "server-status-line" "the response does not begin with a status line of HTTP/1",
        Header => 502 "server-header" "a line of the response's head is no header",
        HeadTooLarge => 502 "server-head-too-large" "the head of the response is larger than the setting `response_head` allows",
        LengthInvalid => 502 "server-content-length" "the response has a Content-Length that is no number, or several that differ",
        LengthAndCoding => 502 "server-content-length-and-transfer-encoding" "the response has both Content-Length and Transfer-Encoding",
        Chunk => 502 "server-chunk" "a chunk of the response is malformed",
        Frame => 502 "server-h2-frame" "a frame is malformed, or has no place where it stands",
        Compression => 502 "server-h2-compression" "a block of headers cannot be read, and no later one could",
        Push => 502 "server-h2-push" "the server pushes what nobody asked for",
        Unrequested => 502 "server-unrequested" "the server sent a response that nobody asked for",
        UnrequestedUpgrade => 502 "server-unrequested-upgrade" "the server switches to a protocol that the request did not ask for",
    }
}
