//! The network configuration on standard input.

use crate::{Code, Error, environment::AttachmentId, version::Version};
use ciliate_api::Publish;
use ciliate_types::Protocol;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Where the agent listens unless `--run-dir` says otherwise.
const DEFAULT_RUN_DIR: &str = "/run/ciliate";

/// What of a configuration matters to us, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub version: Version,
    /// Of the network: file-name safe.
    pub network: String,
    pub socket: PathBuf,
    pub namespace: Option<String>,
    pub service_account: Option<String>,
    /// `[source:]key=value`, those of the network first, those of the container last.
    pub labels: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub publish: Vec<Publish>,
    pub previous: Option<Previous>,
    /// For GC: what there still is.
    pub valid_attachments: Option<Vec<AttachmentId>>,
}

/// The result of ADD, as the runtime kept it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Previous {
    #[serde(default)]
    pub ips: Vec<PreviousIp>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PreviousIp {
    /// With its prefix length.
    pub address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    cni_version: Option<String>,
    name: Option<String>,
    socket: Option<PathBuf>,
    namespace: Option<String>,
    service_account: Option<String>,
    labels: Option<RawLabels>,
    args: Option<RawArguments>,
    runtime_config: Option<RuntimeConfig>,
    prev_result: Option<Value>,
    #[serde(rename = "cni.dev/valid-attachments")]
    valid_attachments: Option<Vec<RawAttachment>>,
    /// The older spelling of the same.
    #[serde(rename = "cni.dev/attachments")]
    attachments: Option<Vec<RawAttachment>>,
}

#[derive(Deserialize)]
struct RawArguments {
    cni: Option<CniArguments>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CniArguments {
    labels: Option<RawLabels>,
    ips: Option<Vec<String>>,
    service_account: Option<String>,
}

/// A list of `key=value`, a map, or a list of pairs as the CNI conventions have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawLabels {
    Map(BTreeMap<String, String>),
    Texts(Vec<String>),
    Pairs(Vec<Pair>),
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RuntimeConfig {
    port_mappings: Vec<PortMapping>,
    ips: Vec<String>,
    mac: Option<String>,
    /// containerd's, for pods: `ciliate.io/labels: org=empire,class=deathstar`.
    #[serde(rename = "io.kubernetes.cri.pod-annotations")]
    annotations: BTreeMap<String, String>,
}

/// Annotation of a pod that holds labels, separated by commas.
const LABELS_ANNOTATION: &str = "ciliate.io/labels";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortMapping {
    host_port: i64,
    container_port: i64,
    protocol: Option<String>,
    #[serde(rename = "hostIP", alias = "hostIp")]
    host_ip: Option<String>,
}

#[derive(Deserialize)]
struct RawAttachment {
    #[serde(rename = "containerID")]
    container: String,
    ifname: String,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidConfig, message, "")
}

impl RawLabels {
    fn texts(self) -> Vec<String> {
        let text = |(key, value): (String, String)| match value.is_empty() {
            true => key,
            false => format!("{key}={value}"),
        };
        match self {
            Self::Map(map) => map.into_iter().map(text).collect(),
            Self::Texts(texts) => texts,
            Self::Pairs(pairs) => pairs.into_iter().map(|p| text((p.key, p.value))).collect(),
        }
    }
}

impl PortMapping {
    fn publish(self) -> Result<Option<Publish>, Error> {
        if self.host_port == 0 {
            // Declared, not published.
            return Ok(None);
        }
        let port = |number: i64, what: &str| {
            u16::try_from(number).ok().filter(|p| *p != 0).ok_or_else(|| {
                invalid(format!("{what} {number} of runtimeConfig.portMappings is not from 1 to 65535"))
            })
        };
        let protocol: Protocol = match self.protocol.as_deref() {
            None | Some("") => Protocol::TCP,
            Some(name) => name.parse().map_err(|e| invalid(format!("in runtimeConfig.portMappings: {e}")))?,
        };
        if !protocol.has_ports() {
            return Err(invalid(format!("protocol {protocol} of runtimeConfig.portMappings has no ports")));
        }
        let host_ip = self.host_ip.filter(|ip| !ip.is_empty());
        Ok(Some(Publish {
            host_ip: host_ip.map(|ip| address(&ip, "runtimeConfig.portMappings")).transpose()?,
            host_port: port(self.host_port, "hostPort")?,
            port: port(self.container_port, "containerPort")?,
            protocol,
        }))
    }
}

/// Takes `a=b, c=d` apart.
pub(crate) fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// Reads an address, with or without a prefix length.
pub(crate) fn address(text: &str, place: &str) -> Result<IpAddr, Error> {
    let bare = text.split('/').next().unwrap_or(text);
    bare.parse().map_err(|_| invalid(format!("{text:?} in {place} is not an IP address")))
}

fn check_network(name: &str) -> Result<(), Error> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    match first && rest && name.len() <= 128 {
        true => Ok(()),
        false => Err(invalid(format!(
            "name {name:?} is wrong: it starts with a letter or digit and goes on with those, '_', '.' and '-'"
        ))),
    }
}

