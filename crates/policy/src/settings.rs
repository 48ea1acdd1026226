//! Settings of the node that change what policies mean.

use serde::{Deserialize, Serialize, de};
use std::{fmt, str::FromStr};
use thiserror::Error;

#[derive(Debug, Error, PartialEq, Eq)]
#[error("{given:?} is unknown: write {wanted}")]
pub struct SettingError {
    given: String,
    wanted: &'static str,
}

/// Which endpoints are isolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementMode {
    /// Those that a policy selects, in the directions it speaks of.
    #[default]
    Default,
    /// All, in both directions.
    Always,
    /// None, whatever the policies say.
    Never,
}

/// Whether policies apply to what the local host sends to its endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllowLocalhost {
    /// They do not: the host may always enter.
    #[default]
    Always,
    Policy,
}

/// Which peers inside of the cluster CIDR rules match, by address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CidrMatchMode {
    pub nodes: bool,
    pub endpoints: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub enforcement: EnforcementMode,
    pub cidr_match_mode: CidrMatchMode,
    pub allow_localhost: AllowLocalhost,
    pub cluster_name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enforcement: EnforcementMode::default(),
            cidr_match_mode: CidrMatchMode::default(),
            allow_localhost: AllowLocalhost::default(),
            cluster_name: "default".to_owned(),
        }
    }
}

impl FromStr for EnforcementMode {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let modes = [Self::Default, Self::Always, Self::Never];
        let wanted = "default, always or never";
        let found = modes.into_iter().find(|mode| mode.to_string() == text);
        found.ok_or_else(|| SettingError { given: text.to_owned(), wanted })
    }
}

impl fmt::Display for EnforcementMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Default => "default",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

impl FromStr for AllowLocalhost {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = [Self::Always, Self::Policy].into_iter().find(|choice| choice.to_string() == text);
        found.ok_or_else(|| SettingError { given: text.to_owned(), wanted: "always or policy" })
    }
}

impl fmt::Display for AllowLocalhost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Always => "always",
            Self::Policy => "policy",
        })
    }
}

impl FromStr for CidrMatchMode {
    type Err = SettingError;

    /// Reads a list with commas; nothing means neither.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mode = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "nodes" => mode.nodes = true,
                "endpoints" => mode.endpoints = true,
                other => {
                    let wanted = "nodes, endpoints, both with a comma between them, or nothing";
                    return Err(SettingError { given: other.to_owned(), wanted });
                }
            }
        }
        Ok(mode)
    }
}

impl fmt::Display for CidrMatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.nodes, self.endpoints) {
            (false, false) => "",
            (true, false) => "nodes",
            (false, true) => "endpoints",
            (true, true) => "nodes,endpoints",
        })
    }
}

impl Serialize for CidrMatchMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CidrMatchMode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
