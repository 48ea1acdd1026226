//! Keeps the proxy's process running, from when it is first needed until it is ended.

use super::{Attention, Proxy};
use ciliate_api::settings::{Config, Resolved};
use ciliate_proxy::{
    Client,
    message::{Access, Answer, CachedName, Configuration, Interest, NameRules, NameSet, Request},
};
use ciliate_types::EndpointId;
use std::{
    env, fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a proxy may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at a proxy that has been started.
const LOOK: Duration = Duration::from_millis(2);
/// Between two attempts to start one that does not.
const PAUSE: Duration = Duration::from_millis(500);
/// Until a proxy that has ended is asked again what it wants numbers for.
const RETRY: Duration = Duration::from_millis(50);

/// The process and who watches over it.
pub struct Supervisor {
    launch: Arc<Launch>,
    watching: bool,
    listener: Listener,
}

/// What a proxy tells while somebody wants to know of requests.
pub enum News {
    Accesses(Vec<Access>),
    /// What names resolved to before this agent listened.
    Names(Vec<CachedName>),
    /// So many accesses that it had no room for.
    Lost(u64),
    /// Sets that need numbers.
    Wanted(Vec<NameSet>),
}

/// Hears what proxies tell.
#[derive(Clone)]
struct Listener {
    attention: Attention,
    news: Arc<dyn Fn(News) + Send + Sync>,
}

/// How to start and reach the process.
struct Launch {
    socket: PathBuf,
    log: PathBuf,
    /// The agent's settings that are not the default ones, as flags.
    flags: Vec<String>,
    /// Whether there is to be one; locked while one is started or ended.
    wanted: Mutex<bool>,
}

impl Supervisor {
    /// `news` gets what the proxy tells of requests.
    pub fn new(
        config: &Config,
        settings: &[Resolved],
        attention: Attention,
        news: impl Fn(News) + Send + Sync + 'static,
    ) -> Self {
        let flags = settings
            .iter()
            .filter(|resolved| resolved.value != resolved.setting.default)
            .map(|resolved| format!("--{}={}", resolved.setting.name, resolved.value))
            .collect();
        let launch = Launch {
            socket: config.proxy_socket(),
            log: config.run_dir.join("proxy.log"),
            flags,
            wanted: Mutex::new(false),
        };
        Self {
            launch: Arc::new(launch),
            watching: false,
            listener: Listener { attention, news: Arc::new(news) },
        }
    }

    /// Has a proxy of another build, or with other settings, hand over to one of this agent's. Looks once.
    fn renew(&mut self) -> io::Result<()> {
        if self.watching {
            return Ok(());
        }
        let Answer::Status(found) = self.launch.reach()?.ask(&Request::Status)? else { return Ok(()) };
        if self.launch.is_current(found.pid) {
            return Ok(());
        }
        tracing::info!(process = found.pid, "the proxy is of another build or has other settings");
        let wanted = self.launch.wanted();
        if let Err(error) = self.launch.start(Some(found.pid)) {
            tracing::error!(%error, "no other proxy can take over: the one before goes on");
        }
        drop(wanted);
        Ok(())
    }

    /// Has the process watched over from now on.
    fn watch(&mut self) -> io::Result<()> {
        if self.watching {
            return Ok(());
        }
        let (launch, listener) = (Arc::clone(&self.launch), self.listener.clone());
        thread::Builder::new().name("proxy".into()).spawn(move || {
            while *launch.wanted() {
                let watched = launch.reach().and_then(|client| client.watch(Interest::Nothing));
                match watched {
                    // Until it ends, which is noticed at once.
                    Ok((switch, told)) => {
                        let id = listener.attention.begin(switch);
                        listener.clone().hear(id, told);
                    }
                    Err(error) => {
                        tracing::error!(%error, "the proxy does not run: what needs it is refused");
                        thread::sleep(PAUSE);
                    }
                }
            }
        })?;
        let (launch, news) = (Arc::clone(&self.launch), Arc::clone(&self.listener.news));
        thread::Builder::new().name("proxy-names".into()).spawn(move || {
            while *launch.wanted() {
                match Client::connect(&launch.socket).and_then(Client::watch_wanted) {
                    Ok(all) => all.map_while(Result::ok).for_each(|sets| news(News::Wanted(sets))),
                    // The other thread starts it again.
                    Err(error) => tracing::debug!(%error, "the proxy does not answer"),
                }
                thread::sleep(RETRY);
            }
        })?;
        let (launch, news) = (Arc::clone(&self.launch), Arc::clone(&self.listener.news));
        thread::Builder::new().name("proxy-book".into()).spawn(move || {
            let asked = Client::connect(&launch.socket).and_then(|mut client| client.ask(&Request::Names));
            match asked {
                Ok(Answer::Names(names)) => news(News::Names(names)),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the proxy does not say what names resolved to"),
            }
        })?;
        self.watching = true;
        Ok(())
    }
}

impl Listener {
    /// Until the proxy ends or has a successor; what an old one still has to tell is heard on the side.
    fn hear(self, id: u64, mut told: impl Iterator<Item = io::Result<Answer>> + Send + 'static) {
        while let Some(Ok(answer)) = told.next() {
            match answer {
                Answer::Accesses(accesses) => (self.news)(News::Accesses(accesses)),
                Answer::Lost(count) => (self.news)(News::Lost(count)),
                Answer::Done => self.attention.heard(id),
                Answer::HandedOver => {
                    let (attention, rest) = (self.attention.clone(), move || self.hear(id, told));
                    if let Err(error) = thread::Builder::new().name("proxy-rest".into()).spawn(rest) {
                        tracing::warn!(%error, "what the old proxy still tells is not heard");
                        attention.end(id);
                    }
                    return;
                }
                Answer::Status(_)
                | Answer::Connections(_)
                | Answer::Configuration(_)
                | Answer::Wanted(_)
                | Answer::Names(_)
                | Answer::NamePatterns(_)
                | Answer::Cleaned(_)
                | Answer::Failed(_) => {}
            }
        }
        self.attention.end(id);
    }
}

impl Proxy for Supervisor {
    fn learn(&mut self, configuration: &Configuration) -> io::Result<()> {
        *self.launch.wanted() = true;
        self.renew()?;
        self.launch.reach()?.ask(&Request::Learn(configuration.clone()))?;
        self.watch()
    }

    fn configure(&mut self, configuration: &Configuration) -> io::Result<()> {
        *self.launch.wanted() = true;
        self.renew()?;
        self.launch.reach()?.ask(&Request::Configure(configuration.clone()))?;
        self.watch()
    }

    fn switched(&mut self) -> io::Result<()> {
        self.launch.reach()?.ask(&Request::Switched).map(drop)
    }

    fn plan(&mut self, rules: &NameRules) -> io::Result<Vec<NameSet>> {
        *self.launch.wanted() = true;
        match self.launch.reach()?.ask(&Request::Plan(rules.clone()))? {
            Answer::Wanted(sets) => Ok(sets),
            other => Err(io::Error::other(format!("the proxy answers {other:?}"))),
        }
    }

    fn forget_endpoint(&mut self, endpoint: EndpointId) -> io::Result<()> {
        self.launch.reach()?.ask(&Request::ForgetEndpoint(endpoint)).map(drop)
    }

    fn end(&mut self) -> io::Result<()> {
        let mut wanted = self.launch.wanted();
        *wanted = false;
        match Client::connect(&self.launch.socket) {
            Ok(client) => client.end()?,
            Err(error) if gone(&error) => {}
            Err(error) => return Err(error),
        }
        let Launch { socket, log, .. } = &*self.launch;
        // The process that held its sockets notices its end a moment later.
        let told = Instant::now();
        while told.elapsed() < PATIENCE && Client::connect(socket).is_ok() {
            thread::sleep(LOOK);
        }
        for left in [socket, &socket.with_extension("new"), log] {
            match fs::remove_file(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

impl Launch {
    /// A connection to the running process, which is started if there is none.
    fn reach(&self) -> io::Result<Client> {
        match Client::connect(&self.socket) {
            Err(error) if gone(&error) => {
                let wanted = self.wanted();
                match Client::connect(&self.socket) {
                    // Unless another thread has started one, or ended the last one, meanwhile.
                    Err(error) if gone(&error) && *wanted => self.start(None),
                    reached => reached,
                }
            }
            reached => reached,
        }
    }

    fn wanted(&self) -> MutexGuard<'_, bool> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process runs this program with these settings. One that cannot be looked at is left alone.
    fn is_current(&self, pid: u32) -> bool {
        let program = |of: &str| fs::metadata(format!("/proc/{of}/exe")).map(|file| (file.dev(), file.ino()));
        let pid = pid.to_string();
        let (Ok(its), Ok(ours), Ok(line)) =
            (program(&pid), program("self"), fs::read(format!("/proc/{pid}/cmdline")))
        else {
            return true;
        };
        let words = line.strip_suffix(&[0]).unwrap_or(&line).split(|byte| *byte == 0).skip(1);
        its == ours && words.eq(self.arguments().map(str::as_bytes))
    }

    fn arguments(&self) -> impl Iterator<Item = &str> {
        ["proxy", "serve"].into_iter().chain(self.flags.iter().map(String::as_str))
    }

    /// Starts a process, in a group of its own: what ends the agent does not end it. It may take over from another one.
    fn start(&self, before: Option<u32>) -> io::Result<Client> {
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args(self.arguments())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = command.spawn()?;
        let started = Instant::now();
        loop {
            if let Ok(mut client) = Client::connect(&self.socket)
                && (before.is_none() || serves_instead(&mut client, before))
            {
                // Somebody has to take note of its end, lest it stays as a zombie.
                thread::Builder::new().name("proxy-end".into()).spawn(move || child.wait().map(drop))?;
                return Ok(client);
            }
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("it ended ({status}): see {}", self.log.display())));
            }
            if started.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("it does not answer: see {}", self.log.display())));
            }
            thread::sleep(LOOK);
        }
    }
}

/// Whether another process answers than the one before.
fn serves_instead(client: &mut Client, before: Option<u32>) -> bool {
    let status = client.ask(&Request::Status);
    matches!(status, Ok(Answer::Status(status)) if Some(status.pid) != before)
}
