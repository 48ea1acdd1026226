//! What a client is told before its connection is closed.

/// A record with the fatal alert `access_denied` (49; RFC 8446, section 6.2), for a server name that is not allowed.
pub const ACCESS_DENIED: [u8; 7] = fatal(49);

/// A record with the fatal alert `decode_error` (50), for a hello that could not be read.
pub const DECODE_ERROR: [u8; 7] = fatal(50);

const fn fatal(description: u8) -> [u8; 7] {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, description]
}
