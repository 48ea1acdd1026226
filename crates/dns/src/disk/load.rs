//! From bytes to a cache, and back.

use super::format::{self, Found, HEADER, MAGIC, Record, RecordKind, VERSION};
use crate::{
    cache::{CacheSettings, NameCache, UnixTime},
    wire,
};

/// What was found in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    pub records: usize,
    /// Look-ups that did not fit into today's limits, which then are lower than those the file was written with.
    pub refused: usize,
    /// Bytes at the end that are no whole record, or behind a damaged one.
    pub torn: usize,
}

/// How many bytes of a file can be read: 0 if it is none of this version.
pub(super) fn readable(bytes: &[u8]) -> usize {
    if bytes.get(..MAGIC.len()) != Some(&MAGIC) || wire::u16_at(bytes, MAGIC.len()) != Some(VERSION) {
        return 0;
    }
    let mut end = HEADER;
    while let Some((_, length)) = bytes.get(end..).and_then(format::read) {
        end = end.saturating_add(length);
    }
    end
}

impl NameCache {
    /// A cache with what `bytes` of a file say, without selectors: those that [`set_selectors`](Self::set_selectors) sets next find
    /// the addresses. What has expired meanwhile is deferred by the next [`expire`](Self::expire), and stays for a survey of the
    /// connections.
    #[must_use]
    pub fn load(bytes: &[u8], settings: CacheSettings, now: UnixTime) -> (Self, LoadReport) {
        let (mut cache, mut report) = (Self::new(settings), LoadReport::default());
        let whole = readable(bytes);
        let mut rest = bytes.get(HEADER.min(whole)..whole).unwrap_or_default();
        while let Some((Found { kind, endpoint, name, entries }, length)) = format::read(rest) {
            report.records = report.records.saturating_add(1);
            match kind {
                RecordKind::Known => {
                    if !cache.restore(now, endpoint, &name, &entries) {
                        report.refused = report.refused.saturating_add(1);
                    }
                }
                RecordKind::Gone => {
                    cache.revoke(endpoint, &name, entries.into_iter().map(|kept| kept.address));
                }
                RecordKind::EndpointGone => cache.forget_endpoint(endpoint),
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        // No selectors are known yet, so all names are equal and some have made room for others.
        report.refused = report.refused.saturating_add(cache.take_evicted());
        report.torn = bytes.len().saturating_sub(whole);
        (cache, report)
    }

    /// Writes a whole file that says what is in the cache now.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.clear();
        format::file_header(out);
        self.each_entry(|endpoint, name, entries| {
            let mut record = Record::begin(out, RecordKind::Known, endpoint, name);
            entries.for_each(|kept| record.push(kept));
            record.end();
        });
    }
}
