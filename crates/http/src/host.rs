//! Names of hosts with their ports.

use crate::bytes::{self, HOST};

/// A host name has at most 255 bytes; with brackets, colon and port.
const LONGEST: usize = 263;

/// How many bytes of `host:port` are the host, if it is one. It may be empty.
pub(crate) fn len(authority: &[u8]) -> Option<usize> {
    if authority.len() > LONGEST {
        return None;
    }
    let len = match authority {
        [b'[', rest @ ..] => {
            let inside = rest.iter().position(|byte| *byte == b']')?;
            let address = rest.get(..inside)?;
            let known = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if address.is_empty() || !address.iter().all(known) {
                return None;
            }
            inside.checked_add(2)?
        }
        _ => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(len)?;
    if host.first() != Some(&b'[') && !bytes::all(host, HOST) {
        return None;
    }
    match port {
        [] => Some(len),
        [b':', digits @ ..] => {
            let port = bytes::decimal(digits)?;
            (port <= u64::from(u16::MAX) && !host.is_empty()).then_some(len)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (authority, wanted) in [
            ("a.example", Some(9)),
            ("a.example:80", Some(9)),
            ("a_b-c.:65535", Some(6)),
            ("[::1]", Some(5)),
            ("[::ffff:1.2.3.4]:80", Some(16)),
            ("", Some(0)),
            ("10.0.0.1:0", Some(8)),
            (":80", None),
            ("a:", None),
            ("a:x", None),
            ("a:080", None),
            ("a:65536", None),
            ("[]", None),
            ("[::1", None),
            ("[::g]", None),
            ("[::1]x", None),
            ("a b", None),
            ("a,b", None),
            ("a@b", None),
            ("a/b", None),
            ("a%00", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(len(authority.as_bytes()), wanted, "{authority}");
        }
    }
}
