//! Parquet's hybrid of runs and packed bits (format's `Encodings.md`, RLE = 3), for levels and numbers of a dictionary.

/// Numbers that are packed together.
const GROUP: usize = 8;

pub(super) struct Hybrid {
    /// Bits of a number, 1 to 32.
    width: u32,
    out: Vec<u8>,
    /// To be packed.
    packed: Vec<u32>,
    value: u32,
    /// How often the value came on end and is neither packed nor written.
    repeated: usize,
}

impl Hybrid {
    pub fn new(width: u32) -> Self {
        Self { width, out: Vec::new(), packed: Vec::new(), value: 0, repeated: 0 }
    }

    pub fn put(&mut self, value: u32, count: usize) {
        if value != self.value {
            self.settle();
            self.value = value;
        }
        self.repeated = self.repeated.saturating_add(count);
    }

    /// Decides about what was repeated: a run if it is long enough, for packed numbers come in whole groups.
    fn settle(&mut self) {
        let missing = match self.packed.len() % GROUP {
            0 => 0,
            over => GROUP.saturating_sub(over),
        };
        if self.repeated < missing.saturating_add(GROUP) {
            self.pack(self.repeated);
        } else {
            self.pack(missing);
            self.write_packed();
            self.number(self.repeated << 1);
            let bytes = self.width.div_ceil(8);
            let value = self.value.to_le_bytes();
            self.out.extend(value.into_iter().take(usize::try_from(bytes).unwrap_or(4)));
        }
        self.repeated = 0;
    }

    fn pack(&mut self, count: usize) {
        self.packed.extend(std::iter::repeat_n(self.value, count));
        self.repeated = self.repeated.saturating_sub(count);
    }

    fn write_packed(&mut self) {
        if self.packed.is_empty() {
            return;
        }
        let packed = std::mem::take(&mut self.packed);
        self.number(packed.len().div_ceil(GROUP) << 1 | 1);
        let (mut waiting, mut bits) = (0_u64, 0_u32);
        for value in &packed {
            waiting |= u64::from(*value).checked_shl(bits).unwrap_or(0);
            bits = bits.saturating_add(self.width);
            while bits >= 8 {
                let [low, ..] = waiting.to_le_bytes();
                self.out.push(low);
                waiting >>= 8;
                bits = bits.saturating_sub(8);
            }
        }
        self.packed = packed;
        self.packed.clear();
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self, number: usize) {
        let mut rest = number;
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                return self.out.push(low & 0x7f);
            }
            self.out.push(low | 0x80);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.settle();
        // What fills the last group up is not read.
        let whole = self.packed.len().next_multiple_of(GROUP);
        self.packed.resize(whole, 0);
        self.write_packed();
        self.out
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests state plainly what they expect")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the format says it, one number after the other.
    fn read(bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let (mut at, mut values) = (0, Vec::new());
        while values.len() < count {
            let (mut header, mut shift) = (0_usize, 0);
            loop {
                let byte = *bytes.get(at).unwrap();
                at += 1;
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let size = usize::try_from(width.div_ceil(8)).unwrap();
                let mut value = [0; 4];
                value.get_mut(..size).unwrap().copy_from_slice(bytes.get(at..at + size).unwrap());
                at += size;
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
            } else {
                let size = (header >> 1) * usize::try_from(width).unwrap();
                let block = bytes.get(at..at + size).unwrap();
                at += size;
                let bit = |at: usize| u32::from(block.get(at / 8).unwrap() >> (at % 8) & 1);
                let width = usize::try_from(width).unwrap();
                values.extend((0..(header >> 1) * 8).map(|number| {
                    (0..width).fold(0, |value, place| value | bit(number * width + place) << place)
                }));
            }
        }
        assert_eq!(at, bytes.len(), "nothing is left over");
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn numbers_come_out_as_they_went_in(
            width in 1..=32_u32,
            runs in prop::collection::vec((any::<u32>(), prop_oneof![Just(1_usize), 1..40_usize]), 0..60),
        ) {
            let mask = u32::MAX >> (32 - width);
            let (mut hybrid, mut all) = (Hybrid::new(width), Vec::new());
            for (value, count) in runs {
                hybrid.put(value & mask, count);
                all.extend(std::iter::repeat_n(value & mask, count));
            }
            prop_assert_eq!(read(&hybrid.finish(), width, all.len()), all);
        }
    }

    #[test]
    fn a_long_run_is_short() {
        let mut hybrid = Hybrid::new(1);
        hybrid.put(1, 65_536);
        assert_eq!(hybrid.finish(), [0x80, 0x80, 0x08, 1]);
    }
}
