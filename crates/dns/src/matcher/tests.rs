use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> NamePattern {
    NamePattern::MatchPattern(text.parse().unwrap())
}

fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

fn matcher(patterns: &[&str]) -> NameMatcher {
    NameMatcher::new((0..).map(SelectorId).zip(patterns.iter().map(|text| pattern(text))))
}

fn matching(matcher: &NameMatcher, name: &Name) -> Vec<u32> {
    let mut ids = vec![SelectorId(99)];
    matcher.matching(name, &mut ids);
    ids.into_iter().map(|id| id.0).collect()
}

#[test]
fn all_patterns_that_match_are_named() {
    let patterns = [
        "*",
        "*.twitter.com",
        "api.twitter.com",
        "**.com",
        "a*i.*.com",
        "*i.twitter.com",
        "*p*.twitter.com",
        ".",
    ];
    let matcher = matcher(&patterns);
    for (text, ids) in [
        ("api.twitter.com", vec![0, 1, 2, 3, 4, 5, 6]),
        ("twitter.com", vec![0, 3]),
        ("x.api.twitter.com", vec![0, 3]),
        ("com", vec![0]),
        (".", vec![0, 7]),
    ] {
        assert_eq!(matching(&matcher, &name(text)), ids, "{text}");
    }
}

#[test]
fn ids_may_repeat_and_nothing_matches_nothing() {
    let matcher = NameMatcher::new([(SelectorId(3), pattern("*.b")), (SelectorId(3), pattern("a.b"))]);
    assert_eq!(matching(&matcher, &name("a.b")), [3]);
    assert!(!NameMatcher::default().matches(&Name::ROOT));
    assert!(NameMatcher::new([(SelectorId(0), pattern("."))]).matches(&Name::ROOT));
}

/// Names that no pattern can write are matched by the star for everything alone.
#[test]
fn tricks_match_only_everything() {
    let (trick, _) = Name::read_plain(b"\x05api.t\x03com\0", 0).unwrap();
    let (star, _) = Name::read_plain(b"\x01*\x03com\0", 0).unwrap();
    let matcher = matcher(&["**.com", "*.com", "api*.com", "*"]);
    assert_eq!(matching(&matcher, &trick), [3]);
    assert_eq!(matching(&matcher, &star), [3]);
}

proptest! {
    /// Against the patterns one by one.
    #[test]
    fn many_patterns_match_like_each_alone(
        patterns in prop::collection::vec("(\\*\\*\\.)?[ab*]{1,4}(\\.[ab*]{1,3}){0,3}", 0..40),
        names in prop::collection::vec("[ab]{1,5}(\\.[ab]{1,3}){0,4}", 1..20),
    ) {
        let patterns: Vec<NamePattern> = patterns.iter().map(|text| pattern(text)).collect();
        let matcher = NameMatcher::new((0..).map(SelectorId).zip(patterns.clone()));
        for text in names {
            let expected: Vec<u32> = (0..).zip(&patterns).filter(|(_, pattern)| pattern.matches(&text)).map(|(id, _)| id).collect();
            prop_assert_eq!(matcher.matches(&name(&text)), !expected.is_empty());
            prop_assert_eq!(matching(&matcher, &name(&text)), expected, "{}", text);
        }
    }
}
