//! Threads beside the agent's own, each with a runtime of its own: what takes long in one holds up nobody else.

use crate::rank::Rank;
use anyhow::Context as _;
use std::{thread, time::Duration};
use tokio::{runtime, task::JoinSet};

/// How long what a thread left to others, such as reading files, may go on after its end.
const REST: Duration = Duration::from_secs(1);

/// Parts of the agent that share a thread.
pub type Parts = JoinSet<anyhow::Result<()>>;

/// Such a thread, of the rank of those who see. It goes on until its parts have ended.
#[derive(Debug)]
pub struct Beside {
    name: &'static str,
    thread: thread::JoinHandle<()>,
}

impl Beside {
    /// Has what `begin` puts into the set done on a thread of that name.
    pub fn start(
        name: &'static str,
        begin: impl FnOnce(&mut Parts) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(name)
            .build()
            .with_context(|| format!("cannot start what the thread {name} needs"))?;
        let work = move || {
            Rank::Seeing.take();
            runtime.block_on(async {
                let mut parts = Parts::new();
                begin(&mut parts);
                while let Some(ended) = parts.join_next().await {
                    tell(ended);
                }
            });
            runtime.shutdown_timeout(REST);
        };
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .with_context(|| format!("cannot start the thread {name}"))?;
        Ok(Self { name, thread })
    }

    /// Waits for its end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!(thread = self.name, "a thread of the agent broke");
        }
    }
}

/// Says it when a part has not ended well. The others must go on: people look at them when something is wrong.
pub fn tell(ended: Result<anyhow::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("a part of the agent ended: {error:#}"),
        Err(broken) => tracing::error!(%broken, "a part of the agent broke"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Instant,
    };

    #[test]
    fn a_part_that_blocks_or_breaks_holds_up_nobody_elsewhere() {
        let (done, busy) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let (finished, blocked) = (Arc::clone(&done), Arc::clone(&busy));
        let slow = Beside::start("slow", move |parts| {
            parts.spawn(async move {
                let begun = Instant::now();
                while blocked.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(30) {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            });
        });
        let quick = Beside::start("quick", move |parts| {
            parts.spawn(async { anyhow::bail!("a fault") });
            parts.spawn(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                finished.store(true, Ordering::Relaxed);
                Ok(())
            });
        });
        quick.expect("a thread").join();
        assert!(done.load(Ordering::Relaxed), "the other part went on after the fault");
        busy.store(false, Ordering::Relaxed);
        slow.expect("a thread").join();
    }
}
