//! TLS to servers: whom to believe, and who we are.

use crate::observe::raw_filter::usage;
use anyhow::Context as _;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::TlsConnector;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsFlags {
    /// Use TLS; so do tls://ADDRESS and a client's certificate
    #[arg(long, env = "HUBBLE_TLS", help_heading = "Server")]
    tls: bool,
    /// Files with certificates of authorities to believe instead of the system's, in PEM
    #[arg(
        long,
        value_name = "FILE",
        value_delimiter = ',',
        env = "HUBBLE_TLS_CA_CERT_FILES",
        help_heading = "Server"
    )]
    tls_ca_cert_files: Vec<PathBuf>,
    /// File with our own certificate, in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_client_key_file",
        env = "HUBBLE_TLS_CLIENT_CERT_FILE",
        help_heading = "Server"
    )]
    tls_client_cert_file: Option<PathBuf>,
    /// File with the key of our own certificate, in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_client_cert_file",
        env = "HUBBLE_TLS_CLIENT_KEY_FILE",
        help_heading = "Server"
    )]
    tls_client_key_file: Option<PathBuf>,
    /// Name that the server's certificate must have [default: the server's host]
    #[arg(long, value_name = "NAME", env = "HUBBLE_TLS_SERVER_NAME", help_heading = "Server")]
    tls_server_name: Option<String>,
    /// Believe every server: whoever is on the way can read and change everything
    #[arg(long, env = "HUBBLE_TLS_ALLOW_INSECURE", help_heading = "Server")]
    tls_allow_insecure: bool,
}

impl TlsFlags {
    pub fn wanted(&self) -> bool {
        self.tls || self.tls_client_cert_file.is_some()
    }

    pub fn values(&self) -> [(&'static str, String); 6] {
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map_or_else(String::new, |path| path.display().to_string())
        };
        let files: Vec<String> =
            self.tls_ca_cert_files.iter().map(|file| file.display().to_string()).collect();
        [
            ("tls", self.wanted().to_string()),
            ("tls-allow-insecure", self.tls_allow_insecure.to_string()),
            ("tls-ca-cert-files", files.join(",")),
            ("tls-client-cert-file", path(&self.tls_client_cert_file)),
            ("tls-client-key-file", path(&self.tls_client_key_file)),
            ("tls-server-name", self.tls_server_name.clone().unwrap_or_default()),
        ]
    }

    /// What makes connections to a host, and the name that its certificate must have.
    pub fn connector(&self, host: &str) -> anyhow::Result<(TlsConnector, ServerName<'static>)> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("cannot set TLS up")?;
        let builder = match self.tls_allow_insecure {
            true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Everybody(provider))),
            false => builder.with_root_certificates(self.roots()?),
        };
        let mut config = match (&self.tls_client_cert_file, &self.tls_client_key_file) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("--tls-client-cert-file", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| usage(format!("--tls-client-key-file: {}: {error}", key.display())))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .with_context(|| format!("{} is no key of {}", key.display(), certificate.display()))?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = self.tls_server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            usage(format!("{name:?} is no name of a server: write one with --tls-server-name"))
        })?;
        Ok((TlsConnector::from(Arc::new(config)), name))
    }

    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for file in &self.tls_ca_cert_files {
            for certificate in certificates("--tls-ca-cert-files", file)? {
                roots.add(certificate).map_err(|error| {
                    usage(format!(
                        "--tls-ca-cert-files: {} has no authority's certificate: {error}",
                        file.display()
                    ))
                })?;
            }
        }
        if self.tls_ca_cert_files.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        anyhow::ensure!(
            !roots.is_empty(),
            "this machine has no certificates of authorities: name the server's with --tls-ca-cert-files"
        );
        Ok(roots)
    }
}

fn certificates(flag: &str, file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let wrong = |error: rustls::pki_types::pem::Error| usage(format!("{flag}: {}: {error}", file.display()));
    let list =
        CertificateDer::pem_file_iter(file).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    match list.is_empty() {
        true => Err(usage(format!("{flag}: {} has no certificate in PEM", file.display()))),
        false => Ok(list),
    }
}

/// Believes that a certificate is right, though not that a server has a key that it has not.
#[derive(Debug)]
struct Everybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Everybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
