//! Status codes of HTTP.

use std::ops::RangeInclusive;

/// `404`, `40+` (400 to 409) or `4+` (400 to 499).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusCodes(Vec<RangeInclusive<u32>>);

impl StatusCodes {
    /// # Errors
    /// Says what is wrong with the first wrong one.
    pub fn read(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| range(text)).collect::<Result<_, _>>().map(Self)
    }

    /// A request that was not answered has code 0, which never fits.
    pub fn has(&self, code: u32) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let wrong = || {
        format!(
            "{text:?} is no status code: write three digits as in \"404\", or the first and a plus as in \"5+\""
        )
    };
    let digits = text.strip_suffix('+').unwrap_or(text);
    let open = digits.len() < text.len();
    let first = matches!(digits.bytes().next(), Some(b'1'..=b'5'));
    if !first || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    let (scale, last) = match (digits.len(), open) {
        (1, true) => (100, 99),
        (2, true) => (10, 9),
        (3, false) => (1, 0),
        _ => return Err(wrong()),
    };
    let from = number.saturating_mul(scale);
    Ok(from..=from.saturating_add(last))
}
