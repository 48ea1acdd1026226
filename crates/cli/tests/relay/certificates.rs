//! An authority and what it signs, in a folder.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub struct Certificates(PathBuf);

/// Names of files with the names that certificates have.
const SIGNED: [(&str, &str); 3] =
    [("node", "*.default.hubble-grpc.cilium.io"), ("relay", "relay.test"), ("me", "me.test")];

impl Certificates {
    pub fn new(folder: &Path) -> Self {
        fs::create_dir(folder).unwrap();
        let certificates = Self(folder.to_owned());
        certificates.sign();
        certificates.pair("stranger", "me.test", &authority());
        certificates
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Another authority takes the place of the first; what was goes on under `old-`.
    pub fn renew(&self) {
        for name in ["ca.pem", "me.pem", "me.key"] {
            fs::copy(self.path(name), self.path(&format!("old-{name}"))).unwrap();
        }
        self.sign();
    }

    fn sign(&self) {
        let authority = authority();
        self.put("ca.pem", &authority.pem());
        for (file, name) in SIGNED {
            self.pair(file, name, &authority);
        }
    }

    fn pair(&self, file: &str, name: &str, authority: &CertifiedIssuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        self.put(&format!("{file}.pem"), &certificate.pem());
        self.put(&format!("{file}.key"), &key.serialize_pem());
    }

    /// At once, as `mv` does.
    fn put(&self, name: &str, content: &str) {
        fs::write(self.path("fresh"), content).unwrap();
        fs::rename(self.path("fresh"), self.path(name)).unwrap();
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
