//! The domain name system as the proxy needs it, without sockets, clocks or threads: bytes in, decisions and bytes out.
//!
//! What a proxy does with a query and its answer, and the types that do it:
//!
//! ```text
//! client's bytes --[Query::parse]--> Query { name, type, EDNS }          Malformed -> [reply::to_malformed] (FORMERR)
//!   --[NameMatcher::matches(&query.question.name)]--> no  -> [reply::to_query](&query, Refusal::Refused.into(), &mut out)
//!   --[Pending::insert]--> upstream id                    Full -> SERVFAIL; set_id(&mut bytes, id), send the client's bytes on
//! server's bytes --[Answer::parse]--> Answer
//!   --[Pending::take](lane, from, &answer)--> Asked       Stray -> drop and count
//!   --[Answer::resolve](&asked.question, &mut resolved)--> chain of names, addresses with TTL
//!   --[NameCache::learn](now, endpoint, name, addresses, &mut effects)--> changes for the ipcache, bytes for the log
//!   write effects.changes to the ipcache, effects.log to the CacheFile, then set_id(&mut bytes, asked.client_id) and release
//! every second:  [Pending::expire] -> [reply::to_asked](SERVFAIL);  [NameCache::expire], [NameCache::release]
//! ```
//!
//! Signatures, in the order of use (`Name` is a name in lower case on the stack, `RecordType`, `Class` and `ResponseCode` are
//! newtypes of the numbers on the wire):
//!
//! ```text
//! // message
//! Query::parse(&[u8]) -> Result<Query<'_>, Malformed>          query.id, .flags, .question: Question { name, kind, class }, .edns: Option<Edns>
//! Query::udp_limit(&self) -> usize                             what the client takes in one datagram
//! Answer::parse(&[u8]) -> Result<Answer<'_>, Malformed>        answer.id, .flags, .question: Option<Question>, .code
//! Answer::resolve(&self, &Question, &mut Resolved) -> Result<(), Malformed>
//!                                                              resolved.names: Vec<Name> (first: the question's), .addresses: Vec<Resolution { address, ttl }>
//! set_id(&mut [u8], u16)
//! Malformed::{ Short, Loop, ... }, .label() -> &'static str    for the counter
//! // reply (each clears `out` and writes one message)
//! reply::to_query(&Query, Reply, &mut Vec<u8>)                 Reply::{Refused, NxDomain, ServFail, ...}
//! reply::to_malformed(&[u8], Malformed, &mut Vec<u8>) -> bool  false: nothing to answer (no header, or itself an answer)
//! reply::to_asked(&Asked<T>, Reply, &mut Vec<u8>)
//! reply::truncate(&[u8], &mut Vec<u8>) -> Result<(), Malformed>
//! // tcp
//! FrameReader::feed(&mut self, &[u8]) -> usize, ::next(&mut self) -> Result<Option<&[u8]>, FrameError>;  frame_length(usize) -> Option<[u8; 2]>
//! // pending
//! Pending::<T>::new(PendingSettings { max, max_per_client, timeout })
//! Pending::insert(&mut self, now: Duration, &mut impl FnMut() -> u16, &Query, Route { lane: u32, client, server }, T) -> Result<u16, Full>
//! Pending::take(&mut self, lane: u32, from: SocketAddr, &Answer) -> Result<Asked<T>, Stray>
//! Pending::expire(&mut self, now: Duration, &mut impl FnMut(&Asked<T>)), ::next_deadline() -> Option<Duration>, ::close_lane(lane, ...)
//! // patterns
//! NameMatcher::new(impl IntoIterator<Item = (SelectorId, NamePattern)>);  .matches(&Name) -> bool;  .matching(&Name, &mut Vec<SelectorId>)
//! // cache
//! NameCache::new(CacheSettings);  .set_selectors(impl IntoIterator<Item = (SelectorId, NamePattern)>, &mut Effects)
//! .learn(now: UnixTime, Option<EndpointId>, &Name, &[Resolution], &mut Effects) -> Result<(), CacheFull>
//! .expire(now, &mut Effects);  .deferred() -> iterator of addresses;  .release(now, Survey, &mut Effects);  .remove_endpoint(id, &mut Effects);  .clean(...)
//! .selectors_of(IpAddr) -> Option<&SelectorSet>;  .addresses() -> iterator (IpAddr, &SelectorSet);  .lookups() -> iterator for `fqdn cache list`
//! Effects { changes: Vec<Change { address, before: SelectorSet, after: SelectorSet }>, log: Vec<u8> }, .clear();  SelectorSet = Arc<[SelectorId]>, sorted
//! // disk
//! CacheFile::open(&Path) -> Result<(CacheFile, Vec<u8>), DiskError>;  NameCache::load(&[u8], CacheSettings, now) -> (NameCache, LoadReport)
//! CacheFile::append(&mut self, &[u8]);  .wants_compaction() -> bool;  .replace(&NameCache)
//! ```

mod frame;
mod malformed;
mod matcher;
mod message;
mod name;
mod pending;
pub mod reply;
mod wire;

pub use frame::{FRAME_BYTES, FrameError, FrameReader, frame_length};
pub use malformed::Malformed;
pub use matcher::{NameMatcher, SelectorId};
pub use message::{
    ALIASES, Alias, Answer, Class, Edns, Flags, PLAIN_UDP_LIMIT, Query, Question, RecordType, Resolution,
    Resolved, ResponseCode, set_id,
};
pub use name::{LABELS, NAME_BYTES, Name};
pub use pending::{Asked, Full, Pending, PendingSettings, QuestionCase, Route, Stray};
pub use reply::Reply;
