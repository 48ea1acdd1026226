//! `ciliate relay`: one server for the flows of many nodes.

mod flags;

use crate::{context::Context, settings_flags::SettingsFlags};
use anyhow::Context as _;
use ciliate_transport::{Limits, accept};
use flags::ServeFlags;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The relay itself, in the foreground: asks nodes for their flows and answers as one
    #[command(after_help = "\
One relay for three nodes with certificates, and asking it:
  ciliate relay serve --listen-address :4245 --peers-file /etc/ciliate/peers.yaml \\
    --tls-hubble-server-ca-files ca.pem --tls-hubble-client-cert-file relay.pem --tls-hubble-client-key-file relay.key \\
    --tls-relay-server-cert-file relay.pem --tls-relay-server-key-file relay.key --tls-relay-client-ca-files ca.pem
  ciliate observe --server tls://relay.example:4245 --tls-ca-cert-files ca.pem \\
    --tls-client-cert-file me.pem --tls-client-key-file me.key --follow
See docs/relay.md.")]
    Serve(Box<ServeFlags>),
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Serve(flags) => serve(&flags, context),
        }
    }
}

fn serve(flags: &ServeFlags, context: &Context) -> anyhow::Result<()> {
    let (_, config) = context.settings(&SettingsFlags::default())?;
    ciliate_agent::start_logging(&config);
    let settings = flags.settings(&config)?;
    let door = flags.door(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let end = ending()?;
        tracing::info!("listening on {}", door.address());
        let limits = Limits { clients: flags.max_clients, ..Limits::default() };
        let incoming = accept([door.listener()?], limits);
        ciliate_relay::serve(settings, incoming, end).await;
        tracing::info!("ended");
        Ok(())
    })
}

/// Comes with a signal that means the end.
fn ending() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
