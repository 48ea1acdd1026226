//! Settings that change while the agent runs, and stay changed when it starts again.

use crate::{
    failure::{Failure, Result},
    stored::{kind, put, read},
};
use ciliate_api::settings::{Change, Config, Origin, Resolved, Setting};
use ciliate_store::{Embedded, Write};
use std::collections::BTreeMap;

/// All settings: as flags, environment and file have them, and as they are in force.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    configured: Vec<Resolved>,
    now: Vec<Resolved>,
}

/// New values, checked and not yet in force.
#[derive(Debug)]
pub struct Patched {
    pub settings: RuntimeConfig,
    pub config: Config,
    /// What makes them outlive the agent.
    pub writes: Vec<Write>,
}

impl RuntimeConfig {
    /// What was configured, with what was changed since by `config set`.
    pub fn restore(configured: Vec<Resolved>, store: &Embedded) -> Result<(Self, Config)> {
        let plain = Self { now: configured.clone(), configured };
        let mut patch = BTreeMap::new();
        for document in store.list(kind::SETTING)? {
            let value: String = read(kind::SETTING, &document.key, document.value)?;
            patch.insert(document.key, value);
        }
        let patched = plain.patched(&patch).map_err(|failure| {
            failure.while_doing(
                "a setting that `config set` stored is not valid for this version; use the version that stored it",
            )
        })?;
        Ok((patched.settings, patched.config))
    }

    pub fn rows(&self) -> &[Resolved] {
        &self.now
    }

    /// The settings with new values, all or none. One that gets the value that it is configured to have is no longer
    /// a changed one.
    pub fn patched(&self, patch: &BTreeMap<String, String>) -> Result<Patched> {
        let mut settings = self.clone();
        let mut writes = Vec::new();
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
            let configured = self.configured.iter().find(|row| row.setting.name == setting.name);
            let Some(row) = settings.now.iter_mut().find(|row| row.setting.name == setting.name) else {
                continue;
            };
            match configured.filter(|configured| configured.value == value) {
                Some(configured) => {
                    *row = configured.clone();
                    writes.push(Write::delete(kind::SETTING, setting.name));
                }
                None => {
                    writes.push(put(kind::SETTING, setting.name, &value)?);
                    (row.value, row.origin) = (value, Origin::Runtime);
                }
            }
        }
        let config = Config::new(&settings.now).map_err(|e| Failure::invalid(e.to_string()))?;
        Ok(Patched { settings, config, writes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runtime_settings_change_and_all_or_none() {
        let (configured, _) =
            ciliate_api::settings::resolve(&BTreeMap::new(), |_| None, None).expect("defaults");
        let settings = RuntimeConfig { now: configured.clone(), configured };
        let patch = |settings: &RuntimeConfig, pairs: &[(&str, &str)]| {
            let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            settings.patched(&map)
        };
        let changed =
            |settings: &RuntimeConfig| settings.now.iter().filter(|r| r.origin == Origin::Runtime).count();
        let status = |pairs: &[(&str, &str)]| {
            patch(&settings, pairs).map(|p| changed(&p.settings)).map_err(|e| e.0.status)
        };
        assert_eq!(status(&[("policy-audit-mode", "true"), ("log-level", "debug")]), Ok(2));
        assert_eq!(status(&[("log-level", "info")]), Ok(0));
        assert_eq!(status(&[("log-level", "loud")]), Err(400));
        assert_eq!(status(&[("state-dir", "/x")]), Err(409));
        assert_eq!(status(&[("nonsense", "1")]), Err(404));
        let loud = patch(&settings, &[("log-level", "debug")]).expect("valid").settings;
        let back = patch(&loud, &[("log-level", "info")]).expect("valid").settings;
        assert_eq!((changed(&loud), changed(&back)), (1, 0));
    }
}
