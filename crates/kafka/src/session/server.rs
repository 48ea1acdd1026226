//! What a broker answers.

use super::{
    Expected, FetchSession, Read, Session, SessionError,
    answered::{Answered, first_error},
};
use crate::{Malformed, TopicIds, denial, response};

/// What to do with what the server sent.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// Nothing can be said before so many bytes are there.
    More { at_least: usize },
    /// So many bytes, which are there, go to the client.
    Forward { len: usize },
    /// So many bytes are dropped, and these go to the client instead. A denial replaces none.
    Replace { len: usize, with: Vec<u8> },
}

impl Session {
    /// `input` is what the server has sent and no step has taken. To be asked after each step of the client as well, even if there is none:
    /// a denial may be due.
    pub fn server(&mut self, input: &[u8], ids: &TopicIds) -> Result<ServerStep, SessionError> {
        if self.response_rest > 0 {
            return Ok(match self.response_rest.min(input.len()) {
                0 => ServerStep::More { at_least: 1 },
                len => {
                    self.response_rest = self.response_rest.saturating_sub(len);
                    ServerStep::Forward { len }
                }
            });
        }
        if let Some(Expected::Denial(_)) = self.unanswered.front()
            && let Some(Expected::Denial(with)) = self.unanswered.pop_front()
        {
            self.denied = self.denied.saturating_sub(with.len());
            return Ok(ServerStep::Replace { len: 0, with });
        }
        let Some((&[a, b, c, d, e, f, g, h], _)) = input.split_first_chunk::<{ response::PREFIX }>() else {
            return Ok(ServerStep::More { at_least: response::PREFIX });
        };
        let len = usize::try_from(i32::from_be_bytes([a, b, c, d]))
            .ok()
            .filter(|size| *size >= 4)
            .ok_or(SessionError::Response(Malformed::Length("the answer")))?
            .saturating_add(4);
        let got = i32::from_be_bytes([e, f, g, h]);
        let read = match self.unanswered.front() {
            None | Some(Expected::Denial(_)) => return Err(SessionError::Unasked),
            Some(Expected::Answer { correlation_id, .. }) if *correlation_id != got => {
                return Err(SessionError::OutOfStep { expected: *correlation_id, got });
            }
            Some(Expected::Answer { read, .. }) => read,
        };
        let limits = &self.limits;
        let whole = || match input.get(..len) {
            Some(frame) => Ok(Some(frame)),
            None if len <= limits.response => Ok(None),
            None => Err(SessionError::ResponseTooLong { size: len, limit: limits.response }),
        };
        let mut replacement = None;
        let mut started = None;
        match read {
            Read::Pass => {}
            Read::Metadata { version } => match whole() {
                Ok(None) => return Ok(ServerStep::More { at_least: len }),
                // What cannot be read is the client's business: it passes, and teaches nothing.
                Ok(Some(frame)) => drop(response::learn_ids(frame, *version, limits.elements, ids)),
                Err(_) => {}
            },
            Read::AddTopics { version, topics } => match whole()? {
                None => return Ok(ServerStep::More { at_least: len }),
                Some(frame) => {
                    response::learn_ids(frame, *version, limits.elements, ids)
                        .map_err(SessionError::Response)?;
                    let added = response::add_topics(frame, *version, limits.elements, topics);
                    replacement = Some(added.map_err(SessionError::Response)?);
                }
            },
            Read::ApiVersions { version } => match whole()? {
                None => return Ok(ServerStep::More { at_least: len }),
                Some(frame) => {
                    replacement =
                        response::clamp_versions(frame, *version).map_err(SessionError::Response)?;
                }
            },
            Read::Fetch { flexible, .. } => {
                let frame = input.get(..len).unwrap_or(input);
                match response::fetch_session(frame, *flexible) {
                    Some(id) => started = Some(id),
                    None if frame.len() < len => {
                        return Ok(ServerStep::More { at_least: frame.len().saturating_add(1) });
                    }
                    None => started = Some(0),
                }
            }
        }
        if let Some(Expected::Answer { api, .. }) = self.unanswered.front() {
            self.answered = Some(Answered { correlation_id: got, error: first_error(input, *api) });
        }
        match self.unanswered.pop_front() {
            Some(Expected::Answer { read: Read::Fetch { topics, .. }, .. }) => {
                self.fetch = started.filter(|id| *id != 0).map(|id| FetchSession { id, topics });
            }
            Some(Expected::Answer { read: Read::AddTopics { topics, .. }, .. }) => {
                self.denied = self.denied.saturating_sub(denial::cost(&topics));
            }
            _ => {}
        }
        if let Some(with) = replacement {
            return Ok(ServerStep::Replace { len, with });
        }
        let there = len.min(input.len());
        self.response_rest = len.saturating_sub(there);
        Ok(ServerStep::Forward { len: there })
    }
}
