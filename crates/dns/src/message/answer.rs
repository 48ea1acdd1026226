//! What a server answers.

use super::{
    Edns, Flags, Question, RecordType, ResponseCode,
    query::id_and_flags,
    record::{Counts, Record},
};
use crate::{malformed::Malformed, wire};

/// An answer to a standard query, all of its records walked once.
#[derive(Clone)]
pub struct Answer<'a> {
    pub id: u16,
    pub flags: Flags,
    /// None only in an answer of nothing but a header that reports an error, as old servers send it.
    pub question: Option<Question>,
    pub edns: Option<Edns>,
    pub(super) message: &'a [u8],
    question_bytes: &'a [u8],
    answers: u16,
    answers_at: usize,
}

impl<'a> Answer<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let counts = Counts::read(message)?;
        let (id, flags) = id_and_flags(message)?;
        if !flags.has(Flags::ANSWER) {
            return Err(Malformed::NotAnAnswer);
        }
        if flags.has(Flags::OPERATION) {
            return Err(Malformed::Operation);
        }
        let (question, answers_at) = match counts.questions {
            1 => Question::read(message).map(|(question, end)| (Some(question), end))?,
            0 if flags.code() != ResponseCode::NOERROR && counts.answers == 0 => (None, wire::HEADER),
            _ => return Err(Malformed::QuestionCount),
        };
        let question_bytes = message.get(wire::HEADER..answers_at).ok_or(Malformed::CutShort)?;
        let edns = counts.check(message, answers_at)?;
        let answers = counts.answers;
        Ok(Self { id, flags, question, edns, message, question_bytes, answers, answers_at })
    }

    #[must_use]
    pub fn code(&self) -> ResponseCode {
        self.flags.code()
    }

    /// The question as the server repeats it, in whatever case; empty if it does not.
    #[must_use]
    pub fn question_bytes(&self) -> &'a [u8] {
        self.question_bytes
    }

    /// The whole message.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.message
    }

    /// The types of the records in the answer section.
    pub fn kinds(&self) -> impl Iterator<Item = RecordType> + use<'a> {
        self.records().map(|record| record.kind)
    }

    /// The records of the answer section. They have all been read before, so none fails here.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let (message, mut next) = (self.message, self.answers_at);
        (0..self.answers).map_while(move |_| {
            let record = Record::read(message, next).ok()?;
            next = record.end;
            Some(record)
        })
    }
}
