//! Messages on their way through: bytes in, bytes out.

use crate::{answer::Answer, question::Question};
use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Towards nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking;

/// Towards clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answering;

impl Codec for Asking {
    type Encode = Bytes;
    type Decode = Answer;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Asking {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Asking {
    type Item = Answer;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Answer>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        let answer = Answer::read(bytes)
            .map_err(|error| Status::internal(format!("the node's answer is no message: {error}")))?;
        Ok(Some(answer))
    }
}

impl Codec for Answering {
    type Encode = Answer;
    type Decode = Question;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Answering {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, item: Answer, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item.bytes);
        Ok(())
    }
}

impl Decoder for Answering {
    type Item = Question;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Question>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        let question = Question::read(bytes)
            .map_err(|error| Status::invalid_argument(format!("the request is no message: {error}")))?;
        Ok(Some(question))
    }
}
