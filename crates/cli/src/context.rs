//! What every verb has at hand: the flags of all verbs, the settings, the agent, the page.

use crate::{
    exit::{Code, Failure},
    output::{ColourChoice, Page},
    settings_flags::SettingsFlags,
};
use anyhow::Context as _;
use ciliate_api::{
    Client, ClientError, SOCKET_NAME,
    settings::{CONFIG_FILE_ENV, Config, ConfigFile, DEFAULT_CONFIG_FILE, Resolved, resolve},
};
use std::{
    cell::OnceCell,
    env, fs, io,
    path::{Path, PathBuf},
};

/// Flags that every verb takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Globals {
    /// Configuration file [default: /etc/ciliate/ciliate.yaml, if it exists] [env: CILIATE_CONFIG]; below `hubble` Hubble's
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub config: Option<PathBuf>,
    /// Folder of the agent's socket [default: /run/ciliate] [env: CILIATE_RUN_DIR]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Everywhere")]
    pub run_dir: Option<PathBuf>,
    /// When to use colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Everywhere",
        alias = "colour"
    )]
    pub color: ColourChoice,
}

pub struct Context {
    globals: Globals,
    hubble_file: Option<PathBuf>,
    pub page: Page,
    socket: OnceCell<PathBuf>,
}

impl Context {
    pub fn new(globals: Globals) -> Self {
        let page = Page::of_stdout(globals.color);
        Self { globals, hubble_file: None, page, socket: OnceCell::new() }
    }

    /// For verbs whose `--config` names Hubble's file, not the agent's.
    pub fn of_hubble(mut globals: Globals) -> Self {
        let hubble_file = globals.config.take();
        Self { hubble_file, ..Self::new(globals) }
    }

    /// Hubble's file as it was named, if it was.
    pub fn hubble_file(&self) -> Option<&Path> {
        self.hubble_file.as_deref()
    }

    /// All settings with their origin, under the flags that were given.
    pub fn settings(&self, flags: &SettingsFlags) -> anyhow::Result<(Vec<Resolved>, Config)> {
        let mut flags = flags.0.clone();
        if let Some(run_dir) = &self.globals.run_dir {
            let absolute =
                std::path::absolute(run_dir).with_context(|| format!("--run-dir {}", run_dir.display()))?;
            flags.insert("run-dir".to_owned(), absolute.display().to_string());
        }
        let file = self.config_file()?;
        Ok(resolve(&flags, |name| env::var(name).ok(), file.as_ref())?)
    }

    /// The flags that make another process of this program see the same settings.
    pub fn same_flags(&self) -> Vec<String> {
        let flag = |name: &str, path: &Option<PathBuf>| {
            let path = path.as_ref().and_then(|p| std::path::absolute(p).ok());
            path.map(|p| format!("--{name}={}", p.display()))
        };
        [flag("config", &self.globals.config), flag("run-dir", &self.globals.run_dir)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The file that was named, which must exist, or the usual one, which need not.
    fn config_file(&self) -> anyhow::Result<Option<ConfigFile>> {
        let named = self.globals.config.clone().or_else(|| env::var_os(CONFIG_FILE_ENV).map(PathBuf::from));
        let must_exist = named.is_some();
        let path = named.unwrap_or_else(|| DEFAULT_CONFIG_FILE.into());
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(ConfigFile { path, text })),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read the configuration file {}", path.display()))
            }
        }
    }

    /// Where the agent listens.
    pub fn socket(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = self.socket.get() {
            return Ok(path.clone());
        }
        let path = match &self.globals.run_dir {
            Some(run_dir) => run_dir.join(SOCKET_NAME),
            None => self.settings(&SettingsFlags::default())?.1.socket(),
        };
        Ok(self.socket.get_or_init(|| path).clone())
    }

    /// The agent, whether or not it runs.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.socket()?))
    }
}

/// Says what to do about an agent that cannot be reached; leaves other errors alone.
pub fn explain(error: anyhow::Error) -> anyhow::Error {
    let (path, source) = match error.chain().find_map(|e| e.downcast_ref()) {
        Some(ClientError::Connect { path, source }) => (path, source),
        Some(ClientError::Io(source)) if source.kind() == io::ErrorKind::WouldBlock => {
            let message = "the agent did not answer in time: `ciliate status --wait` waits for it";
            return Failure::new(Code::TimedOut, message).into();
        }
        Some(ClientError::Io(source)) => {
            let message =
                format!("the agent ended while it was asked ({source}); start it with `ciliate up`");
            return Failure::new(Code::NotRunning, message).into();
        }
        Some(ClientError::Answer { .. } | ClientError::Refused(_)) | None => {
            return error;
        }
    };
    let path = path.display();
    let failure = match source.kind() {
        io::ErrorKind::PermissionDenied => Failure::new(
            Code::PermissionDenied,
            format!(
                "permission denied on {path}: run as root, or join the group that owns the socket \
                 (`usermod -aG ciliate USER`, then log in again)"
            ),
        ),
        io::ErrorKind::NotFound => Failure::new(
            Code::NotRunning,
            format!(
                "the agent does not run: there is no {path}; start it with `ciliate up`, or name its \
                 folder with --run-dir"
            ),
        ),
        io::ErrorKind::ConnectionRefused => Failure::new(
            Code::NotRunning,
            format!("the agent does not run any more: nobody listens on {path}; start it with `ciliate up`"),
        ),
        _ => Failure::new(Code::NotRunning, format!("cannot reach the agent at {path}: {source}")),
    };
    failure.into()
}
