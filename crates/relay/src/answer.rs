//! What nodes answer, as it came: nothing of it is decoded but the moment, and fields that nobody here knows stay.

use bytes::{Buf as _, Bytes};
use ciliate_hubble::{Timestamp, observer::GetFlowsResponse};
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers of fields of `GetFlowsResponse` and `Flow`.
const FLOW: u32 = 1;
const TIME: u32 = 1001;
const TIME_OF_FLOW: u32 = 1;

/// Since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub seconds: i64,
    pub nanos: i32,
}

/// One `GetFlowsResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub bytes: Bytes,
    pub time: Moment,
}

impl Moment {
    #[must_use]
    pub fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(now.subsec_nanos()).unwrap_or_default(),
        }
    }

    /// A nanosecond later.
    #[must_use]
    pub fn next(self) -> Self {
        match self.nanos.checked_add(1).filter(|nanos| *nanos < 1_000_000_000) {
            Some(nanos) => Self { nanos, ..self },
            None => Self { seconds: self.seconds.saturating_add(1), nanos: 0 },
        }
    }

    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp { seconds: self.seconds, nanos: self.nanos }
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self { seconds: time.seconds, nanos: time.nanos }
    }
}

impl Answer {
    /// # Errors
    /// When the bytes are no message.
    pub fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut time = field(&bytes, TIME)?;
        if time.is_none()
            && let Some(flow) = field(&bytes, FLOW)?
        {
            time = field(flow, TIME_OF_FLOW)?;
        }
        let time = time.map(Timestamp::decode).transpose()?.map(Moment::from).unwrap_or_default();
        Ok(Self { bytes, time })
    }

    #[must_use]
    pub fn of(message: &GetFlowsResponse) -> Self {
        let time = message.time.map(Moment::from).unwrap_or_default();
        Self { bytes: message.encode_to_vec().into(), time }
    }
}

/// The contents of the first field of this number that has a length.
fn field(mut rest: &[u8], wanted: u32) -> Result<Option<&[u8]>, DecodeError> {
    while rest.has_remaining() {
        let (number, wire) = decode_key(&mut rest)?;
        let content = rest;
        // Fails where the message is cut.
        skip_field(wire, number, &mut rest, DecodeContext::default())?;
        if number == wanted && wire == WireType::LengthDelimited {
            let mut content = content;
            let length = usize::try_from(decode_varint(&mut content)?).unwrap_or(usize::MAX);
            return Ok(content.get(..length));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_hubble::{flow::Flow, observer::get_flows_response::ResponseTypes};
    use proptest::prelude::*;

    fn response(inner: Option<i64>, outer: Option<i64>) -> GetFlowsResponse {
        let time = |seconds: Option<i64>| seconds.map(|seconds| Timestamp { seconds, nanos: 7 });
        GetFlowsResponse {
            node_name: "n".to_owned(),
            time: time(outer),
            response_types: Some(ResponseTypes::Flow(Flow { time: time(inner), ..Flow::default() })),
        }
    }

    #[test]
    fn times_are_found_and_everything_else_stays() {
        for (inner, outer, seconds) in
            [(None, Some(5), 5), (Some(4), Some(5), 5), (Some(4), None, 4), (None, None, 0)]
        {
            let mut bytes = response(inner, outer).encode_to_vec();
            // A field that nobody knows: number 5000, a varint.
            bytes.extend([0xc0, 0xb8, 0x02, 0x01]);
            let answer = Answer::read(bytes.clone().into()).expect("a message");
            assert_eq!(answer.time.seconds, seconds);
            assert_eq!(answer.bytes, bytes);
        }
    }

    proptest! {
        /// Whatever a node sends is read or refused, and agrees with the decoder.
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let read = Answer::read(bytes.clone().into());
            if let Ok(message) = GetFlowsResponse::decode(bytes.as_slice())
                && let Some(time) = message.time
                && let Ok(answer) = read
            {
                // Fields that come twice are merged by the decoder; the first one is enough for us.
                let once = field(&bytes, TIME).ok().flatten().map(Timestamp::decode);
                if once.is_some_and(|once| once == Ok(time)) {
                    prop_assert_eq!(answer.time, Moment::from(time));
                }
            }
        }

        #[test]
        fn a_cut_message_is_refused_or_read(cut in 0_usize..20) {
            let bytes = response(Some(1), Some(2)).encode_to_vec();
            let cut = bytes.len().saturating_sub(cut);
            let _ = Answer::read(Bytes::copy_from_slice(&bytes[..cut]));
        }
    }
}
