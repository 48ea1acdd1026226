//! Reads a message along its schema and tells of what is wanted in it.

use crate::schema::{Field, Kind, Missing};
use thiserror::Error;

/// What a message said, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// An element of an array begins.
    Element,
    /// An element that gets an answer of its own begins.
    Entry,
    /// None: null, which some versions write beside an id.
    Topic(Option<&'a str>),
    TopicId([u8; 16]),
    /// Every topic there is, or more than can be listed.
    Every,
    Partition(i32),
    Key(Option<&'a str>),
    Number(i64),
    ResourceType(i8),
    Resource(&'a str),
    Acks(i16),
    SessionId(i32),
    SessionEpoch(i32),
}

/// Why a message cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    #[error("the message ends within {0}")]
    Short(&'static str),
    #[error("{0} bytes are left after the end of the message")]
    Trailing(usize),
    #[error("the length of {0} is impossible")]
    Length(&'static str),
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    #[error("the message has the tagged field {0}, which its version is not known to have")]
    UnknownTag(u32),
    #[error("more than the {0} elements that a setting allows a message")]
    Elements(usize),
}

/// What to do with tagged fields that no schema names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownTags {
    /// Two readers that disagree about a tagged field disagree about all that follows it.
    Refused,
    Skipped,
}

/// Reads one message.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    tags: UnknownTags,
    /// How many more array elements and tagged fields are read.
    budget: usize,
    limit: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        bytes: &'a [u8],
        version: i16,
        flexible: bool,
        tags: UnknownTags,
        elements: usize,
    ) -> Self {
        Self { rest: bytes, version, flexible, tags, budget: elements, limit: elements }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Malformed::Trailing(left)),
        }
    }

    /// The fields of a struct with their tagged section, if the version has one.
    pub(crate) fn fields(
        &mut self,
        fields: &'static [Field],
        sink: &mut dyn FnMut(Event<'a>),
    ) -> Result<(), Malformed> {
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            self.field(field, sink)?;
        }
        if self.flexible {
            self.tagged(fields, sink)?;
        }
        Ok(())
    }

    /// A field outside of the tagged section; nothing if the version does not have it.
    pub(crate) fn field(
        &mut self,
        field: &'static Field,
        sink: &mut dyn FnMut(Event<'a>),
    ) -> Result<(), Malformed> {
        if (field.since..=field.until).contains(&self.version) {
            self.value(field, sink)?;
        }
        Ok(())
    }

    fn tagged(&mut self, fields: &'static [Field], sink: &mut dyn FnMut(Event<'a>)) -> Result<(), Malformed> {
        const SECTION: &str = "the tagged fields";
        let mut next = 0_u64;
        for _ in 0..self.uvarint(SECTION)? {
            self.spend()?;
            let tag = self.uvarint(SECTION)?;
            // Tags ascend; a repeated one would be read by some and skipped by others.
            if u64::from(tag) < next {
                return Err(Malformed::Length(SECTION));
            }
            next = u64::from(tag).saturating_add(1);
            let size = self.uvarint(SECTION)?;
            let data = self.take(usize::try_from(size).unwrap_or(usize::MAX), SECTION)?;
            let known = fields
                .iter()
                .find(|field| field.tag == Some(tag) && (field.since..=field.until).contains(&self.version));
            match known {
                Some(field) => {
                    let after = std::mem::replace(&mut self.rest, data);
                    self.value(field, sink)?;
                    // The broker reads a known field by its own length and never looks at the size before it.
                    if !self.rest.is_empty() {
                        return Err(Malformed::Length(field.name));
                    }
                    self.rest = after;
                }
                None if self.tags == UnknownTags::Refused => return Err(Malformed::UnknownTag(tag)),
                None => {}
            }
        }
        Ok(())
    }

    fn value(&mut self, field: &'static Field, sink: &mut dyn FnMut(Event<'a>)) -> Result<(), Malformed> {
        let name = field.name;
        match &field.kind {
            Kind::I8 => self.take(1, name).map(drop)?,
            Kind::I16 => self.take(2, name).map(drop)?,
            Kind::I32 => self.take(4, name).map(drop)?,
            Kind::I64 => self.take(8, name).map(drop)?,
            Kind::Uuid => self.take(16, name).map(drop)?,
            Kind::Text => self.text(name).map(drop)?,
            Kind::Blob => self.bytes(name)?,
            Kind::Topic => {
                let topic = self.text(name)?;
                sink(Event::Topic(topic));
            }
            Kind::TopicId => sink(Event::TopicId(self.fixed(name)?)),
            Kind::Partition => sink(Event::Partition(i32::from_be_bytes(self.fixed(name)?))),
            Kind::Key => {
                let key = self.text(name)?;
                sink(Event::Key(key));
            }
            Kind::Number => sink(Event::Number(i64::from_be_bytes(self.fixed(name)?))),
            Kind::ResourceType => sink(Event::ResourceType(i8::from_be_bytes(self.fixed(name)?))),
            Kind::Resource => {
                let resource = self.text(name)?.ok_or(Malformed::Length(name))?;
                sink(Event::Resource(resource));
            }
            Kind::Pattern => {
                if self.text(name)?.is_some_and(|pattern| !pattern.is_empty()) {
                    sink(Event::Every);
                }
            }
            Kind::Acks => sink(Event::Acks(i16::from_be_bytes(self.fixed(name)?))),
            Kind::SessionId => sink(Event::SessionId(i32::from_be_bytes(self.fixed(name)?))),
            Kind::SessionEpoch => sink(Event::SessionEpoch(i32::from_be_bytes(self.fixed(name)?))),
            Kind::Array(element) => {
                self.array(name, element, Event::Element, sink)?;
            }
            Kind::Each(element) => {
                self.array(name, element, Event::Entry, sink)?;
            }
            Kind::Listed(element, Missing::NullIsEvery { empty_until }) => {
                match self.array(name, element, Event::Element, sink)? {
                    None => sink(Event::Every),
                    Some(0) if self.version <= *empty_until => sink(Event::Every),
                    Some(_) => {}
                }
            }
            Kind::Struct(fields) => self.fields(fields, sink)?,
            Kind::Maybe(fields) => match self.fixed::<1>(name)? {
                [0xff] => {}
                [1] => self.fields(fields, sink)?,
                _ => return Err(Malformed::Length(name)),
            },
        }
        Ok(())
    }

    /// How many elements there were; none for null.
    fn array(
        &mut self,
        name: &'static str,
        element: &'static [Field],
        begin: Event<'a>,
        sink: &mut dyn FnMut(Event<'a>),
    ) -> Result<Option<usize>, Malformed> {
        let Some(len) = self.length(name, Width::Four)? else { return Ok(None) };
        // An element has one byte at least.
        if len > self.rest.len() {
            return Err(Malformed::Length(name));
        }
        for _ in 0..len {
            self.spend()?;
            sink(begin);
            match element {
                // An element that is no struct has no tagged section.
                [only] if only.name.is_empty() => self.value(only, sink)?,
                fields => self.fields(fields, sink)?,
            }
        }
        Ok(Some(len))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, Malformed> {
        let Some(len) = self.length(name, Width::Two)? else { return Ok(None) };
        std::str::from_utf8(self.take(len, name)?).map(Some).map_err(|_| Malformed::Text(name))
    }

    fn bytes(&mut self, name: &'static str) -> Result<(), Malformed> {
        if let Some(len) = self.length(name, Width::Four)? {
            self.take(len, name)?;
        }
        Ok(())
    }

    /// A length; none for null. `width` counts where lengths are not variable.
    fn length(&mut self, name: &'static str, width: Width) -> Result<Option<usize>, Malformed> {
        let len = match (self.flexible, width) {
            (true, _) => i64::from(self.uvarint(name)?).saturating_sub(1),
            (false, Width::Two) => i64::from(i16::from_be_bytes(self.fixed(name)?)),
            (false, Width::Four) => i64::from(i32::from_be_bytes(self.fixed(name)?)),
        };
        match len {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| Malformed::Length(name)),
        }
    }

    /// Seven bits a byte, the lowest first, five bytes at most.
    pub(crate) fn uvarint(&mut self, name: &'static str) -> Result<u32, Malformed> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed(name)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed::Length(name));
            }
        }
        Err(Malformed::Length(name))
    }

    fn take(&mut self, len: usize, name: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Short(name))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn fixed<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short(name))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn spend(&mut self) -> Result<(), Malformed> {
        self.budget = self.budget.checked_sub(1).ok_or(Malformed::Elements(self.limit))?;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Width {
    Two,
    Four,
}
