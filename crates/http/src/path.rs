//! The one form of a path, and what has none.

use crate::{
    DotSegments, EscapedSlashes, Paths, Refusal, RepeatedSlashes,
    bytes::{self, PATH_SPECIAL, TARGET, UNRESERVED},
};

/// Whether a path and its query have their one form already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Canonical,
    /// [`canonical`] gives it.
    Other,
}

/// Checks a path that begins with a slash, with its query. Most are decided in one pass.
pub(crate) fn check(target: &[u8], settings: &Paths) -> Result<Form, Refusal> {
    let mut seen = 0;
    let mut every = 0xff;
    let mut last = 0;
    let mut query = None;
    for (at, byte) in target.iter().enumerate() {
        if *byte == b'?' {
            query = target.get(at..);
            break;
        }
        let class = bytes::class(*byte);
        seen |= class;
        every &= class;
        if last == b'/' && matches!(byte, b'/' | b'.') {
            seen |= PATH_SPECIAL;
        }
        last = *byte;
    }
    if every & TARGET == 0 {
        return Err(bad_character(target));
    }
    let query_form = query.map_or(Ok(Form::Canonical), check_query)?;
    if seen & PATH_SPECIAL == 0 {
        return Ok(query_form);
    }
    let path = target.get(..target.len().saturating_sub(query.map_or(0, <[u8]>::len))).unwrap_or_default();
    let same = canonical_path(path, settings)? == path;
    Ok(if same && query_form == Form::Canonical { Form::Canonical } else { Form::Other })
}

/// The one form of a path with its query that [`check`] found to have one.
pub(crate) fn canonical(target: &[u8], settings: &Paths) -> Result<Vec<u8>, Refusal> {
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => target.split_at_checked(at).unwrap_or((target, &[])),
        None => (target, &[][..]),
    };
    let mut out = canonical_path(path, settings)?;
    let mut rest = query;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match escaped(*byte, after) {
            Some(plain) if bytes::is(plain, UNRESERVED) => {
                out.push(plain);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => out.push(*byte),
        }
    }
    Ok(out)
}

/// The byte that `%` and two digits stand for.
fn escaped(byte: u8, after: &[u8]) -> Option<u8> {
    match (byte, after) {
        (b'%', [high, low, ..]) => Some(bytes::hex(*high)? << 4 | bytes::hex(*low)?),
        _ => None,
    }
}

fn bad_character(target: &[u8]) -> Refusal {
    match target.iter().find(|byte| !bytes::is(**byte, TARGET)) {
        Some(b'#') => Refusal::Fragment,
        Some(b' ' | b'\t') => Refusal::RequestLine,
        Some(0) => Refusal::Nul,
        Some(b'\r') => Refusal::BareCr,
        Some(1..0x20 | 0x7f) => Refusal::Control,
        Some(_) | None => Refusal::Target,
    }
}

/// A query is left as it is but for escapes of characters that need none (RFC 3986, 6.2.2.2).
fn check_query(query: &[u8]) -> Result<Form, Refusal> {
    let every = query.iter().fold(0xff, |every, byte| every & bytes::class(*byte));
    if every & TARGET == 0 {
        return Err(bad_character(query));
    }
    let needless = |at: usize| {
        let after = query.get(at.saturating_add(1)..).unwrap_or_default();
        escaped(b'%', after).is_some_and(|plain| bytes::is(plain, UNRESERVED))
    };
    Ok(if memchr::memchr_iter(b'%', query).any(needless) { Form::Other } else { Form::Canonical })
}

fn canonical_path(path: &[u8], settings: &Paths) -> Result<Vec<u8>, Refusal> {
    let unescaped = unescape(path, settings.escaped_slashes)?;
    let mut out: Vec<u8> = Vec::with_capacity(unescaped.len());
    // Where segments begin in `out`, each with the slash in front of it.
    let mut starts: Vec<usize> = Vec::new();
    let mut segments = unescaped.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let dots = match kind(segment)? {
            Kind::Name => 0,
            Kind::Dot => 1,
            Kind::DotDot => 2,
            Kind::Empty if last => 0,
            Kind::Empty => match settings.repeated_slashes {
                RepeatedSlashes::Refuse => return Err(Refusal::PathSlashes),
                RepeatedSlashes::Merge => {
                    // Whether `..` behind it would go up from here or from the segment before depends on the reader.
                    if segments.peek().is_some_and(|next| *next == b"..") {
                        return Err(Refusal::PathDots);
                    }
                    continue;
                }
            },
        };
        if dots > 0 {
            if settings.dot_segments == DotSegments::Refuse {
                return Err(Refusal::PathDots);
            }
            if dots == 2 {
                let start = starts.pop().ok_or(Refusal::PathDots)?;
                out.truncate(start);
            }
            if last {
                out.push(b'/');
            }
            continue;
        }
        starts.push(out.len());
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    Ok(out)
}

