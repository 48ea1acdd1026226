//! A network namespace with its endpoint, for as long as a command runs in it.

use crate::{context::Context, endpoint::Wanted, launched::Held};
use anyhow::Context as _;
use ciliate_api::{Client, ClientError, Endpoint, EndpointRef, NetnsRef};
use ciliate_net::{Launch, Netns, Running};
use std::path::Path;

pub struct Place {
    client: Client,
    held: Option<Held>,
    pub netns: Netns,
    pub endpoint: Endpoint,
}

impl Place {
    /// Makes both or nothing.
    pub fn make(context: &Context, wanted: Wanted) -> anyhow::Result<Self> {
        let client = context.client()?;
        // An agent that does not run is a better answer than a namespace that cannot be made.
        client.status()?;
        let socket = context.socket()?;
        let run_dir = socket.parent().unwrap_or(Path::new("/"));
        let name = wanted.name.clone().unwrap_or_default();
        let held = Held::take(run_dir, &wanted.namespace, &name)?;
        let path = held.netns();
        if path.exists() {
            // Left by a watcher that was killed, together with its endpoint.
            let stale = EndpointRef::Name { namespace: wanted.namespace.clone(), name };
            remove_endpoint(&client, &stale)?;
            Netns::delete(&path)?;
        }
        let made = Netns::create(&path).map_err(anyhow::Error::from).and_then(|netns| {
            let request = wanted.request(NetnsRef::Path(path.clone()), None);
            Ok((netns, client.create_endpoint(&request)?))
        });
        match made {
            Ok((netns, endpoint)) => Ok(Self { client, held: Some(held), netns, endpoint }),
            Err(error) => {
                Netns::delete(&path)?;
                held.remove()?;
                Err(error)
            }
        }
    }

    pub fn start(&mut self, launch: Launch) -> anyhow::Result<Running> {
        let running = launch.start()?;
        if let Some(held) = &mut self.held {
            held.note(running.pid()).context("cannot note the command's process")?;
        }
        Ok(running)
    }

    /// Removes endpoint, namespace and folder, whatever of them is still there.
    pub fn clear(mut self) -> anyhow::Result<()> {
        self.clear_once()
    }

    fn clear_once(&mut self) -> anyhow::Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let removed = remove_endpoint(&self.client, &self.endpoint.id.into());
        Netns::delete(&held.netns())?;
        held.remove().context("cannot remove the folder of the command")?;
        removed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = self.clear_once() {
            eprintln!("Warning: {error:#}");
        }
    }
}

/// Also fine when it is gone already, or the agent with it.
fn remove_endpoint(client: &Client, endpoint: &EndpointRef) -> anyhow::Result<()> {
    match client.delete_endpoint(endpoint) {
        Ok(_) | Err(ClientError::Connect { .. }) => Ok(()),
        Err(ClientError::Refused(refused)) if refused.status == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
