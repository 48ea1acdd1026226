//! The streams that are open at the server.

use super::block::{Block, Grpc};
use crate::h1::Response;

/// A request that was allowed.
#[derive(Debug)]
pub(super) struct Stream<T> {
    pub id: u32,
    /// Until somebody was told of the response: when it begins, or when a call of gRPC ends.
    pub token: Option<T>,
    /// Of the response, once it has begun.
    pub status: Option<u16>,
    /// For judging it again.
    pub block: Block,
    pub client: Half,
    pub server: Half,
    /// What is left of the length that the client announced.
    pub length: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Open,
    Ended,
}

/// What has to be known of a stream that was taken away, to end it properly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swept {
    pub id: u32,
    pub grpc: Grpc,
    /// The client has the head of a response.
    pub begun: bool,
    pub client: Half,
    pub server: Half,
}

/// Streams in the order of their numbers.
#[derive(Debug)]
pub(super) struct Streams<T> {
    open: Vec<Stream<T>>,
    /// The highest number that the client has used.
    pub newest: u32,
    /// Responses of streams that ended before anybody was told of them.
    pub untold: Vec<Response<T>>,
    /// Blocks to be used again.
    spare: Vec<Block>,
}

/// More blocks than these are given back.
const SPARE: usize = 8;

/// What a number of a stream means.
#[derive(Debug)]
pub(super) enum Place<'a, T> {
    Open(&'a mut Stream<T>),
    /// It was closed, or denied, or never used and passed over.
    Closed,
    /// It has not been used yet, or never can be.
    Idle,
}

impl<T> Streams<T> {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), newest: 0, untold: Vec::new(), spare: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn place(&mut self, id: u32) -> Place<'_, T> {
        if id > self.newest || id & 1 == 0 {
            return Place::Idle;
        }
        match self.open.binary_search_by_key(&id, |stream| stream.id) {
            Ok(at) => self.open.get_mut(at).map_or(Place::Closed, Place::Open),
            Err(_) => Place::Closed,
        }
    }

    /// `stream` is newer than all others.
    pub(super) fn add(&mut self, stream: Stream<T>) {
        self.open.push(stream);
    }

    pub(super) fn remove(&mut self, id: u32) {
        if let Ok(at) = self.open.binary_search_by_key(&id, |stream| stream.id) {
            let stream = self.open.remove(at);
            if let (Some(token), Some(status)) = (stream.token, stream.status) {
                self.untold.push(Response { token, status, grpc_status: None });
            }
            self.keep(stream.block);
        }
    }

    /// Takes away every stream that is not to stay.
    pub(super) fn sweep(&mut self, mut stays: impl FnMut(&Stream<T>) -> bool) -> Vec<Swept> {
        let swept = |stream: &Stream<T>| Swept {
            id: stream.id,
            grpc: stream.block.grpc(),
            begun: stream.status.is_some(),
            client: stream.client,
            server: stream.server,
        };
        let gone: Vec<Swept> = self.open.iter().filter(|stream| !stays(stream)).map(swept).collect();
        gone.iter().for_each(|stream| self.remove(stream.id));
        gone
    }

    pub(super) fn spare(&mut self) -> Block {
        self.spare.pop().unwrap_or_default()
    }

    fn keep(&mut self, mut block: Block) {
        if self.spare.len() < SPARE {
            block.clear();
            self.spare.push(block);
        }
    }
}
