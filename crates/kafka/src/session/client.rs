//! What a client asks.

use super::{Expected, Mode, Read, Rest, Session, SessionError};
use crate::{
    Judged, Malformed, Policy, Reason, RequestHeader, TopicIds, Verdict,
    api::{self, Body},
    denial::{self, DeniedTopic},
    header::{self, Prefix},
    policy::ByHeader,
    request::{self, Asked},
    response::METADATA_WITH_IDS,
};
use std::ops::ControlFlow;

/// What to do with what the client sent.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// Nothing can be said before so many bytes are there.
    More { at_least: usize },
    /// Too much is without an answer: nothing more is taken before the next step of the server.
    Wait,
    /// So many bytes, which are there, go to the server. The request is told of with its first bytes.
    Forward { len: usize, judged: Option<Judged> },
    /// So many bytes, which are there, go nowhere. The denial comes from [`Session::server`] when it is due.
    Discard { len: usize, judged: Option<Judged> },
    /// So many bytes are dropped, and these go to the server instead.
    Replace { len: usize, with: Vec<u8>, judged: Judged },
}

/// A request as far as it is there.
struct Request<'a> {
    header: RequestHeader<'a>,
    /// The length of all of it, and where its client id ends, counted from its first byte of size.
    len: usize,
    after_client_id: usize,
    input: &'a [u8],
}

/// What the rules say, and what was read on the way.
struct Decision {
    verdict: Verdict,
    asked: Option<Asked>,
}

/// A request for metadata with what is allowed of it.
struct Narrowed {
    with: Vec<u8>,
    denied: Vec<DeniedTopic>,
}

type Step<T> = Result<ControlFlow<ClientStep, T>, SessionError>;

/// Like `?` for what ends a step early.
macro_rules! step {
    ($flow:expr) => {
        match $flow? {
            ControlFlow::Continue(value) => value,
            ControlFlow::Break(step) => return Ok(step),
        }
    };
}

impl Session {
    /// `input` is what the client has sent and no step has taken.
    pub fn client(
        &mut self,
        input: &[u8],
        policy: &Policy,
        ids: &TopicIds,
        mode: Mode,
    ) -> Result<ClientStep, SessionError> {
        if let Some(rest) = self.request_rest {
            return Ok(self.go_on(rest, input.len()));
        }
        if self.unanswered.len() >= self.limits.unanswered || self.denied > self.limits.denials {
            return Ok(ClientStep::Wait);
        }
        let request = match Request::read(input)? {
            ControlFlow::Continue(request) => request,
            ControlFlow::Break(step) => return Ok(step),
        };
        let header = &request.header;
        if header.api_key == api::SASL_HANDSHAKE && header.api_version == 0 {
            return Err(SessionError::BareTokens);
        }
        let Decision { verdict, asked } = step!(self.decide(&request, policy, ids));
        let judged = Judged {
            api_key: header.api_key,
            api_version: header.api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.map(Into::into),
            topics: asked.as_ref().map(|asked| asked.names(ids)).unwrap_or_default(),
            verdict: verdict.clone(),
        };
        match verdict {
            Verdict::Allowed => self.forward(&request, asked, judged),
            Verdict::Denied(_) if mode == Mode::Audit => self.forward(&request, None, judged),
            Verdict::Denied(reason) => self.deny(&request, &reason, policy, ids, judged),
        }
    }

    fn go_on(&mut self, rest: Rest, there: usize) -> ClientStep {
        let (Rest::Pass(left) | Rest::Drop(left)) = rest;
        let len = left.min(there);
        if len == 0 {
            return ClientStep::More { at_least: 1 };
        }
        let left = left.saturating_sub(len);
        self.request_rest = match rest {
            _ if left == 0 => None,
            Rest::Pass(_) => Some(Rest::Pass(left)),
            Rest::Drop(_) => Some(Rest::Drop(left)),
        };
        match rest {
            Rest::Pass(_) => ClientStep::Forward { len, judged: None },
            Rest::Drop(_) => ClientStep::Discard { len, judged: None },
        }
    }

