//! Answers to requests that no rule allows.

mod items;
mod topics;

use crate::{
    Malformed, Policy, Reason, RequestHeader, TopicId, TopicIds, request,
    response::{self, METADATA_FLEXIBLE, METADATA_WITH_IDS},
    schema::{Field, data},
    topics::NO_ID,
    walk::{Event, UnknownTags, Walk},
};
use bytes::{BufMut, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, ResponseHeader, TopicName},
    protocol::{Encodable, HeaderVersion, StrBytes},
};

/// Error codes of the protocol.
pub(crate) mod code {
    pub(crate) const TOPIC: i16 = 29;
    pub(crate) const GROUP: i16 = 30;
    pub(crate) const CLUSTER: i16 = 31;
    pub(crate) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
    pub(crate) const TRANSACTION: i16 = 53;
    pub(crate) const SASL_FAILED: i16 = 58;
    pub(crate) const DELEGATION_TOKEN: i16 = 65;
    pub(crate) const FETCH_SESSION_NOT_FOUND: i16 = 70;
    /// Not a verdict for good: the client asks for metadata, and comes again.
    pub(crate) const UNKNOWN_TOPIC_ID: i16 = 100;
}

/// What a denied request is about.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    /// Topics outside of sections.
    pub(crate) topics: Vec<DeniedTopic>,
    pub(crate) sections: Vec<Section>,
    /// Types and names.
    resources: Vec<(i8, StrBytes)>,
    /// What keys are the names of, if the request says it.
    key_type: i8,
    every: bool,
    session: bool,
}

/// Something that is answered by itself: a group, a transaction, an entry.
#[derive(Debug, Default)]
pub(crate) struct Section {
    keys: Vec<Option<StrBytes>>,
    number: i64,
    topics: Vec<DeniedTopic>,
}

#[derive(Debug, Default)]
pub(crate) struct DeniedTopic {
    name: Option<StrBytes>,
    id: TopicId,
    partitions: Vec<i32>,
    pub(crate) error: i16,
}

impl DeniedTopic {
    pub(crate) fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_bytes(self.id)
    }

    /// Whether this one is allowed, whatever else the request names.
    pub(crate) fn is_allowed(&self, header: &RequestHeader<'_>, policy: &Policy, ids: &TopicIds) -> bool {
        let by_name = self.name.as_ref().map(|name| policy.allows_topic(header, name));
        let by_id = (self.id != NO_ID)
            .then(|| ids.name(&self.id).is_some_and(|name| policy.allows_topic(header, &name)));
        by_name.or(by_id).is_some() && by_name != Some(false) && by_id != Some(false)
    }

    fn name(&self) -> TopicName {
        TopicName(self.name.clone().unwrap_or_default())
    }

    /// Answers may leave out the name only since there are requests that do.
    pub(crate) fn metadata_name(&self, version: i16) -> Option<TopicName> {
        const NULLABLE: i16 = 12;
        if version >= NULLABLE { self.name.clone().map(TopicName) } else { Some(self.name()) }
    }
}

impl Section {
    fn key(&self) -> StrBytes {
        self.keys.first().cloned().flatten().unwrap_or_default()
    }
}

