//! Whether the proxy has to tell of requests: only while somebody wants to know.

use ciliate_proxy::{Switch, message::Interest};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a proxy may take until it has heard what is wanted.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shared by those who want something and those who listen to a proxy.
#[derive(Clone, Default)]
pub struct Attention(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    interest: Interest,
    /// More than one while an old one serves its last connections.
    proxies: Vec<Heard>,
    last: u64,
}

/// One proxy that is listened to.
struct Heard {
    id: u64,
    switch: Switch,
    /// What it was told and has not said that it heard.
    unheard: usize,
}

impl Attention {
    /// Wants this from now on. When it returns, running proxies know.
    pub fn set(&self, interest: Interest) {
        let mut state = self.state();
        if state.interest == interest {
            return;
        }
        state.interest = interest;
        for proxy in &mut state.proxies {
            proxy.tell(interest);
        }
        if interest == Interest::Nothing {
            return;
        }
        let silent = |state: &mut State| state.proxies.iter().any(|proxy| proxy.unheard > 0);
        let waited = self.0.1.wait_timeout_while(state, PATIENCE, silent);
        let (_state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            tracing::warn!("the proxy does not say whether it tells of requests");
        }
    }

    /// Another proxy is listened to: it was told to say nothing, and has not answered. Returns its number.
    pub fn begin(&self, switch: Switch) -> u64 {
        let mut state = self.state();
        state.last = state.last.saturating_add(1);
        let mut proxy = Heard { id: state.last, switch, unheard: 1 };
        if state.interest != Interest::Nothing {
            proxy.tell(state.interest);
        }
        state.proxies.push(proxy);
        state.last
    }

    /// It has heard what it was told.
    pub fn heard(&self, id: u64) {
        if let Some(proxy) = self.state().proxies.iter_mut().find(|proxy| proxy.id == id) {
            proxy.unheard = proxy.unheard.saturating_sub(1);
        }
        self.0.1.notify_all();
    }

    /// It has ended.
    pub fn end(&self, id: u64) {
        self.state().proxies.retain(|proxy| proxy.id != id);
        self.0.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn tell(&mut self, interest: Interest) {
        match self.switch.set(interest) {
            Ok(()) => self.unheard = self.unheard.saturating_add(1),
            // Whoever listens to it finds it gone.
            Err(error) => tracing::debug!(%error, "a proxy cannot be told what is wanted"),
        }
    }
}
