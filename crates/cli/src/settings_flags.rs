//! Every row of the table of settings as a flag.

use ciliate_api::settings::{SETTINGS, Setting};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, builder::PossibleValuesParser};
use std::collections::BTreeMap;

/// Settings given as flags, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsFlags(pub BTreeMap<String, String>);

/// `--run-dir` is a flag of every verb: it says where the agent's socket is.
fn own() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.name != "run-dir")
}

fn flag(setting: &'static Setting) -> Arg {
    let default = match setting.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .help(format!("{}{default} [env: {}]", setting.help, setting.env()))
        .help_heading("Settings")
        .hide_possible_values(true);
    let choices: Vec<&'static str> = setting.form.split('|').collect();
    let arg = match choices.as_slice() {
        ["true", "false"] => arg.num_args(0..=1).default_missing_value("true").value_name("true|false"),
        _ => arg.value_name(setting.form),
    };
    // What is written in capitals stands for something else, such as a path.
    let words = choices.iter().all(|choice| !choice.contains(|letter: char| letter.is_ascii_uppercase()));
    if choices.len() > 1 && words { arg.value_parser(PossibleValuesParser::new(choices)) } else { arg }
}

impl Args for SettingsFlags {
    fn augment_args(command: Command) -> Command {
        command.args(own().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = own().filter_map(|setting| {
            let value = matches.get_one::<String>(setting.name)?;
            Some((setting.name.to_owned(), value.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flag: &str) -> Result<SettingsFlags, clap::Error> {
        let command = SettingsFlags::augment_args(Command::new("up"));
        SettingsFlags::from_arg_matches(&command.try_get_matches_from(["up", flag])?)
    }

    #[test]
    fn choices_are_checked_and_forms_are_not() {
        for (name, value) in [
            ("hubble-export-file-path", "/var/log/flows.json"),
            ("hubble-export-file-path", "stdout"),
            ("hubble-redact-enabled", "false"),
        ] {
            let flags = given(&format!("--{name}={value}")).unwrap();
            assert_eq!(flags.0.get(name).map(String::as_str), Some(value));
        }
        assert_eq!(given("--hubble-redact-enabled").unwrap().0["hubble-redact-enabled"], "true");
        let error = given("--hubble-redact-enabled=maybe").unwrap_err().to_string();
        assert!(error.contains("--hubble-redact-enabled") && error.contains("true, false"), "{error}");
    }
}
