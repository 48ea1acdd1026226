//! `ciliate proxy`: what looks at requests.

use crate::{
    context::Context,
    output::{OutputArgs, Page, Table, View},
    row,
    settings_flags::SettingsFlags,
};
use anyhow::Context as _;
use ciliate_api::settings::{Config, HeaderName, RejectCode, Switch};
use ciliate_dns::{CacheSettings, PendingSettings, Reply};
use ciliate_proxy::{
    Client, DnsSettings, Headers, Limits, Redaction, Settings, Shown,
    message::{Answer, ConnectionInfo, Request, Status},
};
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show how the proxy is and what it has decided
    Status(OutputArgs),
    /// List the connections that it carries
    #[command(visible_alias = "conns")]
    Connections(OutputArgs),
    /// Show the rules that it goes by
    Config(OutputArgs),
    /// The proxy itself, in the foreground; the agent starts it when a rule needs it
    #[command(hide = true)]
    Serve(SettingsFlags),
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Serve(settings) => serve(context, &settings),
            Self::Status(output) => match ask(context, &Request::Status)? {
                Answer::Status(status) => output.print(&context.page, &StatusView(status)),
                other => anyhow::bail!("the proxy answers {other:?}"),
            },
            Self::Connections(output) => match ask(context, &Request::Connections)? {
                Answer::Connections(all) => output.print(&context.page, &ConnectionsView(all)),
                other => anyhow::bail!("the proxy answers {other:?}"),
            },
            Self::Config(output) => match ask(context, &Request::Configuration)? {
                Answer::Configuration(known) => output.print(&context.page, &ConfigurationView::new(known)),
                other => anyhow::bail!("the proxy answers {other:?}"),
            },
        }
    }
}

pub fn ask(context: &Context, request: &Request) -> anyhow::Result<Answer> {
    let (_, config) = context.settings(&SettingsFlags::default())?;
    let socket = config.proxy_socket();
    let mut client = Client::connect(&socket).with_context(|| {
        format!(
            "the proxy does not run (socket {}): it starts with the first rule about requests",
            socket.display()
        )
    })?;
    Ok(client.ask(request)?)
}

fn serve(context: &Context, settings: &SettingsFlags) -> anyhow::Result<()> {
    let (_, config) = context.settings(settings)?;
    ciliate_agent::start_logging(&config);
    let workers = match config.proxy_workers.0 {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        given => usize::try_from(given)?,
    };
    let settings = Settings {
        bpf_root: config.bpf_root.clone(),
        state_dir: config.state_dir.clone(),
        socket: config.proxy_socket(),
        workers,
        limits: Limits {
            connections: usize::try_from(config.proxy_max_connections.0)?,
            connect: config.proxy_connect_timeout.0,
            idle: config.proxy_idle_timeout.0,
            drain: config.proxy_drain_timeout.0,
            ..Limits::default()
        },
        http: Default::default(),
        kafka: Default::default(),
        dns: dns_settings(&config)?,
        redaction: redaction(&config)?,
        accesses_per_second: config.proxy_access_rate_limit.0,
    };
    ciliate_proxy::guard(settings).context("the proxy did not start")
}

fn redaction(config: &Config) -> anyhow::Result<Redaction> {
    let names = |list: &[HeaderName]| list.iter().map(|name| name.0.clone()).collect();
    let shown = |redacted: Switch| match redacted {
        Switch::On => Shown::No,
        Switch::Off => Shown::Yes,
    };
    if config.redact_enabled == Switch::Off {
        return Ok(Redaction::default());
    }
    let headers = match (config.redact_headers_allow.as_slice(), config.redact_headers_deny.as_slice()) {
        ([], []) => Headers::None,
        (allow, []) => Headers::ValuesOf(names(allow)),
        ([], deny) => Headers::ValuesExcept(names(deny)),
        _ => anyhow::bail!(
            "hubble-redact-http-headers-allow and hubble-redact-http-headers-deny cannot both be given: \
             one names the headers to show, the other those to hide"
        ),
    };
    Ok(Redaction {
        query: shown(config.redact_query),
        user_info: shown(config.redact_user_info),
        api_key: shown(config.redact_kafka_key),
        headers,
    })
}

