//! The unix sockets: for root and one group.

use anyhow::anyhow;
use ciliate_api::settings::Config;
use ciliate_transport::SocketError;
use std::{os::unix::net::UnixListener, path::Path};

/// Listens; requests wait until somebody accepts them. A socket that a dead agent left is replaced.
pub fn bind(config: &Config, path: &Path) -> anyhow::Result<UnixListener> {
    ciliate_transport::bind(path, &config.socket_group).map_err(|error| match error {
        SocketError::TooLong(_) => anyhow!("{error}: choose a shorter --run-dir"),
        SocketError::InUse(path) => anyhow!(
            "another agent listens on {}: end it with `ciliate down`, or choose another --run-dir",
            path.display()
        ),
        SocketError::Replace { .. } | SocketError::Listen { .. } => error.into(),
    })
}
