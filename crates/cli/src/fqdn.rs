//! `ciliate fqdn`: names of servers, as the proxy knows them; it needs no agent.

use crate::{
    context::Context,
    output::{OutputArgs, Page, Table, View, emit},
    proxy::ask,
    row,
};
use ciliate_proxy::message::{Answer, CachedName, NameRules, Request};
use ciliate_types::NamePattern;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What names resolved to
    #[command(subcommand)]
    Cache(Cache),
    /// List the patterns that rules name, with the identities of their addresses
    Names(OutputArgs),
}

#[derive(Debug, clap::Subcommand)]
pub enum Cache {
    /// List names with their addresses
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Forget names: their addresses are no longer reachable by them
    Clean(CleanArgs),
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only names that this matches, such as `*.example.com`
    #[arg(long, short = 'p', value_name = "PATTERN")]
    matchpattern: Option<String>,
    /// Only what this endpoint asked for
    #[arg(long, short = 'e', value_name = "NUMBER")]
    endpoint: Option<u16>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub struct CleanArgs {
    /// Only names that this matches, such as `*.example.com`
    #[arg(long, short = 'p', value_name = "PATTERN")]
    matchpattern: Option<String>,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Cache(Cache::List(args)) => list(context, args),
            Self::Cache(Cache::Clean(args)) => {
                let which = args.matchpattern.as_deref().map(pattern).transpose()?;
                match ask(context, &Request::CleanNames(which))? {
                    Answer::Cleaned(count) => {
                        emit(&format!("{} forgotten\n", crate::output::count(count, "name")))
                            .map_err(Into::into)
                    }
                    other => anyhow::bail!("the proxy answers {other:?}"),
                }
            }
            Self::Names(output) => match ask(context, &Request::NamePatterns)? {
                Answer::NamePatterns(rules) => output.print(&context.page, &PatternsView::new(&rules)),
                other => anyhow::bail!("the proxy answers {other:?}"),
            },
        }
    }
}

fn pattern(text: &str) -> anyhow::Result<NamePattern> {
    Ok(match text.contains('*') {
        true => NamePattern::MatchPattern(text.parse()?),
        false => NamePattern::MatchName(text.parse()?),
    })
}

fn list(context: &Context, args: ListArgs) -> anyhow::Result<()> {
    let which = args.matchpattern.as_deref().map(pattern).transpose()?;
    let mut all = match ask(context, &Request::Names)? {
        Answer::Names(all) => all,
        other => anyhow::bail!("the proxy answers {other:?}"),
    };
    all.retain(|one| {
        which.as_ref().is_none_or(|pattern| pattern.matches(&one.name))
            && args.endpoint.is_none_or(|wanted| one.endpoint.is_some_and(|id| id.get() == wanted))
    });
    args.output.print(&context.page, &NamesView(all))
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct NamesView(Vec<CachedName>);

impl View for NamesView {
    fn text(&self, page: &Page) -> String {
        let mut table =
            Table::new(&["ENDPOINT", "SOURCE", "FQDN", "TTL", "EXPIRATION TIME", "IP", "IDENTITY"]);
        for one in &self.0 {
            let endpoint = one.endpoint.map_or_else(|| "-".to_owned(), |id| id.to_string());
            for address in &one.addresses {
                let expires = Timestamp::from_second(address.expires.into());
                table.push(row![
                    &endpoint,
                    &address.source,
                    &one.name,
                    address.ttl,
                    expires.map_or_else(|_| "-".to_owned(), |time| time.to_string()),
                    address.address.to_string(),
                    address.identity.map_or_else(|| "-".to_owned(), |identity| identity.to_string())
                ]);
            }
        }
        table.render(page)
    }
}

/// A pattern and the identities that an address gets whose name it matches.
#[derive(Debug, Serialize)]
struct PatternRow {
    pattern: String,
    identities: Vec<u32>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct PatternsView(Vec<PatternRow>);

impl PatternsView {
    fn new(rules: &NameRules) -> Self {
        let row = |pattern: &NamePattern| {
            let named = rules.identities.iter().filter(|named| named.set.patterns.contains(pattern));
            PatternRow {
                pattern: pattern.as_str().to_owned(),
                identities: named.map(|named| named.identity.get()).collect(),
            }
        };
        Self(rules.patterns.iter().map(row).collect())
    }
}

impl View for PatternsView {
    fn text(&self, page: &Page) -> String {
        let mut table = Table::new(&["PATTERN", "IDENTITIES"]);
        for one in &self.0 {
            let identities: Vec<String> = one.identities.iter().map(ToString::to_string).collect();
            table.push(row![&one.pattern, identities.join(" ")]);
        }
        table.render(page)
    }
}