enum Kind {
    Name,
    Empty,
    Dot,
    DotDot,
}

/// What a segment is. Parameters behind `;` are passed on, but must not hide dots or nothing from who takes them off.
fn kind(segment: &[u8]) -> Result<Kind, Refusal> {
    let plain = match stem(segment) {
        b"" => Kind::Empty,
        b"." => Kind::Dot,
        b".." => Kind::DotDot,
        _ => Kind::Name,
    };
    if !matches!(plain, Kind::Name) && stem(segment).len() != segment.len() {
        return Err(Refusal::PathParameters);
    }
    // Escaped slashes, where they are kept, may end up as slashes: then there must be no dots or nothing between them.
    let mut parts = split_escaped_slashes(segment);
    if parts.next().is_some_and(|first| first.len() != segment.len())
        && split_escaped_slashes(segment).any(|part| matches!(stem(part), b"" | b"." | b".."))
    {
        return Err(Refusal::PathEscapedSlash);
    }
    Ok(plain)
}

fn stem(segment: &[u8]) -> &[u8] {
    let plain = segment.iter().position(|byte| *byte == b';').unwrap_or(segment.len());
    let escaped = segment.windows(3).position(|three| three == b"%3B").unwrap_or(segment.len());
    segment.get(..plain.min(escaped)).unwrap_or_default()
}

fn split_escaped_slashes(mut segment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let at = segment.windows(3).position(|three| matches!(three, b"%2F" | b"%5C"));
        let part = segment.get(..at.unwrap_or(segment.len())).unwrap_or_default();
        match at {
            Some(at) => segment = segment.get(at.saturating_add(3)..).unwrap_or_default(),
            None => done = true,
        }
        Some(part)
    })
}

/// Escapes of unreserved characters are taken away, the digits of others are in upper case.
fn unescape(path: &[u8], slashes: EscapedSlashes) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => return Err(Refusal::PathBackslash),
            b'%' => {}
            other => {
                out.push(*other);
                continue;
            }
        }
        let plain = escaped(b'%', after).ok_or(Refusal::PathEscape)?;
        let digits = after.get(..2).unwrap_or_default();
        rest = after.get(2..).unwrap_or_default();
        match plain {
            0..0x20 | 0x7f => return Err(Refusal::PathControl),
            b'/' | b'\\' if slashes == EscapedSlashes::Refuse => return Err(Refusal::PathEscapedSlash),
            0x80.. if is_overlong(plain, rest) => return Err(Refusal::PathEscape),
            _ if bytes::is(plain, UNRESERVED) => out.push(plain),
            _ => {
                out.push(b'%');
                out.extend(digits.iter().map(u8::to_ascii_uppercase));
            }
        }
    }
    Ok(out)
}

