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
    if choices.len() > 1 { arg.value_parser(PossibleValuesParser::new(choices)) } else { arg }
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
