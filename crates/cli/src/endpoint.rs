//! `ciliate endpoint`: the network namespaces under policy.

mod change;
mod view;

use crate::{context::Context, output::OutputArgs};
use ciliate_api::{EndpointRef, EndpointRequest, EndpointState, NamedPort, NetnsRef, Publish};
use ciliate_types::{Label, source};
use std::{net::IpAddr, path::PathBuf};

pub use view::EndpointRow;
use view::{EndpointList, Found};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Put an existing network namespace under policy
    Add(Box<AddArgs>),
    /// List all endpoints
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show endpoints in full
    Get(GetArgs),
    /// Show or change the labels of an endpoint
    Labels(change::LabelsArgs),
    /// Show or change the options of an endpoint
    Config(change::ConfigArgs),
    /// Take endpoints out of policy and off the network
    Delete(DeleteArgs),
    /// Take one endpoint off the network: another name for `delete` of one, as in Cilium
    Disconnect(OneArgs),
    /// Show what happened to an endpoint
    Log(OneArgs),
    /// Show how an endpoint is
    Health(OneArgs),
}

/// What an endpoint is to be; shared by `endpoint add` and `run`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Wanted {
    /// Its name, unique in its namespace; others reach it by NAME, NAME.NAMESPACE and NAME.NAMESPACE.svc.cluster.local
    #[arg(long)]
    pub name: Option<String>,
    /// Namespace, as policies see it
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Label, [SOURCE:]KEY[=VALUE]; the source is k8s unless it is given. May be repeated
    #[arg(short, long = "label", value_name = "LABEL", value_parser = label)]
    pub labels: Vec<String>,
    /// Service account, as policies see it
    #[arg(long, value_name = "NAME")]
    pub service_account: Option<String>,
    /// Name a port for policies, such as http=8080/TCP. May be repeated
    #[arg(long = "port", value_name = "NAME=PORT[/PROTOCOL]")]
    pub ports: Vec<NamedPort>,
    /// Address to have, at most one of each family. May be repeated
    #[arg(long = "ip", value_name = "ADDRESS")]
    pub addresses: Vec<IpAddr>,
    /// Lead a port of the host to one of the endpoint. May be repeated
    #[arg(long = "publish", value_name = "[ADDRESS:]HOSTPORT:PORT[/PROTOCOL]")]
    pub publish: Vec<Publish>,
}

impl Wanted {
    pub fn request(self, netns: NetnsRef, interface: Option<String>) -> EndpointRequest {
        EndpointRequest {
            name: self.name,
            namespace: Some(self.namespace),
            service_account: self.service_account,
            labels: self.labels,
            netns,
            interface,
            addresses: self.addresses,
            ports: self.ports,
            publish: self.publish,
            container_id: None,
        }
    }
}

/// Checks a label and leaves it as it was written.
pub fn label(text: &str) -> Result<String, String> {
    Label::parse(text, source::K8S).map(|_| text.to_owned()).map_err(|e| e.to_string())
}

/// `65`, an address, `NAME`, `NAMESPACE/NAME` or `container-id:ID`.
pub fn endpoint(text: &str) -> Result<EndpointRef, std::convert::Infallible> {
    text.parse()
}

