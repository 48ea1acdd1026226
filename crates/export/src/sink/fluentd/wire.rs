//! MessagePack: what is sent, and what receivers answer.

use super::super::Shape;
use crate::{buffer::Entry, connection::Connection, fault::Fault};
use ciliate_flow::Time;
use serde::{Deserialize, Serialize as _, de::DeserializeOwned};
use std::{io, time::Duration};
use tokio::{io::AsyncReadExt as _, time};

const BILLION: u64 = 1_000_000_000;
/// Type of the extension that holds a time with nanoseconds (`EventTime`).
const EVENT_TIME: i8 = 0;
/// Bytes of one answer.
const LONGEST_ANSWER: usize = 64 << 10;

/// Appends `[time, record]`.
///
/// # Errors
/// Where an event cannot be written so; nothing is appended then.
pub fn write_event(entry: &Entry, shape: &Shape, to: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
    let begin = to.len();
    let time = match entry {
        Entry::Flow(flow) => flow.time,
        Entry::Lost(lost) => lost.last.or(lost.first).unwrap_or_default(),
    };
    write_time(time, to);
    let event = shape.selection.event(entry, &shape.node);
    // The same names and values as in JSON.
    let mut serializer = rmp_serde::Serializer::new(&mut *to).with_struct_map().with_human_readable();
    event.serialize(&mut serializer).inspect_err(|_| to.truncate(begin))
}

/// An array of two, and the time in it. Writing to memory does not fail.
fn write_time(Time(nanoseconds): Time, to: &mut Vec<u8>) {
    let _ = rmp::encode::write_array_len(to, 2);
    let _ = rmp::encode::write_ext_meta(to, 8, EVENT_TIME);
    // Until 2106.
    let seconds = u32::try_from(nanoseconds / BILLION).unwrap_or(u32::MAX);
    let rest = u32::try_from(nanoseconds % BILLION).unwrap_or(0);
    to.extend_from_slice(&seconds.to_be_bytes());
    to.extend_from_slice(&rest.to_be_bytes());
}

/// Appends a batch in the protocol's forward mode: `[tag, [event...], options]`.
pub fn write_batch(tag: &str, events: &[u8], count: usize, chunk: Option<&str>, to: &mut Vec<u8>) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    // Writing to memory does not fail.
    let _ = rmp::encode::write_array_len(to, 3);
    let _ = rmp::encode::write_str(to, tag);
    let _ = rmp::encode::write_array_len(to, count);
    to.extend_from_slice(events);
    let _ = rmp::encode::write_map_len(to, if chunk.is_some() { 2 } else { 1 });
    let _ = rmp::encode::write_str(to, "size");
    let _ = rmp::encode::write_uint(to, count.into());
    if let Some(chunk) = chunk {
        let _ = rmp::encode::write_str(to, "chunk");
        let _ = rmp::encode::write_str(to, chunk);
    }
}

/// The receiver has a batch.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Ack {
    pub ack: String,
}

/// Text or bytes, as different receivers have it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Opaque;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text or bytes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Opaque, E> {
                Ok(Opaque(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Opaque, E> {
                Ok(Opaque(bytes.to_vec()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What came and was not understood yet.
#[derive(Debug, Default)]
pub struct Inbox(Vec<u8>);

impl Inbox {
    /// One answer.
    pub async fn read<T: DeserializeOwned>(
        &mut self,
        connection: &mut Connection,
        patience: Duration,
    ) -> Result<T, Fault> {
        let to = connection.to().clone();
        let broke = |error| Fault::Connection { to: to.clone(), error };
        let reading = async {
            loop {
                match self.take() {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) => {}
                    Err(what) => return Err(Fault::Protocol { to: to.clone(), what }),
                }
                if connection.read_buf(&mut self.0).await.map_err(broke)? == 0 {
                    return Err(Fault::HungUp(to.clone()));
                }
            }
        };
        let late = || Err(broke(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")));
        time::timeout(patience, reading).await.unwrap_or_else(|_| late())
    }

    /// None as long as it is not whole.
    fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        let mut reader = io::Cursor::new(self.0.as_slice());
        let read = T::deserialize(&mut rmp_serde::Deserializer::new(&mut reader));
        let end = usize::try_from(reader.position()).unwrap_or(usize::MAX);
        match read {
            Ok(answer) => {
                self.0.drain(..end.min(self.0.len()));
                Ok(Some(answer))
            }
            Err(
                rmp_serde::decode::Error::InvalidMarkerRead(error)
                | rmp_serde::decode::Error::InvalidDataRead(error),
            ) if error.kind() == io::ErrorKind::UnexpectedEof && self.0.len() < LONGEST_ANSWER => Ok(None),
            Err(error) => Err(format!("its answer is not one of the forward protocol: {error}")),
        }
    }

    #[cfg(test)]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    #[cfg(test)]
    pub fn take_for_test<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        self.take()
    }
}

/// How many batches these answers are about, for the fuzzer.
///
/// # Errors
/// What is no answer.
pub fn acks_in(bytes: &[u8]) -> Result<usize, String> {
    let mut inbox = Inbox(bytes.to_vec());
    let mut count = 0_usize;
    while inbox.take::<Ack>()?.is_some() {
        count = count.saturating_add(1);
    }
    Ok(count)
}
