//! Query strings and path segments.

/// Percent-escapes everything that is not unreserved in a URI.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes [`escape`]; an escape that is none stays as it is.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = match byte {
            b'%' => tail
                .get(..2)
                .and_then(|h| std::str::from_utf8(h).ok())
                .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit())),
            _ => None,
        };
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(value) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `?json=<value>`: filters travel as one JSON value, so both sides read them with the same type.
pub fn encode<T: serde::Serialize>(value: &T) -> Result<String, serde_json::Error> {
    Ok(format!("?json={}", escape(&serde_json::to_string(value)?)))
}

/// Undoes [`encode`]; without a query the default.
pub fn decode<T: serde::de::DeserializeOwned + Default>(query: Option<&str>) -> Result<T, String> {
    let Some(query) = query.filter(|q| !q.is_empty()) else { return Ok(T::default()) };
    let json = query
        .strip_prefix("json=")
        .ok_or_else(|| format!("the query {query:?} is unknown: write json=<percent-escaped JSON>"))?;
    serde_json::from_str(&unescape(json)).map_err(|e| format!("the query does not fit: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        for text in ["", "a b", "ns/name", "100%", "ü?&=", "%zz", "fd00::1"] {
            assert_eq!(unescape(&escape(text)), text);
        }
        assert_eq!(unescape("%"), "%");
        assert_eq!(unescape("%4"), "%4");
        assert_eq!(unescape("%+1"), "%+1");
    }
}
