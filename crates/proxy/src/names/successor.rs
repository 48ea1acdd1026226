//! The process that keeps the names after this one: what answers to earlier questions still tell goes there.

use super::{LearnError, Learned};
use crate::{
    Client,
    message::{Answer, Request},
};
use ciliate_dns::{Name, Resolution};
use ciliate_types::EndpointId;
use std::{
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long it may take until it listens.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Successor {
    /// Leads to ourselves until the successor is ready.
    socket: PathBuf,
    client: Mutex<Option<Client>>,
}

impl Successor {
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, client: Mutex::default() }
    }

    /// Afterwards the kernel has every address.
    pub fn learn(
        &self,
        endpoint: Option<EndpointId>,
        name: &Name,
        found: &[Resolution],
    ) -> Result<Learned, LearnError> {
        let text = name.to_string();
        if Name::from_text(&text).as_ref() != Some(name) {
            // Bytes that cannot be written: whoever asked may ask again.
            return Err(LearnError::HandedOver);
        }
        let addresses = found.iter().map(|one| (one.address, one.ttl)).collect();
        let request = Request::Learned { endpoint, name: text, addresses };
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        loop {
            match self.tell(&mut client, &request) {
                Ok(Answer::Done) => return Ok(Learned::Settled),
                Ok(_) => return Err(LearnError::HandedOver),
                Err(error) if start.elapsed() > PATIENCE => {
                    tracing::debug!(%error, %name, "the successor does not take a name");
                    return Err(LearnError::HandedOver);
                }
                Err(_) => *client = None,
            }
            thread::sleep(LOOK);
        }
    }

    fn tell(&self, client: &mut Option<Client>, request: &Request) -> io::Result<Answer> {
        let client = match client {
            Some(client) => client,
            None => client.insert(Client::connect_within(&self.socket, PATIENCE)?),
        };
        client.ask(request)
    }
}
