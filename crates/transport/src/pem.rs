//! Certificates and keys out of PEM files.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::path::{Path, PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum CertificateError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{} has no certificate in PEM", .0.display())]
    None(PathBuf),
    #[error("{} has no authority's certificate: {source}", path.display())]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("{} is no key of {}: {source}", key.display(), certificate.display())]
    Pair { key: PathBuf, certificate: PathBuf, source: rustls::Error },
    #[error("certificates of clients cannot be checked: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("this machine has no certificates of authorities: name the files of those to believe")]
    NoAuthority,
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
}

impl CertificateError {
    /// The file that is wrong, if it is one: of a pair the key.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. } | Self::None(path) | Self::Authority { path, .. } => Some(path),
            Self::Pair { key, .. } => Some(key),
            Self::Verifier(_) | Self::NoAuthority | Self::Tls(_) => None,
        }
    }
}

/// All certificates of a file, at least one.
///
/// # Errors
/// When the file cannot be read or has none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let wrong = |source| CertificateError::Read { path: path.to_owned(), source };
    let list =
        CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    match list.is_empty() {
        true => Err(CertificateError::None(path.to_owned())),
        false => Ok(list),
    }
}

/// A chain of certificates, our own first, and its key.
///
/// # Errors
/// When one of the files cannot be read.
pub fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateError> {
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| CertificateError::Read { path: key.to_owned(), source })?;
    Ok((certificates(certificate)?, secret))
}

/// The authorities of all these files.
///
/// # Errors
/// When one of the files cannot be read or has no authority.
pub fn roots(files: &[PathBuf]) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for path in files {
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|source| CertificateError::Authority { path: path.clone(), source })?;
        }
    }
    Ok(roots)
}
