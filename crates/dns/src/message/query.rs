//! What a client asks.

use super::{Class, Edns, Flags, PLAIN_UDP_LIMIT, RecordType, record::Counts};
use crate::{malformed::Malformed, name::Name, wire};

/// Which records are wanted; names are compared without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub name: Name,
    pub kind: RecordType,
    pub class: Class,
}

/// A standard query with one question.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub id: u16,
    pub flags: Flags,
    pub question: Question,
    pub edns: Option<Edns>,
    question_bytes: &'a [u8],
}

impl Question {
    /// Reads the question that follows the header and says where it ends.
    pub(crate) fn read(message: &[u8]) -> Result<(Self, usize), Malformed> {
        let (name, end) = Name::read(message, wire::HEADER)?;
        let kind = wire::u16_at(message, end).ok_or(Malformed::CutShort)?;
        let class = wire::u16_at(message, end.saturating_add(2)).ok_or(Malformed::CutShort)?;
        Ok((Self { name, kind: RecordType(kind), class: Class(class) }, end.saturating_add(4)))
    }
}

impl Question {
    /// Reads back what [`Query::question_bytes`] gave; what cannot be read asks for nothing.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let read = || {
            let (name, end) = Name::read_plain(bytes, 0).ok()?;
            let kind = RecordType(wire::u16_at(bytes, end)?);
            let class = Class(wire::u16_at(bytes, end.checked_add(2)?)?);
            Some(Self { name, kind, class })
        };
        read().unwrap_or(Self { name: Name::ROOT, kind: RecordType(0), class: Class(0) })
    }
}

impl<'a> Query<'a> {
    /// Reads a whole message. No name of a question can be compressed, for there is none before it.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let counts = Counts::read(message)?;
        let (id, flags) = id_and_flags(message)?;
        if flags.has(Flags::ANSWER) {
            return Err(Malformed::NotAQuery);
        }
        if flags.has(Flags::OPERATION) {
            return Err(Malformed::Operation);
        }
        if counts.questions != 1 {
            return Err(Malformed::QuestionCount);
        }
        let (question, end) = Question::read(message)?;
        // An incremental transfer says in the authority section what it has (RFC 1995, 3).
        let authority = if question.kind == RecordType::IXFR { 1 } else { 0 };
        if counts.answers != 0 || counts.authority > authority {
            return Err(Malformed::QueryRecords);
        }
        let question_bytes = message.get(wire::HEADER..end).ok_or(Malformed::CutShort)?;
        let edns = counts.check(message, end)?;
        Ok(Self { id, flags, question, edns, question_bytes })
    }

    /// The question as it was sent, in its own case: name, type, class.
    #[must_use]
    pub fn question_bytes(&self) -> &'a [u8] {
        self.question_bytes
    }

    /// The largest answer that the client takes in one datagram, in bytes.
    #[must_use]
    pub fn udp_limit(&self) -> u16 {
        self.edns.map_or(PLAIN_UDP_LIMIT, |edns| edns.udp_size)
    }
}

pub(crate) fn id_and_flags(message: &[u8]) -> Result<(u16, Flags), Malformed> {
    let id = wire::u16_at(message, 0).ok_or(Malformed::NoHeader)?;
    let flags = wire::u16_at(message, 2).ok_or(Malformed::NoHeader)?;
    Ok((id, Flags(flags)))
}
