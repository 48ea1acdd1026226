//! One exporter at work: one half reads the log into the buffer, the other delivers, so that a receiver that takes its time costs
//! no flow as long as the buffer has room.

mod outage;

use crate::{
    buffer::{Buffer, Pushed},
    counts::Counts,
    fault::Fault,
    sink::{Sent, Shape, Sink},
    spec::Spec,
};
use ciliate_flow::Flow;
use ciliate_observer::log::{Cursor, Log, Step};
use outage::Outage;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Notify, watch},
    task,
    time::{self, Instant},
};

/// How long flows wait for others, so that many cost one wake-up.
const REST: Duration = Duration::from_millis(20);
/// Flows that are read before the other half has its turn.
const TURN: usize = 1024;
/// Entries of one delivery, at most.
const LOAD: usize = 2048;
/// How long entries are kept that were written to a receiver that does not say what it has: a connection that breaks is noticed sooner.
const SETTLE: Duration = Duration::from_secs(1);
/// How often losses are told.
const TELL: Duration = Duration::from_secs(10);
/// How often it is looked at the clock for the end of an exporter, as clocks are set.
const CLOCK: Duration = Duration::from_secs(30);

/// What an exporter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    GoOn,
    /// Stop at once: another one takes over.
    HandOver,
    /// Read what is there, deliver what can be delivered until this moment, and end.
    End(std::time::Instant),
}

/// What another exporter goes on with.
#[derive(Debug)]
pub struct Remainder {
    pub buffer: Buffer,
    /// Of the flow in the log that comes next.
    pub sequence: u64,
}

pub struct Exporter {
    spec: Spec,
    shape: Shape,
    log: Log<Flow>,
    counts: Arc<Counts>,
    order: watch::Receiver<Order>,
    buffer: RefCell<Buffer>,
    sequence: Cell<u64>,
    /// Nothing more comes into the buffer.
    finished: Cell<bool>,
    /// The buffer has something new, or nothing more comes.
    news: Notify,
}

/// Something that was written to a receiver that does not say what it has.
struct Mark {
    /// When to look whether it arrived.
    look: Instant,
    /// Number of the entry behind it.
    end: u64,
    /// Bytes of the connection up to its end.
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    Some,
}

impl Exporter {
    /// Goes on with what there is.
    pub fn new(
        spec: Spec,
        shape: Shape,
        log: Log<Flow>,
        counts: Arc<Counts>,
        order: watch::Receiver<Order>,
        Remainder { mut buffer, sequence }: Remainder,
    ) -> Self {
        buffer.set_bounds(spec.bounds);
        buffer.rewind();
        counts.working.store(true, Ordering::Relaxed);
        counts.ended.store(false, Ordering::Relaxed);
        Self {
            spec,
            shape,
            log,
            counts,
            order,
            buffer: RefCell::new(buffer),
            sequence: Cell::new(sequence),
            finished: Cell::new(false),
            news: Notify::new(),
        }
    }

    /// Until it is told to end.
    pub async fn run(self) -> Remainder {
        let mut order = self.order.clone();
        tokio::select! {
            biased;
            () = cut(order.clone()) => {}
            () = async { tokio::join!(self.read(), self.deliver()); } => {
                // What is over stays as it is until the configuration changes.
                let _ = order.wait_for(|order| *order != Order::GoOn).await;
            }
            () = self.tell_losses() => {}
        }
        Remainder { buffer: self.buffer.into_inner(), sequence: self.sequence.get() }
    }

