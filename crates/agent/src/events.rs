//! From the kernel's events to what clients see: with names, labels and rules.

pub mod l7;
pub mod packet;
pub mod rules;
pub mod waiting;

use crate::{
    engine::Requests,
    flows::{self, Known, Observed},
    notice::Notices,
    shutdown::Shutdown,
    state::State,
};
use anyhow::Context as _;
use ciliate_api::EventBody;
use ciliate_bpf::{Batch, EventReader, LostEvents};
use ciliate_flow::Time;
use ciliate_observer::{Loss, LossSource};
use ciliate_proxy::message::{Access, CachedName};
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use packet::{Pair, bodies};
use rules::Rules;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::watch,
    time::{self, Instant},
};
use waiting::Waiting;

/// Events that are decoded at once.
const BATCH: usize = 256;
/// Batches after which it is looked whether the agent ends, and what was lost: some times what the ring holds.
const IN_A_ROW: usize = 1024;
/// How often losses are reported, at most.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// Where events come from and what is needed to make sense of them.
pub struct Sources {
    pub reader: EventReader,
    /// What the proxy tells.
    pub accesses: l7::Outlet,
    pub state: watch::Receiver<Arc<State>>,
    pub requests: Requests,
    pub notices: Notices,
    /// How long events may wait for others, so that many cost one wake-up.
    pub delay: Duration,
    /// Where flows are kept, if they are.
    pub observed: Option<Observed>,
    pub shutdown: Shutdown,
}

/// Decodes and passes on until the agent ends, and then once more what is there; sleeps while nobody wants events, for then
/// there are none.
///
/// What is not read in time stays in the ring, and what does not fit there any more the kernel counts: it is the only
/// queue on the way. What the proxy tells comes in with it, so that the log of flows has one writer.
pub async fn forward(sources: Sources) -> anyhow::Result<()> {
    let Sources { mut reader, mut accesses, state, requests, notices, delay, observed, shutdown } = sources;
    // Of an earlier agent.
    reader.discard();
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; the reader keeps its one descriptor while it lives"
    )]
    let mut reader = AsyncFd::with_interest(reader, Interest::READABLE).context("cannot wait for events")?;
    let mut losses = Losses::new(requests.call(|engine| engine.lost_events()).await.ok());
    let mut decoder = Decoder::new(state, Rules::new(requests.clone()), observed);
    let mut batch = Batch::default();
    let mut ending = shutdown.subscribe();
    let mut last = false;
    while !last {
        let wanted = notices.wanted();
        tokio::select! {
            // The sender is in our hands.
            _ = ending.wait_for(|ending| *ending) => last = true,
            () = notices.begun(), if !wanted => {
                // Nobody had asked for what is left in the ring.
                reader.get_mut().discard();
                continue;
            }
            () = accesses.come(), if !wanted => {}
            () = time::sleep(delay), if wanted => {}
            // It shows only that much is waiting; that less is, the clock has to tell.
            ready = reader.readable(), if wanted => ready.context("cannot wait for events")?.clear_ready(),
        }
        for _ in 0..IN_A_ROW {
            batch.clear();
            if wanted && notices.wanted() {
                reader.get_mut().read(&mut batch, BATCH);
            }
            decoder.hear(&mut accesses, &notices);
            decoder.decode(&batch, &notices).await;
            // What is young may still be in the ring, before requests that are here.
            if batch.len() < BATCH {
                decoder.tell_of_requests(&notices).await;
                break;
            }
        }
        if wanted {
            losses.report(&requests, &notices, &mut decoder).await;
        }
    }
    Ok(())
}