    fn decide(&self, request: &Request<'_>, policy: &Policy, ids: &TopicIds) -> Step<Decision> {
        let header = &request.header;
        let decided = |verdict| Ok(ControlFlow::Continue(Decision { verdict, asked: None }));
        match policy.by_header(header) {
            ByHeader::Allowed => return decided(Verdict::Allowed),
            ByHeader::Denied => return decided(Verdict::Denied(Reason::NoRule)),
            ByHeader::DependsOnTopics => {}
        }
        let Some(api) = api::known(header.api_key, header.api_version) else {
            // Clients start with the newest version they have, and no version of this names topics.
            return match header.api_key {
                api::API_VERSIONS => decided(Verdict::Allowed),
                _ => decided(Verdict::Denied(Reason::Untold)),
            };
        };
        let schema = match api::body(api) {
            Body::Plain | Body::Items(_) => return decided(Verdict::Allowed),
            Body::Opaque => return decided(Verdict::Denied(Reason::Untold)),
            Body::Topics(schema) => schema,
        };
        let body = match self.whole(request)? {
            ControlFlow::Continue(body) => body,
            ControlFlow::Break(step) => return Ok(ControlFlow::Break(step)),
        };
        let asked = match Asked::read(api, header.api_version, body, schema, self.limits.elements) {
            Ok(asked) => asked,
            Err(error) => return decided(Verdict::Denied(Reason::Malformed(error))),
        };
        let session = match asked.session_epoch {
            Some(1..) => match self.fetch.as_ref().filter(|session| session.id == asked.session_id) {
                Some(session) => session.topics.as_slice(),
                None => {
                    let verdict = Verdict::Denied(Reason::UnknownFetchSession);
                    return Ok(ControlFlow::Continue(Decision { verdict, asked: Some(asked) }));
                }
            },
            Some(_) | None => &[],
        };
        let verdict = asked.judge(header, policy, session, ids);
        Ok(ControlFlow::Continue(Decision { verdict, asked: Some(asked) }))
    }

    fn forward(
        &mut self,
        request: &Request<'_>,
        asked: Option<Asked>,
        judged: Judged,
    ) -> Result<ClientStep, SessionError> {
        let header = &request.header;
        let answered = header.api_key != api::PRODUCE || step!(request.acks()) != 0;
        let version = header.api_version;
        let read = match header.api_key {
            api::METADATA if (METADATA_WITH_IDS..=13).contains(&version) => Read::Metadata { version },
            api::API_VERSIONS => Read::ApiVersions { version },
            api::FETCH => self.follow_fetch(version, asked),
            _ => Read::Pass,
        };
        if answered {
            self.unanswered.push_back(Expected::Answer {
                correlation_id: header.correlation_id,
                api: (header.api_key, header.api_version),
                read,
            });
        }
        let len = request.take();
        self.request_rest = request.rest().map(Rest::Pass);
        Ok(ClientStep::Forward { len, judged: Some(judged) })
    }

    /// Keeps in mind which topics a fetch session holds. `asked` is what the rules have allowed; none if nobody looked.
    fn follow_fetch(&mut self, version: i16, asked: Option<Asked>) -> Read {
        let Some(asked) = asked else {
            // It may have put anything into any session: none that is known stays so.
            self.fetch = None;
            self.unfollow_fetches();
            return Read::Pass;
        };
        match (asked.session_epoch, &mut self.fetch) {
            // A full fetch that wants a session. The last one is followed; whoever goes on with another is told to start anew.
            (Some(0), _) => {
                self.unfollow_fetches();
                let flexible =
                    api::known(api::FETCH, version).is_some_and(|api| api::is_flexible(api, version));
                Read::Fetch { flexible, topics: asked.topics }
            }
            (Some(1..), Some(session)) => {
                for topic in asked.topics {
                    if !session.topics.contains(&topic) {
                        session.topics.push(topic);
                    }
                }
                Read::Pass
            }
            _ => Read::Pass,
        }
    }

    fn unfollow_fetches(&mut self) {
        for expected in &mut self.unanswered {
            if let Expected::Answer { read: read @ Read::Fetch { .. }, .. } = expected {
                *read = Read::Pass;
            }
        }
    }

