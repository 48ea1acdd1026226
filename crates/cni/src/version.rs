//! Versions of the specification.

use serde::Deserialize;
use serde_json::json;
use std::{fmt, str::FromStr};

/// One that we speak, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    pub const ALL: [Self; 5] = [Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];
    pub const LATEST: Self = Self::V1_1_0;

    fn name(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version that a configuration names, however wrong the rest of it is.
    pub fn of_input(input: &[u8]) -> Option<Self> {
        named(input)?.parse().ok()
    }
}

fn named(input: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Only {
        cni_version: Option<String>,
    }
    serde_json::from_slice::<Only>(input).ok()?.cni_version
}

/// The answer to VERSION: in the version of whoever asks, whatever it is.
pub(crate) fn listing(input: &[u8]) -> String {
    let asked = named(input).unwrap_or_else(|| Version::LATEST.to_string());
    let supported: Vec<_> = Version::ALL.iter().map(|v| v.name()).collect();
    json!({"cniVersion": asked, "supportedVersions": supported}).to_string()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|v| v.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|v| v.name()).collect();
            format!("cniVersion {text:?} is not one of {}", known.join(", "))
        })
    }
}
