//! Certificates for tests and benchmarks: authorities made on the spot, and what they sign, in a folder.

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Signs certificates for servers and clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One that nobody knows yet.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }
}

/// A folder of files in PEM. A file takes the place of another at once, as by `mv`.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Of a folder that is there.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// Of `NAME.pem` and `NAME.key`.
    #[must_use]
    pub fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")))
    }

    /// Writes the authority's own certificate to a file.
    pub fn put_authority(&self, file: &str, authority: &Authority) -> Result<()> {
        self.put(&self.path(file), &authority.0.pem())
    }

    /// Writes a certificate for a host to `NAME.pem`, and its key to `NAME.key`.
    pub fn put_pair(&self, name: &str, host: &str, authority: &Authority) -> Result<()> {
        let mut params = CertificateParams::new([host.to_owned()])?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority.0)?;
        let (certificate_file, key_file) = self.pair(name);
        self.put(&certificate_file, &certificate.pem())?;
        self.put(&key_file, &key.serialize_pem())
    }

    fn put(&self, file: &Path, text: &str) -> Result<()> {
        let fresh = self.path("fresh");
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, file))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}
