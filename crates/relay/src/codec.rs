//! Messages on their way through: bytes in, bytes out.

use crate::{answer::Answer, question::Question};
use bytes::Bytes;
use ciliate_transport::{ByteCodec, FromBytes};
use tonic::Status;

/// Towards nodes.
pub type Asking = ByteCodec<Bytes, Answer>;

/// Towards clients.
pub type Answering = ByteCodec<Answer, Question>;

impl From<Answer> for Bytes {
    fn from(answer: Answer) -> Self {
        answer.bytes
    }
}

impl FromBytes for Answer {
    fn from_bytes(bytes: Bytes) -> Result<Self, Status> {
        Self::read(bytes)
            .map_err(|error| Status::internal(format!("the node's answer is no message: {error}")))
    }
}

impl FromBytes for Question {
    fn from_bytes(bytes: Bytes) -> Result<Self, Status> {
        Self::read(bytes)
            .map_err(|error| Status::invalid_argument(format!("the request is no message: {error}")))
    }
}
