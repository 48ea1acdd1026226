//! Gives a head its one form, and makes the changes that rules ask for.

use super::head::{Flags, Head, INDISPENSABLE};
use crate::{Edit, Refusal, Settings, bytes, path, request::Headers, request::Version, request::split};

/// Appends the one form of `head`, which was read from `buffer`. Reading it gives the request that it means.
pub(super) fn canonical(
    head: &Head,
    buffer: &[u8],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    out.extend_from_slice(head.method.of(buffer));
    out.push(b' ');
    target(head, buffer, settings, out)?;
    out.extend_from_slice(if head.version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let headers = Headers::checked(head.lines.of(buffer));
    let named: Vec<&[u8]> = connection_options(headers).filter(|option| !is_known(option)).collect();
    let websocket = head.flags.has(Flags::WEBSOCKET);
    let (mut connection, mut upgrade) = (false, false);
    for line in headers.lines_with_ends() {
        let (name, value) = split(line.strip_suffix(b"\r\n").unwrap_or(line));
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("connection") {
            if !std::mem::replace(&mut connection, true) {
                write_connection(headers, websocket, out);
            }
        } else if is("upgrade") {
            if websocket && !std::mem::replace(&mut upgrade, true) {
                out.extend_from_slice(b"Upgrade: websocket\r\n");
            }
        } else if is("host") {
            out.extend_from_slice(b"Host: ");
            out.extend(value.iter().map(u8::to_ascii_lowercase));
            out.extend_from_slice(b"\r\n");
        } else if is("http2-settings")
            || (is("te") && !value.eq_ignore_ascii_case(b"trailers"))
            || named.iter().any(|option| option.eq_ignore_ascii_case(name))
        {
            // Meant for whoever is at the other end of this connection, and not for the server.
        } else {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn target(head: &Head, buffer: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let authority = head.target_authority().of(buffer);
    if !authority.is_empty() {
        out.extend_from_slice(b"http://");
        out.extend(authority.iter().map(u8::to_ascii_lowercase));
    }
    match head.path().of(buffer) {
        other @ (b"*" | b"") => out.extend_from_slice(other),
        query @ [b'?', ..] => {
            let mut path = b"/".to_vec();
            path.extend_from_slice(query);
            out.extend_from_slice(&path::canonical(&path, &settings.paths)?);
        }
        path => out.extend_from_slice(&path::canonical(path, &settings.paths)?),
    }
    Ok(())
}

fn connection_options(headers: Headers<'_>) -> impl Iterator<Item = &[u8]> {
    headers.values("connection").flat_map(bytes::list)
}

fn is_known(option: &[u8]) -> bool {
    ["keep-alive", "close", "te", "upgrade"].iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
}

fn write_connection(headers: Headers<'_>, websocket: bool, out: &mut Vec<u8>) {
    let mut first = true;
    for option in connection_options(headers).filter(|option| is_known(option)) {
        if option.eq_ignore_ascii_case(b"upgrade") && !websocket {
            continue;
        }
        out.extend_from_slice(if std::mem::take(&mut first) { b"Connection: " } else { b", " });
        out.extend_from_slice(option);
    }
    if !first {
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a head in its one form with changes. Names that say where a message ends or goes are never changed: rules with such do not compile.
pub(super) fn edited(head: &[u8], lines: &[u8], edits: &[Edit], out: &mut Vec<u8>) {
    let before = head.len().saturating_sub(lines.len()).saturating_sub(2);
    out.extend_from_slice(head.get(..before).unwrap_or_default());
    let gone = |name: &[u8]| {
        edits.iter().any(|edit| match edit {
            Edit::Remove { name: own } | Edit::Replace { name: own, .. } => {
                crate::rules::same_name(own.as_bytes(), name)
            }
            Edit::Add { .. } => false,
        })
    };
    for line in Headers::checked(lines).lines_with_ends() {
        let (name, _) = split(line);
        if !gone(name) || INDISPENSABLE.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            out.extend_from_slice(line);
        }
    }
    for edit in edits {
        if let Edit::Add { name, value } | Edit::Replace { name, value } = edit {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}
