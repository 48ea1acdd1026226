//! The text that Prometheus reads, in its own format and in that of OpenMetrics.

use super::instrument::{EXEMPLAR_LABEL, Exemplar};
use std::fmt::{Display, Write as _};

/// How a scrape wants its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4; it has no exemplars.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header asks for: OpenMetrics if it is named at all, as Prometheus names it first if it can read it.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let named = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            parts.next() == Some("application/openmetrics-text") && !parts.any(|part| part == "q=0")
        };
        match header.split(',').any(named) {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whose value a line shows.
pub struct Sample<'a> {
    pub name: &'a str,
    pub labels: &'a [&'static str],
    /// As many as labels.
    pub values: &'a [&'a str],
}

/// The text of a scrape.
pub struct Text {
    format: Format,
    text: String,
}

impl Text {
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Begins a metric; `name` is that of its samples.
    pub fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let name = match (self.format, kind) {
            (Format::OpenMetrics, "counter") => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One value; `more` labels come behind those of the series.
    pub fn sample(
        &mut self,
        sample: &Sample<'_>,
        suffix: &str,
        more: &[(&str, &str)],
        value: impl Display,
        exemplar: Option<&Exemplar>,
    ) {
        self.text.push_str(sample.name);
        self.text.push_str(suffix);
        let labels = sample.labels.iter().copied().zip(sample.values.iter().copied());
        let mut before = '{';
        for (name, value) in labels.chain(more.iter().copied()) {
            self.text.push(before);
            before = ',';
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
        if let (Format::OpenMetrics, Some(Exemplar { trace_id, value, time })) = (self.format, exemplar) {
            self.text.push_str(" # {");
            self.text.push_str(EXEMPLAR_LABEL);
            self.text.push_str("=\"");
            self.escaped(trace_id);
            self.line(format_args!("\"}} {value} {time:.3}"));
        }
        self.text.push('\n');
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(text);
    }

    fn escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_gets_what_it_asks_for() {
        for (header, format) in [
            ("", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            ("text/plain, application/openmetrics-text;q=0", Format::Text),
        ] {
            assert_eq!(Format::accepted(header), format, "{header}");
        }
    }

    #[test]
    fn values_are_escaped() {
        let mut text = Text::new(Format::Text);
        let sample = Sample { name: "x", labels: &["a", "b"], values: &["\"\\", "1\n2"] };
        text.sample(&sample, "", &[], 1, None);
        assert_eq!(text.finish(), "x{a=\"\\\"\\\\\",b=\"1\\n2\"} 1\n");
    }
}
