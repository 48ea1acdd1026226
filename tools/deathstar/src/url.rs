//! The part of a URL that a client needs: `http://HOST[:PORT]/PATH`.

use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address, an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// Starts with a slash; never holds a space or a control character.
    pub path: String,
    /// What the `Host` header says: brackets and a port other than 80 included.
    pub authority: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("URL {text:?}: {what}; expected http://HOST[:PORT]/PATH");
        if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(wrong("a space or control character must be percent-encoded"));
        }
        let rest = text.strip_prefix("http://").ok_or_else(|| wrong("it does not start with http://"))?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, "/".to_owned()),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) =
                    bracketed.split_once(']').ok_or_else(|| wrong("a bracket is not closed"))?;
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(wrong("only a port may follow the brackets")),
                }
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        let port = match port {
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| wrong("the port is not 1 to 65535"))?,
            None => 80,
        };
        Ok(Self { host: host.to_owned(), port, path, authority: authority.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_paths() {
        for (text, host, port, path) in [
            ("http://deathstar", "deathstar", 80, "/"),
            ("http://deathstar/v1/request-landing", "deathstar", 80, "/v1/request-landing"),
            ("http://10.0.0.1:8080/v1/?a=b/c", "10.0.0.1", 8080, "/v1/?a=b/c"),
            ("http://[fd10:201::5]/", "fd10:201::5", 80, "/"),
            ("http://[::1]:81/x", "::1", 81, "/x"),
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path), "{text}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (text, part) in [
            ("https://deathstar/", "http://"),
            ("http:///v1/", "host is missing"),
            ("http://a:0/", "port"),
            ("http://a:b/", "port"),
            ("http://[::1/", "bracket"),
            ("http://[::1]x/", "brackets"),
            ("http://a/b c", "percent-encoded"),
            ("http://a/\r\nHost: b", "percent-encoded"),
        ] {
            let problem = text.parse::<Url>().expect_err(text);
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
