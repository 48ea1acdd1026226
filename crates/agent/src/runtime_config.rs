//! Settings that change while the agent runs.

use crate::failure::{Failure, Result};
use ciliate_api::{
    ConfigRow,
    settings::{Change, Config, Origin, Resolved, Setting},
};
use std::collections::BTreeMap;

/// The settings with new values, all or none.
pub fn patched(settings: &[Resolved], patch: &BTreeMap<String, String>) -> Result<(Vec<Resolved>, Config)> {
    let mut patched = settings.to_vec();
    for (name, value) in patch {
        let setting = Setting::find(name).ok_or_else(|| {
            Failure::absent(format!("setting {name:?} is unknown: `ciliate config get` lists all"))
        })?;
        if setting.change == Change::AtStart {
            return Err(Failure::conflict(format!(
                "setting {name} cannot change while the agent runs: set it in the configuration file and restart"
            )));
        }
        let value = setting.check(value).map_err(|expected| {
            Failure::invalid(format!("setting {name}: {value:?} is wrong: expected {expected}"))
        })?;
        if let Some(row) = patched.iter_mut().find(|r| r.setting.name == setting.name && r.value != value) {
            row.value = value;
            row.origin = Origin::Runtime;
        }
    }
    let config = Config::new(&patched).map_err(|e| Failure::invalid(e.to_string()))?;
    Ok((patched, config))
}

pub fn row(resolved: &Resolved) -> ConfigRow {
    ConfigRow {
        name: resolved.setting.name.to_owned(),
        value: resolved.value.clone(),
        origin: resolved.origin_text(),
        default: resolved.setting.default.to_owned(),
        runtime: resolved.setting.change == Change::Anytime,
        help: resolved.setting.help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runtime_settings_change_and_all_or_none() {
        let (settings, _) =
            ciliate_api::settings::resolve(&BTreeMap::new(), |_| None, None).expect("defaults");
        let patch = |pairs: &[(&str, &str)]| {
            let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            patched(&settings, &map)
                .map(|(rows, _)| rows.iter().filter(|r| r.origin == Origin::Runtime).count())
        };
        assert_eq!(
            patch(&[("policy-audit-mode", "true"), ("log-level", "debug")]).map_err(|e| e.0.status),
            Ok(2)
        );
        assert_eq!(patch(&[("log-level", "info")]).map_err(|e| e.0.status), Ok(0));
        assert_eq!(patch(&[("log-level", "loud")]).map_err(|e| e.0.status), Err(400));
        assert_eq!(patch(&[("state-dir", "/x")]).map_err(|e| e.0.status), Err(409));
        assert_eq!(patch(&[("nonsense", "1")]).map_err(|e| e.0.status), Err(404));
    }
}
