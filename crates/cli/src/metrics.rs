//! `ciliate metrics`: the agent's counters, read out of the Prometheus text format.

use crate::{
    context::Context,
    output::{Cell, OutputArgs, Page, Table, View, emit},
    row,
};
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all metrics
    #[command(visible_alias = "ls")]
    List {
        /// Only metrics whose name contains this. May be repeated
        #[arg(short = 'p', long, value_name = "TEXT")]
        match_pattern: Vec<String>,
        /// As the agent gives it to Prometheus
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self::List { match_pattern, raw, output } = self;
        let text = context.client()?.metrics()?;
        if raw {
            emit(&text)?;
            return Ok(());
        }
        let mut samples: Vec<Sample> = text.lines().filter_map(Sample::parse).collect();
        samples.retain(|s| match_pattern.is_empty() || match_pattern.iter().any(|p| s.name.contains(p)));
        output.print(&context.page, &Samples(samples))
    }
}

/// One line of the text format.
#[derive(Debug, PartialEq, Serialize)]
struct Sample {
    name: String,
    labels: Vec<String>,
    value: f64,
}

impl Sample {
    /// `None` for comments and lines that are no sample.
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }
}

/// `a="b",c="d"}` and what follows; values may hold escaped quotes.
fn labels(text: &str) -> Option<(Vec<String>, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (key, quoted) = rest.split_once("=\"")?;
        let mut escaped = false;
        let end = quoted.char_indices().find_map(|(at, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(at)
        })?;
        found.push(format!("{key}={}", quoted.get(..end)?));
        rest = quoted.get(end.checked_add(1)?..)?;
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Samples(Vec<Sample>);

impl View for Samples {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|s| row![&s.name, Cell::from(s.labels.join(" ")), s.value.to_string()]);
        Table::new(&["Metric", "Labels", "Value"]).wrap("Labels").rows(rows).render(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a b\n\
            cilium_drop_count_total{reason=\"Policy \\\"x\\\"\",direction=\"INGRESS\"} 7\n\
            up 1 1700000000\n# EOF\nbroken{a=\"\n";
        let samples: Vec<Sample> = text.lines().filter_map(Sample::parse).collect();
        let expected = r#"
Metric                    Labels                                  Value
cilium_drop_count_total   reason=Policy \"x\" direction=INGRESS   7
up                                                                1
"#;
        assert_eq!(Samples(samples).text(&Page::plain()), expected.trim_start());
    }
}
