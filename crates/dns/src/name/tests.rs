use super::*;
use proptest::prelude::*;

#[test]
fn names_are_compared_without_case_and_written_for_people() {
    let (name, end) = Name::read_plain(b"\x03WwW\x07eXample\x03COM\0rest", 0).unwrap();
    assert_eq!((name.to_string().as_str(), end), ("www.example.com", 17));
    assert_eq!(Some(&name), Name::from_text("www.example.com.").as_ref());
    assert_eq!(name, Name::from(&"Www.Example.Com".parse::<DomainName>().unwrap()));
    assert_eq!(name.to_domain_name().unwrap().as_str(), "www.example.com");
    assert_eq!(Name::ROOT.to_string(), ".");
    assert_eq!(Name::from_text("."), Some(Name::ROOT));
    assert_eq!(Name::ROOT.to_domain_name(), Some(".".parse().unwrap()));
}

/// A label may hold a dot; the name is not the one that its text looks like.
#[test]
fn a_dot_within_a_label_is_no_border() {
    let (trick, _) = Name::read_plain(b"\x0bapi.twitter\x03com\0", 0).unwrap();
    assert_ne!(Some(&trick), Name::from_text("api.twitter.com").as_ref());
    assert_eq!(trick.to_string(), "api\\046twitter.com");
    assert!(!trick.is_plain());
    assert_eq!(trick.to_domain_name(), None);
}

#[test]
fn text_has_labels_of_1_to_63_bytes_and_255_in_all() {
    for text in ["", "a..b", ".a", &"x".repeat(64), &"x.".repeat(128)] {
        assert_eq!(Name::from_text(text), None, "{text}");
    }
    assert!(Name::from_text(&"x.".repeat(127)).is_some());
}

#[test]
fn tricks_are_refused() {
    let mut message = vec![0; 12];
    let mut refused = |name: &[u8]| {
        message.truncate(12);
        message.extend_from_slice(name);
        let read = Name::read(&message, 12).map(|_| ()).unwrap_err();
        // The longest name cannot be told from too long a one without reading on.
        assert_eq!(skip(&message, 12), Err(read), "{name:?}");
        read
    };
    assert_eq!(refused(b""), Malformed::CutShort);
    assert_eq!(refused(b"\x03ab"), Malformed::CutShort);
    assert_eq!(refused(b"\x01a"), Malformed::CutShort);
    assert_eq!(refused(b"\xc0"), Malformed::CutShort);
    assert_eq!(refused(b"\xc0\x0c"), Malformed::Pointer, "to itself");
    assert_eq!(refused(b"\x01a\xc0\x0c"), Malformed::Pointer, "to its own beginning");
    assert_eq!(refused(b"\xc0\x0e\0"), Malformed::Pointer, "forward");
    assert_eq!(refused(b"\xc0\x00"), Malformed::Pointer, "into the header");
    assert_eq!(refused(b"\x40a\0"), Malformed::LabelKind);
    assert_eq!(refused(b"\x80a\0"), Malformed::LabelKind);
    assert_eq!(refused(&[b"\x01a".repeat(128), vec![0]].concat()), Malformed::NameLength);
}

#[test]
fn pointers_lead_back_only() {
    let message = b"123456789012\x01a\0\x01b\xc0\x0c\x01c\xc0\x0f\xc0\x0f\xc0\x18";
    let text = |at: usize| Name::read(message, at).map(|(name, end)| (name.to_string(), end));
    assert_eq!(text(15), Ok(("b.a".into(), 19)));
    assert_eq!(text(19), Ok(("c.b.a".into(), 23)));
    assert_eq!(text(23), Ok(("b.a".into(), 25)));
    assert_eq!(
        text(25),
        Err(Malformed::CutShort),
        "to the middle of a pointer, whose byte is no length that fits"
    );
    assert_eq!(skip(message, 19), Ok(23));
    assert_eq!(Name::read_plain(message, 15).map(|_| ()), Err(Malformed::Pointer));
}

proptest! {
    #[test]
    fn any_bytes_are_a_name_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..400_usize) {
        let (read, skipped) = (Name::read(&bytes, at), skip(&bytes, at));
        prop_assert_eq!(read.as_ref().map(|(_, end)| *end).map_err(|error| *error), skipped);
        if let Ok((name, _)) = read {
            prop_assert_eq!(Name::from_bytes(name.as_bytes()), Ok(name.clone()));
            let (starts, count) = name.label_starts();
            let labels: Vec<&[u8]> = starts[..count].iter().map(|start| name.label_at(*start)).collect();
            prop_assert_eq!(labels, name.labels().collect::<Vec<_>>());
            prop_assert!(name.is_at(&bytes, at));
            prop_assert_eq!(Name::ROOT.is_at(&bytes, at), name == Name::ROOT);
            if let Ok((other, _)) = Name::read(&bytes, 12) {
                prop_assert_eq!(other.is_at(&bytes, at), name == other);
            }
        }
    }

    #[test]
    fn text_comes_back(text in "[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,20}){0,8}") {
        let name = Name::from_text(&text).unwrap();
        prop_assert!(name.is_plain());
        prop_assert_eq!(name.to_string(), text);
    }
}
