//! `otlp:` of an exporter.

use super::{RawTls, Secrecy, route};
use crate::{
    address,
    config::{ConfigError, document::Place},
    spec::{OtlpProtocol, OtlpTarget},
};
use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, time::Duration};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawOtlp {
    endpoint: Spanned<String>,
    protocol: Option<Spanned<String>>,
    path: Option<Spanned<String>>,
    tls: Option<Spanned<RawTls>>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    resource: BTreeMap<String, Spanned<String>>,
    timeout: Option<Spanned<u64>>,
}

impl RawOtlp {
    pub fn understand(&self, place: &Place<'_>) -> Result<OtlpTarget, ConfigError> {
        let Self { endpoint, protocol, path, tls, headers, resource, timeout } = self;
        let protocol = match protocol.as_ref().map(|protocol| protocol.value.as_str()) {
            None | Some("grpc") => OtlpProtocol::Grpc,
            Some("http/protobuf") => OtlpProtocol::Http,
            Some(other) => {
                let what = format!("{other:?} is no protocol: write grpc or http/protobuf");
                return Err(place.error("otlp.protocol", protocol.as_ref().unwrap_or(endpoint), what));
            }
        };
        let port = match protocol {
            OtlpProtocol::Grpc => 4317,
            OtlpProtocol::Http => 4318,
        };
        let schemes = [("http", port, Secrecy::Plain), ("https", port, Secrecy::Tls)];
        let to = address::read(&endpoint.value, &schemes)
            .map_err(|what| place.error("otlp.endpoint", endpoint, what))?;
        let path = match (path, protocol) {
            (None, _) => "/v1/logs".to_owned(),
            (Some(path), OtlpProtocol::Http) if is_path(&path.value) => path.value.clone(),
            (Some(path), OtlpProtocol::Http) => {
                return Err(place.error("otlp.path", path, "write a path such as /v1/logs"));
            }
            (Some(path), OtlpProtocol::Grpc) => {
                return Err(place.error("otlp.path", path, "is only for protocol: http/protobuf"));
            }
        };
        for (name, value) in headers {
            let fits = HeaderName::from_bytes(name.as_bytes()).is_ok()
                && HeaderValue::from_str(&value.value).is_ok();
            if !fits || name.ends_with("-bin") {
                return Err(place.error(
                    "otlp.headers",
                    value,
                    format!("{name:?} or its value fits in no header"),
                ));
            }
        }
        let timeout = match timeout {
            None => Duration::from_secs(10),
            Some(seconds) if (1..=300).contains(&seconds.value) => Duration::from_secs(seconds.value),
            Some(seconds) => return Err(place.error("otlp.timeout", seconds, "write 1 to 300 seconds")),
        };
        let pairs = |map: &BTreeMap<String, Spanned<String>>| {
            map.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
        };
        Ok(OtlpTarget {
            route: route(place, "otlp", to, tls.as_ref())?,
            protocol,
            path,
            headers: pairs(headers),
            resource: pairs(resource),
            timeout,
        })
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.chars().all(|c| c.is_ascii_graphic() && !"#\"<>\\^`{|}".contains(c))
}