    /// Fills the buffer until the end of the log, or of the exporter, has come.
    async fn read(&self) {
        let mut cursor = self.log.cursor(self.sequence.get());
        let mut bell = self.log.bell();
        let mut order = self.order.clone();
        loop {
            // What comes after this look rings again.
            bell.mark_unchanged();
            let told = matches!(*order.borrow_and_update(), Order::End(_));
            let over = self.left() == Some(Duration::ZERO);
            while self.read_turn(&mut cursor) == Rest::Some {
                task::yield_now().await;
            }
            if told || over {
                self.counts.ended.store(over, Ordering::Relaxed);
                break;
            }
            let end = async {
                match self.left() {
                    Some(left) => time::sleep(left.min(CLOCK)).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                changed = bell.changed() => match changed {
                    Ok(()) => time::sleep(REST).await,
                    Err(_) => break,
                },
                changed = order.changed() => if changed.is_err() { break },
                () = end => {}
            }
        }
        self.finished.set(true);
        self.news.notify_one();
    }

    fn read_turn(&self, cursor: &mut Cursor<Flow>) -> Rest {
        let mut buffer = self.buffer.borrow_mut();
        let mut rest = Rest::Some;
        for _ in 0..TURN {
            match cursor.next() {
                Step::End => {
                    rest = Rest::None;
                    break;
                }
                Step::Lost(lost) => {
                    self.counts.lost_log.add(usize::try_from(lost.count).unwrap_or(usize::MAX));
                    buffer.lose(lost);
                }
                Step::Entry(flow) => {
                    let late = self.spec.end.is_some_and(|end| flow.time > end);
                    if !late && self.shape.selection.passes(flow) && buffer.push(flow) == Pushed::Refused {
                        self.counts.lost_buffer.add(1);
                    }
                }
            }
        }
        self.sequence.set(cursor.sequence());
        self.count(&mut buffer, 0);
        self.news.notify_one();
        rest
    }

    /// Until the exporter's end; none if it has none.
    fn left(&self) -> Option<Duration> {
        let end = UNIX_EPOCH.checked_add(Duration::from_nanos(self.spec.end?.0))?;
        Some(end.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Empties the buffer, until nothing more comes into it.
    async fn deliver(&self) {
        let mut sink = Sink::new(&self.spec.target);
        let mut outage = Outage::new(&self.spec.name, Arc::clone(&self.counts));
        let mut written: VecDeque<Mark> = VecDeque::new();
        loop {
            self.settle(&mut written, &sink);
            let load = {
                let mut buffer = self.buffer.borrow_mut();
                buffer.close_gap();
                let load = sink.load(buffer.waiting().take(LOAD), &self.shape);
                buffer.depart(load.entries);
                self.count(&mut buffer, 0);
                load
            };
            if load.entries == 0 {
                if self.finished.get() && self.buffer.borrow().is_empty() {
                    sink.close().await;
                    return;
                }
                let settled = async {
                    match written.front() {
                        Some(mark) => time::sleep_until(mark.look).await,
                        None => future::pending().await,
                    }
                };
                tokio::select! {
                    () = self.news.notified() => {}
                    () = settled => {}
                    fault = sink.idle() => {
                        written.clear();
                        self.fail(&mut outage, &fault).await;
                    }
                }
                continue;
            }
            self.counts.lost_refused.add(load.unfit);
            match sink.send().await {
                Ok(Sent::Settled) => {
                    let mut buffer = self.buffer.borrow_mut();
                    buffer.arrive();
                    self.count(&mut buffer, load.unfit);
                    outage.end();
                }
                Ok(Sent::Written) => {
                    let end = self.buffer.borrow_mut().write();
                    let look = Instant::now().checked_add(SETTLE).unwrap_or_else(Instant::now);
                    written.push_back(Mark { look, end, bytes: sink.position().0 });
                    outage.end();
                }
                Ok(Sent::Refused { flows, why }) => {
                    let mut buffer = self.buffer.borrow_mut();
                    buffer.arrive();
                    self.counts.lost_refused.add(flows);
                    self.count(&mut buffer, load.unfit.saturating_add(flows));
                    outage.refused(flows, &why);
                }
                Err(fault) => {
                    written.clear();
                    self.fail(&mut outage, &fault).await;
                }
            }
        }
    }

    /// Forgets what was written long enough ago and is with the receiver's kernel.
    fn settle(&self, written: &mut VecDeque<Mark>, sink: &Sink) {
        let now = Instant::now();
        let mut buffer = self.buffer.borrow_mut();
        while let Some(mark) = written.front_mut().filter(|mark| mark.look <= now) {
            let (bytes, unacknowledged) = sink.position();
            if bytes.saturating_sub(mark.bytes) < unacknowledged {
                mark.look = now.checked_add(SETTLE).unwrap_or(now);
                break;
            }
            buffer.settle_to(mark.end);
            written.pop_front();
        }
        self.count(&mut buffer, 0);
    }

    /// All that may not have arrived waits again, and so does the exporter.
    async fn fail(&self, outage: &mut Outage, fault: &Fault) {
        let repeated = {
            let mut buffer = self.buffer.borrow_mut();
            let repeated = buffer.rewind();
            self.count(&mut buffer, 0);
            repeated
        };
        self.counts.repeated.add(repeated);
        let wait = outage.begin(fault, self.buffer.borrow().flows());
        time::sleep(wait).await;
    }

    /// Brings the counts up to date; so many of what left were not delivered.
    fn count(&self, buffer: &mut Buffer, unfit: usize) {
        self.counts.exported.add(buffer.take_delivered().saturating_sub(unfit));
        self.counts.buffered.set(buffer.flows());
    }

    /// In one sum for all that were lost in some seconds.
    async fn tell_losses(&self) {
        let mut told = self.counts.lost();
        loop {
            time::sleep(TELL).await;
            let lost = self.counts.lost();
            if lost > told {
                tell(&self.spec.name, lost.saturating_sub(told), &self.counts);
            }
            told = lost;
        }
    }
}

/// Says how many flows were lost, and where.
pub fn tell(name: &str, lost: u64, counts: &Counts) {
    let report = counts.report(name);
    let [(_, buffer), (_, log), (_, refused)] = report.lost;
    tracing::warn!(
        exporter = name,
        lost,
        "flows were not exported: since the start {buffer} had no room in the buffer, {log} left the log too soon, {refused} were refused"
    );
}

/// The moment at which work ends, whatever its state.
async fn cut(mut order: watch::Receiver<Order>) {
    let told = order.wait_for(|order| *order != Order::GoOn).await.map(|order| *order);
    match told {
        Ok(Order::End(moment)) => time::sleep_until(Instant::from_std(moment)).await,
        Ok(Order::HandOver | Order::GoOn) | Err(_) => {}
    }
}
