//! The server that is asked: the agent on its socket, or one elsewhere over TCP or TLS.

mod tls;

use super::raw_filter::usage;
use crate::{
    context::Context,
    exit::{Code, Failure},
};
use anyhow::Context as _;
use ciliate_hubble::observer::observer_client::ObserverClient;
use ciliate_transport::{Address, AddressError, HostPort, connect};
use hyper_util::rt::TokioIo;
use std::{io, time::Duration};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// The agent's socket for flows, in its folder.
pub const SOCKET: &str = "hubble.sock";
/// Where a relay listens.
const RELAY_PORT: u16 = 4245;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServerFlags {
    /// Whom to ask: unix:///PATH, HOST:PORT or tls://HOST:PORT [default: the agent's socket]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "HUBBLE_SERVER",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub server: Option<String>,
    /// How long a connection may take to come up
    #[arg(long, value_name = "DURATION", default_value = "5s", env = "HUBBLE_TIMEOUT", value_parser = crate::progress::duration, help_heading = "Server")]
    pub timeout: Duration,
    /// How long an answer may take, apart from streams
    #[arg(long, value_name = "DURATION", default_value = "12s", value_parser = crate::progress::duration, help_heading = "Server")]
    pub request_timeout: Duration,
    #[command(flatten)]
    pub tls: tls::TlsFlags,
    /// Say on standard error what is asked of whom, and which nodes come and go
    #[arg(short = 'D', long, env = "HUBBLE_DEBUG", value_name = "true|false", num_args(0..=1), require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, action = clap::ArgAction::Set, help_heading = "Server")]
    pub debug: bool,
}

/// Whether what is said can be read on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secrecy {
    Plain,
    Tls,
}

/// A server that answered.
pub struct Server {
    pub address: Address,
    pub channel: Channel,
    pub request_timeout: Duration,
}

impl ServerFlags {
    fn address(&self, context: &Context) -> anyhow::Result<(Address, Secrecy)> {
        let Some(text) = self.server.as_deref().filter(|text| !text.is_empty()) else {
            return Ok((Address::Socket(context.socket()?.with_file_name(SOCKET)), Secrecy::Plain));
        };
        let (address, named) = read_address(text).map_err(|what| usage(format!("--server: {what}")))?;
        let secrecy = if self.tls.wanted() { Secrecy::Tls } else { named };
        match (&address, secrecy) {
            (Address::Socket(_), Secrecy::Tls) => Err(usage(format!(
                "--server: {address} is a socket of this machine: leave out the flags of TLS"
            ))),
            _ => Ok((address, secrecy)),
        }
    }

    /// Tells whoever looks for a mistake.
    pub fn note(&self, what: impl FnOnce() -> String) {
        if self.debug {
            eprintln!("debug: {}", what());
        }
    }

    pub async fn connect(&self, context: &Context) -> anyhow::Result<Server> {
        let (address, secrecy) = self.address(context)?;
        self.note(|| format!("connecting to {address}"));
        let connecting = async {
            let tls = match (&address, secrecy) {
                (Address::Tcp(HostPort { host, .. }), Secrecy::Tls) => Some(self.tls.client(host)?),
                (Address::Socket(_), _) | (_, Secrecy::Plain) => None,
            };
            let target = address.clone();
            let connector = tower::service_fn(move |_| {
                let (target, tls) = (target.clone(), tls.clone());
                async move {
                    let tls = tls.as_ref().map(|(tls, name)| (tls, name.as_str()));
                    Ok::<_, io::Error>(TokioIo::new(connect(&target, tls).await?))
                }
            });
            endpoint().connect_with_connector(connector).await.map_err(anyhow::Error::from)
        };
        let channel = match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(unreachable(&address, error)),
            Err(_) => {
                let message =
                    format!("{address} did not answer within {} s (--timeout)", self.timeout.as_secs());
                return Err(Failure::new(Code::TimedOut, message).into());
            }
        };
        Ok(Server { address, channel, request_timeout: self.request_timeout })
    }
}

impl Server {
    pub fn observer(&self) -> ObserverClient<Channel> {
        ObserverClient::new(self.channel.clone()).max_decoding_message_size(16 << 20)
    }

    /// What became of a question, with what to do about a failure.
    pub fn failed(&self, status: &Status) -> anyhow::Error {
        let code = match status.code() {
            tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => Code::PermissionDenied,
            tonic::Code::Unavailable => Code::NotRunning,
            tonic::Code::DeadlineExceeded => Code::TimedOut,
            tonic::Code::NotFound => Code::NotFound,
            tonic::Code::InvalidArgument => Code::Usage,
            _ => Code::Failure,
        };
        Failure::new(code, format!("{}: {}", self.address, status.message())).into()
    }

    /// Waits for an answer that is no stream.
    pub async fn answer<T>(
        &self,
        question: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> anyhow::Result<T> {
        match tokio::time::timeout(self.request_timeout, question).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => {
                let seconds = self.request_timeout.as_secs();
                let message =
                    format!("{} gave no answer within {seconds} s (--request-timeout)", self.address);
                Err(Failure::new(Code::TimedOut, message).into())
            }
        }
    }
}

/// The name that goes with requests; a path is none that HTTP/2 takes.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://hubble.local").http2_keep_alive_interval(Duration::from_secs(30))
}

fn unreachable(address: &Address, error: anyhow::Error) -> anyhow::Error {
    let Some(kind) = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
    else {
        return error.context(format!("cannot connect to {address}"));
    };
    let (code, hint) = match (address, kind) {
        (_, io::ErrorKind::PermissionDenied) => (
            Code::PermissionDenied,
            "permission denied: run as root, or join the group that owns the socket".to_owned(),
        ),
        (Address::Socket(_), io::ErrorKind::NotFound) => {
            (Code::NotRunning, "there is no such socket: start the agent with `ciliate up`, or name another server with --server".to_owned())
        }
        (Address::Socket(_), io::ErrorKind::ConnectionRefused) => {
            (Code::NotRunning, "nobody listens there any more: start the agent with `ciliate up`".to_owned())
        }
        _ => (Code::NotRunning, crate::exit::message(&error)),
    };
    Failure::new(code, format!("cannot connect to {address}: {hint}")).into()
}

fn read_address(text: &str) -> Result<(Address, Secrecy), AddressError> {
    let secrecy = if text.starts_with("tls://") { Secrecy::Tls } else { Secrecy::Plain };
    Ok((Address::parse(text, RELAY_PORT)?, secrecy))
}

/// Runs a question to a server, until it is answered or somebody presses Ctrl-C, which is no error.
pub fn run(question: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    run_whole(async {
        tokio::select! {
            done = question => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

/// The same for a question that minds Ctrl-C itself.
pub fn run_whole(question: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime for connections")?;
    runtime.block_on(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let tcp = |host: &str, port| Address::Tcp(HostPort { host: host.to_owned(), port });
        for (text, address, secrecy) in [
            ("unix:///run/x.sock", Address::Socket("/run/x.sock".into()), Secrecy::Plain),
            ("/run/x.sock", Address::Socket("/run/x.sock".into()), Secrecy::Plain),
            ("localhost:4245", tcp("localhost", 4245), Secrecy::Plain),
            ("relay", tcp("relay", 4245), Secrecy::Plain),
            ("tls://[::1]:80", tcp("::1", 80), Secrecy::Tls),
            ("tcp://10.0.0.1:1", tcp("10.0.0.1", 1), Secrecy::Plain),
        ] {
            assert_eq!(read_address(text), Ok((address, secrecy)), "{text}");
        }
    }
}
