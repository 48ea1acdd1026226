//! The kinds of values that settings have.

mod number;
mod observed;
mod place;

pub use number::{Count, Milliseconds, Seconds, SecondsOrNone};
pub use observed::{FieldPath, FilterList, HeaderName, MetricList, NodeLabel};
pub use place::{AnnouncedAddress, ExportPath, OptionalAddress, OptionalPath};

use std::path::PathBuf;

/// A value that is read from and shown as text.
pub trait SettingValue: Sized {
    /// What a value looks like.
    const FORM: &'static str;

    /// Fails with what would be right.
    fn read(text: &str) -> Result<Self, String>;

    fn show(&self) -> String;
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident: $form:literal { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($variant),+ }

        impl SettingValue for $name {
            const FORM: &'static str = $form;

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("one of {}", $form)),
                }
            }

            fn show(&self) -> String {
                match self {
                    $(Self::$variant => $text.to_owned(),)+
                }
            }
        }
    };
}

choice! { Switch: "true|false" { On = "true", Off = "false" } }
choice! {
    /// When endpoints are isolated.
    EnforcementMode: "default|always|never" { Default = "default", Always = "always", Never = "never" }
}
choice! {
    /// Whether the local host may always enter its endpoints.
    AllowLocalhost: "always|policy" { Always = "always", Policy = "policy" }
}
choice! {
    /// What CIDR rules match besides the world, exactly by address.
    CidrMatchTarget: "nodes|endpoints" { Nodes = "nodes", Endpoints = "endpoints" }
}
choice! {
    /// How much the kernel leaves out of its events.
    MonitorAggregation: "none|low|medium|maximum" {
        None = "none", Low = "low", Medium = "medium", Maximum = "maximum",
    }
}
choice! {
    LogLevel: "error|warn|info|debug|trace" {
        Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace",
    }
}
choice! { LogFormat: "text|json" { Text = "text", Json = "json" } }

choice! {
    /// What a client is told whose DNS query policy denies; the words are those of Cilium.
    RejectCode: "refused|nameError" { Refused = "refused", NameError = "nameError" }
}

impl Switch {
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl SettingValue for PathBuf {
    const FORM: &'static str = "PATH";

    fn read(text: &str) -> Result<Self, String> {
        match text.starts_with('/') {
            true => Ok(Self::from(text)),
            false => Err("an absolute path".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl SettingValue for String {
    const FORM: &'static str = "TEXT";

    fn read(text: &str) -> Result<Self, String> {
        match text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && text.len() <= 253 {
            true => Ok(text.to_owned()),
            false => Err("up to 253 letters, digits, '-', '_' and '.'".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// A list, separated by commas; empty for none.
impl<T: SettingValue + Ord> SettingValue for Vec<T> {
    const FORM: &'static str = "LIST";

    fn read(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut list = parts
            .map(T::read)
            .collect::<Result<Self, _>>()
            .map_err(|_| format!("a list of {}, separated by commas", T::FORM))?;
        list.sort();
        list.dedup();
        Ok(list)
    }

    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(",")
    }
}
