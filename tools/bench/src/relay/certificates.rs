//! One authority, and what it signs: a certificate for all nodes, the relay's and the follower's.

use super::{follower, nodes};
use anyhow::{Context, Result};
use ciliate_transport::{ClientFiles, ClientTls, HTTP2, ServerFiles, ServerTls, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct Certificates(PathBuf);

impl Certificates {
    pub fn new(folder: &Path) -> Result<Self> {
        let certificates = Self(folder.to_owned());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        certificates.write("ca.pem", &authority.pem())?;
        for (file, name) in
            [("node", nodes::SERVER_NAME), ("relay", follower::SERVER_NAME), ("me", "me.test")]
        {
            let key = KeyPair::generate()?;
            let signed = CertificateParams::new([name.to_owned()])?.signed_by(&key, &authority)?;
            certificates.write(&format!("{file}.pem"), &signed.pem())?;
            certificates.write(&format!("{file}.key"), &key.serialize_pem())?;
        }
        Ok(certificates)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Of every node.
    pub fn server(&self) -> Result<Arc<ServerTls>> {
        Ok(Arc::new(ServerTls::new(ServerFiles {
            certificate: self.path("node.pem"),
            key: self.path("node.key"),
            client_authorities: vec![self.path("ca.pem")],
        })?))
    }

    /// Of the follower.
    pub fn client(&self) -> Result<Arc<ClientTls>> {
        let identity = Some((self.path("me.pem"), self.path("me.key")));
        let trust = Trust::Authorities(vec![self.path("ca.pem")]);
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
        files.map(|(flag, file)| format!("--tls-{flag}={}", self.path(file).display())).to_vec()
    }
}
