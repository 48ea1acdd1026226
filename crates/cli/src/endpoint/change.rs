//! `ciliate endpoint labels` and `config`: what may change about an endpoint that is there.

use super::{endpoint, label};
use crate::{
    context::Context,
    output::{OutputArgs, Page, Table, View},
    row,
};
use anyhow::bail;
use ciliate_api::{AuditMode, Endpoint, EndpointPatch, EndpointRef};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct LabelsArgs {
    /// Number, address, NAME, NAMESPACE/NAME or container-id:ID
    #[arg(value_parser = endpoint)]
    endpoint: EndpointRef,
    /// Add a label; one with the same source and key gives way. May be repeated
    #[arg(short, long, value_name = "LABEL", value_parser = label)]
    add: Vec<String>,
    /// Take a label away, [SOURCE:]KEY. May be repeated
    #[arg(short, long, value_name = "LABEL", value_parser = label)]
    delete: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl LabelsArgs {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let endpoint = match self.add.is_empty() && self.delete.is_empty() {
            true => client.endpoint(&self.endpoint)?,
            false => {
                let patch = EndpointPatch { add_labels: self.add, delete_labels: self.delete, audit: None };
                client.patch_endpoint(&self.endpoint, &patch)?
            }
        };
        self.output.print(&context.page, &LabelsView::of(&endpoint))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LabelsView {
    identity: u32,
    labels: Vec<String>,
    given_labels: Vec<String>,
}

impl LabelsView {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            identity: endpoint.identity.get(),
            labels: endpoint.labels.iter().map(ToString::to_string).collect(),
            given_labels: endpoint.given_labels.iter().map(ToString::to_string).collect(),
        }
    }
}

impl View for LabelsView {
    fn text(&self, _: &Page) -> String {
        let mut text = format!("Identity {}, labels relevant to policy:\n", self.identity);
        for label in &self.labels {
            let given = if self.given_labels.contains(label) { "" } else { "   (derived)" };
            text.push_str(&format!("  {label}{given}\n"));
        }
        text
    }
}

#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// Number, address, NAME, NAMESPACE/NAME or container-id:ID
    #[arg(value_parser = endpoint)]
    endpoint: EndpointRef,
    /// PolicyAuditMode=Enabled or PolicyAuditMode=Disabled
    #[arg(value_name = "OPTION=VALUE", value_parser = option)]
    options: Vec<AuditMode>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Reads the one option that there is, in Cilium's spelling or in that of the settings.
fn option(text: &str) -> Result<AuditMode, String> {
    let wrong =
        || format!("{text:?} is no option: write PolicyAuditMode=Enabled or PolicyAuditMode=Disabled");
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let name = name.to_ascii_lowercase().replace('-', "");
    match (name.as_str(), value.to_ascii_lowercase().as_str()) {
        ("policyauditmode", "enabled" | "enable" | "true" | "on") => Ok(AuditMode::On),
        ("policyauditmode", "disabled" | "disable" | "false" | "off") => Ok(AuditMode::Off),
        _ => Err(wrong()),
    }
}

impl ConfigArgs {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let endpoint = match self.options.as_slice() {
            [] => client.endpoint(&self.endpoint)?,
            [audit] => {
                let patch = EndpointPatch { audit: Some(*audit), ..EndpointPatch::default() };
                client.patch_endpoint(&self.endpoint, &patch)?
            }
            _ => bail!("PolicyAuditMode is given more than once"),
        };
        self.output.print(&context.page, &OptionsView { policy_audit_mode: endpoint.policy.audit })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OptionsView {
    policy_audit_mode: AuditMode,
}

impl View for OptionsView {
    fn text(&self, page: &Page) -> String {
        let audit = match self.policy_audit_mode {
            AuditMode::On => "Enabled",
            AuditMode::Off => "Disabled",
        };
        let rows = [row!["PolicyAuditMode", format!(": {audit}")]];
        Table::new(&["", ""]).rows(rows).render(&Page { headers: false, ..*page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_option_is_read_in_both_spellings() {
        assert_eq!(option("PolicyAuditMode=Enabled"), Ok(AuditMode::On));
        assert_eq!(option("policy-audit-mode=false"), Ok(AuditMode::Off));
        assert!(option("Debug=true").is_err_and(|e| e.contains("PolicyAuditMode=Enabled")));
    }
}
