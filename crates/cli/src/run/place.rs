//! A network namespace with its endpoint, for as long as a command runs in it.

use crate::{context::Context, endpoint::Wanted, launched::Held};
use anyhow::Context as _;
use ciliate_api::{Client, ClientError, Endpoint, EndpointRef, NetnsRef};
use ciliate_net::{Launch, Netns, Running};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

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
        end_rest(&self.netns);
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

/// Ends what the command left running in its namespace: it has no network any more.
fn end_rest(netns: &Netns) {
    let Ok(ours) = netns.id() else { return };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let inside = fs::metadata(process.path().join("ns/net"))
            .is_ok_and(|at| (at.dev(), at.ino()) == (ours.dev, ours.ino));
        if inside {
            // It may end by itself at this moment.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
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
