//! What an administrator says that names resolve to (`tofqdns-pre-cache`), in Cilium's format.

use crate::{cache::UnixTime, message::Resolution, name::Name};
use serde::Deserialize;
use std::net::IpAddr;
use thiserror::Error;

/// A name and its addresses, with the seconds that are left of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreCached {
    pub name: Name,
    pub addresses: Vec<Resolution>,
}

#[derive(Debug, Error)]
pub enum PreCacheError {
    #[error("the pre-cache is no JSON list of {{\"fqdn\", \"expiration-time\", \"ips\"}}")]
    Json(#[source] serde_json::Error),
    #[error("entry {0} of the pre-cache has {1:?} as \"fqdn\", which is no name")]
    Name(usize, String),
    #[error(
        "entry {0} of the pre-cache has {1:?} as \"expiration-time\": write it like 2026-01-31T12:00:00Z"
    )]
    Time(usize, String),
}

/// As Cilium's `fqdn cache list -o json` prints it; other fields are of no interest.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    fqdn: String,
    expiration_time: String,
    #[serde(default)]
    ips: Vec<IpAddr>,
}

/// Reads a pre-cache; what has expired by now is left out.
pub fn read_pre_cache(json: &[u8], now: UnixTime) -> Result<Vec<PreCached>, PreCacheError> {
    let rows: Vec<Row> = serde_json::from_slice(json).map_err(PreCacheError::Json)?;
    let mut read = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let name = Name::from_text(&row.fqdn).ok_or(PreCacheError::Name(at, row.fqdn))?;
        let Ok(expires) = row.expiration_time.parse::<jiff::Timestamp>() else {
            return Err(PreCacheError::Time(at, row.expiration_time));
        };
        let left = expires.as_second().saturating_sub(now.0.into());
        let Some(ttl) = u32::try_from(left.min(u32::MAX.into())).ok().filter(|ttl| *ttl > 0) else {
            continue;
        };
        let addresses = row.ips.into_iter().map(|address| Resolution { address, ttl }).collect();
        read.push(PreCached { name, addresses });
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"fqdn": "Vagrant-Cache.ci.cilium.io.", "lookup-time": "2020-01-01T00:00:00Z",
        "expiration-time": "2020-01-01T00:10:00.5Z", "ttl": 604800, "ips": ["192.0.2.4", "2001:db8::4"]}"#;

    #[test]
    fn a_list_as_cilium_prints_it() {
        let start =
            u32::try_from("2020-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second()).unwrap();
        let json = format!("[{ROW}]");
        let read = read_pre_cache(json.as_bytes(), UnixTime(start)).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].name.to_string(), "vagrant-cache.ci.cilium.io");
        let told: Vec<String> =
            read[0].addresses.iter().map(|found| format!("{}/{}", found.address, found.ttl)).collect();
        assert_eq!(told, ["192.0.2.4/600", "2001:db8::4/600"]);
        assert!(read_pre_cache(json.as_bytes(), UnixTime(start).plus(600)).unwrap().is_empty());
    }

    #[test]
    fn errors_say_where() {
        let told = |json: String| read_pre_cache(json.as_bytes(), UnixTime(0)).unwrap_err().to_string();
        assert!(told("{}".into()).contains("no JSON list"));
        assert!(told(format!("[{ROW}, {}]", ROW.replace("Vagrant-", "a.."))).contains("entry 1"));
        assert!(told(format!("[{}]", ROW.replace("00:10:00.5Z", "soon"))).contains("write it like"));
    }
}
