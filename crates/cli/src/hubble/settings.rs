//! Hubble's file of settings: it says what neither flags nor the environment say.

use crate::{
    context::Context,
    exit::{Code, Failure},
    observe::{
        raw_filter::usage,
        server::{SOCKET, ServerFlags},
    },
    output::{emit, yaml},
};
use anyhow::Context as _;
use clap::{Arg, ArgMatches, Args as _, Command, FromArgMatches, parser::ValueSource};
use serde_json::{Map, Value};
use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Names the file instead of `--config`.
const FILE_ENV: &str = "HUBBLE_CONFIG";
/// Verbs that ask servers of Hubble's interface.
const VERBS: [&str; 3] = ["hubble", "observe", "top"];
/// Flags that a file has values for, besides those about the server.
const FILTERS: [&str; 2] = ["allowlist", "denylist"];

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// One setting, or all of them
    Get {
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Write a setting into the file; without a value take it out
    Set {
        #[arg(value_name = "KEY")]
        key: String,
        #[arg(value_name = "VALUE")]
        value: Option<String>,
    },
    /// Take a setting out of the file, or all of them
    Reset {
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// What flags, environment and file come to
    View,
}

/// What the flags about the server come to, by their names.
#[derive(Clone, Debug, Default)]
pub struct Merged(Map<String, Value>);

fn flags() -> Vec<Arg> {
    ServerFlags::augment_args(Command::new("hubble")).get_arguments().cloned().collect()
}

fn name(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}

/// Flags of all verbs below `hubble`, also in front of the verb.
impl clap::Args for Merged {
    fn augment_args(command: Command) -> Command {
        command.args(flags().into_iter().map(|arg| arg.global(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Merged {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |arg: &Arg| {
            let found = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
            let texts: Vec<String> = found.map(|text| text.to_string_lossy().into_owned()).collect();
            (name(arg).to_owned(), typed(arg, &texts))
        };
        Ok(Self(flags().iter().map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Yes or no, a list, or a text, as the flag has it.
fn typed(arg: &Arg, texts: &[String]) -> Value {
    let first = texts.first().map_or("", String::as_str);
    match (arg.get_value_names(), arg.get_value_delimiter()) {
        (Some([kind]), _) if kind.as_str() == "true|false" => Value::Bool(first == "true"),
        (_, Some(_)) => texts.iter().filter(|text| !text.is_empty()).cloned().collect(),
        (_, None) => Value::String(first.to_owned()),
    }
}

/// The file that was named, or the usual one.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Needed,
    Optional,
}

impl File {
    fn of(flag: Option<&Path>) -> anyhow::Result<Self> {
        let named = flag.map(Path::to_owned).or_else(|| env::var_os(FILE_ENV).map(PathBuf::from));
        if let Some(path) = named {
            return Ok(Self { path, presence: Presence::Needed });
        }
        let folder = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")));
        let folder =
            folder.context("neither HOME nor XDG_CONFIG_HOME is set: name Hubble's file with --config")?;
        Ok(Self { path: folder.join("hubble/config.yaml"), presence: Presence::Optional })
    }

    fn read(&self) -> anyhow::Result<Map<String, Value>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.presence == Presence::Optional => {
                return Ok(Map::new());
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read Hubble's settings in {}", self.path.display()));
            }
        };
        let read: Option<Map<String, Value>> = serde_saphyr::from_str(&text)
            .map_err(|error| usage(format!("{}: {error}", self.path.display())))?;
        Ok(read.unwrap_or_default())
    }

    /// Whole or not at all, and for nobody else to read.
    fn write(&self, settings: &Map<String, Value>) -> anyhow::Result<()> {
        let wrong = || format!("cannot write {}", self.path.display());
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).with_context(wrong)?;
        }
        let new = self.path.with_extension("yaml.new");
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&new).with_context(wrong)?;
        file.write_all(yaml(settings)?.as_bytes()).with_context(wrong)?;
        file.sync_all().with_context(wrong)?;
        fs::rename(&new, &self.path).with_context(wrong)
    }
}

/// The flags with what the file says as their defaults; none where it says nothing about what was asked.
///
/// # Errors
/// Where the file cannot be read.
pub fn with_file(command: &Command, matches: &ArgMatches) -> anyhow::Result<Option<(Command, PathBuf)>> {
    let Some((verb, below)) = matches.subcommand().filter(|(verb, _)| VERBS.contains(verb)) else {
        return Ok(None);
    };
    // The other verbs' is the agent's.
    let flag = matches.get_one::<PathBuf>("config").filter(|_| verb == "hubble");
    let Ok(mut file) = File::of(flag.map(PathBuf::as_path)) else { return Ok(None) };
    // Who changes settings may begin a file.
    if verb == "hubble" && below.subcommand_name() == Some("config") {
        file.presence = Presence::Optional;
    }
    let settings = file.read()?;
    Ok((!settings.is_empty()).then(|| (with_defaults(command.clone(), &settings), file.path)))
}

fn with_defaults(command: Command, settings: &Map<String, Value>) -> Command {
    let known = flags();
    let is_known =
        |arg: &Arg| FILTERS.contains(&name(arg)) || known.iter().any(|flag| flag.get_id() == arg.get_id());
    VERBS.into_iter().fold(command, |command, verb| {
        command.mut_subcommand(verb, |below| {
            everywhere(below, &|arg| match settings.get(name(&arg)) {
                Some(value) if is_known(&arg) => with_default(arg, value),
                Some(_) | None => arg,
            })
        })
    })
}

fn everywhere(command: Command, change: &impl Fn(Arg) -> Arg) -> Command {
    command.mut_args(change).mut_subcommands(|below| everywhere(below, change))
}

fn with_default(arg: Arg, value: &Value) -> Arg {
    let texts: Vec<String> = match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => vec![text(value)],
    };
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    if texts.is_empty() { arg } else { arg.default_values(texts) }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Merged {
    /// Who is asked without that setting.
    fn name_server(&mut self, context: &Context) -> anyhow::Result<()> {
        let server = self.0.entry("server").or_insert_with(|| Value::String(String::new()));
        if server == "" {
            *server = Value::String(format!("unix://{}", context.socket()?.with_file_name(SOCKET).display()));
        }
        Ok(())
    }
}

impl Verb {
    pub fn run(self, mut merged: Merged, context: &Context) -> anyhow::Result<()> {
        let file = File { presence: Presence::Optional, ..File::of(context.hubble_file())? };
        merged.name_server(context)?;
        match self {
            Self::View | Self::Get { key: None } => {
                merged.0.insert("config".to_owned(), Value::String(file.path.display().to_string()));
                Ok(emit(&yaml(&merged.0)?)?)
            }
            Self::Get { key: Some(key) } => {
                let value = merged.0.get(&key).ok_or_else(|| unknown(&key))?;
                Ok(emit(&yaml(value)?)?)
            }
            Self::Set { key, value: Some(value) } if !value.is_empty() => set(&file, &key, &value),
            Self::Set { key, .. } | Self::Reset { key: Some(key) } => {
                find(&key)?;
                let mut settings = file.read()?;
                settings.remove(&key);
                file.write(&settings)
            }
            Self::Reset { key: None } => file.write(&Map::new()),
        }
    }
}

fn find(key: &str) -> anyhow::Result<Arg> {
    flags().into_iter().find(|flag| name(flag) == key).ok_or_else(|| unknown(key))
}

fn unknown(key: &str) -> anyhow::Error {
    let message = format!("{key:?} is no setting here: `ciliate hubble config view` lists them");
    Failure::new(Code::NotFound, message).into()
}

fn set(file: &File, key: &str, value: &str) -> anyhow::Result<()> {
    let flag = find(key)?;
    let value = match flag.get_value_delimiter() {
        Some(_) => value.trim_start_matches('[').trim_end_matches(']'),
        None => value,
    };
    let command = ServerFlags::augment_args(Command::new("hubble").no_binary_name(true));
    let id = flag.get_id().clone();
    let matches = command.try_get_matches_from([format!("--{key}={value}")]).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        usage(first.trim_start_matches("error: ").to_owned())
    })?;
    let given = matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let found = matches.get_raw(id.as_str()).into_iter().flatten().filter(|_| given);
    let texts: Vec<String> = found.map(|text| text.to_string_lossy().into_owned()).collect();
    let mut settings = file.read()?;
    settings.insert(key.to_owned(), typed(&flag, &texts));
    file.write(&settings)
}
