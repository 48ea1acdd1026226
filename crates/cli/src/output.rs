//! One model to a table, JSON, YAML or whatever a JSONPath picks of it.

mod jsonpath;
mod page;
mod table;

pub use page::{ColourChoice, Detail, Page, Tone};
pub use table::{Cell, IntoCell, Table};

use anyhow::Context as _;
use serde::Serialize;
use std::{
    io::{self, Write},
    str::FromStr,
};

/// A model that people can read too.
pub trait View: Serialize {
    /// The same for people, each line ended.
    fn text(&self, page: &Page) -> String;

    /// For `-o name`: `kind/name` of each thing, where things have names.
    fn names(&self) -> Option<Vec<String>> {
        None
    }
}

/// `-o`
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    #[default]
    Table,
    /// The table with what it leaves out.
    Wide,
    Json,
    Yaml,
    JsonPath(jsonpath::Template),
    /// Kind and name only.
    Name,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let template = text.strip_prefix("jsonpath=").or_else(|| text.strip_prefix("jsonpath:"));
        match (text, template) {
            (_, Some(template)) => {
                jsonpath::Template::parse(template).map(Self::JsonPath).map_err(|e| e.to_string())
            }
            ("table" | "text", None) => Ok(Self::Table),
            ("wide", None) => Ok(Self::Wide),
            ("json", None) => Ok(Self::Json),
            ("yaml", None) => Ok(Self::Yaml),
            ("name", None) => Ok(Self::Name),
            ("jsonpath", None) => Err("jsonpath needs a template, as in jsonpath='{[*].id}'".to_owned()),
            (other, None) => Err(format!(
                "{other:?} is no format: write table, wide, json, yaml, name or jsonpath=TEMPLATE"
            )),
        }
    }
}

/// How a verb prints what it found.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// table, wide, json, yaml, name or jsonpath=TEMPLATE
    #[arg(short, long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    pub output: Format,
    /// Leave out the line with the titles
    #[arg(long)]
    pub no_headers: bool,
}

impl OutputArgs {
    /// Prints a model in the format that was asked for.
    pub fn print<V: View>(&self, page: &Page, model: &V) -> anyhow::Result<()> {
        let page = Page { headers: page.headers && !self.no_headers, ..*page };
        match &self.output {
            Format::Table => emit(&model.text(&page))?,
            Format::Wide => emit(&model.text(&Page { detail: Detail::Wide, ..page }))?,
            Format::Name => {
                let names = model.names().context("there are no names to print here: leave out `-o name`")?;
                emit(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
            }
            Format::Json | Format::Yaml | Format::JsonPath(_) => self.print_data(model)?,
        }
        Ok(())
    }

    /// Whether programs read the answer.
    pub fn is_data(&self) -> bool {
        matches!(self.output, Format::Json | Format::Yaml | Format::JsonPath(_))
    }

    /// Prints a model that has no form for people but JSON.
    pub fn print_data<T: Serialize>(&self, model: &T) -> anyhow::Result<()> {
        match &self.output {
            Format::Yaml => emit(&yaml(model)?)?,
            Format::JsonPath(template) => {
                let value = serde_json::to_value(model).context("the answer cannot be written as JSON")?;
                let mut text = template.render(&value)?;
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                emit(&text)?;
            }
            Format::Json | Format::Table | Format::Wide | Format::Name => emit(&json(model)?)?,
        }
        Ok(())
    }
}

/// Indented, with a line end.
pub fn json<T: Serialize>(model: &T) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(model).context("the answer cannot be written as JSON")?;
    text.push('\n');
    Ok(text)
}

/// In Kubernetes' customary indentation.
pub fn yaml<T: Serialize>(model: &T) -> anyhow::Result<String> {
    let value = serde_json::to_value(model).context("the answer cannot be written as YAML")?;
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&value, options).context("the answer cannot be written as YAML")
}

/// Writes to standard output. A closed pipe is an error of its kind, which [`crate::run`] turns into a quiet end.
pub fn emit(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// `n things`, with the plural of regular words.
pub fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_are_read() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("table".parse(), Ok(Format::Table));
        assert!(matches!("jsonpath={.a}".parse(), Ok(Format::JsonPath(_))));
        assert!("jsonpath".parse::<Format>().is_err_and(|e| e.contains("needs a template")));
        assert!("xml".parse::<Format>().is_err_and(|e| e.contains("table, wide, json")));
    }

    /// Strings that YAML would read as something else stay strings.
    #[test]
    fn yaml_keeps_types() {
        let model =
            json!({"a": "yes", "b": "0755", "c": [{"name": "x", "port": 80}], "d": {}, "e": "80", "f": null});
        let expected = "a: \"yes\"\nb: \"0755\"\nc:\n- name: x\n  port: 80\nd: {}\ne: \"80\"\nf: null\n";
        assert_eq!(yaml(&model).unwrap(), expected);
        let back: serde_json::Value = serde_saphyr::from_str(expected).unwrap();
        assert_eq!(back, model);
    }
}
