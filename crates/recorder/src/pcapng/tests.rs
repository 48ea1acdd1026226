#![expect(clippy::arithmetic_side_effects, reason = "tests state plainly what they expect")]

use super::*;
use proptest::prelude::*;

/// A block as a reader finds it: its type and its body.
fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut found = Vec::new();
    while !file.is_empty() {
        let total = word(file, 4) as usize;
        assert_eq!(total % 4, 0);
        assert_eq!(word(file, total - 4) as usize, total, "the length stands at both ends");
        found.push((word(file, 0), file[8..total - 4].to_vec()));
        file = &file[total..];
    }
    found
}

/// Code and value of each option.
fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        let code = u16::from_le_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            assert_eq!((length, bytes.len()), (0, 4), "the end of the options is the end of the block");
            return found;
        }
        found.push((code, bytes[4..4 + length].to_vec()));
        assert!(bytes[4 + length..4 + length.next_multiple_of(4)].iter().all(|byte| *byte == 0));
        bytes = &bytes[4 + length.next_multiple_of(4)..];
    }
}

const SECTION: Section<'_> = Section { application: "test 1", system: "Linux", comment: "why" };
const DEVICE: Interface<'_> = Interface { name: "eth0", description: "to demo/web", snap: 96, filter: "tcp" };

fn written(write: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<(u32, Vec<u8>)> {
    let mut writer = Writer::new(Vec::new(), &SECTION).unwrap();
    write(&mut writer);
    let size = writer.size();
    let file = writer.finish().unwrap();
    assert_eq!(file.len() as u64, size);
    blocks(&file)
}

#[test]
fn a_file_begins_with_its_section_and_devices_come_before_their_packets() {
    let found = written(|writer| {
        let first = writer.interface(&DEVICE).unwrap();
        let second = writer.interface(&Interface { name: "eth1", ..DEVICE }).unwrap();
        assert_eq!((first, second), (InterfaceId(0), InterfaceId(1)));
    });
    let kinds: Vec<u32> = found.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 1]);
    let (_, section) = &found[0];
    assert_eq!(section[..4], [0x4d, 0x3c, 0x2b, 0x1a]);
    assert_eq!(section[4..8], [1, 0, 0, 0]);
    assert_eq!(section[8..16], [0xff; 8]);
    assert_eq!(
        options(&section[16..]),
        [(1, b"why".to_vec()), (3, b"Linux".to_vec()), (4, b"test 1".to_vec())]
    );
    let (_, device) = &found[1];
    assert_eq!(device[..8], [1, 0, 0, 0, 96, 0, 0, 0]);
    assert_eq!(
        options(&device[8..]),
        [(2, b"eth0".to_vec()), (3, b"to demo/web".to_vec()), (9, vec![9]), (11, b"\0tcp".to_vec())]
    );
}

#[test]
fn statistics_say_when_and_how_many() {
    let time = 0x0102_0304_0506_0708;
    let found = written(|writer| {
        let device = writer.interface(&DEVICE).unwrap();
        let seen = Statistics { begin: 1, end: time, matched: 9, lost: 2, written: 7, comment: "over" };
        writer.statistics(device, &seen).unwrap();
    });
    let (kind, body) = &found[2];
    assert_eq!(*kind, 5);
    assert_eq!(body[4..12], [4, 3, 2, 1, 8, 7, 6, 5]);
    let count = |number: u64| number.to_le_bytes().to_vec();
    assert_eq!(
        options(&body[12..]),
        [
            (1, b"over".to_vec()),
            (2, vec![0, 0, 0, 0, 1, 0, 0, 0]),
            (3, vec![4, 3, 2, 1, 8, 7, 6, 5]),
            (4, count(9)),
            (6, count(9)),
            (7, count(2)),
            (8, count(7)),
        ]
    );
}

#[test]
fn a_comment_that_is_too_long_is_cut_between_characters() {
    let comment = "ä".repeat(40_000);
    let found = written(|writer| {
        let interface = writer.interface(&DEVICE).unwrap();
        writer.packet(&Packet { interface, time: 0, length: 0, bytes: &[], comment: &comment }).unwrap();
    });
    let (_, text) = options(&found[2].1[20..]).pop().unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "ä".repeat(32_766));
}

proptest! {
    /// Whatever a packet holds, a reader finds it again.
    #[test]
    fn packets_are_found_again(
        packets in proptest::collection::vec((any::<u64>(), proptest::collection::vec(any::<u8>(), 0..99), ".{0,99}"), 0..9)
    ) {
        let found = written(|writer| {
            let interface = writer.interface(&DEVICE).unwrap();
            for (time, bytes, comment) in &packets {
                writer.packet(&Packet { interface, time: *time, length: 1500, bytes, comment }).unwrap();
            }
        });
        prop_assert_eq!(found.len(), packets.len() + 2);
        for ((kind, body), (time, bytes, comment)) in found[2..].iter().zip(&packets) {
            let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap());
            prop_assert_eq!(*kind, 6);
            prop_assert_eq!(word(0), 0);
            prop_assert_eq!(u64::from(word(4)) << 32 | u64::from(word(8)), *time);
            prop_assert_eq!((word(12) as usize, word(16)), (bytes.len(), 1500));
            prop_assert_eq!(&body[20..20 + bytes.len()], &bytes[..]);
            let options = options(&body[20 + bytes.len().next_multiple_of(4)..]);
            let text = (!comment.is_empty()).then(|| (1, comment.clone().into_bytes()));
            prop_assert_eq!(options, Vec::from_iter(text));
        }
    }
}
