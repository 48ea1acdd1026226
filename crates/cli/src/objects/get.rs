//! `ciliate get`: objects by kind and name.

use super::{
    kind::kind,
    view::{Objects, Scope, Shape},
};
use crate::{
    context::Context,
    exit::{Code, Failure},
    output::OutputArgs,
};
use ciliate_policy::Kind;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kinds, separated by commas (cnp, ccnp, netpol, ccg, ns, secret), or all; KIND/NAME for one object
    #[arg(value_name = "KIND[/NAME]", required = true)]
    what: Vec<String>,
    /// Namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Objects of every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What of the command line's words are kinds, and which names were asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub kinds: Vec<Kind>,
    /// Empty for all.
    pub names: Vec<(Kind, String)>,
}

/// Reads `cnp,netpol`, `all`, `cnp rule1 rule2` and `cnp/rule1 ns/demo`.
pub fn wanted(words: &[String]) -> Result<Wanted, Failure> {
    let usage = |message: String| Failure::new(Code::Usage, message);
    let (first, rest) = words.split_first().ok_or_else(|| usage("name a kind".to_owned()))?;
    if words.iter().any(|word| word.contains('/')) {
        let named = |word: &String| {
            let (text, name) = word
                .split_once('/')
                .ok_or_else(|| usage(format!("{word:?} has no kind: write all of them as KIND/NAME")))?;
            Ok((kind(text).map_err(usage)?, name.to_owned()))
        };
        let names = words.iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
        let mut kinds: Vec<Kind> = names.iter().map(|(kind, _)| *kind).collect();
        kinds.sort();
        kinds.dedup();
        return Ok(Wanted { kinds, names });
    }
    let kinds = match first.as_str() {
        "all" => Kind::ALL.to_vec(),
        list => list.split(',').map(kind).collect::<Result<Vec<_>, _>>().map_err(usage)?,
    };
    let names = kinds.iter().flat_map(|kind| rest.iter().map(|name| (*kind, name.clone()))).collect();
    Ok(Wanted { kinds, names })
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let wanted = wanted(&self.what)?;
        let client = context.client()?;
        let mut objects = Vec::new();
        for kind in &wanted.kinds {
            let mut found = client.objects(Some(&kind.to_string()))?;
            let named = |object: &ciliate_api::ObjectView| {
                wanted.names.is_empty()
                    || wanted.names.iter().any(|(k, name)| k == kind && *name == object.object.name)
            };
            let here = |object: &ciliate_api::ObjectView| {
                self.all_namespaces || object.object.namespace.as_ref().is_none_or(|n| *n == self.namespace)
            };
            found.retain(|object| named(object) && here(object));
            objects.extend(found);
        }
        let missing = wanted.names.iter().find(|(kind, name)| {
            !objects.iter().any(|o| o.object.kind == kind.to_string() && o.object.name == *name)
        });
        let empty = objects.is_empty();
        let view = Objects {
            objects,
            scope: if self.all_namespaces { Scope::AllNamespaces } else { Scope::OneNamespace },
            shape: if wanted.names.len() == 1 { Shape::Single } else { Shape::List },
            mixed: wanted.kinds.len() > 1,
        };
        let place = if self.all_namespaces {
            "any namespace".to_owned()
        } else {
            format!("namespace {:?}", self.namespace)
        };
        if let Some((kind, name)) = missing {
            if !empty {
                self.output.print(&context.page, &view)?;
            }
            let place = if kind.namespaced() { format!(" in {place}") } else { String::new() };
            return Err(Failure::new(Code::NotFound, format!("{kind} {name:?} was not found{place}")).into());
        }
        if empty && !self.output.is_data() {
            eprintln!("No objects found in {place}.");
            return Ok(());
        }
        self.output.print(&context.page, &view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_names_are_read_as_kubectl_does() {
        let read = |words: &[&str]| wanted(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let cnp = Kind::CiliumNetworkPolicy;
        assert_eq!(read(&["cnp"]).unwrap(), Wanted { kinds: vec![cnp], names: vec![] });
        assert_eq!(
            read(&["cnp", "a"]).unwrap(),
            Wanted { kinds: vec![cnp], names: vec![(cnp, "a".to_owned())] }
        );
        assert_eq!(read(&["cnp/a"]).unwrap(), read(&["cnp", "a"]).unwrap());
        assert_eq!(read(&["cnp,ns"]).unwrap().kinds, [cnp, Kind::Namespace]);
        assert_eq!(read(&["all"]).unwrap().kinds.len(), Kind::ALL.len());
        assert_eq!(read(&["pods"]).unwrap_err().code, Code::Usage);
        assert!(read(&["cnp/a", "b"]).is_err());
    }
}