/// Nanoseconds since 1970 at which the monotonic clock was zero; another one after the clock was set.
pub fn boot_time() -> u64 {
    let read = |clock| clock_gettime(clock).map(Duration::from).unwrap_or_default();
    let since = read(ClockId::CLOCK_REALTIME).saturating_sub(read(ClockId::CLOCK_MONOTONIC));
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What was lost on the way, told once a second at most.
struct Losses {
    /// What the kernel had counted when it was asked last.
    seen: Option<LostEvents>,
    asked: Option<Instant>,
    /// What was told last is not older than this.
    since: Time,
}

impl Losses {
    fn new(seen: Option<LostEvents>) -> Self {
        Self { seen, asked: None, since: now() }
    }

    /// Of what the kernel could not put into the ring or was to leave out, and of requests that came too fast.
    async fn report(&mut self, requests: &Requests, notices: &Notices, decoder: &mut Decoder) {
        if self.asked.is_some_and(|at| at.elapsed() < LOSS_INTERVAL) {
            return;
        }
        self.asked = Some(Instant::now());
        let mut kernel = 0_u64;
        if let Ok(lost) = requests.call(|engine| engine.lost_events()).await {
            let before = self.seen.replace(lost).unwrap_or(lost);
            let places = [
                ("kernel", lost.ring.saturating_sub(before.ring)),
                ("limits", lost.suppressed.sum().saturating_sub(before.suppressed.sum())),
            ];
            for (place, count) in places.into_iter().filter(|(_, count)| *count > 0) {
                notices.send(Timestamp::now(), EventBody::Lost { count, place: place.to_owned() });
                kernel = kernel.saturating_add(count);
            }
        }
        let (first, last) = (self.since, now());
        self.since = last;
        let queue = std::mem::take(&mut decoder.lost_requests);
        if let Some(losses) = decoder.observed.as_mut().and_then(|observed| observed.losses.as_mut()) {
            for (source, count) in
                [(LossSource::PerfEventRingBuffer, kernel), (LossSource::ObserverEventsQueue, queue)]
            {
                losses.put(Loss { source, count, first, last });
            }
        }
    }
}

fn now() -> Time {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from).unwrap_or_default();
    Time(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Makes sense of events.
pub struct Decoder {
    state: watch::Receiver<Arc<State>>,
    rules: Rules,
    pub observed: Option<Observed>,
    waiting: Waiting,
    /// What the proxy had to leave out and nobody was told of yet.
    lost_requests: u64,
}

impl Decoder {
    pub fn new(state: watch::Receiver<Arc<State>>, rules: Rules, observed: Option<Observed>) -> Self {
        Self { state, rules, observed, waiting: Waiting::default(), lost_requests: 0 }
    }

    /// Tells of packets, and of the requests before them.
    pub async fn decode(&mut self, batch: &Batch, notices: &Notices) {
        if batch.is_empty() {
            return;
        }
        let state = Arc::clone(&self.state.borrow());
        let numbers = batch.iter().flat_map(|(seen, _)| [seen.egress_rule, seen.ingress_rule]);
        self.rules.learn(&state, numbers.chain(self.waiting.rules())).await;
        let (watched, boot) = (notices.watched(), boot_time());
        for (seen, bytes) in batch.iter() {
            let time = boot.saturating_add(seen.time);
            while let Some(access) = self.waiting.before(time) {
                self.tell_of_request(&state, access, notices);
            }
            let known = flows::Rules {
                egress: self.rules.get(seen.egress_rule),
                ingress: self.rules.get(seen.ingress_rule),
            };
            if let Some(Observed { flows, log, .. }) = &mut self.observed {
                flows.of(&state, seen, Time(time), known, |flow| log.append(flow));
            }
            if watched {
                let view = |known: Option<&Known>| known.map(|known| known.view.clone());
                let rules = Pair { egress: view(known.egress), ingress: view(known.ingress) };
                let time = Timestamp::from_nanosecond(time.into()).unwrap_or_default();
                for body in bodies(&state, seen, bytes, &rules) {
                    notices.send(time, body);
                }
            }
        }
        self.ring();
    }

    /// Takes what the proxy has told: names at once, requests to be told of in time.
    fn hear(&mut self, accesses: &mut l7::Outlet, notices: &Notices) {
        let lost = accesses.lost();
        if lost > 0 {
            self.lost_requests = self.lost_requests.saturating_add(lost);
            notices.send(Timestamp::now(), EventBody::Lost { count: lost, place: "proxy".to_owned() });
        }
        while let Some(told) = accesses.take() {
            match told {
                l7::Told::Names(names) => self.keep_names(names),
                l7::Told::Accesses(accesses) => self.waiting.put(accesses),
            }
        }
    }

    /// Tells of those that wait.
    async fn tell_of_requests(&mut self, notices: &Notices) {
        if self.waiting.is_empty() {
            return;
        }
        let state = Arc::clone(&self.state.borrow());
        self.rules.learn(&state, self.waiting.rules()).await;
        while let Some(access) = self.waiting.before(u64::MAX) {
            self.tell_of_request(&state, access, notices);
        }
        self.ring();
    }

    /// Wakes whoever waits for flows.
    fn ring(&self) {
        if let Some(Observed { log, .. }) = &self.observed {
            log.ring();
        }
    }

    fn keep_names(&mut self, names: Vec<CachedName>) {
        if let Some(Observed { flows, .. }) = &mut self.observed {
            for name in names {
                let addresses = name.addresses.iter().map(|known| known.address);
                flows.names.learn(name.endpoint, &name.name, addresses);
            }
        }
    }

    fn tell_of_request(&mut self, state: &Arc<State>, access: Access, notices: &Notices) {
        if notices.watched() {
            let time = Timestamp::from_nanosecond(access.time.into()).unwrap_or_default();
            let event = l7::event(state, access.clone(), &self.rules);
            notices.send(time, EventBody::L7(Box::new(event)));
        }
        if let Some(Observed { flows, log, .. }) = &mut self.observed {
            flows.of_access(state, access, |number| self.rules.get(number), |flow| log.append(flow));
        }
    }
}
