//! Where a container's labels come from.
//!
//! Later ones win: those of the network configuration, of `args.cni.labels`, of the pod's annotation, of `CNI_ARGS`
//! (`LABEL.key=value`), of the environment variable `CILIATE_LABELS`.

use crate::{
    Code, Error,
    config::{Config, split},
    environment::{Environment, LABEL_PREFIX},
};
use ciliate_types::{Label, Labels, source};

/// All of them, each key once.
pub(crate) fn collect(config: &Config, environment: &Environment) -> Result<Vec<String>, Error> {
    let arguments = environment
        .arguments
        .iter()
        .filter_map(|(key, value)| Some(format!("{}={value}", key.strip_prefix(LABEL_PREFIX)?)));
    let all = config.labels.iter().cloned().chain(arguments).chain(split(&environment.labels));
    let labels: Labels = all
        .map(|text| Label::parse(&text, source::K8S))
        .collect::<Result<_, _>>()
        .map_err(|e| Error::new(Code::InvalidConfig, e.to_string(), ""))?;
    Ok(labels.iter().map(ToString::to_string).collect())
}
