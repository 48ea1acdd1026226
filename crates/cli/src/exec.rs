//! `ciliate exec`: a command inside an endpoint that is there.

use crate::{context::Context, endpoint::endpoint, run::variable};
use anyhow::Context as _;
use ciliate_api::EndpointRef;
use ciliate_net::{Launch, Netns};
use std::{ffi::OsString, path::PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number, address, NAME, NAMESPACE/NAME or container-id:ID
    #[arg(value_parser = endpoint)]
    endpoint: EndpointRef,
    /// Namespace of a NAME
    #[arg(short, long)]
    namespace: Option<String>,
    /// Set a variable of the environment, NAME=VALUE. May be repeated
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// Folder to start in
    #[arg(short = 'w', long = "workdir", value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Args {
    /// The exit code of the command, or one of `exec`'s own.
    pub fn run(self, context: &Context) -> anyhow::Result<u8> {
        let wanted = match (self.endpoint, self.namespace) {
            (EndpointRef::Name { name, .. }, Some(namespace)) => EndpointRef::Name { namespace, name },
            (other, _) => other,
        };
        let endpoint = context.client()?.endpoint(&wanted)?;
        let path = endpoint.device.netns.as_ref().with_context(|| {
            format!(
                "endpoint {} was given by a process, its namespace has no file: use `nsenter`",
                endpoint.id
            )
        })?;
        let mut launch = Launch::new(Netns::open(path)?, self.command.first().cloned().unwrap_or_default())
            .hosts(&endpoint.network.hosts_file);
        launch.arguments = self.command.into_iter().skip(1).collect();
        launch.directory = self.directory;
        launch.hostname = Some(endpoint.name);
        launch.environment = self.environment.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Ok(launch.start()?.wait()?)
    }
}
