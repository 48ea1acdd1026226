//! The Huffman code of HPACK (RFC 7541, 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are numbered in the order of their symbols, shorter ones come first. So lengths are all there is to know.

/// How many bits the code of each byte has.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14,
    6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
    28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
    22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22,
    22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21,
    26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26,
];
/// The longest code; the end of the string has this length too, and is the last code.
const LONGEST: usize = 30;
/// Codes of up to so many bits are found in one step: all characters of usual headers.
const STEP: u32 = 9;

static CODES: Codes = Codes::new();

struct Codes {
    /// By the next bits: symbol and length; length 0 for longer codes.
    short: [(u8, u8); 1 << STEP],
    /// By length: the first code of it, left-aligned in 32 bits, and where its symbols begin.
    first: [u32; LONGEST + 2],
    start: [u16; LONGEST + 2],
    /// Symbols in the order of their codes.
    symbols: [u8; 256],
}

impl Codes {
    #[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
    const fn new() -> Self {
        let mut codes = Self {
            short: [(0, 0); 1 << STEP],
            first: [0; LONGEST + 2],
            start: [0; LONGEST + 2],
            symbols: [0; 256],
        };
        let (mut length, mut code, mut order) = (1, 0_u64, 0);
        while length <= LONGEST + 1 {
            codes.first[length] = if length <= LONGEST { (code << (32 - length)) as u32 } else { u32::MAX };
            codes.start[length] = order as u16;
            let mut symbol = 0;
            while symbol < 256 {
                if LENGTHS[symbol] as usize == length {
                    codes.symbols[order] = symbol as u8;
                    order += 1;
                    if length <= STEP as usize {
                        let spare = STEP as usize - length;
                        let mut tail = 0;
                        while tail < 1 << spare {
                            codes.short[((code as usize) << spare) + tail] = (symbol as u8, length as u8);
                            tail += 1;
                        }
                    }
                    code += 1;
                }
                symbol += 1;
            }
            code <<= 1;
            length += 1;
        }
        codes
    }

    /// Symbol and length of the code at the top of `bits`; none if it is longer than what is known to be there.
    fn long(&self, bits: u32) -> Option<(u8, u32)> {
        let mut length = LONGEST;
        while length > 1 && self.first.get(length).is_some_and(|first| *first > bits) {
            length = length.saturating_sub(1);
        }
        // Lengths without codes begin where the next ones do.
        let shift = u32::try_from(32_usize.saturating_sub(length)).ok()?;
        let offset = bits.wrapping_sub(*self.first.get(length)?) >> shift;
        let at = usize::from(*self.start.get(length)?).saturating_add(usize::try_from(offset).ok()?);
        let symbol = *self.symbols.get(at)?;
        Some((symbol, u32::try_from(length).ok()?))
    }
}

/// Appends what `input` stands for. None if it is malformed: a code for the end, or padding that is not the beginning of that code.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = input.iter();
    // The bits that are known, left-aligned, and how many they are.
    let (mut bits, mut count) = (0_u64, 0_u32);
    loop {
        while count <= 56 {
            let Some(byte) = rest.next() else { break };
            bits |= u64::from(*byte) << 56_u32.wrapping_sub(count);
            count = count.wrapping_add(8);
        }
        if count == 0 {
            return Some(());
        }
        let top = u32::try_from(bits >> 32).ok()?;
        let short = usize::try_from(top >> (32_u32.wrapping_sub(STEP))).ok()?;
        let (symbol, length) = match CODES.short.get(short)? {
            (symbol, length @ 1..) => (*symbol, u32::from(*length)),
            _ => CODES.long(top).unwrap_or((0, u32::MAX)),
        };
        if length > count {
            // Less than a code is left: all ones, and less than a byte of them.
            let padding = u64::MAX << 64_u32.wrapping_sub(count);
            return (count < 8 && bits == padding).then_some(());
        }
        out.push(symbol);
        bits <<= length;
        count = count.wrapping_sub(length);
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the test states the arithmetic plainly")]
mod tests {
    use super::*;

    fn code(symbol: u8) -> (u32, u32) {
        let length = u32::from(LENGTHS[usize::from(symbol)]);
        let at = CODES.symbols.iter().position(|own| *own == symbol).unwrap();
        let first = CODES.first[length as usize] >> (32 - length);
        (first + (at as u32 - u32::from(CODES.start[length as usize])), length)
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for symbol in text {
            let (code, length) = code(*symbol);
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push(true);
        }
        bits.chunks(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect()
    }

    fn decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    #[test]
    fn the_code_is_that_of_the_standard() {
        // Some lines of the appendix, and that the lengths make a whole code with the one of the end.
        assert_eq!(code(b'0'), (0x0, 5));
        assert_eq!(code(b'a'), (0x3, 5));
        assert_eq!(code(b' '), (0x14, 6));
        assert_eq!(code(b':'), (0x5c, 7));
        assert_eq!(code(b'&'), (0xf8, 8));
        assert_eq!(code(b'!'), (0x3f8, 10));
        assert_eq!(code(b'\\'), (0x7fff0, 19));
        assert_eq!(code(0), (0x1ff8, 13));
        assert_eq!(code(255), (0x03ff_ffee, 26));
        assert_eq!(code(22), (0x3fff_fffe, 30));
        assert_eq!(code(249), (0x0fff_fffe, 28));
        let sum: u64 = LENGTHS.iter().map(|length| 1_u64 << (30 - length)).sum();
        assert_eq!(sum + 1, 1 << 30);
    }

    #[test]
    fn examples_of_the_standard() {
        assert_eq!(
            encode(b"www.example.com"),
            [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]
        );
        assert_eq!(encode(b"no-cache"), [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]);
        assert_eq!(
            decoded(&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf]).unwrap(),
            b"custom-value"
        );
    }

    #[test]
    fn every_symbol_comes_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decoded(&encode(&all)).unwrap(), all);
        for symbol in 0..=255_u8 {
            for len in 1..10 {
                let text = vec![symbol; len];
                assert_eq!(decoded(&encode(&text)).unwrap(), text, "{symbol} {len}");
            }
        }
    }

    #[test]
    fn padding_is_checked() {
        assert_eq!(decoded(&[]), Some(vec![]));
        // '0' is five zeros: three bits of padding.
        assert_eq!(decoded(&[0b0000_0111]), Some(b"0".to_vec()));
        assert_eq!(decoded(&[0b0000_0110]), None);
        assert_eq!(decoded(&[0b0000_0111, 0xff]), None);
        assert_eq!(decoded(&[0xff]), None);
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc]), None);
    }
}