#[derive(Debug, clap::Args)]
pub struct AddArgs {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    place: Place,
    /// Name of the device inside
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    interface: String,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// File of the network namespace, such as /run/netns/foo
    #[arg(long, value_name = "FILE")]
    netns: Option<PathBuf>,
    /// A process in the network namespace
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only endpoints that have all of these labels
    #[arg(short = 'l', long = "label", value_name = "LABEL", value_parser = label)]
    labels: Vec<String>,
    /// Only endpoints in this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// Only endpoints in this state, such as ready
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// Number, address, NAME, NAMESPACE/NAME or container-id:ID
    #[arg(value_name = "ENDPOINT", value_parser = endpoint, required_unless_present = "labels")]
    endpoints: Vec<EndpointRef>,
    /// Those that have all of these labels
    #[arg(short = 'l', long = "label", value_name = "LABEL", value_parser = label)]
    labels: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// Number, address, NAME, NAMESPACE/NAME or container-id:ID
    #[arg(value_parser = endpoint)]
    endpoint: EndpointRef,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// Number, address, NAME, NAMESPACE/NAME or container-id:ID
    #[arg(value_name = "ENDPOINT", value_parser = endpoint, required_unless_present = "all")]
    endpoints: Vec<EndpointRef>,
    /// Every endpoint
    #[arg(long, conflicts_with = "endpoints")]
    all: bool,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Add(args) => add(context, *args),
            Self::List(args) => list(context, &args),
            Self::Get(args) => get(context, &args),
            Self::Labels(args) => args.run(context),
            Self::Config(args) => args.run(context),
            Self::Delete(args) => delete(context, args),
            Self::Disconnect(args) => {
                let gone = context.client()?.delete_endpoint(&args.endpoint)?;
                args.output.print(&context.page, &view::Gone(gone))
            }
            Self::Log(args) => {
                let log = context.client()?.endpoint_log(&args.endpoint)?;
                args.output.print(&context.page, &view::Log(log))
            }
            Self::Health(args) => {
                let health = context.client()?.endpoint_health(&args.endpoint)?;
                args.output.print(&context.page, &view::HealthView(health))
            }
        }
    }
}

fn add(context: &Context, args: AddArgs) -> anyhow::Result<()> {
    let netns = match (args.place.netns, args.place.pid) {
        (Some(path), _) => NetnsRef::Path(std::path::absolute(path)?),
        (None, Some(pid)) => NetnsRef::Pid(pid),
        (None, None) => anyhow::bail!("name the namespace with --netns FILE or --pid PID"),
    };
    let made = context.client()?.create_endpoint(&args.wanted.request(netns, Some(args.interface)))?;
    args.output.print(&context.page, &view::Made(made))
}

fn list(context: &Context, args: &ListArgs) -> anyhow::Result<()> {
    let mut endpoints = context.client()?.endpoints()?;
    let state = args.state.as_deref().map(parse_state).transpose()?;
    endpoints.retain(|e| {
        has_labels(e, &args.labels)
            && args.namespace.as_ref().is_none_or(|namespace| *namespace == e.namespace)
            && state.is_none_or(|state| state == e.state)
    });
    args.output.print(&context.page, &EndpointList(endpoints))
}

fn get(context: &Context, args: &GetArgs) -> anyhow::Result<()> {
    let client = context.client()?;
    let mut found = Vec::new();
    for endpoint in &args.endpoints {
        found.push(client.endpoint(endpoint)?);
    }
    if args.endpoints.is_empty() {
        found = client.endpoints()?;
        found.retain(|e| has_labels(e, &args.labels));
    }
    args.output.print(&context.page, &Found(found))
}

fn delete(context: &Context, args: DeleteArgs) -> anyhow::Result<()> {
    let client = context.client()?;
    let endpoints = match args.all {
        true => client.endpoints()?.into_iter().map(|e| e.id.into()).collect(),
        false => args.endpoints,
    };
    for endpoint in &endpoints {
        let gone = client.delete_endpoint(endpoint)?;
        OutputArgs::default().print(&context.page, &view::Gone(gone))?;
    }
    Ok(())
}

fn parse_state(text: &str) -> anyhow::Result<EndpointState> {
    let known = EndpointState::ALL.map(|state| state.to_string());
    EndpointState::ALL
        .into_iter()
        .find(|state| state.to_string() == text)
        .ok_or_else(|| anyhow::anyhow!("{text:?} is no state: write one of {}", known.join(", ")))
}

/// Whether it has each label; one without a source matches any source, one without a value any value.
fn has_labels(endpoint: &ciliate_api::Endpoint, wanted: &[String]) -> bool {
    wanted.iter().all(|text| {
        Label::parse(text, source::ANY).is_ok_and(|label| {
            let value = endpoint.labels.get(label.source(), label.key());
            value.is_some_and(|value| !text.contains('=') || value == label.value())
        })
    })
}
