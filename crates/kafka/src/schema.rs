//! How the bodies of requests are laid out, as far as their topics, partitions and subjects are concerned.

pub(crate) mod admin;
pub(crate) mod data;
pub(crate) mod groups;
pub(crate) mod responses;

/// One field of a message, in the order of the wire.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// First and last version that has the field.
    pub(crate) since: i16,
    pub(crate) until: i16,
    /// The number of a field that stands in the tagged section at the end, if it is there at all.
    pub(crate) tag: Option<u32>,
}

/// Topics by name with the numbers of partitions, under either name that messages have for these.
pub(crate) const TOPICS_WITH_PARTITIONS: Kind = Kind::Array(&[
    field("name", Kind::Topic),
    field("partitions", Kind::Array(&[field("", Kind::Partition)])),
]);
pub(crate) const TOPICS_WITH_INDEXES: Kind = Kind::Array(&[
    field("name", Kind::Topic),
    field("partition_indexes", Kind::Array(&[field("", Kind::Partition)])),
]);

/// What a field is on the wire, and whether anyone wants to know its value.
#[derive(Debug)]
pub(crate) enum Kind {
    I8,
    I16,
    I32,
    I64,
    Uuid,
    Text,
    Blob,
    Topic,
    TopicId,
    Partition,
    /// What an answer is given for beside topics: a group, a transaction, a user.
    Key,
    /// A 64-bit key.
    Number,
    ResourceType,
    Resource,
    /// A text which, unless it is empty or null, means topics nobody can list from here.
    Pattern,
    Acks,
    SessionId,
    SessionEpoch,
    Array(&'static [Field]),
    /// An array whose absence means something.
    Listed(&'static [Field], Missing),
    /// An array that is answered element by element.
    Each(&'static [Field]),
    Struct(&'static [Field]),
    /// A struct that may be absent; a byte says so.
    Maybe(&'static [Field]),
}

#[derive(Debug)]
pub(crate) enum Missing {
    /// Null means every topic there is, and so does an empty array up to this version.
    NullIsEvery { empty_until: i16 },
}

pub(crate) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, since: 0, until: i16::MAX, tag: None }
}

impl Field {
    const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }

    const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }
}