/// Whether a byte and the escape behind it begin a longer form of UTF-8 than needed, which some readers take for the short one.
fn is_overlong(first: u8, rest: &[u8]) -> bool {
    let Some(second) = rest.split_first().and_then(|(byte, after)| escaped(*byte, after)) else {
        return false;
    };
    match first {
        0xc0 | 0xc1 => (0x80..0xc0).contains(&second),
        0xe0 => (0x80..0xa0).contains(&second),
        0xf0 => (0x80..0x90).contains(&second),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(target: &str, settings: &Paths) -> Result<String, Refusal> {
        match check(target.as_bytes(), settings)? {
            Form::Canonical => Ok(target.to_owned()),
            Form::Other => {
                let form = canonical(target.as_bytes(), settings).unwrap();
                assert_ne!(form, target.as_bytes(), "said to be another form");
                Ok(String::from_utf8(form).unwrap())
            }
        }
    }

    const LOOSE: Paths = Paths {
        dot_segments: DotSegments::Resolve,
        repeated_slashes: RepeatedSlashes::Merge,
        escaped_slashes: EscapedSlashes::Keep,
    };

    #[test]
    fn paths_by_default() {
        use Refusal::*;
        let cases: &[(&str, Result<&str, Refusal>)] = &[
            ("/", Ok("/")),
            ("/v1/request-landing", Ok("/v1/request-landing")),
            ("/a/", Ok("/a/")),
            ("/.well-known/x", Ok("/.well-known/x")),
            ("/...", Ok("/...")),
            ("/a..b/..c", Ok("/a..b/..c")),
            ("/%61%2D%7e", Ok("/a-~")),
            ("/caf%c3%a9", Ok("/caf%C3%A9")),
            ("/a%20b%3f", Ok("/a%20b%3F")),
            ("/%252e%252e/", Ok("/%252e%252e/")),
            ("/a;v=1/b", Ok("/a;v=1/b")),
            ("/q?a=//../%2F&b=%61%zz%", Ok("/q?a=//../%2F&b=a%zz%")),
            ("/q?%2f;..;", Ok("/q?%2f;..;")),
            ("/a|b{c}[d]^`\"<>", Ok("/a|b{c}[d]^`\"<>")),
            ("/a/../b", Err(PathDots)),
            ("/a/./b", Err(PathDots)),
            ("/..", Err(PathDots)),
            ("/.", Err(PathDots)),
            ("/%2e%2e/b", Err(PathDots)),
            ("/.%2E", Err(PathDots)),
            ("//a", Err(PathSlashes)),
            ("/a//", Err(PathSlashes)),
            ("/a%2fb", Err(PathEscapedSlash)),
            ("/a%5Cb", Err(PathEscapedSlash)),
            ("/a\\b", Err(PathBackslash)),
            ("/a%00", Err(PathControl)),
            ("/a%0d%0ab", Err(PathControl)),
            ("/a%7F", Err(PathControl)),
            ("/a%", Err(PathEscape)),
            ("/a%2", Err(PathEscape)),
            ("/a%g0", Err(PathEscape)),
            ("/%c0%ae%c0%ae/", Err(PathEscape)),
            ("/%e0%80%af", Err(PathEscape)),
            ("/%f0%80%80%af", Err(PathEscape)),
            ("/a/..;x=1/b", Err(PathParameters)),
            ("/a/.;/b", Err(PathParameters)),
            ("/;x/b", Err(PathParameters)),
            ("/..%3bx/b", Err(PathParameters)),
            ("/a#b", Err(Fragment)),
            ("/a?b#c", Err(Fragment)),
            ("/a b", Err(RequestLine)),
            ("/a\u{e9}", Err(Target)),
            ("/a?\u{e9}", Err(Target)),
            ("/a\u{1}", Err(Control)),
        ];
        for (target, wanted) in cases {
            assert_eq!(read(target, &Paths::default()), wanted.map(str::to_owned), "{target}");
        }
    }

    #[test]
    fn paths_by_looser_settings() {
        use Refusal::*;
        let cases: &[(&str, Result<&str, Refusal>)] = &[
            ("/a/../b", Ok("/b")),
            ("/a/b/..", Ok("/a/")),
            ("/a/.", Ok("/a/")),
            ("/./a", Ok("/a")),
            ("/a/%2e%2e/b?x=/../", Ok("/b?x=/../")),
            ("/../a", Err(PathDots)),
            ("/a/../../b", Err(PathDots)),
            ("//a///b//", Ok("/a/b/")),
            ("/a//../b", Err(PathDots)),
            ("/a/..//b", Ok("/b")),
            ("/p/group%2fname", Ok("/p/group%2Fname")),
            ("/p/..%2fname", Err(PathEscapedSlash)),
            ("/p/a%2f%2e%2e%5cb", Err(PathEscapedSlash)),
            ("/p/a%2f%2fb", Err(PathEscapedSlash)),
            ("/p%2f", Err(PathEscapedSlash)),
            ("/p/a\\b", Err(PathBackslash)),
        ];
        for (target, wanted) in cases {
            assert_eq!(read(target, &LOOSE), wanted.map(str::to_owned), "{target}");
        }
    }

    /// Pieces that paths are attacked with.
    fn path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/"),
            Just("."),
            Just(".."),
            Just("%2e"),
            Just("%2F"),
            Just("%5c"),
            Just(";"),
            Just("%3b"),
            Just("a"),
            Just("%61"),
            Just("%c0%ae"),
            Just("%25"),
            Just("?"),
            Just("%"),
            Just("~"),
            Just("%7E"),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        /// The one form is one: read again, it stays as it is, and strict settings have nothing against it but escaped slashes.
        #[test]
        fn the_form_is_a_fixed_point(target in path()) {
            for settings in [Paths::default(), LOOSE] {
                let Ok(form) = read(&target, &settings) else { continue };
                prop_assert_eq!(check(form.as_bytes(), &settings), Ok(Form::Canonical));
                let strict = Paths { escaped_slashes: EscapedSlashes::Keep, ..Paths::default() };
                prop_assert_eq!(check(form.as_bytes(), &strict), Ok(Form::Canonical));
            }
        }

        /// A reader that decodes, takes off parameters and then walks never leaves the place where a plain reader is.
        #[test]
        fn readers_agree(target in path()) {
            let Ok(form) = read(&target, &Paths::default()) else { return Ok(()) };
            let path = form.split('?').next().unwrap();
            for segment in path.split('/').skip(1) {
                let stem = segment.split(';').next().unwrap();
                prop_assert!(stem != "." && stem != ".." && !stem.contains("%2F"));
            }
            prop_assert!(!path.contains("//"));
        }
    }
}
