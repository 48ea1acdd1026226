use super::*;
use crate::{CacheSettings, Effects, Name, Resolution, UnixTime};
use proptest::prelude::*;

fn learn(cache: &mut NameCache, text: &str) -> Vec<u8> {
    let mut effects = Effects::default();
    let found = [Resolution { address: [192, 0, 2, 1].into(), ttl: 60 }];
    cache.learn(UnixTime(100), None, &Name::from_text(text).unwrap(), &found, &mut effects).unwrap();
    effects.log
}

fn names(bytes: &[u8]) -> Vec<String> {
    let (cache, _) = NameCache::load(bytes, CacheSettings::default(), UnixTime(100));
    let mut names: Vec<String> = cache.lookups().map(|lookup| lookup.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn what_was_appended_is_read_and_a_torn_end_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dns");
    let mut cache = NameCache::new(CacheSettings::default());
    let mut opened = CacheFile::open(&path).unwrap();
    assert_eq!((opened.torn, names(&opened.bytes)), (None, vec![]));
    for text in ["a", "b"] {
        opened.file.append(&learn(&mut cache, text)).unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(names(&whole), ["a", "b"]);

    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let mut opened = CacheFile::open(&path).unwrap();
    let record = (whole.len() as u64 - 8) / 2;
    assert_eq!(opened.torn, Some(Torn::End { kept: 8 + record, dropped: record - 1 }));
    opened.file.append(&learn(&mut cache, "c")).unwrap();
    let opened = CacheFile::open(&path).unwrap();
    assert_eq!((opened.torn, names(&opened.bytes)), (None, vec!["a".into(), "c".into()]));
}

#[test]
fn a_snapshot_takes_the_place_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dns");
    let mut cache = NameCache::new(CacheSettings::default());
    let mut file = CacheFile::open(&path).unwrap().file;
    let record = learn(&mut cache, "a");
    while !file.wants_replacement() {
        file.append(&record.repeat(1_000)).unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() > 1 << 20);
    file.replace(&cache).unwrap();
    assert!(!file.wants_replacement());
    file.append(&learn(&mut cache, "b")).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 8 + 2 * record.len());
    assert_eq!(names(&bytes), ["a", "b"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_foreign_file_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dns");
    std::fs::write(&path, "CILDNS\0\x02of a later version").unwrap();
    let opened = CacheFile::open(&path).unwrap();
    let aside = folder.path().join("dns.unreadable");
    assert_eq!(opened.torn, Some(Torn::Foreign(aside.clone())));
    assert!(aside.exists() && names(&opened.bytes).is_empty());
    assert_eq!(CacheFile::open(&path).unwrap().torn, None);
}

#[test]
fn errors_name_the_file() {
    let error = CacheFile::open(Path::new("/nonexistent/dns")).unwrap_err();
    assert_eq!(error.to_string(), "cannot open the DNS cache file /nonexistent/dns");
}

proptest! {
    /// Damage anywhere costs what stands behind it, and never more than that.
    #[test]
    fn damage_hides_only_what_comes_after(at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<bool>()) {
        let mut cache = NameCache::new(CacheSettings::default());
        let (mut bytes, mut ends) = (header(), Vec::new());
        for text in ["a", "b.c", "d"] {
            bytes.extend_from_slice(&learn(&mut cache, text));
            ends.push(bytes.len());
        }
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        let expected = if at < 8 { 0 } else { ends.iter().filter(|end| **end <= at).count() };
        prop_assert_eq!(names(&bytes).len(), expected);
    }

    #[test]
    fn any_bytes_can_be_loaded(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut file = header();
        file.extend_from_slice(&bytes);
        prop_assert!(names(&bytes).is_empty() && names(&file).is_empty());
    }
}
