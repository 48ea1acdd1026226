//! The number of an endpoint on its node.

use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU16, str::FromStr};
use thiserror::Error;

/// An endpoint's number: 1 to 65535, unique on its node while the endpoint lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(NonZeroU16);

#[derive(Debug, Error, PartialEq, Eq)]
#[error("endpoint id {0:?} is not a number from 1 to 65535")]
pub struct EndpointIdError(String);

impl EndpointId {
    #[must_use]
    pub fn new(id: u16) -> Option<Self> {
        NonZeroU16::new(id).map(Self)
    }

    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| EndpointIdError(text.to_owned()))
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
