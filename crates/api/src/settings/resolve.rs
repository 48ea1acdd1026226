//! From flags, environment, file and defaults to one value each, with its origin.

use super::{Config, SETTINGS, Setting};
use ciliate_config_file::YamlError;
use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use thiserror::Error;

/// Where a value came from; later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File(PathBuf),
    Env,
    Flag,
    /// Changed while the agent runs.
    Runtime,
}

/// A setting and its value in its usual spelling.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub setting: &'static Setting,
    pub value: String,
    pub origin: Origin,
}

impl Resolved {
    /// `file /etc/ciliate/ciliate.yaml`, `env CILIATE_STATE_DIR`, …
    #[must_use]
    pub fn origin_text(&self) -> String {
        origin_text(self.setting, &self.origin)
    }
}

fn origin_text(setting: &Setting, origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File(path) => format!("file {}", path.display()),
        Origin::Env => format!("env {}", setting.env()),
        Origin::Flag => format!("flag {}", setting.flag()),
        Origin::Runtime => "runtime".to_owned(),
    }
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    #[error("setting {name}: {value:?} (from {origin}) is wrong: expected {expected}")]
    Value { name: &'static str, value: String, origin: String, expected: String },
    #[error("setting {name:?} (from {origin}) is unknown{}", nearest.map(|n| format!(": did you mean {n}?")).unwrap_or_default())]
    Unknown { name: String, origin: String, nearest: Option<&'static str> },
    #[error("configuration file {}: {error}; write one `name: value` a line", path.display())]
    File { path: PathBuf, error: YamlError },
    #[error("{0}")]
    Together(String),
}

impl SettingsError {
    pub(super) fn value(name: &'static str, value: &str, resolved: &[Resolved], expected: String) -> Self {
        let origin = resolved
            .iter()
            .find(|r| r.setting.name == name)
            .map_or("default".to_owned(), Resolved::origin_text);
        Self::Value { name, value: value.to_owned(), origin, expected }
    }
}

/// The text of a configuration file.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

/// A scalar as it is written, or a list of them.
struct FileValue(String);

impl<'de> Deserialize<'de> for FileValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FileValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<FileValue, E> {
                Ok(FileValue(v.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, v: bool) -> Result<FileValue, E> {
                Ok(FileValue(v.to_string()))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<FileValue, E> {
                Ok(FileValue(v.to_string()))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<FileValue, E> {
                Ok(FileValue(v.to_string()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<FileValue, E> {
                Ok(FileValue(String::new()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<FileValue, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element::<String>()? {
                    parts.push(part);
                }
                Ok(FileValue(parts.join(",")))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One value for every setting, in the order of the table. `env` looks a variable up.
pub fn resolve(
    flags: &BTreeMap<String, String>,
    env: impl Fn(&str) -> Option<String>,
    file: Option<&ConfigFile>,
) -> Result<(Vec<Resolved>, Config), SettingsError> {
    let from_file = file.map(read_file).transpose()?.unwrap_or_default();
    known(flags.keys(), "flags")?;
    if let Some(file) = file {
        known(from_file.keys(), &format!("file {}", file.path.display()))?;
    }
    let resolved: Vec<Resolved> = SETTINGS
        .iter()
        .map(|setting| {
            let (value, origin) = if let Some(value) = flags.get(setting.name) {
                (value.clone(), Origin::Flag)
            } else if let Some(value) = env(&setting.env()) {
                (value, Origin::Env)
            } else if let (Some(FileValue(value)), Some(file)) = (from_file.get(setting.name), file) {
                (value.clone(), Origin::File(file.path.clone()))
            } else {
                (setting.default.to_owned(), Origin::Default)
            };
            let value = setting.check(&value).map_err(|expected| SettingsError::Value {
                name: setting.name,
                origin: origin_text(setting, &origin),
                value,
                expected,
            })?;
            Ok(Resolved { setting, value, origin })
        })
        .collect::<Result<_, SettingsError>>()?;
    let config = Config::new(&resolved)?;
    check_together(&config)?;
    Ok((resolved, config))
}

fn read_file(file: &ConfigFile) -> Result<BTreeMap<String, FileValue>, SettingsError> {
    let read = ciliate_config_file::parse(&file.text);
    read.map(Option::unwrap_or_default)
        .map_err(|error| SettingsError::File { path: file.path.clone(), error })
}

fn known<'a>(names: impl Iterator<Item = &'a String>, origin: &str) -> Result<(), SettingsError> {
    for name in names {
        if Setting::find(name).is_none() {
            return Err(SettingsError::Unknown {
                name: name.clone(),
                origin: origin.to_owned(),
                nearest: nearest(name),
            });
        }
    }
    Ok(())
}

/// The setting that shares most letters in order, if it shares most of them.
fn nearest(name: &str) -> Option<&'static str> {
    let plain = name.replace('_', "-").to_lowercase();
    let shared = |other: &str| {
        let mut rest = other.chars();
        plain.chars().filter(|c| rest.clone().any(|o| o == *c) && rest.by_ref().any(|o| o == *c)).count()
    };
    SETTINGS
        .iter()
        .map(|s| (shared(s.name), s.name))
        .filter(|(n, other)| n.saturating_mul(4) >= other.len().max(plain.len()).saturating_mul(3))
        .max()
        .map(|(_, other)| other)
}

/// What no single value can tell.
fn check_together(config: &Config) -> Result<(), SettingsError> {
    if !config.enable_ipv4.is_on() && !config.enable_ipv6.is_on() {
        return Err(SettingsError::Together(
            "enable-ipv4 and enable-ipv6 are both false: endpoints need one of them".to_owned(),
        ));
    }
    for (name, bytes) in
        [("map-size-events", config.map_events.0), ("map-size-records", config.map_records.0)]
    {
        if !bytes.is_power_of_two() {
            return Err(SettingsError::Together(format!(
                "{name} is {bytes}, which is no power of two: the kernel takes only those, such as 1048576"
            )));
        }
    }
    for (server, address, plaintext, plain) in [
        (
            "hubble-metrics-server",
            config.hubble_metrics_server,
            "hubble-metrics-allow-plaintext",
            config.hubble_metrics_plaintext,
        ),
        (
            "prometheus-serve-addr",
            config.prometheus_server,
            "prometheus-allow-plaintext",
            config.prometheus_plaintext,
        ),
    ] {
        let reached = address.0.filter(|address| !address.ip().to_canonical().is_loopback());
        if let (Some(address), false) = (reached, plain.is_on()) {
            return Err(SettingsError::Together(format!(
                "{server} is {address}, which other hosts reach, and has no encryption: listen on 127.0.0.1, or set {plaintext}"
            )));
        }
    }
    check_hubble_server(config).map_err(SettingsError::Together)
}

/// Whether nobody without the right reads flows over TCP.
fn check_hubble_server(config: &Config) -> Result<(), String> {
    let Some(address) = config.hubble_listen.0 else { return Ok(()) };
    let local = address.ip().to_canonical().is_loopback();
    let (certificate, key) = (&config.hubble_tls_certificate.0, &config.hubble_tls_key.0);
    let has_files = certificate.is_some() || key.is_some() || !config.hubble_tls_authorities.is_empty();
    match (config.hubble_plaintext.is_on(), certificate, key) {
        (true, _, _) if has_files => {
            Err("hubble-disable-tls is true, yet files for TLS are named: leave out the one or the others"
                .to_owned())
        }
        (true, _, _) => Ok(()),
        (false, Some(_), Some(_))
            if local || !config.hubble_tls_authorities.is_empty() || config.hubble_tls_anybody.is_on() =>
        {
            Ok(())
        }
        (false, Some(_), Some(_)) => Err(format!(
            "hubble-listen-address is {address}, which other hosts reach, and any of them may read flows: name who signs the certificates of clients with hubble-tls-client-ca-files, or set hubble-tls-allow-any-client"
        )),
        (false, None, None) if local && !has_files => Ok(()),
        (false, None, None) if !has_files => Err(format!(
            "hubble-listen-address is {address}, which other hosts reach, and has no encryption: set hubble-tls-cert-file, hubble-tls-key-file and hubble-tls-client-ca-files, or hubble-disable-tls"
        )),
        (false, _, _) => {
            Err("TLS needs a certificate and its key: set both hubble-tls-cert-file and hubble-tls-key-file"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::SettingValue, *};

    fn file(text: &str) -> ConfigFile {
        ConfigFile { path: "/c.yaml".into(), text: text.to_owned() }
    }

    fn flags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn flags_beat_environment_beats_file_beats_default() {
        let file = file(
            "state-dir: /file\nrun-dir: /file\nbpf-root: /file\nmtu: 9000\nenable-ipv6: false\npolicy-cidr-match-mode: [nodes, endpoints]\n",
        );
        let env = |name: &str| match name {
            "CILIATE_STATE_DIR" | "CILIATE_RUN_DIR" => Some("/env".to_owned()),
            _ => None,
        };
        let (resolved, config) = resolve(&flags(&[("state-dir", "/flag")]), env, Some(&file)).expect("valid");
        assert_eq!(config.state_dir, PathBuf::from("/flag"));
        assert_eq!(config.run_dir, PathBuf::from("/env"));
        assert_eq!(config.bpf_root, PathBuf::from("/file"));
        assert_eq!(config.mtu.0, 9000);
        assert_eq!(config.policy_cidr_match_mode.len(), 2);
        let origin = |name| resolved.iter().find(|r| r.setting.name == name).expect("row").origin_text();
        assert_eq!(origin("state-dir"), "flag --state-dir");
        assert_eq!(origin("run-dir"), "env CILIATE_RUN_DIR");
        assert_eq!(origin("bpf-root"), "file /c.yaml");
        assert_eq!(origin("masquerade"), "default");
    }

    #[test]
    fn every_default_is_valid_and_in_its_usual_spelling_or_shorter() {
        resolve(&BTreeMap::new(), |_| None, None).expect("defaults");
        for setting in SETTINGS {
            let shown = setting.check(setting.default).expect("default");
            assert_eq!(setting.check(&shown).expect("shown"), shown, "{}", setting.name);
        }
    }

    #[test]
    fn mistakes_name_the_key_its_origin_and_what_would_be_right() {
        let message = |f: &[(&str, &str)], text: &str| {
            resolve(&flags(f), |_| None, Some(&file(text))).expect_err("a mistake").to_string()
        };
        assert_eq!(
            message(&[("policy-enforcement", "sometimes")], ""),
            "setting policy-enforcement: \"sometimes\" (from flag --policy-enforcement) is wrong: expected one of default|always|never"
        );
        assert_eq!(
            message(&[], "ipv4-pool: 10.0.0.1/16"),
            "setting ipv4-pool: \"10.0.0.1/16\" (from file /c.yaml) is wrong: expected a network of at most /29 such as 10.201.0.0/16"
        );
        assert_eq!(
            message(&[], "state_dir: /x"),
            "setting \"state_dir\" (from file /c.yaml) is unknown: did you mean state-dir?"
        );
        assert!(message(&[], "a: {b: c}").starts_with("configuration file /c.yaml: "));
        assert!(message(&[("enable-ipv4", "false"), ("enable-ipv6", "false")], "").contains("both false"));
        assert!(message(&[("map-size-events", "100000")], "").contains("power of two"));
        let server = |address| [("hubble-metrics-server", address)];
        assert!(message(&server("0.0.0.0:9965"), "").contains("set hubble-metrics-allow-plaintext"));
        assert!(
            message(&[("prometheus-serve-addr", ":9962")], "").contains("set prometheus-allow-plaintext")
        );
        assert!(message(&server(":9965"), "").contains("[::]:9965, which other hosts reach"));
        assert!(message(&server("localhost:9965"), "").contains("such as 127.0.0.1:9965, or nothing"));
        for (address, plain) in [("127.0.0.1:9965", "false"), ("[::1]:1", "false"), ("10.0.0.1:9965", "true")]
        {
            let flags =
                flags(&[("hubble-metrics-server", address), ("hubble-metrics-allow-plaintext", plain)]);
            let (_, config) = resolve(&flags, |_| None, None).expect("valid");
            assert_eq!(config.hubble_metrics_server.show(), address);
        }
    }

    #[test]
    fn flows_leave_the_host_only_for_who_has_the_right() {
        let with = |pairs: &[(&str, &str)]| {
            let read = resolve(&flags(pairs), |_| None, None);
            read.map(drop).map_err(|error| error.to_string())
        };
        let (local, far) = (("hubble-listen-address", "127.0.0.1:4244"), ("hubble-listen-address", ":4244"));
        let (certificate, key) = (("hubble-tls-cert-file", "/c"), ("hubble-tls-key-file", "/k"));
        let (clients, anybody) =
            (("hubble-tls-client-ca-files", "/a,/b"), ("hubble-tls-allow-any-client", "true"));
        let plain = ("hubble-disable-tls", "true");
        for right in [
            &[local][..],
            &[local, certificate, key],
            &[far, certificate, key, clients],
            &[far, certificate, key, anybody],
            &[far, plain],
        ] {
            assert_eq!(with(right), Ok(()), "{right:?}");
        }
        for (wrong, what) in [
            (&[far][..], "has no encryption: set hubble-tls-cert-file"),
            (&[far, anybody], "has no encryption"),
            (&[far, certificate, key], "any of them may read flows"),
            (&[local, clients], "a certificate and its key"),
            (&[far, certificate], "a certificate and its key"),
            (&[far, plain, clients], "leave out the one or the others"),
        ] {
            let error = with(wrong).expect_err("a mistake");
            assert!(error.contains(what), "{wrong:?}: {error}");
        }
        let announced = |text: &str| with(&[("hubble-announced-address", text)]);
        for text in ["", "node-1.example:4244", "10.0.0.1:1", "[fd00::1]:4244"] {
            assert_eq!(announced(text), Ok(()));
        }
        for text in ["node-1", ":4244", "node:0", "fd00::1:1", "a b:1"] {
            assert!(announced(text).is_err(), "{text}");
        }
    }
}
