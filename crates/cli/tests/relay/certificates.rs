//! What an authority signs for nodes, the relay and its clients, and an authority that takes its place.

use ciliate_certificates::{Authority, Folder};
use std::{fs, path::Path};

pub struct Certificates(Folder);

/// Names of files with the names that certificates have.
const SIGNED: [(&str, &str); 3] =
    [("node", "*.default.hubble-grpc.cilium.io"), ("relay", "relay.test"), ("me", "me.test")];

impl Certificates {
    pub fn new(folder: &Path) -> Self {
        fs::create_dir(folder).unwrap();
        let certificates = Self(Folder::new(folder));
        certificates.sign();
        certificates.0.put_pair("stranger", "me.test", &Authority::new().unwrap()).unwrap();
        certificates
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path(name).display().to_string()
    }

    /// Another authority takes the place of the first; what was goes on under `old-`.
    pub fn renew(&self) {
        for name in ["ca.pem", "me.pem", "me.key"] {
            fs::copy(self.path(name), self.path(&format!("old-{name}"))).unwrap();
        }
        self.sign();
    }

    fn sign(&self) {
        let authority = Authority::new().unwrap();
        self.0.put_authority("ca.pem", &authority).unwrap();
        for (file, name) in SIGNED {
            self.0.put_pair(file, name, &authority).unwrap();
        }
    }
}