impl Config {
    pub fn parse(input: &[u8]) -> Result<Self, Error> {
        let raw: Raw = serde_json::from_slice(input).map_err(|e| {
            Error::new(
                Code::Decode,
                "the network configuration on standard input cannot be read",
                e.to_string(),
            )
        })?;
        let version = raw.cni_version.ok_or_else(|| invalid("cniVersion is missing"))?;
        let version = version.parse().map_err(|e: String| Error::new(Code::IncompatibleVersion, e, ""))?;
        let network = raw.name.ok_or_else(|| invalid("name, that of the network, is missing"))?;
        check_network(&network)?;

        let mut labels = raw.labels.map(RawLabels::texts).unwrap_or_default();
        let arguments = raw.args.and_then(|a| a.cni);
        let mut addresses = Vec::new();
        let mut service_account = raw.service_account;
        if let Some(arguments) = arguments {
            labels.extend(arguments.labels.map(RawLabels::texts).unwrap_or_default());
            for text in arguments.ips.unwrap_or_default() {
                addresses.push(address(&text, "args.cni.ips")?);
            }
            service_account = arguments.service_account.or(service_account);
        }
        let runtime = raw.runtime_config.unwrap_or_default();
        if runtime.mac.is_some_and(|mac| !mac.is_empty()) {
            let message = "runtimeConfig.mac is not supported: the agent chooses Ethernet addresses";
            return Err(Error::new(Code::UnsupportedField, message, ""));
        }
        if let Some(text) = runtime.annotations.get(LABELS_ANNOTATION) {
            labels.extend(split(text));
        }
        for text in runtime.ips {
            addresses.push(address(&text, "runtimeConfig.ips")?);
        }
        let publish = runtime.port_mappings.into_iter().filter_map(|p| p.publish().transpose());
        let attachments = raw.valid_attachments.or(raw.attachments);
        let attachments = attachments.map(|all| {
            all.into_iter().map(|a| AttachmentId { container: a.container, interface: a.ifname }).collect()
        });
        Ok(Self {
            version,
            network,
            socket: raw.socket.unwrap_or_else(|| Path::new(DEFAULT_RUN_DIR).join(ciliate_api::SOCKET_NAME)),
            namespace: raw.namespace,
            service_account,
            labels,
            addresses,
            publish: publish.collect::<Result<_, _>>()?,
            previous: raw.prev_result.and_then(|value| serde_json::from_value(value).ok()),
            valid_attachments: attachments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(change: Value) -> Result<Config, Error> {
        let mut all = json!({"cniVersion": "1.0.0", "name": "pods", "type": "ciliate-cni"});
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Config::parse(all.to_string().as_bytes())
    }

    #[test]
    fn labels_come_in_three_forms_and_from_three_places() {
        let config = parse(json!({
            "labels": {"org": "empire", "bare": ""},
            "args": {"cni": {"labels": [{"key": "class", "value": "deathstar"}], "ips": ["10.201.0.9/16"]}},
            "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"ciliate.io/labels": "a=b, c=d"}},
        }))
        .unwrap();
        assert_eq!(config.labels, ["bare", "org=empire", "class=deathstar", "a=b", "c=d"]);
        assert_eq!(config.addresses, [IpAddr::from([10, 201, 0, 9])]);
        assert_eq!(parse(json!({"labels": ["k8s:org=empire"]})).unwrap().labels, ["k8s:org=empire"]);
        assert_eq!(config.socket, Path::new("/run/ciliate/ciliate.sock"));
    }

    #[test]
    fn ports_are_published_as_the_runtime_says() {
        let mappings = json!([
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 53, "containerPort": 53, "protocol": "UDP", "hostIP": "127.0.0.1"},
            {"hostPort": 0, "containerPort": 99},
            {"hostPort": 1, "containerPort": 2, "hostIP": ""},
        ]);
        let config = parse(json!({"runtimeConfig": {"portMappings": mappings}})).unwrap();
        let shown: Vec<_> = config.publish.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["8080:80/TCP", "127.0.0.1:53:53/UDP", "1:2/TCP"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_code() {
        for (change, code, complaint) in [
            (json!({"cniVersion": "2.0.0"}), Code::IncompatibleVersion, r#""2.0.0" is not one of 0.3.0"#),
            (json!({"cniVersion": null}), Code::InvalidConfig, "cniVersion is missing"),
            (json!({"name": null}), Code::InvalidConfig, "name, that of the network, is missing"),
            (json!({"name": "a/b"}), Code::InvalidConfig, r#""a/b""#),
            (json!({"labels": 7}), Code::Decode, "cannot be read"),
            (
                json!({"runtimeConfig": {"portMappings": [{"hostPort": 70000, "containerPort": 1}]}}),
                Code::InvalidConfig,
                "70000",
            ),
            (
                json!({"runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 0}]}}),
                Code::InvalidConfig,
                "containerPort 0",
            ),
            (
                json!({"runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "icmp"}]}}),
                Code::InvalidConfig,
                "no ports",
            ),
            (json!({"runtimeConfig": {"ips": ["nonsense"]}}), Code::InvalidConfig, "nonsense"),
            (json!({"runtimeConfig": {"mac": "02:00:00:00:00:01"}}), Code::UnsupportedField, "mac"),
        ] {
            let error = parse(change.clone()).unwrap_err();
            assert_eq!(error.code, code, "{change}");
            let text = format!("{} {}", error.message, error.details);
            assert!(text.contains(complaint), "{change}: {text}");
        }
        assert_eq!(Config::parse(b"").unwrap_err().code, Code::Decode);
        assert_eq!(Config::parse(b"[]").unwrap_err().code, Code::Decode);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Config::parse(&bytes);
        }

        /// Sound but for one piece that is cut out.
        #[test]
        fn a_torn_configuration_is_read_or_refused(from in 0_usize..200, length in 1_usize..20) {
            let whole = json!({"cniVersion": "1.0.0", "name": "pods", "labels": {"a": "b"}, "args": {"cni": {"ips": ["::1"]}},
                "runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 2}]}}).to_string();
            let mut bytes = whole.into_bytes();
            let from = from.min(bytes.len());
            let to = from.saturating_add(length).min(bytes.len());
            bytes.drain(from..to);
            let _ = Config::parse(&bytes);
        }
    }
}
