//! The tables of HPACK: the one that everybody has (RFC 7541, appendix A) and the one that grows (2.3.2).

use std::collections::VecDeque;

static STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// What an entry counts beside its text (RFC 7541, 4.1).
const OVERHEAD: usize = 32;
/// What a table may take as long as nobody says otherwise (RFC 9113, 6.5.2).
pub(super) const INITIAL: usize = 4096;

/// The entries that one direction of a connection has gathered, newest first.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    size: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    name_len: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, capacity: INITIAL }
    }
}

impl Table {
    /// Name and value at an index of both tables, which count from 1.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        match index.checked_sub(STATIC.len()) {
            None => STATIC.get(index).copied(),
            Some(index) => {
                let entry = self.entries.get(index)?;
                entry.text.split_at_checked(entry.name_len)
            }
        }
    }

    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len().saturating_add(value.len()).saturating_add(OVERHEAD);
        self.make_room(self.capacity.saturating_sub(size));
        if size <= self.capacity {
            self.entries.push_front(Entry { text: [name, value].concat().into(), name_len: name.len() });
            self.size = self.size.saturating_add(size);
        }
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.make_room(capacity);
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The index of this header, and of a header with its name.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> (Option<usize>, Option<usize>) {
        let fixed = STATIC.iter().map(|(name, value)| (*name, *value));
        let grown =
            self.entries.iter().map(|entry| entry.text.split_at_checked(entry.name_len).unwrap_or_default());
        let mut with_name = None;
        for (index, (own, own_value)) in (1..).zip(fixed.chain(grown)) {
            if own == name {
                if own_value == value {
                    return (Some(index), Some(index));
                }
                with_name = with_name.or(Some(index));
            }
        }
        (None, with_name)
    }

    fn make_room(&mut self, limit: usize) {
        while self.size > limit {
            let Some(entry) = self.entries.pop_back() else { break };
            self.size = self.size.saturating_sub(entry.text.len()).saturating_sub(OVERHEAD);
        }
    }
}
