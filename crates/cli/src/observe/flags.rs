//! The filters as flags: one table makes the flags, their help and what they put into messages.

use super::question::{QUESTIONS, Question, Sets};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// The filters in the order in which they were given, which `--not` needs.
#[derive(Clone, Debug, Default)]
pub struct FilterFlags(pub Vec<Given>);

/// One flag with its value.
#[derive(Clone, Debug)]
pub struct Given {
    pub question: &'static Question,
    pub ends: Ends,
    pub polarity: Polarity,
    /// Empty for flags without a value.
    pub value: String,
}

/// Which end of a flow a flag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// One of the two, or what has no ends.
    Either,
    From,
    To,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Polarity {
    Wanted,
    /// After `--not`.
    Unwanted,
}

const NOT: &str = "not";
const HEADING: &str = "Filters";

impl Ends {
    fn of(question: &Question) -> &'static [Self] {
        match question.sets {
            Sets::Whole(_) => &[Self::Either],
            Sets::Ends { .. } | Sets::Namespace | Sets::AllNamespaces => {
                &[Self::Either, Self::From, Self::To]
            }
        }
    }
}

impl Given {
    /// The flag's name, without dashes.
    pub fn flag(&self) -> &'static str {
        name(self.question, self.ends)
    }
}

const fn name(question: &'static Question, ends: Ends) -> &'static str {
    match ends {
        Ends::Either => question.name,
        Ends::From => question.from,
        Ends::To => question.to,
    }
}

fn flags() -> impl Iterator<Item = (&'static Question, Ends)> {
    QUESTIONS.iter().flat_map(|question| Ends::of(question).iter().map(move |ends| (question, *ends)))
}

fn flag((question, ends): (&'static Question, Ends)) -> Arg {
    let name = name(question, ends);
    let help = match (ends, &question.sets) {
        (Ends::From, _) => format!("As --{}, of the source", question.name),
        (Ends::To, _) => format!("As --{}, of the destination", question.name),
        (Ends::Either, _) => question.help.to_owned(),
    };
    let arg = Arg::new(name).long(name).help(help).help_heading(HEADING).action(ArgAction::Append);
    let arg = match question.value {
        "" => switch(arg),
        value => arg.value_name(value),
    };
    match (question.short, ends) {
        (Some(short), Ends::Either) => arg.short(short),
        _ => arg,
    }
}

/// Takes no value, yet keeps its place among the others.
fn switch(arg: Arg) -> Arg {
    arg.num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_possible_values(true)
        .value_name("true")
}

impl Args for FilterFlags {
    fn augment_args(command: Command) -> Command {
        let not =
            Arg::new(NOT).long(NOT).help("Flows that do not match the next filter").help_heading(HEADING);
        command.arg(switch(not.action(ArgAction::Append))).args(flags().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let places = |name: &str| {
            matches.indices_of(name).map(|places| places.collect::<Vec<_>>()).unwrap_or_default()
        };
        let mut found: Vec<(usize, Option<Given>)> =
            places(NOT).into_iter().map(|place| (place, None)).collect();
        for (question, ends) in flags() {
            let name = name(question, ends);
            let values = matches.get_many::<String>(name).into_iter().flatten();
            for (place, value) in places(name).into_iter().zip(values) {
                let value = value.clone();
                found.push((place, Some(Given { question, ends, polarity: Polarity::Wanted, value })));
            }
        }
        found.sort_by_key(|(place, _)| *place);
        let (mut given, mut polarity) = (Vec::new(), Polarity::Wanted);
        for (_, flag) in found {
            match (flag, polarity) {
                (Some(flag), _) => given.push(Given { polarity, ..flag }),
                (None, Polarity::Wanted) => {
                    polarity = Polarity::Unwanted;
                    continue;
                }
                (None, Polarity::Unwanted) => return Err(wrong("--not is given twice for one filter")),
            }
            polarity = Polarity::Wanted;
        }
        match polarity {
            Polarity::Wanted => Ok(Self(given)),
            Polarity::Unwanted => {
                Err(wrong("--not is the last filter: write it before the filter that it turns around"))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn wrong(message: &str) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{message}\n"))
}
