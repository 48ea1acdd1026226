//! The agent's end, of which everybody hears at once.

use tokio::sync::watch;

/// Tells everybody that the agent ends.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}

impl Shutdown {
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Returns when the end has begun.
    pub async fn begun(&self) {
        // The sender lives in `self`.
        let _ = self.subscribe().wait_for(|ending| *ending).await;
    }
}
