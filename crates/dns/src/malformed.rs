//! What can be wrong with a message.

use thiserror::Error;

/// Why bytes are no message that the proxy lets through. Nothing of such a message is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Malformed {
    #[error("shorter than the 12 bytes of a header")]
    NoHeader,
    #[error("an answer where a query was due")]
    NotAQuery,
    #[error("a query where an answer was due")]
    NotAnAnswer,
    #[error("an operation other than a standard query")]
    Operation,
    #[error("not exactly one question")]
    QuestionCount,
    #[error("records in a section of a query that has none")]
    QueryRecords,
    #[error("ends before what its counts or lengths promise")]
    CutShort,
    #[error("bytes after the last record")]
    TrailingBytes,
    #[error("a compressed name that does not point to an earlier one")]
    Pointer,
    #[error("a label of a reserved kind")]
    LabelKind,
    #[error("a name of more than 255 bytes")]
    NameLength,
    #[error("two OPT records, or one outside of the additional records or not at the root")]
    Opt,
    #[error("an OPT record with options of wrong length")]
    OptData,
    #[error("a record of an address, alias or service with data of wrong form")]
    RecordData,
    #[error("more than 16 aliases in a row")]
    Aliases,
}

impl Malformed {
    pub const ALL: [Self; 15] = [
        Self::NoHeader,
        Self::NotAQuery,
        Self::NotAnAnswer,
        Self::Operation,
        Self::QuestionCount,
        Self::QueryRecords,
        Self::CutShort,
        Self::TrailingBytes,
        Self::Pointer,
        Self::LabelKind,
        Self::NameLength,
        Self::Opt,
        Self::OptData,
        Self::RecordData,
        Self::Aliases,
    ];

    /// Its value as a label of a counter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoHeader => "no_header",
            Self::NotAQuery => "not_a_query",
            Self::NotAnAnswer => "not_an_answer",
            Self::Operation => "operation",
            Self::QuestionCount => "question_count",
            Self::QueryRecords => "query_records",
            Self::CutShort => "cut_short",
            Self::TrailingBytes => "trailing_bytes",
            Self::Pointer => "pointer",
            Self::LabelKind => "label_kind",
            Self::NameLength => "name_length",
            Self::Opt => "opt",
            Self::OptData => "opt_data",
            Self::RecordData => "record_data",
            Self::Aliases => "aliases",
        }
    }
}
