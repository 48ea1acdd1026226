//! `syslog:` of an exporter.

use super::{RawTls, Secrecy, route};
use crate::{
    address,
    config::{ConfigError, document::Place},
    sink::syslog::{Facility, Form, StructuredId},
    spec::{SyslogRoute, SyslogTarget},
};
use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawSyslog {
    address: Spanned<String>,
    tls: Option<Spanned<RawTls>>,
    facility: Option<Spanned<String>>,
    app_name: Option<Spanned<String>>,
    form: Option<Spanned<String>>,
    structured_data_id: Option<Spanned<String>>,
}

#[derive(Clone, Copy)]
enum Scheme {
    Udp,
    Tcp,
    Tls,
}

/// With the ports that RFC 5426, RFC 6587 and RFC 5425 name.
const SCHEMES: [(&str, u16, Scheme); 3] =
    [("udp", 514, Scheme::Udp), ("tcp", 601, Scheme::Tcp), ("tls", 6514, Scheme::Tls)];

impl RawSyslog {
    pub fn understand(&self, place: &Place<'_>) -> Result<SyslogTarget, ConfigError> {
        let Self { address, tls, facility, app_name, form, structured_data_id } = self;
        let (to, scheme) = address::read(&address.value, &SCHEMES)
            .map_err(|what| place.error("syslog.address", address, what))?;
        let stream =
            |secrecy| route(place, "syslog", (to.clone(), secrecy), tls.as_ref()).map(SyslogRoute::Stream);
        let route = match scheme {
            Scheme::Tcp => stream(Secrecy::Plain)?,
            Scheme::Tls => stream(Secrecy::Tls)?,
            Scheme::Udp => match tls {
                None => SyslogRoute::Udp(to),
                Some(tls) => {
                    let what = "there is no TLS over UDP: write tls://HOST:PORT, or take this out";
                    return Err(place.error("syslog.tls", tls, what));
                }
            },
        };
        let facility = facility.as_ref().map_or(Ok(Facility::LOCAL0), |facility| {
            Facility::read(&facility.value).map_err(|what| place.error("syslog.facility", facility, what))
        })?;
        let app_name = match app_name {
            None => "ciliate".to_owned(),
            Some(name)
                if (1..=48).contains(&name.value.len())
                    && name.value.chars().all(|c| c.is_ascii_graphic()) =>
            {
                name.value.clone()
            }
            Some(name) => {
                let what = "write 1 to 48 printable ASCII characters without spaces";
                return Err(place.error("syslog.appName", name, what));
            }
        };
        let id = structured_data_id.as_ref().map(|id| {
            StructuredId::read(&id.value).map_err(|what| place.error("syslog.structuredDataId", id, what))
        });
        let form = match (form.as_ref().map(|form| form.value.as_str()), id.transpose()?) {
            (None | Some("json"), None) => Form::Json,
            (Some("structured-data"), Some(id)) => Form::Structured(id),
            (Some("structured-data"), None) => Form::Structured(
                StructuredId::read(StructuredId::DEFAULT)
                    .map_err(|what| place.error("syslog.form", address, what))?,
            ),
            (None | Some("json"), Some(_)) => {
                let what = "is only for form: structured-data";
                return Err(place.error(
                    "syslog.structuredDataId",
                    structured_data_id.as_ref().unwrap_or(address),
                    what,
                ));
            }
            (Some(other), _) => {
                let what = format!("{other:?} is no form: write json or structured-data");
                return Err(place.error("syslog.form", form.as_ref().unwrap_or(address), what));
            }
        };
        Ok(SyslogTarget { route, facility, app_name, form })
    }
}
