//! `ciliate policy`: what the policies come to.

pub(crate) mod trace;
mod view;

use crate::{
    context::Context,
    objects,
    output::{OutputArgs, emit},
    progress::{Waiting, duration},
};
use ciliate_api::{DeleteRequest, ObjectAction, WaitRequest};
use std::{path::PathBuf, time::Duration};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the policies and their revision
    Get {
        /// Only those of this name
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Apply the policies of a file or directory
    Import {
        /// File or directory, - for standard input
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Namespace of objects that name none
        #[arg(short, long, default_value = "default")]
        namespace: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Delete policies by name
    Delete {
        #[arg(value_name = "NAME", required_unless_present = "all")]
        names: Vec<String>,
        /// Every policy
        #[arg(long, conflicts_with = "names")]
        all: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Say which rule decides, without sending a packet
    Trace(Box<trace::Args>),
    /// Check policies strictly and change nothing; needs no agent
    Validate(objects::validate::Args),
    /// List the selectors in use and whom they select
    Selectors(OutputArgs),
    /// Wait until every endpoint enforces a revision
    Wait {
        revision: u64,
        /// How long to wait
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
        timeout: Duration,
    },
}

/// Kinds that are policies, among those that can be applied.
const POLICY_KINDS: [&str; 3] = ["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy"];

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Get { names, output } => {
                let client = context.client()?;
                let mut policies = client.objects(None)?;
                policies.retain(|p| POLICY_KINDS.contains(&p.object.kind.as_str()));
                policies.retain(|p| names.is_empty() || names.contains(&p.object.name));
                let revision = client.status()?.policy_revision;
                let raw = policies.into_iter().map(|policy| policy.raw).collect();
                output.print(&context.page, &view::Policies { policies: raw, revision })
            }
            Self::Import { files, namespace, output } => {
                objects::apply::apply(context, &files, objects::source::Depth::Folder, &namespace, &output)
            }
            Self::Delete { names, all, output } => delete(context, &names, all, &output),
            Self::Trace(args) => args.run(context),
            Self::Validate(args) => args.run(context),
            Self::Selectors(output) => {
                output.print(&context.page, &view::Selectors(context.client()?.selectors()?))
            }
            Self::Wait { revision, timeout } => {
                let waiting = Waiting::new("waiting for the endpoints");
                waiting.tick(&format!("revision {revision}"));
                let request = WaitRequest { revision, timeout_seconds: timeout.as_secs() };
                let reached = context.client()?.wait_for_policy(&request)?;
                drop(waiting);
                emit(&format!("Revision {} is enforced everywhere\n", reached.revision))?;
                Ok(())
            }
        }
    }
}

fn delete(context: &Context, names: &[String], all: bool, output: &OutputArgs) -> anyhow::Result<()> {
    let client = context.client()?;
    let mut request = DeleteRequest::default();
    for policy in client.objects(None)? {
        let is_policy = POLICY_KINDS.contains(&policy.object.kind.as_str());
        if is_policy && (all || names.contains(&policy.object.name)) {
            request.objects.push(policy.object);
        }
    }
    let missing: Vec<&String> =
        names.iter().filter(|name| !request.objects.iter().any(|o| o.name == **name)).collect();
    if let Some(name) = missing.first() {
        return Err(crate::exit::Failure::new(
            crate::exit::Code::NotFound,
            format!("there is no policy named {name:?}: `ciliate get cnp,ccnp,netpol -A` lists them"),
        )
        .into());
    }
    let mut result = client.delete_objects(&request)?;
    result.results.retain(|r| r.action != ObjectAction::Absent);
    output.print(&context.page, &objects::view::Results(result))
}
