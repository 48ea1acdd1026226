//! Which bytes may stand where in a head.

/// `tchar` of RFC 9110, 5.6.2.
pub(crate) const TOKEN: u8 = 1;
/// Visible ASCII but `#`: what a path or a query may consist of.
pub(crate) const TARGET: u8 = 2;
/// Letters, digits, `-`, `.` and `_`: names and IPv4 addresses.
pub(crate) const HOST: u8 = 4;
/// `unreserved` of RFC 3986, 2.3: means the same with and without escape.
pub(crate) const UNRESERVED: u8 = 8;
/// In a path, has to be looked at twice.
pub(crate) const PATH_SPECIAL: u8 = 16;
pub(crate) const UPPER: u8 = 32;

static CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0x21;
    while byte < 0x7f {
        let mut class = 0;
        if byte != b'#' {
            class |= TARGET;
        }
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            class |= TOKEN;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            class |= HOST | UNRESERVED;
        }
        if byte == b'~' {
            class |= UNRESERVED;
        }
        if matches!(byte, b'%' | b'\\' | b';') {
            class |= PATH_SPECIAL;
        }
        if byte.is_ascii_uppercase() {
            class |= UPPER;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

#[inline]
pub(crate) fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

#[inline]
pub(crate) fn is(byte: u8, class_of: u8) -> bool {
    class(byte) & class_of != 0
}

pub(crate) fn all(bytes: &[u8], class_of: u8) -> bool {
    bytes.iter().all(|byte| is(*byte, class_of))
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// Whether a header's value has neither control characters (but for the tab) nor line ends. Bytes above 0x7f are left to whoever reads them.
#[inline]
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    // Without early exit, so that it is done sixteen bytes at a time.
    !bytes.iter().fold(false, |bad, byte| bad | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f))
}

/// Without white space at both ends.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, without empty ones.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

pub(crate) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// A decimal number without sign, white space or leading zeros.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte.wrapping_sub(b'0')))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_standards() {
        let all_of = |class_of| (0..=255_u8).filter(|b| is(*b, class_of)).map(char::from).collect::<String>();
        assert_eq!(
            all_of(TOKEN),
            "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
        );
        assert_eq!(all_of(TARGET).len(), 0x7e - 0x20 - 1);
        assert!(!all_of(TARGET).contains(['#', ' ', '\u{7f}']));
        assert_eq!(all_of(PATH_SPECIAL), "%;\\");
    }

    #[test]
    fn values_and_numbers() {
        assert!(is_value(b"a\tb \xff and some more of it, past sixteen"));
        for bad in [b"a\0", b"a\r", b"a\n", b"a\x7f", b"a\x1f"] {
            assert!(!is_value(bad));
        }
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "00", "01", "+1", "1 ", "1_0", "18446744073709551616", "0x1", "\u{661}"] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(list(b"a, b ,,c\t").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }
}
