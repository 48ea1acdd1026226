//! `fluentd:` of an exporter.

use super::{RawTls, Secrecy, absolute, route};
use crate::{
    address,
    config::{ConfigError, document::Place},
    spec::{Answers, FluentdKeys, FluentdTarget},
};
use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawFluentd {
    address: Spanned<String>,
    tls: Option<Spanned<RawTls>>,
    tag: Option<Spanned<String>>,
    acknowledge: Option<Spanned<bool>>,
    shared_key_file: Option<Spanned<String>>,
    username: Option<Spanned<String>>,
    password_file: Option<Spanned<String>>,
}

const SCHEMES: [(&str, u16, Secrecy); 2] = [("tcp", 24224, Secrecy::Plain), ("tls", 24224, Secrecy::Tls)];

impl RawFluentd {
    pub fn understand(&self, place: &Place<'_>) -> Result<FluentdTarget, ConfigError> {
        let Self { address, tls, tag, acknowledge, shared_key_file, username, password_file } = self;
        let to = address::read(&address.value, &SCHEMES)
            .map_err(|what| place.error("fluentd.address", address, what))?;
        let tag = match tag {
            None => "ciliate.flow".to_owned(),
            Some(tag)
                if (1..=256).contains(&tag.value.len())
                    && tag.value.chars().all(|c| c.is_ascii_graphic()) =>
            {
                tag.value.clone()
            }
            Some(tag) => {
                let what = "write 1 to 256 printable ASCII characters without spaces, such as ciliate.flow";
                return Err(place.error("fluentd.tag", tag, what));
            }
        };
        let login = match (username, password_file) {
            (Some(user), Some(file)) => {
                Some((user.value.clone(), absolute(place, "fluentd.passwordFile", file)?))
            }
            (None, None) => None,
            (Some(user), None) => {
                return Err(place.error("fluentd.passwordFile", user, "is missing: username needs it"));
            }
            (None, Some(file)) => {
                return Err(place.error("fluentd.username", file, "is missing: passwordFile needs it"));
            }
        };
        let keys = match (shared_key_file, login) {
            (Some(file), login) => {
                Some(FluentdKeys { shared_key_file: absolute(place, "fluentd.sharedKeyFile", file)?, login })
            }
            (None, None) => None,
            (None, Some(_)) => {
                return Err(place.error("fluentd.sharedKeyFile", address, "is missing: username needs it"));
            }
        };
        let answers = match acknowledge.as_ref().is_none_or(|wanted| wanted.value) {
            true => Answers::Awaited,
            false => Answers::None,
        };
        Ok(FluentdTarget { route: route(place, "fluentd", to, tls.as_ref())?, tag, answers, keys })
    }
}
