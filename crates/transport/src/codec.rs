//! Messages as their bytes, for those who pass them on or need no schema.

use bytes::{Buf as _, BufMut as _, Bytes};
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// What can be made of all bytes of a message.
pub trait FromBytes: Sized + Send + 'static {
    /// # Errors
    /// How the call ends when the bytes are no such message.
    fn from_bytes(bytes: Bytes) -> Result<Self, Status>;
}

impl FromBytes for Bytes {
    fn from_bytes(bytes: Bytes) -> Result<Self, Status> {
        Ok(bytes)
    }
}

/// Sends the bytes of an `S`, and reads an `R` from those that come.
#[derive(Debug)]
pub struct ByteCodec<S, R>(PhantomData<fn(S) -> R>);

impl<S, R> Default for ByteCodec<S, R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<S: Into<Bytes> + Send + 'static, R: FromBytes> Codec for ByteCodec<S, R> {
    type Encode = S;
    type Decode = R;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<S: Into<Bytes>, R> Encoder for ByteCodec<S, R> {
    type Item = S;
    type Error = Status;

    fn encode(&mut self, message: S, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message.into());
        Ok(())
    }
}

impl<S, R: FromBytes> Decoder for ByteCodec<S, R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        R::from_bytes(from.copy_to_bytes(from.remaining())).map(Some)
    }
}
