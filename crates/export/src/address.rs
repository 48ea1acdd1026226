//! Where a receiver listens.

use std::{fmt, net::IpAddr};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Reads `SCHEME://HOST[:PORT]`, where SCHEME is one of these with their usual ports. Says which it is.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn read<T: Copy>(text: &str, schemes: &[(&str, u16, T)]) -> Result<(Self, T), String> {
        let right = || {
            let forms: Vec<_> = schemes.iter().map(|(scheme, ..)| format!("{scheme}://HOST:PORT")).collect();
            format!("{text:?} is no address: write {}", forms.join(" or "))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(right)?;
        let (_, usual, kind) = *schemes.iter().find(|(known, ..)| *known == scheme).ok_or_else(right)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(right)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| right())?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(right)?)
            }
            None => rest.split_once(':').unwrap_or((rest, "")),
        };
        let port = if port.is_empty() { usual } else { port.parse().map_err(|_| right())? };
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        if host.is_empty() || port == 0 || !host.chars().all(fits) {
            return Err(right());
        }
        Ok((Self { host: host.to_owned(), port }, kind))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(host)) => write!(f, "[{host}]:{}", self.port),
            Ok(IpAddr::V4(_)) | Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_usual_port() {
        let read = |text: &str| {
            Address::read(text, &[("tcp", 514, 't'), ("tls", 6514, 's')])
                .map(|(address, kind)| format!("{kind} {address}"))
        };
        assert_eq!(read("tcp://log.example.org").as_deref(), Ok("t log.example.org:514"));
        assert_eq!(read("tls://10.0.0.1:1/").as_deref(), Ok("s 10.0.0.1:1"));
        assert_eq!(read("tls://[::1]").as_deref(), Ok("s [::1]:6514"));
        assert_eq!(read("tcp://[fd00::1]:10").as_deref(), Ok("t [fd00::1]:10"));
        for wrong in [
            "log.example.org",
            "udp://x",
            "tcp://",
            "tcp://x:y",
            "tcp://x:0",
            "tcp://[x]:1",
            "tcp://[::1]1",
            "tcp://a b",
            "tcp://::1",
        ] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.ends_with("write tcp://HOST:PORT or tls://HOST:PORT"), "{error}");
        }
    }
}
