//! `ciliate validate`: strict checks without an agent.

use super::{
    source::{self, Depth, Source},
    view,
};
use crate::{
    context::Context,
    exit::{Code, Failure},
    output::OutputArgs,
};
use ciliate_api::{ApplyResult, ObjectAction, ObjectRef, ObjectResult};
use ciliate_policy::{InputError, Object, Parsed};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// File, directory, or - for standard input. May be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE", required_unless_present = "plain")]
    files: Vec<PathBuf>,
    #[arg(value_name = "FILE", hide = true)]
    plain: Vec<PathBuf>,
    /// Also directories below directories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// What an unknown field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A mistake.
    Validate,
    /// A warning, as `apply` has it.
    Apply,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let files = [self.files, self.plain].concat();
        let sources = source::read(&files, Depth::when(self.recursive))?;
        check(context, &sources, &self.namespace, Strictness::Validate, &self.output)
    }
}

/// Prints each object that is valid, or fails with every mistake of every source.
pub fn check(
    context: &Context,
    sources: &[Source],
    namespace: &str,
    strictness: Strictness,
    output: &OutputArgs,
) -> anyhow::Result<()> {
    let parsed = parse_all(sources, namespace)?;
    let warnings: Vec<InputError> = parsed.iter().flat_map(|p| p.warnings.clone()).collect();
    if strictness == Strictness::Validate && !warnings.is_empty() {
        return Err(mistakes(&warnings));
    }
    for warning in &warnings {
        eprintln!("Warning: {warning}");
    }
    let result = |p: &Parsed| ObjectResult {
        object: reference(&p.object),
        action: ObjectAction::Valid,
        warnings: p.warnings.iter().map(ToString::to_string).collect(),
    };
    let results = parsed.iter().map(result).collect();
    output.print(&context.page, &view::Results(ApplyResult { results, revision: 0 }))
}

/// Reads all sources; the error names every mistake.
pub fn parse_all(sources: &[Source], namespace: &str) -> anyhow::Result<Vec<Parsed>> {
    let mut parsed = Vec::new();
    let mut errors = Vec::new();
    for source in sources {
        match ciliate_policy::parse(&source.text, &source.origin, namespace) {
            Ok(objects) => parsed.extend(objects),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(parsed) } else { Err(mistakes(&errors)) }
}

fn mistakes(errors: &[InputError]) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(|e| format!("  {e}")).collect();
    let what = if errors.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", errors.len()) };
    Failure::new(Code::Failure, format!("{what} in the input, nothing has changed:\n{}", lines.join("\n")))
        .into()
}

fn reference(object: &Object) -> ObjectRef {
    ObjectRef {
        kind: object.kind().to_string(),
        namespace: object.namespace().map(str::to_owned),
        name: object.name().to_owned(),
    }
}
