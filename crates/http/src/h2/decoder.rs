//! Reads header blocks (RFC 7541).

use super::{huffman, table::Table};

/// Reads the blocks of one direction of a connection, one after the other, with none left out.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    table: Table,
    /// What the reader of this direction allows the table to take, in bytes.
    limit: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Whether intermediaries may put a header into tables (RFC 7541, 6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexing {
    Allowed,
    Never,
}

/// The block is malformed; what the tables hold from here on is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Decoder {
    pub(super) fn new() -> Self {
        Self { limit: super::table::INITIAL, ..Self::default() }
    }

    /// The reader allows as much from some moment on. The larger of two values holds, because that moment is not known exactly.
    pub(super) fn allow(&mut self, limit: usize) {
        self.limit = self.limit.max(limit);
    }

    /// Calls `header` with each header of a block.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        mut header: impl FnMut(&[u8], &[u8], Indexing),
    ) -> Result<(), Malformed> {
        let mut rest = block;
        let mut first = true;
        while let Some(byte) = rest.first().copied() {
            match byte {
                0x80.. => {
                    let (name, value) = self.table.get(integer(&mut rest, 7)?).ok_or(Malformed)?;
                    header(name, value, Indexing::Allowed);
                }
                0x40..0x80 => {
                    self.literal(&mut rest, 6)?;
                    header(&self.name, &self.value, Indexing::Allowed);
                    self.table.insert(&self.name, &self.value);
                }
                0x20..0x40 => {
                    let capacity = integer(&mut rest, 5)?;
                    if !first || capacity > self.limit {
                        return Err(Malformed);
                    }
                    self.table.set_capacity(capacity);
                    continue;
                }
                _ => {
                    let indexing = if byte >= 0x10 { Indexing::Never } else { Indexing::Allowed };
                    self.literal(&mut rest, 4)?;
                    header(&self.name, &self.value, indexing);
                }
            }
            first = false;
        }
        Ok(())
    }

    fn literal(&mut self, rest: &mut &[u8], bits: u32) -> Result<(), Malformed> {
        let index = integer(rest, bits)?;
        self.name.clear();
        self.value.clear();
        if index == 0 {
            string(rest, &mut self.name)?;
        } else {
            self.name.extend_from_slice(self.table.get(index).ok_or(Malformed)?.0);
        }
        string(rest, &mut self.value)
    }
}

/// RFC 7541, 5.1: the number begins in the low `bits` of the first byte.
fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, Malformed> {
    let (byte, mut after) = rest.split_first().ok_or(Malformed)?;
    let mask = 0xff_u8 >> 8_u32.saturating_sub(bits);
    let mut number = usize::from(byte & mask);
    if byte & mask == mask {
        let mut shift = 0_u32;
        loop {
            let (byte, next) = after.split_first().ok_or(Malformed)?;
            after = next;
            // Four bytes are enough for everything that fits a frame.
            if shift > 21 {
                return Err(Malformed);
            }
            number = number.saturating_add(usize::from(byte & 0x7f) << shift);
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = after;
    Ok(number)
}

/// RFC 7541, 5.2.
fn string(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let coded = rest.first().ok_or(Malformed)? & 0x80 != 0;
    let len = integer(rest, 7)?;
    let (text, after) = rest.split_at_checked(len).ok_or(Malformed)?;
    *rest = after;
    if coded {
        huffman::decode(text, out).ok_or(Malformed)
    } else {
        out.extend_from_slice(text);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the test states the arithmetic plainly")]
mod tests {
    use super::*;

    fn read(decoder: &mut Decoder, hex: &str) -> Result<String, Malformed> {
        let bytes: Vec<u8> = hex
            .split_whitespace()
            .flat_map(|group| {
                (0..group.len()).step_by(2).map(|at| u8::from_str_radix(&group[at..at + 2], 16).unwrap())
            })
            .collect();
        let mut all = Vec::new();
        decoder.decode(&bytes, |name, value, indexing| {
            let never = if indexing == Indexing::Never { "!" } else { "" };
            all.push(format!("{}{never}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        })?;
        Ok(all.join(" "))
    }

    /// RFC 7541, C.3 and C.4: requests without and with Huffman code.
    #[test]
    fn requests_of_the_standard() {
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let coded = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        let wanted = [
            ":method=GET :scheme=http :path=/ :authority=www.example.com",
            ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache",
            ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value",
        ];
        for blocks in [plain, coded] {
            let mut decoder = Decoder::new();
            for (block, wanted) in blocks.iter().zip(wanted) {
                assert_eq!(read(&mut decoder, block).unwrap(), wanted);
            }
        }
    }

    /// RFC 7541, C.5: responses with a table of 256 bytes, from which entries fall out.
    #[test]
    fn responses_of_the_standard() {
        let mut decoder = Decoder::new();
        decoder.table.set_capacity(256);
        let first = "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d";
        let rest =
            "cache-control=private date=Mon, 21 Oct 2013 20:13:21 GMT location=https://www.example.com";
        assert_eq!(read(&mut decoder, first).unwrap(), format!(":status=302 {rest}"));
        assert_eq!(read(&mut decoder, "4803 3330 37c1 c0bf").unwrap(), format!(":status=307 {rest}"));
        assert_eq!(decoder.table.get(65).unwrap().0, b"cache-control");
        assert_eq!(decoder.table.get(66), None);
    }

    #[test]
    fn what_is_malformed() {
        for hex in [
            "80",
            "be",
            "ff",
            "ffffffffff7f",
            "40",
            "4001",
            "400161",
            "40016105",
            "3fe21f",
            "8220",
            "00",
            "0f",
            "7f81ffffff7f",
            "008261",
        ] {
            assert_eq!(read(&mut Decoder::new(), hex), Err(Malformed), "{hex}");
        }
        let mut decoder = Decoder::new();
        assert_eq!(read(&mut decoder, "20 3fe11f 82").unwrap(), ":method=GET");
        decoder.allow(65536);
        assert_eq!(read(&mut decoder, "3fe1ff03 100161 0162").unwrap(), "a!=b");
    }
}
