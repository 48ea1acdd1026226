//! Every setting in one table: flag, key of the file and environment variable derive from its name.

mod resolve;
mod table;
mod value;

pub use resolve::{ConfigFile, Origin, Resolved, SettingsError, resolve};
pub use table::{Config, SETTINGS};
pub use value::{
    AllowLocalhost, AnnouncedAddress, CidrMatchTarget, Count, EnforcementMode, ExportPath, FieldPath,
    FilterList, HeaderName, LogFormat, LogLevel, MetricList, Milliseconds, MonitorAggregation, NodeLabel,
    OptionalAddress, OptionalPath, RejectCode, Seconds, SecondsOrNone, SettingValue, Switch,
};

/// Where the configuration file is looked for when none is named.
pub const DEFAULT_CONFIG_FILE: &str = "/etc/ciliate/ciliate.yaml";
/// Names another configuration file.
pub const CONFIG_FILE_ENV: &str = "CILIATE_CONFIG";

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `state-dir`: the flag is `--state-dir`, the key `state-dir`, the variable `CILIATE_STATE_DIR`.
    pub name: &'static str,
    /// What a value looks like, such as `PATH` or `default|always|never`.
    pub form: &'static str,
    pub default: &'static str,
    pub help: &'static str,
    pub change: Change,
    check: fn(&str) -> Result<String, String>,
}

/// When a setting may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only when the agent starts.
    AtStart,
    /// Also while it runs (`ciliate config set`).
    Anytime,
}

impl Setting {
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.name)
    }

    #[must_use]
    pub fn env(&self) -> String {
        format!("CILIATE_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|s| s.name == name)
    }

    /// The value in its usual spelling, or what would be right.
    pub fn check(&self, text: &str) -> Result<String, String> {
        (self.check)(text)
    }
}
