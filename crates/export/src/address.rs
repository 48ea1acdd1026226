//! Where a receiver listens, as people write it.

use ciliate_transport::HostPort;

/// Reads `SCHEME://HOST[:PORT]`, where SCHEME is one of these with their usual ports. Says which it is.
///
/// # Errors
/// Says what would be right.
pub fn read<T: Copy>(text: &str, schemes: &[(&str, u16, T)]) -> Result<(HostPort, T), String> {
    let parsed = text.split_once("://").and_then(|(scheme, rest)| {
        let (_, usual, kind) = schemes.iter().find(|(known, ..)| *known == scheme)?;
        let address = HostPort::parse(rest.strip_suffix('/').unwrap_or(rest), *usual)?;
        (address.port != 0).then_some((address, *kind))
    });
    parsed.ok_or_else(|| {
        let forms: Vec<_> = schemes.iter().map(|(scheme, ..)| format!("{scheme}://HOST:PORT")).collect();
        format!("{text:?} is no address: write {}", forms.join(" or "))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_have_a_scheme_and_a_usual_port() {
        let read = |text: &str| {
            super::read(text, &[("tcp", 514, 't'), ("tls", 6514, 's')])
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
