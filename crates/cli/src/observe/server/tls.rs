//! TLS to servers: whom to believe, and who we are.

use crate::observe::raw_filter::usage;
use ciliate_transport::{CertificateError, ClientFiles, ClientTls, HTTP2, ServerName, Trust};
use std::{path::PathBuf, sync::Arc};

#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsFlags {
    /// Use TLS; so do tls://ADDRESS and a client's certificate
    #[arg(long, env = "HUBBLE_TLS", value_name = "true|false", num_args(0..=1), require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, action = clap::ArgAction::Set, help_heading = "Server")]
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
    #[arg(long, value_name = "FILE", env = "HUBBLE_TLS_CLIENT_CERT_FILE", help_heading = "Server")]
    tls_client_cert_file: Option<PathBuf>,
    /// File with the key of our own certificate, in PEM
    #[arg(long, value_name = "FILE", env = "HUBBLE_TLS_CLIENT_KEY_FILE", help_heading = "Server")]
    tls_client_key_file: Option<PathBuf>,
    /// Name that the server's certificate must have [default: the server's host]
    #[arg(long, value_name = "NAME", env = "HUBBLE_TLS_SERVER_NAME", help_heading = "Server")]
    tls_server_name: Option<String>,
    /// Believe every server: whoever is on the way can read and change everything
    #[arg(long, env = "HUBBLE_TLS_ALLOW_INSECURE", value_name = "true|false", num_args(0..=1), require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, action = clap::ArgAction::Set, help_heading = "Server")]
    tls_allow_insecure: bool,
}

impl TlsFlags {
    pub fn wanted(&self) -> bool {
        self.tls || self.tls_client_cert_file.is_some()
    }

    /// What TLS to a host takes, and the name that its certificate must have.
    pub fn client(&self, host: &str) -> anyhow::Result<(Arc<ClientTls>, String)> {
        let identity = match (&self.tls_client_cert_file, &self.tls_client_key_file) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => {
                return Err(usage("--tls-client-cert-file needs --tls-client-key-file".to_owned()));
            }
            (None, Some(_)) => {
                return Err(usage("--tls-client-key-file needs --tls-client-cert-file".to_owned()));
            }
        };
        let trust = match self.tls_allow_insecure {
            true => Trust::Anybody,
            false => Trust::from(self.tls_ca_cert_files.clone()),
        };
        let tls =
            ClientTls::new(ClientFiles { identity, trust }, &[HTTP2]).map_err(|error| self.wrong(&error))?;
        let name = self.tls_server_name.as_deref().unwrap_or(host);
        if ServerName::try_from(name).is_err() {
            return Err(usage(format!("{name:?} is no name of a server: write one with --tls-server-name")));
        }
        Ok((Arc::new(tls), name.to_owned()))
    }

    /// Points at the flag that named the file.
    fn wrong(&self, error: &CertificateError) -> anyhow::Error {
        let file = error.file();
        let flag = if file.is_some() && file == self.tls_client_cert_file.as_deref() {
            "--tls-client-cert-file"
        } else if file.is_some() && file == self.tls_client_key_file.as_deref() {
            "--tls-client-key-file"
        } else {
            "--tls-ca-cert-files"
        };
        usage(format!("{flag}: {error}"))
    }
}