impl Subjects {
    /// `body` is what follows the client id, with its schema, if anything in it is answered by itself.
    pub(crate) fn read(
        header: &RequestHeader<'_>,
        api: ApiKey,
        body: Option<(&[u8], &'static [Field])>,
        reason: &Reason,
        ids: &TopicIds,
        elements: usize,
    ) -> Result<Self, Malformed> {
        let mut subjects = Self { session: matches!(reason, Reason::UnknownFetchSession), ..Self::default() };
        let Some((bytes, schema)) = body else { return Ok(subjects) };
        let (mut fresh, mut in_entry) = (false, false);
        request::walk(api, header.api_version, bytes, schema, elements, &mut |event| match event {
            Event::Element => fresh = true,
            Event::Entry => {
                in_entry = true;
                subjects.sections.push(Section::default());
            }
            Event::Topic(name) => {
                let name = name.map(text);
                subjects.topic(&mut fresh).name = name;
            }
            Event::TopicId(id) => {
                let error =
                    if id != NO_ID && ids.name(&id).is_none() { code::UNKNOWN_TOPIC_ID } else { code::TOPIC };
                let topic = subjects.topic(&mut fresh);
                (topic.id, topic.error) = (id, error);
            }
            Event::Partition(partition) => {
                if let Some(topic) = subjects.last_topics().last_mut() {
                    topic.partitions.push(partition);
                }
            }
            Event::Key(key) => {
                if !in_entry {
                    subjects.sections.push(Section::default());
                }
                if let Some(section) = subjects.sections.last_mut() {
                    section.keys.push(key.map(text));
                }
            }
            Event::Number(number) => subjects.sections.push(Section { number, ..Section::default() }),
            Event::ResourceType(kind) => subjects.key_type = kind,
            Event::Resource(name) => subjects.resources.push((subjects.key_type, text(name))),
            Event::Every => subjects.every = true,
            // Who goes on with a session may be denied for what is in there, and not in the request.
            Event::SessionEpoch(epoch) => subjects.session |= epoch > 0,
            Event::Acks(_) | Event::SessionId(_) => {}
        })?;
        Ok(subjects)
    }

    fn last_topics(&mut self) -> &mut Vec<DeniedTopic> {
        match self.sections.last_mut() {
            Some(section) => &mut section.topics,
            None => &mut self.topics,
        }
    }

    /// The topic of the array element that is read; an id and a name beside each other are one.
    fn topic(&mut self, fresh: &mut bool) -> &mut DeniedTopic {
        let fresh = std::mem::take(fresh);
        let topics = self.last_topics();
        match (fresh, topics.pop()) {
            (false, Some(last)) => topics.push_mut(last),
            (_, last) => {
                topics.extend(last);
                topics.push_mut(DeniedTopic { error: code::TOPIC, ..DeniedTopic::default() })
            }
        }
    }
}

/// About how many bytes these topics take.
pub(crate) fn cost(topics: &[DeniedTopic]) -> usize {
    let cost = |topic: &DeniedTopic| {
        let partitions = topic.partitions.len().saturating_mul(4);
        topic
            .name
            .as_ref()
            .map_or(0, |name| name.len())
            .saturating_add(partitions)
            .saturating_add(size_of::<DeniedTopic>())
    };
    topics.iter().map(cost).fold(0, usize::saturating_add)
}

/// The whole frame that denies a request. None: there is no answer to such a request that would tell of an error.
pub(crate) fn answer(
    header: &RequestHeader<'_>,
    api: ApiKey,
    subjects: &Subjects,
    reason: &Reason,
) -> Option<Vec<u8>> {
    topics::answer(header, api, subjects, reason).or_else(|| items::answer(header, api, subjects, reason))
}

/// The same request for these topics alone. `head` is its beginning up to the client id, with four bytes of size; `after_client_id` the rest.
/// None: its version cannot ask for no topics.
pub(crate) fn metadata_without_the_rest<'a>(
    version: i16,
    head: &[u8],
    after_client_id: &[u8],
    topics: impl ExactSizeIterator<Item = &'a DeniedTopic>,
) -> Result<Option<Vec<u8>>, Malformed> {
    const EMPTY_IS_NONE: i16 = 1;
    if version < EMPTY_IS_NONE {
        return Ok(None);
    }
    let flexible = version >= METADATA_FLEXIBLE;
    let mut walk = Walk::new(after_client_id, version, flexible, UnknownTags::Refused, after_client_id.len());
    walk.fields(&[], &mut |_| {})?;
    for topics in data::METADATA.iter().take(1) {
        walk.field(topics, &mut |_| {})?;
    }
    let mut out = BytesMut::from(head);
    if flexible {
        // The header's tagged fields: none.
        out.put_u8(0);
    }
    response::put_array(&mut out, flexible, topics.len());
    for topic in topics {
        if version >= METADATA_WITH_IDS {
            out.put_slice(&topic.id);
        }
        match (&topic.name, flexible) {
            (Some(name), true) => {
                response::put_uvarint(&mut out, u32::try_from(name.len().saturating_add(1)).unwrap_or(0));
                out.put_slice(name.as_bytes());
            }
            (Some(name), false) => {
                out.put_i16(i16::try_from(name.len()).unwrap_or(-1));
                out.put_slice(name.as_bytes());
            }
            (None, true) => out.put_u8(0),
            (None, false) => out.put_i16(-1),
        }
        if flexible {
            out.put_u8(0);
        }
    }
    out.put_slice(walk.rest());
    let mut out = Vec::from(out);
    response::set_size(&mut out);
    Ok(Some(out))
}

fn send<R: Encodable + HeaderVersion>(header: &RequestHeader<'_>, response: &R) -> Option<Vec<u8>> {
    let mut out = BytesMut::zeroed(4);
    let wire = ResponseHeader::default().with_correlation_id(header.correlation_id);
    wire.encode(&mut out, R::header_version(header.api_version)).ok()?;
    response.encode(&mut out, header.api_version).ok()?;
    let mut out = Vec::from(out);
    response::set_size(&mut out);
    Some(out)
}

/// A row of an answer for each subject.
fn each<S, T>(subjects: &[S], make: impl Fn(&S) -> T) -> Vec<T> {
    subjects.iter().map(make).collect()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn message() -> Option<StrBytes> {
    Some(StrBytes::from_static_str("Access denied"))
}

/// The error of a request about a group, transaction or the like, of which it is not the topics that are denied.
fn group_error(reason: &Reason) -> i16 {
    match reason {
        Reason::Topic(_) | Reason::EveryTopic | Reason::UnknownTopicId(_) => code::TOPIC,
        Reason::NoRule | Reason::UnknownFetchSession | Reason::Untold | Reason::Malformed(_) => code::GROUP,
    }
}

/// The error of a request that has but one.
pub(crate) fn plain_error(api: ApiKey, reason: &Reason) -> i16 {
    match api {
        ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::ListGroups => code::GROUP,
        ApiKey::ConsumerGroupHeartbeat
        | ApiKey::ShareGroupHeartbeat
        | ApiKey::AlterShareGroupOffsets
        | ApiKey::DeleteShareGroupOffsets => group_error(reason),
        ApiKey::AddOffsetsToTxn | ApiKey::EndTxn | ApiKey::ListTransactions => code::TRANSACTION,
        ApiKey::SaslHandshake => code::UNSUPPORTED_SASL_MECHANISM,
        ApiKey::SaslAuthenticate => code::SASL_FAILED,
        ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken => code::DELEGATION_TOKEN,
        ApiKey::ShareFetch | ApiKey::ShareAcknowledge => code::GROUP,
        _ => code::CLUSTER,
    }
}
