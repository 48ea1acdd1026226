//! What a client asks, as it came: filters that nobody here knows reach the nodes, which do.

use crate::answer::Moment;
use bytes::{Bytes, BytesMut};
use ciliate_hubble::observer::GetFlowsRequest;
use prost::{
    DecodeError, Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

/// Numbers of fields of `GetFlowsRequest` and `Timestamp`.
const NUMBER: u32 = 1;
const SINCE: u32 = 7;
const FIRST: u32 = 9;
const SECONDS: u32 = 1;
const NANOS: u32 = 2;

/// One `GetFlowsRequest`.
#[derive(Clone, Debug)]
pub struct Question {
    bytes: Bytes,
    pub pace: Pace,
    pub end: End,
}

/// Whether a question is about what was or about what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Past,
    Follow,
}

/// Whether nodes come to an end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Never,
    AtLast,
}

impl Question {
    /// # Errors
    /// When the bytes are no message.
    pub fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        let request = GetFlowsRequest::decode(bytes.clone())?;
        let pace = if request.follow { Pace::Follow } else { Pace::Past };
        let end = if request.follow && request.until.is_none() { End::Never } else { End::AtLast };
        Ok(Self { bytes, pace, end })
    }

    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The same about what came since a moment, for a node that has answered until then.
    #[must_use]
    pub fn since(&self, moment: Moment) -> Bytes {
        // Of a field that comes twice the last one counts; messages are merged field by field.
        let mut time = BytesMut::new();
        put_number(SECONDS, moment.seconds.cast_unsigned(), &mut time);
        put_number(NANOS, i64::from(moment.nanos).cast_unsigned(), &mut time);
        let mut bytes = BytesMut::from(self.bytes.as_ref());
        put_number(NUMBER, 0, &mut bytes);
        put_number(FIRST, 0, &mut bytes);
        encode_key(SINCE, WireType::LengthDelimited, &mut bytes);
        encode_varint(u64::try_from(time.len()).unwrap_or_default(), &mut bytes);
        bytes.extend_from_slice(&time);
        bytes.freeze()
    }
}

/// Also a zero, unlike the library.
fn put_number(field: u32, number: u64, to: &mut BytesMut) {
    encode_key(field, WireType::Varint, to);
    encode_varint(number, to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_hubble::Timestamp;

    #[test]
    fn asking_for_the_rest_changes_only_the_range() {
        let request = GetFlowsRequest {
            number: 20,
            first: true,
            follow: true,
            since: Some(Timestamp { seconds: 1, nanos: 2 }),
            whitelist: vec![Default::default()],
            ..GetFlowsRequest::default()
        };
        let question = Question::read(request.encode_to_vec().into()).expect("a message");
        assert_eq!((question.pace, question.end), (Pace::Follow, End::Never));
        let rest =
            GetFlowsRequest::decode(question.since(Moment { seconds: 9, nanos: 0 })).expect("a message");
        let since = Some(Timestamp { seconds: 9, nanos: 0 });
        assert_eq!(rest, GetFlowsRequest { number: 0, first: false, since, ..request });
    }
}
