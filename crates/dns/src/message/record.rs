//! The sections after the question.

use super::{Class, Edns, RecordType};
use crate::{malformed::Malformed, name, wire};

/// One record where it stands in its message.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub message: &'a [u8],
    /// Offset of the owner's name.
    pub owner: usize,
    pub kind: RecordType,
    pub class: Class,
    pub ttl: u32,
    /// Offset of `data`.
    pub data_at: usize,
    pub data: &'a [u8],
    /// Offset of whatever follows.
    pub end: usize,
}

impl<'a> Record<'a> {
    pub fn read(message: &'a [u8], owner: usize) -> Result<Self, Malformed> {
        let fixed = name::skip(message, owner)?;
        let kind = wire::u16_at(message, fixed).ok_or(Malformed::CutShort)?;
        let class = wire::u16_at(message, fixed.saturating_add(2)).ok_or(Malformed::CutShort)?;
        let ttl = wire::u32_at(message, fixed.saturating_add(4)).ok_or(Malformed::CutShort)?;
        let len = wire::u16_at(message, fixed.saturating_add(8)).ok_or(Malformed::CutShort)?;
        let data_at = fixed.saturating_add(10);
        let end = data_at.saturating_add(usize::from(len));
        let data = message.get(data_at..end).ok_or(Malformed::CutShort)?;
        Ok(Self { message, owner, kind: RecordType(kind), class: Class(class), ttl, data_at, data, end })
    }
}

/// How many records each section promises.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub questions: u16,
    pub answers: u16,
    pub authority: u16,
    pub additional: u16,
}

impl Counts {
    pub fn read(message: &[u8]) -> Result<Self, Malformed> {
        let count = |at| wire::u16_at(message, at).ok_or(Malformed::NoHeader);
        Ok(Self { questions: count(4)?, answers: count(6)?, authority: count(8)?, additional: count(10)? })
    }

    /// Walks all records from `at`, where the first stands, and finds the message's end exactly behind the last one.
    pub fn check(self, message: &[u8], at: usize) -> Result<Option<Edns>, Malformed> {
        let (mut next, mut edns) = (at, None);
        for _ in 0..u32::from(self.answers).saturating_add(u32::from(self.authority)) {
            let record = Record::read(message, next)?;
            if record.kind == RecordType::OPT {
                return Err(Malformed::Opt);
            }
            next = record.end;
        }
        for _ in 0..self.additional {
            let record = Record::read(message, next)?;
            if let Some(found) = Edns::of(&record)?
                && edns.replace(found).is_some()
            {
                return Err(Malformed::Opt);
            }
            next = record.end;
        }
        if next == message.len() { Ok(edns) } else { Err(Malformed::TrailingBytes) }
    }
}
