//! One authority, and what it signs: a certificate for all nodes, the relay's and the follower's.

use super::{follower, nodes};
use anyhow::Result;
use ciliate_certificates::{Authority, Folder};
use ciliate_transport::{ClientFiles, ClientTls, HTTP2, ServerFiles, ServerTls, Trust};
use std::{path::Path, sync::Arc};

pub struct Certificates(Folder);

impl Certificates {
    pub fn new(folder: &Path) -> Result<Self> {
        let folder = Folder::new(folder);
        let authority = Authority::new()?;
        folder.put_authority("ca.pem", &authority)?;
        for (file, name) in
            [("node", nodes::SERVER_NAME), ("relay", follower::SERVER_NAME), ("me", "me.test")]
        {
            folder.put_pair(file, name, &authority)?;
        }
        Ok(Self(folder))
    }

    /// Of every node.
    pub fn server(&self) -> Result<Arc<ServerTls>> {
        let (certificate, key) = self.0.pair("node");
        let client_authorities = vec![self.0.path("ca.pem")];
        Ok(Arc::new(ServerTls::new(ServerFiles { certificate, key, client_authorities })?))
    }

    /// Of the follower.
    pub fn client(&self) -> Result<Arc<ClientTls>> {
        let identity = Some(self.0.pair("me"));
        let trust = Trust::Authorities(vec![self.0.path("ca.pem")]);
        Ok(Arc::new(ClientTls::new(ClientFiles { identity, trust }, &[HTTP2])?))
    }

    /// Of the relay, for both sides.
    pub fn flags(&self) -> Vec<String> {
        let files = [
            ("hubble-server-ca-files", "ca.pem"),
            ("hubble-client-cert-file", "relay.pem"),
            ("hubble-client-key-file", "relay.key"),
            ("relay-server-cert-file", "relay.pem"),
            ("relay-server-key-file", "relay.key"),
            ("relay-client-ca-files", "ca.pem"),
        ];
        files.map(|(flag, file)| format!("--tls-{flag}={}", self.0.path(file).display())).to_vec()
    }
}
