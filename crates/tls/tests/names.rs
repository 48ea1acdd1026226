//! Lists of names against asking each pattern by itself.
#![expect(clippy::unwrap_used, reason = "a test states what it expects plainly")]

use ciliate_tls::ServerNames;
use ciliate_types::NamePattern;
use proptest::prelude::*;

fn pattern(text: &str) -> NamePattern {
    match text.strip_prefix('=') {
        Some(name) => NamePattern::MatchName(name.parse().unwrap()),
        None => NamePattern::MatchPattern(text.parse().unwrap()),
    }
}

#[test]
fn no_name_is_never_allowed() {
    let everything = ServerNames::new(&[pattern("*")]);
    assert!(everything.allow(Some("a")));
    assert!(!everything.allow(None));
    assert!(!ServerNames::default().allow(Some("a")));
}

#[test]
fn patterns_of_each_kind() {
    let patterns =
        ["=exact.example", "*.one.example", "**.deep.example", "a*c.glob.example", "plain.example"]
            .map(pattern);
    let names = ServerNames::new(&patterns);
    for (name, allowed) in [
        ("exact.example", true),
        ("x.exact.example", false),
        ("x.one.example", true),
        ("one.example", false),
        ("y.x.one.example", false),
        ("x.deep.example", true),
        ("z.y.x.deep.example", true),
        ("deep.example", false),
        ("abc.glob.example", true),
        ("ab.glob.example", false),
        ("plain.example", true),
    ] {
        assert_eq!(names.allow(Some(name)), allowed, "{name}");
    }
}

fn labels(label: &'static str, most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(label, 1..=most).prop_map(|labels| labels.join("."))
}

proptest! {
    #[test]
    fn as_each_pattern_by_itself(
        texts in proptest::collection::vec(
            (prop_oneof![Just("="), Just(""), Just("*."), Just("**."), Just("*"), Just("a*.")], labels("[ab]{1,2}", 3)),
            0..6,
        ),
        name in labels("[ab]{1,3}", 4),
    ) {
        let patterns: Vec<_> = texts.iter().map(|(front, rest)| pattern(&format!("{front}{rest}"))).collect();
        let expected = patterns.iter().any(|pattern| pattern.matches(&name));
        prop_assert_eq!(ServerNames::new(&patterns).allow(Some(&name)), expected);
    }
}
