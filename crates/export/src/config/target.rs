//! Where the flows of one exporter go, as the file says it.

mod fluentd;
mod otlp;
mod syslog;

pub use fluentd::RawFluentd;
pub use otlp::RawOtlp;
pub use syslog::RawSyslog;

use super::{ConfigError, document::Place};
use crate::{
    connection::{Route, Tls},
    spec::{Compression, FileTarget, Target},
};
use ciliate_transport::{ClientFiles, HostPort, Trust};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::PathBuf;

/// Cilium's word for no file.
const STDOUT: &str = "stdout";

/// The keys that say where flows go.
pub struct Targets<'a> {
    pub file_path: Option<&'a Spanned<String>>,
    pub file_max_size_mb: Option<&'a Spanned<u32>>,
    pub file_max_backups: Option<&'a Spanned<usize>>,
    pub file_compress: Option<&'a Spanned<bool>>,
    pub syslog: Option<&'a Spanned<RawSyslog>>,
    pub fluentd: Option<&'a Spanned<RawFluentd>>,
    pub otlp: Option<&'a Spanned<RawOtlp>>,
}

impl Targets<'_> {
    /// One of them has to be there.
    pub fn understand(&self, place: &Place<'_>, name: &Spanned<String>) -> Result<Target, ConfigError> {
        const KEYS: &str = "filePath, syslog, fluentd or otlp";
        let given =
            [self.file_path.is_some(), self.syslog.is_some(), self.fluentd.is_some(), self.otlp.is_some()];
        let given = given.into_iter().filter(|given| *given).count();
        match given {
            0 => {
                return Err(place.error(
                    "filePath",
                    name,
                    format!("is missing: say where the flows go with {KEYS}"),
                ));
            }
            1 => {}
            _ => {
                return Err(place.error(
                    "filePath",
                    name,
                    format!("flows go to one place: keep one of {KEYS}"),
                ));
            }
        }
        if let Some(otlp) = self.otlp {
            return otlp.value.understand(place).map(Target::Otlp);
        }
        if let Some(fluentd) = self.fluentd {
            return fluentd.value.understand(place).map(Target::Fluentd);
        }
        if let Some(syslog) = self.syslog {
            return syslog.value.understand(place).map(Target::Syslog);
        }
        self.file(place, name)
    }

    fn file(&self, place: &Place<'_>, name: &Spanned<String>) -> Result<Target, ConfigError> {
        let Some(path) = self.file_path else {
            return Err(place.error("filePath", name, "is missing"));
        };
        if path.value == STDOUT {
            return Ok(Target::Stdout);
        }
        let path = absolute(place, "filePath", path)?;
        let megabytes = match self.file_max_size_mb {
            None => 0,
            Some(size) if size.value <= 1 << 20 => size.value,
            Some(size) => {
                return Err(place.error("fileMaxSizeMb", size, "write a number of MiB up to 1048576"));
            }
        };
        let backups = match self.file_max_backups {
            None => 0,
            Some(count) if count.value <= 10_000 => count.value,
            Some(count) => {
                return Err(place.error("fileMaxBackups", count, "write a number of files up to 10000"));
            }
        };
        // As with Cilium, 0 is as good as nothing.
        let megabytes = if megabytes == 0 { FileTarget::DEFAULT_MEGABYTES } else { megabytes };
        Ok(Target::File(FileTarget {
            path,
            most_bytes: u64::from(megabytes) << 20,
            backups: if backups == 0 { FileTarget::DEFAULT_BACKUPS } else { backups },
            compression: match self.file_compress.is_some_and(|compress| compress.value) {
                true => Compression::Gzip,
                false => Compression::None,
            },
        }))
    }
}

pub fn absolute(place: &Place<'_>, key: &str, path: &Spanned<String>) -> Result<PathBuf, ConfigError> {
    match path.value.starts_with('/') {
        true => Ok(PathBuf::from(&path.value)),
        false => Err(place.error(
            key,
            path,
            format!("{:?} is no absolute path, such as /var/log/ciliate/flows.json", path.value),
        )),
    }
}

/// Keys about TLS, the same for every receiver.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawTls {
    ca_file: Option<Spanned<String>>,
    cert_file: Option<Spanned<String>>,
    key_file: Option<Spanned<String>>,
    server_name: Option<Spanned<String>>,
}

/// Whether what is said can be read on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    Plain,
    Tls,
}

/// An address and what its TLS needs; keys about TLS have no place where there is none.
pub fn route(
    place: &Place<'_>,
    key: &str,
    (address, secrecy): (HostPort, Secrecy),
    tls: Option<&Spanned<RawTls>>,
) -> Result<Route, ConfigError> {
    let tls = match (secrecy, tls) {
        (Secrecy::Plain, None) => None,
        (Secrecy::Plain, Some(tls)) => {
            return Err(place.error(
                &format!("{key}.tls"),
                tls,
                "the address has no TLS: change its scheme, or take this out",
            ));
        }
        (Secrecy::Tls, None) => Some(Tls::default()),
        (Secrecy::Tls, Some(tls)) => Some(understand_tls(place, key, tls)?),
    };
    Ok(Route { address, tls })
}

fn understand_tls(place: &Place<'_>, key: &str, tls: &Spanned<RawTls>) -> Result<Tls, ConfigError> {
    let RawTls { ca_file, cert_file, key_file, server_name } = &tls.value;
    let path = |name: &str, path: &Option<Spanned<String>>| {
        path.as_ref().map(|path| absolute(place, &format!("{key}.tls.{name}"), path)).transpose()
    };
    let identity = match (path("certFile", cert_file)?, path("keyFile", key_file)?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(place.error(&format!("{key}.tls.keyFile"), tls, "is missing: certFile needs it"));
        }
        (None, Some(_)) => {
            return Err(place.error(&format!("{key}.tls.certFile"), tls, "is missing: keyFile needs it"));
        }
    };
    let server_name = server_name.as_ref().map(|name| name.value.clone());
    let trust = path("caFile", ca_file)?.map_or(Trust::Machine, |file| Trust::Authorities(vec![file]));
    Ok(Tls { files: ClientFiles { identity, trust }, server_name })
}
