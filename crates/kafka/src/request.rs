//! What a request asks for, and what the rules say to it.

use crate::{
    Malformed, Policy, RequestHeader, TopicId, TopicIds, api, denial,
    schema::Field,
    topics::NO_ID,
    walk::{Event, UnknownTags, Walk},
};
use kafka_protocol::messages::ApiKey;

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<Box<str>>,
    /// The topics that it names, as far as the decision needed them; 16 at most.
    pub topics: Vec<Box<str>>,
    pub verdict: Verdict,
}

impl Judged {
    /// The error that the client is told of. None if it is allowed, and where what it names is answered one by one.
    #[must_use]
    pub fn error(&self) -> Option<i16> {
        let Verdict::Denied(reason) = &self.verdict else { return None };
        let api = api::known(self.api_key, self.api_version)?;
        match api::body(api) {
            api::Body::Topics(_) => Some(denial::code::TOPIC),
            api::Body::Plain => Some(denial::plain_error(api, reason)),
            api::Body::Items(_) | api::Body::Opaque => None,
        }
    }
}

#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied(Reason),
}

/// Why no rule allows a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No rule has this kind of request, version and client.
    NoRule,
    /// The rules that do are limited to other topics than this.
    Topic(Box<str>),
    /// They are limited to topics, and the request is about all topics.
    EveryTopic,
    /// They are limited to topics, and the name of this topic is not known.
    UnknownTopicId(TopicId),
    /// They are limited to topics, and the request goes on with a fetch session that did not start here.
    UnknownFetchSession,
    /// They are limited to topics, and what the request names cannot be told.
    Untold,
    /// They are limited to topics, and the request cannot be read.
    Malformed(Malformed),
}

/// A topic as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    Name(Box<str>),
    Id(TopicId),
}

/// What a request names.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) topics: Vec<Named>,
    pub(crate) every: bool,
    pub(crate) session_id: i32,
    /// None: a version without sessions.
    pub(crate) session_epoch: Option<i32>,
}

const TOPIC_RESOURCE: i8 = 2;
const LOGGED_TOPICS: usize = 16;

/// `after_client_id` is what follows the client id: tagged fields of the header, then the body.
pub(crate) fn walk<'a>(
    api: ApiKey,
    version: i16,
    after_client_id: &'a [u8],
    schema: &'static [Field],
    elements: usize,
    sink: &mut dyn FnMut(Event<'a>),
) -> Result<(), Malformed> {
    let flexible = api::is_flexible(api, version);
    let mut walk = Walk::new(after_client_id, version, flexible, UnknownTags::Refused, elements);
    walk.fields(&[], &mut |_| {})?;
    walk.fields(schema, sink)?;
    walk.finish()
}

impl Asked {
    pub(crate) fn read(
        api: ApiKey,
        version: i16,
        after_client_id: &[u8],
        schema: &'static [Field],
        elements: usize,
    ) -> Result<Self, Malformed> {
        let mut asked = Self::default();
        let mut resource = 0;
        // An element that names its topic not at all matches nothing.
        let mut null_name = false;
        walk(api, version, after_client_id, schema, elements, &mut |event| match event {
            Event::Topic(Some(name)) => {
                null_name = false;
                asked.name(name);
            }
            Event::Topic(None) if asked.topics.last().is_some_and(|last| matches!(last, Named::Id(_))) => {}
            Event::Topic(None) => null_name = true,
            Event::TopicId(id) if id != NO_ID => {
                null_name = false;
                asked.topics.push(Named::Id(id));
            }
            Event::TopicId(_) => asked.every |= null_name,
            Event::Every => asked.every = true,
            Event::ResourceType(kind) => resource = kind,
            Event::Resource(name) if resource == TOPIC_RESOURCE => asked.name(name),
            Event::SessionId(id) => asked.session_id = id,
            Event::SessionEpoch(epoch) => asked.session_epoch = Some(epoch),
            Event::Element
            | Event::Entry
            | Event::Partition(_)
            | Event::Key(_)
            | Event::Number(_)
            | Event::Resource(_)
            | Event::Acks(_) => {}
        })?;
        asked.every |= null_name;
        Ok(asked)
    }

    fn name(&mut self, name: &str) {
        self.topics.push(Named::Name(name.into()));
    }

    /// `session` are the topics that a fetch session brings with it.
    pub(crate) fn judge(
        &self,
        header: &RequestHeader<'_>,
        policy: &Policy,
        session: &[Named],
        ids: &TopicIds,
    ) -> Verdict {
        if self.every {
            return Verdict::Denied(Reason::EveryTopic);
        }
        for topic in self.topics.iter().chain(session) {
            match topic {
                Named::Name(name) if policy.allows_topic(header, name) => {}
                Named::Name(name) => return Verdict::Denied(Reason::Topic(name.clone())),
                Named::Id(id) => match ids.name(id) {
                    Some(name) if policy.allows_topic(header, &name) => {}
                    Some(name) => return Verdict::Denied(Reason::Topic((*name).into())),
                    None => return Verdict::Denied(Reason::UnknownTopicId(*id)),
                },
            }
        }
        Verdict::Allowed
    }

    /// Names for people to read.
    pub(crate) fn names(&self, ids: &TopicIds) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = Vec::new();
        for topic in &self.topics {
            let name = match topic {
                Named::Name(name) => name.clone(),
                Named::Id(id) => match ids.name(id) {
                    Some(name) => (*name).into(),
                    None => continue,
                },
            };
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() == LOGGED_TOPICS {
                break;
            }
        }
        names
    }
}

/// The acknowledgements that a producer wants, of which 0 means no answer; none while they are not there.
pub(crate) fn acks(version: i16, after_client_id: &[u8]) -> Result<Option<i16>, Malformed> {
    const TRANSACTIONS: i16 = 3;
    const FLEXIBLE: i16 = 9;
    const FIELDS: &[Field] = &[
        crate::schema::field("transactional_id", crate::schema::Kind::Text),
        crate::schema::field("acks", crate::schema::Kind::Acks),
    ];
    let mut walk =
        Walk::new(after_client_id, version, version >= FLEXIBLE, UnknownTags::Skipped, after_client_id.len());
    let mut found = None;
    let mut read = || {
        walk.fields(&[], &mut |_| {})?;
        for field in FIELDS.iter().skip(usize::from(version < TRANSACTIONS)) {
            walk.field(field, &mut |event| {
                if let Event::Acks(acks) = event {
                    found = Some(acks);
                }
            })?;
        }
        Ok(())
    };
    match read() {
        Ok(()) => Ok(found),
        Err(Malformed::Short(_)) => Ok(None),
        Err(other) => Err(other),
    }
}
