//! `ciliate hubble status`: whether a server answers, and how full it is.

use crate::{
    context::Context,
    exit::{Code, Failure},
    observe::{
        print::{Format, FormatFlags, Hosts, Printer},
        server::{self, ServerFlags},
    },
    output::emit,
};
use ciliate_hubble::observer::ServerStatusRequest;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value = "compact", hide_default_value = true)]
    output: Format,
    #[command(flatten)]
    server: ServerFlags,
}

/// What is asked for its health.
const SERVICE: &str = "observer.Observer";

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        server::run(async {
            let server = self.server.connect(context).await?;
            let mut health = HealthClient::new(server.channel.clone());
            let question = health.check(HealthCheckRequest { service: SERVICE.to_owned() });
            let state = server.answer(question).await?.status();
            let well = state == ServingStatus::Serving;
            if self.output == Format::Compact {
                let word =
                    if well { "Ok".to_owned() } else { format!("Unavailable: {}", state.as_str_name()) };
                emit(&format!("Healthcheck (via {}): {word}\n", server.address))?;
            }
            if !well {
                let message = format!("{} does not serve flows: {}", server.address, state.as_str_name());
                return Err(Failure::new(Code::Failure, message).into());
            }
            let mut observer = server.observer();
            let status = server.answer(observer.server_status(ServerStatusRequest {})).await?;
            let flags = FormatFlags {
                output: self.output,
                print_node_name: false,
                print_policy_names: false,
                time_format: Default::default(),
            };
            emit(&Printer::new(flags, Hosts::Named, &context.page).server_status(&status)?)?;
            Ok(())
        })
    }
}
