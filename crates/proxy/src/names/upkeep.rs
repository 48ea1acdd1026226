//! What happens to names as time passes: they expire, and go when no connection uses their addresses.

use super::{LearnError, Moved, Names, now};
use crate::shared::Shared;
use ciliate_bpf::Use;
use ciliate_types::EndpointId;
use std::{
    collections::{HashMap, HashSet},
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often names are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Looks after the names of `shared` until the process ends or hands them over.
pub fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("names".into()).spawn(move || {
        let mut surveyed = Instant::now();
        loop {
            std::thread::sleep(TICK);
            let survey = surveyed.elapsed() >= shared.settings.dns.survey;
            let done = shared.names.tick(&shared).and_then(|()| match survey {
                true => shared.names.survey(&shared),
                false => Ok(()),
            });
            let done = done.and_then(|()| match shared.names.judge_again(&shared.view)? {
                // What this process carries, too.
                Moved::Some => {
                    shared.renew();
                    Ok(())
                }
                Moved::None => Ok(()),
            });
            match done {
                Ok(()) => {}
                Err(LearnError::HandedOver) => return,
                Err(error) => tracing::error!(%error, "names cannot be looked after"),
            }
            if survey {
                surveyed = Instant::now();
            }
        }
    })?;
    Ok(())
}

impl Names {
    fn tick(&self, shared: &Shared) -> Result<(), LearnError> {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(file) = &mut state.file else { return Err(LearnError::HandedOver) };
        if file.wants_replacement() {
            file.replace(&state.cache)?;
        }
        state.cache.expire(now(), &mut state.effects);
        self.carry_out(state, &shared.view).map(drop)
    }

    /// Lets addresses go whose time is over and that no connection uses.
    fn survey(&self, shared: &Shared) -> Result<(), LearnError> {
        let begun = now();
        let deferred: HashSet<IpAddr> = self.lock().cache.deferred().map(|(_, address)| address).collect();
        if deferred.is_empty() {
            return Ok(());
        }
        let mut used: HashSet<Use> = HashSet::new();
        shared.view.each_use(|one| {
            if deferred.contains(&one.destination) {
                used.insert(one);
            }
        })?;
        let mut endpoints: HashMap<IpAddr, Option<EndpointId>> = HashMap::new();
        let mut in_use: HashSet<(Option<EndpointId>, IpAddr)> = HashSet::new();
        for Use { source, destination } in used {
            let endpoint = match endpoints.get(&source) {
                Some(known) => *known,
                None => {
                    let found = shared.view.endpoint_at(source)?;
                    endpoints.insert(source, found);
                    found
                }
            };
            in_use.extend([(endpoint, destination), (None, destination)]);
        }
        let mut state = self.lock();
        let state = &mut *state;
        let mut uses = |endpoint, address| in_use.contains(&(endpoint, address));
        state.cache.release(begun, &mut uses, &mut state.effects);
        self.carry_out(state, &shared.view).map(drop)
    }
}