fn dns_settings(config: &Config) -> anyhow::Result<DnsSettings> {
    Ok(DnsSettings {
        cache: CacheSettings {
            min_ttl: config.tofqdns_min_ttl.0,
            max_ip_per_hostname: config.tofqdns_max_ips.0,
            idle_connection_grace_period: config.tofqdns_grace.0,
            max_deferred_connection_deletes: config.tofqdns_max_deferred.0,
            max_names: config.dns_cache_max_names.0,
            max_names_per_endpoint: config.dns_cache_max_endpoint_names.0,
            max_addresses: config.dns_cache_max_addresses.0,
        },
        pending: PendingSettings {
            max: config.dns_max_pending.0,
            max_per_client: config.dns_max_pending_per_client.0,
            timeout: config.dns_timeout.0,
            ..PendingSettings::default()
        },
        reject: match config.tofqdns_reject {
            RejectCode::Refused => Reply::Refused,
            RejectCode::NameError => Reply::NxDomain,
        },
        response_max_delay: config.tofqdns_max_delay.0,
        pre_cache: config.tofqdns_pre_cache.0.clone(),
        max_sockets: usize::try_from(config.dns_max_sockets.0)?,
        ..DnsSettings::default()
    })
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct StatusView(Status);

impl View for StatusView {
    fn text(&self, page: &Page) -> String {
        let status = &self.0;
        let mut table = Table::new(&["NAME", "VALUE"]);
        table.push(row!["Version", &status.version]);
        table.push(row!["Process", status.pid]);
        table.push(row!["Guardian", status.guardian.map_or_else(|| "-".to_owned(), |pid| pid.to_string())]);
        table.push(row!["Up", format!("{} s", status.uptime)]);
        table.push(row!["Workers", status.workers]);
        table.push(row!["Port", status.port]);
        table.push(row!["Revision", status.revision]);
        table.push(row!["Filters", status.filters]);
        table.push(row!["Connections", status.connections]);
        table.push(row!["Accepted", status.accepted]);
        table.push(row!["Requests forwarded", status.requests.forwarded]);
        table.push(row!["Requests denied", status.requests.denied]);
        table.push(row!["Requests audited", status.requests.audited]);
        table.push(row!["Requests refused", status.requests.refused]);
        table.push(row!["DNS queries", status.names.queries]);
        table.push(row!["DNS answers", status.names.answers]);
        table.push(row!["DNS under way", status.names.under_way]);
        table.push(row!["Names", status.names.names]);
        table.push(row!["Addresses", status.names.addresses]);
        table.push(row!["Addresses with an identity", status.names.selected]);
        table.push(row!["Addresses without their own", status.names.waiting]);
        for (name, count) in &status.faults {
            table.push(row![format!("Ended by {name}"), *count]);
        }
        table.push(row!["Accesses lost", status.lost_accesses]);
        table.render(page)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ConnectionsView(Vec<ConnectionInfo>);

impl View for ConnectionsView {
    fn text(&self, page: &Page) -> String {
        let mut table =
            Table::new(&["CLIENT", "IDENTITY", "SERVER", "IDENTITY", "PROTOCOL", "AGE", "REQUESTS"]);
        for one in &self.0 {
            table.push(row![
                one.client.to_string(),
                one.client_identity.get(),
                one.server.to_string(),
                one.server_identity.get(),
                format!("{:?}", one.protocol).to_lowercase(),
                format!("{} s", one.age),
                one.requests
            ]);
        }
        table.render(page)
    }
}

/// One rule of a filter a row.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ConfigurationView(ciliate_proxy::message::Configuration);

impl ConfigurationView {
    fn new(known: ciliate_proxy::message::Configuration) -> Self {
        Self(known)
    }
}

impl View for ConfigurationView {
    fn text(&self, page: &Page) -> String {
        let mut table = Table::new(&["FILTER", "RULE", "POLICY", "SECTION", "LETS THROUGH"]);
        for (digest, filter) in &self.0.filters {
            for rule in &filter.rules {
                let text = serde_json::to_string(&rule.l7).unwrap_or_default();
                table.push(row![String::from(*digest), rule.rule, &rule.policy, &rule.section, text]);
            }
        }
        table.render(page)
    }
}
