//! Both ends of TLS, as their files say now.

use crate::{CertificateError, anybody::Anybody, identity, reload::Reloading, roots};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier,
    version::TLS13,
};
use std::{path::PathBuf, sync::Arc};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// HTTP/2 (RFC 9113, 3.2) as TLS names it (RFC 7301), which is all that gRPC speaks.
pub const HTTP2: &[u8] = b"h2";

/// What a server shows, and whom it lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who signs the certificates of clients; with none, any client is let in.
    pub client_authorities: Vec<PathBuf>,
}

/// What a client shows, and whom it believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub trust: Trust,
}

/// Which servers a client believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those whose certificates are signed by authorities that the machine has.
    #[default]
    Machine,
    /// Those whose certificates are signed by authorities in these files, in PEM.
    Authorities(Vec<PathBuf>),
    /// Each that has the key of its certificate, whoever signed that: whoever is on the way can read and change everything.
    Anybody,
}

impl From<Vec<PathBuf>> for Trust {
    /// No file stands for the machine's authorities.
    fn from(files: Vec<PathBuf>) -> Self {
        match files.is_empty() {
            true => Self::Machine,
            false => Self::Authorities(files),
        }
    }
}

/// The server's end: TLS 1.3 and nothing older, as Hubble's servers have it.
pub struct ServerTls(Reloading<ServerConfig>);

/// The client's end.
pub struct ClientTls(Reloading<ClientConfig>);

impl ServerTls {
    /// # Errors
    /// What is wrong with which file.
    pub fn new(files: ServerFiles) -> Result<Self, CertificateError> {
        let watched =
            [&files.certificate, &files.key].into_iter().chain(&files.client_authorities).cloned().collect();
        Reloading::new(watched, move || server(&files)).map(Self)
    }

    /// For one handshake. Reads files.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.0.current().into()
    }
}

impl ClientTls {
    /// For servers that speak the first of these protocols that they know, by their names in TLS (RFC 7301); none for a protocol
    /// that has no name there.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(files: ClientFiles, protocols: &'static [&'static [u8]]) -> Result<Self, CertificateError> {
        let own = files.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        let watched = match &files.trust {
            Trust::Authorities(authorities) => own.chain(authorities).cloned().collect(),
            Trust::Machine | Trust::Anybody => own.cloned().collect(),
        };
        Reloading::new(watched, move || files.config(protocols)).map(Self)
    }

    /// For one handshake. Reads files.
    #[must_use]
    pub fn connector(&self) -> TlsConnector {
        self.0.current().into()
    }
}

fn server(files: &ServerFiles) -> Result<ServerConfig, CertificateError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&TLS13])?;
    let builder = if files.client_authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = Arc::new(roots(&files.client_authorities)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
        builder.with_client_cert_verifier(verifier)
    };
    let (chain, secret) = identity(&files.certificate, &files.key)?;
    let mut config = builder.with_single_cert(chain, secret).map_err(|source| CertificateError::Pair {
        key: files.key.clone(),
        certificate: files.certificate.clone(),
        source,
    })?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}

impl ClientFiles {
    fn config(&self, protocols: &[&[u8]]) -> Result<ClientConfig, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.trust {
            Trust::Machine => builder.with_root_certificates(machine_roots()?),
            Trust::Authorities(files) => builder.with_root_certificates(roots(files)?),
            Trust::Anybody => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, secret) = identity(certificate, key)?;
                builder.with_client_auth_cert(chain, secret).map_err(|source| CertificateError::Pair {
                    key: key.clone(),
                    certificate: certificate.clone(),
                    source,
                })?
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

fn machine_roots() -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(CertificateError::NoAuthority),
        false => Ok(roots),
    }
}
