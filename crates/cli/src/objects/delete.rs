//! `ciliate delete`: objects by name or by the files they came from.

use super::{
    apply, get,
    source::{self, Depth},
    view,
};
use crate::{
    context::Context,
    exit::{Code, Failure},
    output::OutputArgs,
};
use ciliate_api::{DeleteRequest, ObjectAction, ObjectRef};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kind and names: cnp rule1 rule2, or cnp/rule1 netpol/web
    #[arg(value_name = "KIND[/NAME]", required_unless_present = "files", conflicts_with = "files")]
    what: Vec<String>,
    /// The objects of a file, directory, or - for standard input. May be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also directories below directories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Every object of the kinds, in every namespace
    #[arg(long, conflicts_with = "files")]
    all: bool,
    /// What does not exist is no mistake
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let request = self.request()?;
        let mut result = context.client()?.delete_objects(&request)?;
        let absent: Vec<ObjectRef> = result
            .results
            .iter()
            .filter(|r| r.action == ObjectAction::Absent)
            .map(|r| r.object.clone())
            .collect();
        result.results.retain(|r| r.action != ObjectAction::Absent);
        for warning in result.results.iter().flat_map(|result| &result.warnings) {
            eprintln!("Warning: {warning}");
        }
        self.output.print(&context.page, &view::Results(result))?;
        if absent.is_empty() || self.ignore_not_found {
            return Ok(());
        }
        let names: Vec<String> = absent.iter().map(ToString::to_string).collect();
        Err(Failure::new(Code::NotFound, format!("not found: {}", names.join(", "))).into())
    }

    fn request(&self) -> anyhow::Result<DeleteRequest> {
        let mut request = DeleteRequest::default();
        if !self.files.is_empty() {
            let sources = source::read(&self.files, Depth::when(self.recursive))?;
            request.text = Some(apply::request(&sources, &self.namespace)?);
            return Ok(request);
        }
        let wanted = get::wanted(&self.what)?;
        if self.all {
            if !wanted.names.is_empty() {
                return Err(Failure::new(Code::Usage, "--all goes with kinds, not with names").into());
            }
            request.all_of_kinds = wanted.kinds.iter().map(ToString::to_string).collect();
            return Ok(request);
        }
        if wanted.names.is_empty() {
            return Err(Failure::new(Code::Usage, "name the objects to delete, or say --all").into());
        }
        let object = |(kind, name): &(ciliate_policy::Kind, String)| ObjectRef {
            kind: kind.to_string(),
            namespace: kind.namespaced().then(|| self.namespace.clone()),
            name: name.clone(),
        };
        request.objects = wanted.names.iter().map(object).collect();
        Ok(request)
    }
}
