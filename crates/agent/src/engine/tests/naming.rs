//! The part of the proxy that gives addresses their identities, over a kernel in memory. It outlives agents.

use crate::{kernel::memory::MemoryKernel, proxy::Proxy};
use ciliate_dns::{CacheSettings, Name, Resolution};
use ciliate_proxy::{
    Names,
    message::{Configuration, NameRules, NameSet},
};
use ciliate_types::{DomainName, EndpointId, NamePattern};
use std::{
    fs, io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc::Receiver},
};

/// How long names stay: longer than any test.
const TTL: u32 = 3600;

#[derive(Clone)]
pub struct NamingProxy {
    folder: PathBuf,
    kernel: MemoryKernel,
    running: Arc<Mutex<Option<Running>>>,
    /// Which of the next requests is not answered.
    deaf: Arc<Mutex<Option<usize>>>,
}

/// None until a rule needs it, as the real one is not started before.
struct Running {
    names: Names,
    /// What it goes by; on disk in reality.
    rules: NameRules,
    wanted: Receiver<Vec<NameSet>>,
}

impl NamingProxy {
    pub fn new(folder: PathBuf, kernel: MemoryKernel) -> Self {
        Self { folder, kernel, running: Arc::default(), deaf: Arc::default() }
    }

    fn open(&self, rules: NameRules) -> Running {
        fs::create_dir_all(&self.folder).unwrap();
        let settings = CacheSettings::default();
        let names = Names::open(&self.folder, settings, None, rules.clone(), &self.kernel).unwrap();
        let wanted = names.serve_agent();
        Running { names, rules, wanted }
    }

    /// Another process with the same files.
    pub fn restart(&self) {
        let mut running = self.running.lock().unwrap();
        if let Some(Running { rules, names, wanted }) = running.take() {
            drop((names, wanted));
            *running = Some(self.open(rules));
        }
    }

    /// Somebody asked for a name. Nobody does while there is no proxy.
    pub fn learn(&self, name: &str, address: IpAddr) {
        if let Some(running) = &*self.running.lock().unwrap() {
            let found = [Resolution { address, ttl: TTL }];
            running
                .names
                .learn(&self.kernel, None, &Name::from(&name.parse::<DomainName>().unwrap()), &found)
                .unwrap();
        }
    }

    pub fn forget(&self, name: &str) {
        if let Some(running) = &*self.running.lock().unwrap() {
            let which = NamePattern::MatchName(name.parse().unwrap());
            running.names.clean(Some(&which), &self.kernel).unwrap();
        }
    }

    /// Sets without numbers that came up since the last call.
    pub fn wanted(&self) -> Vec<NameSet> {
        let running = self.running.lock().unwrap();
        running.iter().flat_map(|running| running.wanted.try_iter().flatten()).collect()
    }

    /// The request after so many others is refused.
    pub fn refuse_after(&self, requests: Option<usize>) {
        *self.deaf.lock().unwrap() = requests;
    }

    fn hear(&self) -> io::Result<()> {
        let mut deaf = self.deaf.lock().unwrap();
        match *deaf {
            Some(0) => {
                *deaf = None;
                return Err(io::ErrorKind::TimedOut.into());
            }
            Some(left) => *deaf = Some(left.saturating_sub(1)),
            None => {}
        }
        Ok(())
    }

    fn go_by(&self, told: &Configuration) -> io::Result<()> {
        self.hear()?;
        if !told.filters.is_empty() {
            // No worlds for rules about requests.
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut running = self.running.lock().unwrap();
        let running = running.get_or_insert_with(|| self.open(NameRules::default()));
        running.names.configure(told.names.clone(), &self.kernel)?;
        running.rules = told.names.clone();
        Ok(())
    }
}

impl Proxy for NamingProxy {
    fn learn(&mut self, told: &Configuration) -> io::Result<()> {
        self.go_by(told)
    }

    fn configure(&mut self, told: &Configuration) -> io::Result<()> {
        self.go_by(told)
    }

    fn switched(&mut self) -> io::Result<()> {
        self.hear()
    }

    fn plan(&mut self, rules: &NameRules) -> io::Result<Vec<NameSet>> {
        self.hear()?;
        Ok(self.running.lock().unwrap().as_ref().map_or_else(Vec::new, |running| running.names.plan(rules)))
    }

    fn forget_endpoint(&mut self, endpoint: EndpointId) -> io::Result<()> {
        match &*self.running.lock().unwrap() {
            Some(running) => Ok(running.names.forget_endpoint(endpoint, &self.kernel)?),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        *self.running.lock().unwrap() = None;
        Ok(())
    }
}
