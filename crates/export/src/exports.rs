//! All exporters of a node, each on its thread.

use crate::{
    buffer::Buffer,
    counts::Counts,
    exporter::{Exporter, Order, Remainder, tell},
    sink::Shape,
    spec::Spec,
};
use ciliate_flow::{Flow, Node};
use ciliate_observer::log::Log;
use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long one that is no longer wanted may deliver what it has.
const PATIENCE: Duration = Duration::from_secs(2);

/// The exporters that there are.
pub struct Exports {
    node: Arc<Node>,
    log: Log<Flow>,
    running: BTreeMap<String, Running>,
    /// They deliver what they have.
    leaving: Vec<Running>,
}

/// How many exporters a new configuration was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: usize,
    pub updated: usize,
    pub removed: usize,
}

struct Running {
    spec: Spec,
    counts: Arc<Counts>,
    order: watch::Sender<Order>,
    thread: JoinHandle<Remainder>,
}

impl Exports {
    #[must_use]
    /// None at first. `node` is who says it where a gap in the flows is told of.
    pub fn new(node: Arc<Node>, log: Log<Flow>) -> Self {
        Self { node, log, running: BTreeMap::new(), leaving: Vec::new() }
    }

    /// Has these exporters and no others. One that was changed goes on where it was; a new one begins with the flow of the
    /// sequence `from`, or with the next one if there is none.
    ///
    /// # Errors
    /// Where a thread cannot be started, or a specification was not checked.
    pub fn apply(&mut self, specs: &[Spec], from: Option<u64>) -> io::Result<Changes> {
        let mut changes = Changes::default();
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|name| !specs.iter().any(|spec| spec.name == **name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(running) = self.running.remove(&name) {
                running.tell(Order::End(in_a_while()));
                self.leaving.push(running);
                changes.removed = changes.removed.saturating_add(1);
            }
        }
        for spec in specs {
            match self.running.remove(&spec.name) {
                Some(running) if running.spec == *spec => {
                    self.running.insert(spec.name.clone(), running);
                }
                Some(old) => {
                    let counts = Arc::clone(&old.counts);
                    let remainder = old.hand_over(self.log.seen());
                    self.start(spec, counts, remainder)?;
                    changes.updated = changes.updated.saturating_add(1);
                }
                None => {
                    let sequence = from.unwrap_or_else(|| self.log.seen());
                    let remainder = Remainder { buffer: Buffer::new(spec.bounds), sequence };
                    self.start(spec, Arc::default(), remainder)?;
                    changes.added = changes.added.saturating_add(1);
                }
            }
        }
        Ok(changes)
    }

    fn start(&mut self, spec: &Spec, counts: Arc<Counts>, remainder: Remainder) -> io::Result<()> {
        let selection = spec.selection().map_err(io::Error::other)?;
        let shape = Shape { selection, node: Arc::clone(&self.node) };
        let (order, orders) = watch::channel(Order::GoOn);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (log, owned, shared) = (self.log.clone(), spec.clone(), Arc::clone(&counts));
        let work = move || {
            let exporter = Exporter::new(owned, shape, log, shared, orders, remainder);
            let remainder = runtime.block_on(exporter.run());
            // A look-up of a name may hang.
            runtime.shutdown_background();
            remainder
        };
        let thread = thread::Builder::new().name(format!("export {}", spec.name)).spawn(work)?;
        let running = Running { spec: spec.clone(), counts, order, thread };
        self.running.insert(spec.name.clone(), running);
        Ok(())
    }

    /// Lets go of those that have ended.
    pub fn tidy(&mut self) {
        for running in std::mem::take(&mut self.leaving) {
            match running.thread.is_finished() {
                true => running.finish(),
                false => self.leaving.push(running),
            }
        }
    }

    /// What each of them counts.
    pub fn counts(&self) -> Vec<(String, Arc<Counts>)> {
        self.running.iter().map(|(name, running)| (name.clone(), Arc::clone(&running.counts))).collect()
    }

    /// Has all deliver what they can in a moment, and says what is left.
    pub fn end(mut self) {
        let moment = in_a_while();
        self.leaving.extend(std::mem::take(&mut self.running).into_values());
        for running in &self.leaving {
            running.tell(Order::End(moment));
        }
        self.leaving.into_iter().for_each(Running::finish);
    }
}

fn in_a_while() -> Instant {
    let now = Instant::now();
    now.checked_add(PATIENCE).unwrap_or(now)
}

impl Running {
    fn tell(&self, order: Order) {
        self.order.send_if_modified(|told| std::mem::replace(told, order) != order);
    }

    /// If it broke, the next one begins at `now`.
    fn hand_over(self, now: u64) -> Remainder {
        self.tell(Order::HandOver);
        let bounds = self.spec.bounds;
        self.thread.join().unwrap_or_else(|_| {
            tracing::error!(exporter = self.spec.name, "broke; what it had is lost");
            Remainder { buffer: Buffer::new(bounds), sequence: now }
        })
    }

    fn finish(self) {
        let Ok(remainder) = self.thread.join() else {
            tracing::error!(exporter = self.spec.name, "broke; what it had is lost");
            return;
        };
        let left = remainder.buffer.flows();
        self.counts.lost_buffer.add(left);
        if left > 0 {
            tell(&self.spec.name, u64::try_from(left).unwrap_or(u64::MAX), &self.counts);
        }
    }
}