    fn deny(
        &mut self,
        request: &Request<'_>,
        reason: &Reason,
        policy: &Policy,
        ids: &TopicIds,
        judged: Judged,
    ) -> Result<ClientStep, SessionError> {
        let header = &request.header;
        let unanswerable =
            SessionError::Unanswerable { api_key: header.api_key, api_version: header.api_version };
        let Some(api) = api::known(header.api_key, header.api_version) else { return Err(unanswerable) };
        let body = match api::subjects(api) {
            Some(schema) => Some((step!(self.whole(request)), schema)),
            None => None,
        };
        if header.api_key != api::PRODUCE || step!(request.acks()) != 0 {
            let mut subjects = denial::Subjects::read(header, api, body, reason, ids, self.limits.elements)
                .map_err(SessionError::Request)?;
            if header.api_key == api::METADATA
                && let Some(Narrowed { with, denied: topics }) =
                    Self::narrowed(request, &mut subjects, policy, ids)?
            {
                self.denied = self.denied.saturating_add(denial::cost(&topics));
                let read = Read::AddTopics { version: header.api_version, topics };
                self.unanswered.push_back(Expected::Answer {
                    correlation_id: header.correlation_id,
                    api: (header.api_key, header.api_version),
                    read,
                });
                return Ok(ClientStep::Replace { len: request.len, with, judged });
            }
            let answer = denial::answer(header, api, &subjects, reason).ok_or(unanswerable)?;
            self.denied = self.denied.saturating_add(answer.len());
            self.unanswered.push_back(Expected::Denial(answer));
        }
        let len = request.take();
        self.request_rest = request.rest().map(Rest::Drop);
        Ok(ClientStep::Discard { len, judged: Some(judged) })
    }

    /// What is left of a request for metadata. None: not even without topics is it allowed.
    fn narrowed(
        request: &Request<'_>,
        subjects: &mut denial::Subjects,
        policy: &Policy,
        ids: &TopicIds,
    ) -> Result<Option<Narrowed>, SessionError> {
        let header = &request.header;
        if policy.by_header(header) == ByHeader::Denied {
            return Ok(None);
        }
        let topics = std::mem::take(&mut subjects.topics).into_iter();
        let (allowed, denied): (Vec<_>, Vec<_>) =
            topics.partition(|topic| topic.is_allowed(header, policy, ids));
        let body = request.input.get(request.after_client_id..request.len).unwrap_or_default();
        let with =
            denial::metadata_without_the_rest(header.api_version, request.head(), body, allowed.iter())
                .map_err(SessionError::Request)?;
        match with {
            Some(with) => Ok(Some(Narrowed { with, denied })),
            None => {
                subjects.topics = allowed.into_iter().chain(denied).collect();
                Ok(None)
            }
        }
    }

    /// What follows the client id of a request, once all of it is there.
    fn whole<'a>(&self, request: &Request<'a>) -> Step<&'a [u8]> {
        if request.len > self.limits.request {
            return Err(SessionError::RequestTooLong { size: request.len, limit: self.limits.request });
        }
        Ok(match request.input.get(request.after_client_id..request.len) {
            Some(body) => ControlFlow::Continue(body),
            None => ControlFlow::Break(ClientStep::More { at_least: request.len }),
        })
    }
}

impl<'a> Request<'a> {
    const SIZE: usize = 4;

    fn read(input: &'a [u8]) -> Step<Self> {
        let Some((size, rest)) = input.split_first_chunk() else {
            return Ok(ControlFlow::Break(ClientStep::More { at_least: Self::SIZE }));
        };
        let size = usize::try_from(i32::from_be_bytes(*size))
            .map_err(|_| SessionError::Request(Malformed::Length("the request")))?;
        let there = rest.get(..size).unwrap_or(rest);
        match header::header(there, size).map_err(SessionError::Request)? {
            Prefix::More(len) => {
                Ok(ControlFlow::Break(ClientStep::More { at_least: len.saturating_add(Self::SIZE) }))
            }
            Prefix::Header { header, len } => Ok(ControlFlow::Continue(Self {
                header,
                len: size.saturating_add(Self::SIZE),
                after_client_id: len.saturating_add(Self::SIZE),
                input,
            })),
        }
    }

    /// Up to the end of the client id.
    fn head(&self) -> &'a [u8] {
        self.input.get(..self.after_client_id).unwrap_or_default()
    }

    /// How much of it is there, and how much is not.
    fn take(&self) -> usize {
        self.len.min(self.input.len())
    }

    fn rest(&self) -> Option<usize> {
        Some(self.len.saturating_sub(self.take())).filter(|left| *left > 0)
    }

    fn acks(&self) -> Step<i16> {
        let there = self.input.get(self.after_client_id..self.take()).unwrap_or_default();
        match request::acks(self.header.api_version, there).map_err(SessionError::Request)? {
            Some(acks) => Ok(ControlFlow::Continue(acks)),
            None if self.rest().is_none() => Err(SessionError::Request(Malformed::Short("acks"))),
            None => {
                let at_least = self.input.len().saturating_mul(2).saturating_add(64).min(self.len);
                Ok(ControlFlow::Break(ClientStep::More { at_least }))
            }
        }
    }
}
