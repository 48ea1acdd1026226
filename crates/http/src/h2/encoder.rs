//! Writes header blocks (RFC 7541), without Huffman code: what is saved in bytes is not worth its time between two machines next to each other.

use super::{
    decoder::Indexing,
    table::{INITIAL, Table},
};

/// Writes the blocks of one direction after its reader has read others that were not written here.
#[derive(Debug)]
pub(super) struct Encoder {
    table: Table,
    /// What is to be said before the next block: forget everything, then this much.
    announce: Option<usize>,
}

impl Encoder {
    /// `limit`: what the reader allows its table to take.
    pub(super) fn new(limit: usize) -> Self {
        let capacity = limit.min(INITIAL);
        let mut table = Table::default();
        table.set_capacity(capacity);
        Self { table, announce: Some(capacity) }
    }

    /// The reader allows this much. More than before is not made use of, because it holds only once the client has agreed.
    pub(super) fn allow(&mut self, limit: usize) {
        let capacity = limit.min(self.table.capacity());
        if capacity != self.table.capacity() {
            // The least of several changes would have to be announced (RFC 7541, 4.2): nothing is always less.
            self.table.set_capacity(0);
            self.table.set_capacity(capacity);
            self.announce = Some(capacity);
        }
    }

    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(capacity) = self.announce.take() {
            out.push(0x20);
            integer(out, 0x20, 5, capacity);
        }
    }

    pub(super) fn header(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        let (whole, same_name) = self.table.find(name, value);
        if let (Some(index), Indexing::Allowed) = (whole, indexing) {
            return integer(out, 0x80, 7, index);
        }
        let (kind, bits) = match indexing {
            Indexing::Never => (0x10, 4),
            Indexing::Allowed => (0x40, 6),
        };
        literal(out, kind, bits, same_name, name, value);
        if indexing == Indexing::Allowed {
            self.table.insert(name, value);
        }
    }
}

/// A header that changes no table: it can go between blocks of somebody else.
pub(super) fn free_header(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    literal(out, 0x00, 4, None, name, value);
}

fn literal(out: &mut Vec<u8>, kind: u8, bits: u32, index: Option<usize>, name: &[u8], value: &[u8]) {
    integer(out, kind, bits, index.unwrap_or(0));
    if index.is_none() {
        integer(out, 0, 7, name.len());
        out.extend_from_slice(name);
    }
    integer(out, 0, 7, value.len());
    out.extend_from_slice(value);
}

fn integer(out: &mut Vec<u8>, kind: u8, bits: u32, number: usize) {
    let mask = 0xff_u8 >> 8_u32.saturating_sub(bits);
    match u8::try_from(number) {
        Ok(small) if small < mask => out.push(kind | small),
        _ => {
            out.push(kind | mask);
            let mut left = number.saturating_sub(usize::from(mask));
            while let Some(low) = u8::try_from(left & 0x7f).ok().filter(|_| left >= 0x80) {
                out.push(low | 0x80);
                left >>= 7;
            }
            out.push(u8::try_from(left).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::decoder::Decoder, *};
    use proptest::prelude::*;

    type Header = (Vec<u8>, Vec<u8>, bool);

    fn headers() -> impl Strategy<Value = Vec<Header>> {
        let name = prop::sample::select(vec![
            ":method",
            ":path",
            "accept",
            "x-a",
            "x-b",
            "cookie",
            "x-long-name-of-a-header",
        ]);
        let value = prop::sample::select(vec![
            "GET",
            "/",
            "",
            "1",
            "a value",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ]);
        let header = (name, value, 1_usize..60, any::<bool>())
            .prop_map(|(name, value, times, never)| (name.into(), value.repeat(times).into_bytes(), never));
        prop::collection::vec(header, 0..8)
    }

    proptest! {
        /// What is written is what is read, whatever was read before, and whatever limits come in between.
        #[test]
        fn the_decoder_reads_it(blocks in prop::collection::vec((headers(), prop::option::of(0_usize..9000)), 1..12)) {
            let mut decoder = Decoder::new();
            decoder.allow(9000);
            decoder.decode(b"\x40\x03old\x01x\x40\x03own\x01y", |_, _, _| {}).unwrap();
            let mut encoder = Encoder::new(4096);
            for (headers, limit) in blocks {
                if let Some(limit) = limit {
                    encoder.allow(limit);
                }
                let mut block = Vec::new();
                encoder.begin(&mut block);
                for (name, value, never) in &headers {
                    encoder.header(name, value, if *never { Indexing::Never } else { Indexing::Allowed }, &mut block);
                }
                free_header(b"free", b"1", &mut block);
                let mut read: Vec<Header> = Vec::new();
                decoder.decode(&block, |name, value, indexing| read.push((name.into(), value.into(), indexing == Indexing::Never))).unwrap();
                prop_assert_eq!(read.pop().unwrap().0, b"free");
                prop_assert_eq!(read, headers);
            }
        }
    }
}
