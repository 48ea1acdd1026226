//! The domain name system as the proxy needs it, without sockets, clocks or threads: bytes in, decisions and bytes out.
//!
//! What a proxy does with a query and its answer:
//!
//! ```text
//! client's bytes -[Query::parse]-> Query             Malformed: reply::to_malformed (FORMERR), count under Malformed::label
//!   -[NameMatcher::matches(&query.question.name)]-   no: reply::to_query(&query, Reply::Refused, &mut out)
//!   -[Pending::insert]-> upstream id                 Full: reply::to_query(&query, Reply::Busy, &mut out)
//!   set_id(&mut bytes, id), send the client's own bytes on
//! server's bytes -[Answer::parse]-> Answer           Malformed: drop, count; the query goes on waiting
//!   -[Pending::take(lane, from, &answer)]-> &Asked   Stray: drop, count under Stray::label
//!   -[Answer::resolve(&asked.question(), &mut resolved)]-> resolved.names, resolved.addresses       Malformed: Reply::ServFail
//!   -[NameCache::learn(now, endpoint, &question.name, &resolved.addresses, &mut effects)]-          CacheFull: Reply::ServFail
//!   write effects.changes to the kernel, CacheFile::append(&effects.log), effects.clear()
//!   set_id(&mut bytes, asked.client_id); over UDP and longer than asked.udp_limit(): reply::truncate; release
//! every second       Pending::expire(now, each: reply::to_asked(asked, Reply::ServFail, &mut out))
//!                    NameCache::expire(now, &mut effects); if CacheFile::wants_replacement(): CacheFile::replace(&cache)
//! after a survey     NameCache::release(begun at, &mut |endpoint, address| is in use, &mut effects)
//! rules change       NameCache::set_selectors(patterns with ids, &mut effects); new NameMatchers
//! start              read_pre_cache(tofqdns-pre-cache): NameCache::learn(now, None, ...)
//!                    CacheFile::open(path) -> Opened { file, bytes, torn }; NameCache::load(&bytes, settings, now); set_selectors
//! ```

mod cache;
mod disk;
mod frame;
mod malformed;
mod matcher;
mod message;
mod name;
mod pending;
mod pre_cache;
pub mod reply;
mod wire;

pub use cache::{
    AddressSource, AddressView, CacheFull, CacheSettings, CacheStats, Change, Effects, LOG_STEP, LookupView,
    NameCache, SelectorSet, UnixTime,
};
pub use disk::{CacheFile, DiskError, LoadReport, Opened, Torn};
pub use frame::{FRAME_BYTES, FrameError, FrameReader, frame_length};
pub use malformed::Malformed;
pub use matcher::{NameMatcher, SelectorId};
pub use message::{
    ALIASES, Alias, Answer, Class, Edns, Flags, PLAIN_UDP_LIMIT, Query, Question, RecordType, Resolution,
    Resolved, ResponseCode, set_id,
};
pub use name::{LABELS, NAME_BYTES, Name};
pub use pending::{Asked, Full, Pending, PendingSettings, QuestionCase, Route, Stray};
pub use pre_cache::{PreCacheError, PreCached, read_pre_cache};
pub use reply::Reply;
