//! One client's flows, out of those of all nodes.

mod listen;
mod notice;

pub use listen::PATH;

use crate::{
    answer::{Answer, Moment},
    merge::{Lane, Merge, Sorting},
    nodes::{Link, Nodes, Table},
    question::{End, Pace, Question},
};
use ciliate_hubble::relay::NodeState;
use listen::{Arrival, Listener, What};
use notice::Notices;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{AbortHandle, JoinSet},
    time::{self, sleep_until},
};
use tonic::{Code, Status};

/// Groups of answers that wait to be merged.
const ARRIVALS: usize = 64;
/// Answers that go to the client together.
const BATCH: usize = 256;
/// How often nodes are asked again whose answer broke off though they are connected.
const RETRY: Duration = Duration::from_secs(2);
/// Answers of a node about what is past that may wait, whatever the number of nodes.
const LEAST_CREDIT: usize = 64;

/// How flows are collected.
#[derive(Clone, Debug)]
pub struct Collecting {
    pub sorting: Sorting,
    /// How long a node may say nothing of what is past.
    pub patience: Duration,
    /// How long errors wait for others of the same kind.
    pub error_window: Duration,
    /// This relay's name.
    pub relay: String,
}

/// One client's question, on its way to all nodes.
pub struct Collector {
    question: Question,
    nodes: Nodes,
    collecting: Collecting,
    merge: Merge,
    lanes: BTreeMap<String, LaneOf>,
    names: Vec<String>,
    notices: Notices,
    tasks: JoinSet<()>,
    arrivals: mpsc::Sender<Arrival>,
    out: Out,
    /// Whether any node has answered anything.
    heard: bool,
}

pub type Out = mpsc::Sender<Result<Vec<Answer>, Status>>;

/// What is known of a node's answers.
struct LaneOf {
    lane: Lane,
    state: LaneState,
    /// Of the connection over which it was asked.
    link: u64,
    /// Of its flows that came.
    newest: Option<Moment>,
    credit: Option<Arc<Semaphore>>,
    listener: AbortHandle,
}

enum LaneState {
    Open,
    /// It has no more, by its own word.
    Done,
    /// It is asked again over the next connection, or after a while.
    Broken {
        retry: Option<Instant>,
    },
    /// The question is wrong, it says.
    Refused(Status),
}

/// The client has gone.
struct Gone;

impl Collector {
    /// Answers until all is sent or the client is gone.
    pub async fn run(question: Question, nodes: Nodes, collecting: Collecting, out: Out) {
        let (arrivals, mut arriving) = mpsc::channel(ARRIVALS);
        let merge = Merge::new(collecting.sorting, question.pace);
        let notices = Notices::new(collecting.relay.clone(), collecting.error_window);
        let mut collector = Self {
            question,
            nodes,
            collecting,
            merge,
            lanes: BTreeMap::new(),
            names: Vec::new(),
            notices,
            tasks: JoinSet::new(),
            arrivals,
            out,
            heard: false,
        };
        // Nobody hears of an end that comes from the client.
        let _ = collector.collect(&mut arriving).await;
    }

    async fn collect(&mut self, arriving: &mut mpsc::Receiver<Arrival>) -> Result<(), Gone> {
        let mut watch = self.nodes.watch();
        let table = Arc::clone(&watch.borrow_and_update());
        self.begin(&table).await?;
        let follows = self.question.pace == Pace::Follow;
        let mut again = time::interval(RETRY);
        let mut arrived = Vec::new();
        loop {
            self.pass_on().await?;
            if self.question.end == End::AtLast && self.merge.is_empty() && self.is_done() {
                return self.finish().await;
            }
            let wakes = [self.merge.wakes(), self.notices.due()].into_iter().flatten().min();
            let timer = async {
                match wakes {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                count = arriving.recv_many(&mut arrived, ARRIVALS) => {
                    debug_assert_ne!(count, 0, "we have a sender ourselves");
                    for arrival in arrived.drain(..) {
                        self.arrived(arrival).await?;
                    }
                }
                () = self.out.closed() => return Err(Gone),
                () = timer => {}
                changed = watch.changed(), if follows => {
                    if changed.is_err() {
                        return Err(Gone);
                    }
                    let table = Arc::clone(&watch.borrow_and_update());
                    self.attend(&table).await?;
                }
                _ = again.tick(), if follows => {
                    let table = self.nodes.table();
                    self.attend(&table).await?;
                }
            }
            if self.notices.due().is_some_and(|due| due <= Instant::now()) {
                let errors = self.notices.flush();
                self.say(errors).await?;
            }
            if let Some(status) = self.refusal() {
                // A client that has gone does not hear of it.
                let _ = self.out.send(Err(status)).await;
                return Err(Gone);
            }
        }
    }

    /// Asks all nodes that are there, and tells the client which are.
    async fn begin(&mut self, table: &Table) -> Result<(), Gone> {
        let (mut connected, mut unavailable) = (Vec::new(), Vec::new());
        let most = self.collecting.sorting.most.checked_div(table.len()).unwrap_or_default();
        for (name, node) in table.iter() {
            match node.link() {
                Some(link) => {
                    connected.push(name.clone());
                    self.ask(name, link, most);
                }
                None => unavailable.push(name.clone()),
            }
        }
        for notice in [
            self.notices.state(NodeState::NodeConnected, connected),
            self.notices.state(NodeState::NodeUnavailable, unavailable),
        ] {
            self.say(notice).await?;
        }
        Ok(())
    }

    /// Asks nodes that have come, or come back; tells of those that have gone.
    async fn attend(&mut self, table: &Table) -> Result<(), Gone> {
        let now = Instant::now();
        let (mut connected, mut gone) = (Vec::new(), Vec::new());
        for (name, node) in table.iter() {
            let Some(link) = node.link() else { continue };
            let (wanted, fresh) = match self.lanes.get(name) {
                None => (true, true),
                Some(lane) => match &lane.state {
                    LaneState::Done => (false, false),
                    // It is elsewhere now, or knows better.
                    LaneState::Open | LaneState::Refused(_) => (lane.link != link.number, true),
                    LaneState::Broken { retry } => {
                        let fresh = lane.link != link.number;
                        (fresh || retry.is_some_and(|at| at <= now), fresh)
                    }
                },
            };
            if wanted {
                self.ask(name, link, 0);
            }
            if wanted && fresh {
                connected.push(name.clone());
            }
        }
        for name in self.lanes.keys() {
            if !table.contains_key(name) {
                gone.push(name.clone());
            }
        }
        for name in &gone {
            if let Some(lane) = self.lanes.remove(name) {
                lane.listener.abort();
                self.merge.set_open(lane.lane, false, now);
            }
        }
        for notice in [
            self.notices.state(NodeState::NodeConnected, connected),
            self.notices.state(NodeState::NodeGone, gone),
        ] {
            self.say(notice).await?;
        }
        Ok(())
    }

    fn ask(&mut self, name: &str, link: &Link, most: usize) {
        let now = Instant::now();
        let past = self.question.pace == Pace::Past;
        let known = self.lanes.remove(name);
        let newest = known.as_ref().and_then(|known| known.newest);
        if let Some(known) = &known {
            known.listener.abort();
        }
        let lane = match &known {
            Some(known) => known.lane,
            None => {
                self.names.push(name.to_owned());
                self.merge.add(now)
            }
        };
        self.merge.set_open(lane, true, now);
        let question = match newest {
            Some(newest) => self.question.since(newest.next()),
            None => self.question.bytes(),
        };
        let credit = past.then(|| Arc::new(Semaphore::new(most.max(LEAST_CREDIT))));
        let listener = Listener {
            lane,
            link: link.clone(),
            question,
            arrivals: self.arrivals.clone(),
            credit: credit.clone(),
            patience: past.then_some(self.collecting.patience),
        };
        let listener = self.tasks.spawn(listener.run());
        let state = LaneState::Open;
        self.lanes
            .insert(name.to_owned(), LaneOf { lane, state, link: link.number, newest, credit, listener });
    }

    fn of(&mut self, lane: Lane) -> Option<(&str, &mut LaneOf)> {
        let name = self.names.get(lane.index())?;
        self.lanes.get_mut(name).filter(|known| known.lane == lane).map(|known| (name.as_str(), known))
    }

    async fn arrived(&mut self, Arrival { lane, link, what }: Arrival) -> Result<(), Gone> {
        let now = Instant::now();
        let ended = match what {
            What::Answers(answers) => {
                self.heard = true;
                let newest = answers.iter().map(|answer| answer.time).max();
                if let Some((_, known)) = self.of(lane) {
                    known.newest = known.newest.max(newest);
                }
                self.merge.put(lane, answers, now, Moment::now());
                return Ok(());
            }
            What::Ended(ended) => ended,
        };
        // What has ended need not be kept.
        while self.tasks.try_join_next().is_some() {}
        let end = self.question.end;
        // It may be asked over another connection by now.
        if self.of(lane).is_none_or(|(_, known)| known.link != link) {
            return Ok(());
        }
        self.merge.set_open(lane, false, now);
        let Some((name, known)) = self.of(lane) else { return Ok(()) };
        let status = match (ended, end) {
            (Ok(()), End::AtLast) => {
                known.state = LaneState::Done;
                return Ok(());
            }
            (Ok(()), End::Never) => Status::unavailable("it has ended its answer"),
            (Err(status), _) => status,
        };
        let name = name.to_owned();
        let again = now.checked_add(RETRY);
        known.state = match (status.code(), end) {
            (Code::InvalidArgument, _) => LaneState::Refused(status.clone()),
            (Code::Unimplemented, End::Never) => LaneState::Broken { retry: None },
            (_, End::Never) => LaneState::Broken { retry: again },
            (_, End::AtLast) => LaneState::Done,
        };
        tracing::debug!(node = name, %status, "its answer broke off");
        let told = self.notices.error(&name, &message(&status), now);
        self.say(told).await
    }

    /// Whether no node has anything more to say.
    fn is_done(&self) -> bool {
        self.lanes.values().all(|lane| match lane.state {
            LaneState::Open | LaneState::Broken { .. } => false,
            LaneState::Done | LaneState::Refused(_) => true,
        })
    }

    /// What is wrong with the question, if all nodes say so.
    fn refusal(&self) -> Option<Status> {
        if self.heard {
            return None;
        }
        let mut last = None;
        for lane in self.lanes.values() {
            match &lane.state {
                LaneState::Refused(status) => last = Some(status),
                LaneState::Open | LaneState::Done | LaneState::Broken { .. } => return None,
            }
        }
        last.map(|status| Status::new(status.code(), status.message()))
    }

    /// Sends what need not wait any longer.
    async fn pass_on(&mut self) -> Result<(), Gone> {
        loop {
            let mut batch = Vec::new();
            let (lanes, names) = (&self.lanes, &self.names);
            self.merge.take(Instant::now(), BATCH, |lane, answer| {
                let known = names.get(lane.index()).and_then(|name| lanes.get(name));
                if let Some(credit) = known.and_then(|known| known.credit.as_ref()) {
                    credit.add_permits(1);
                }
                batch.push(answer);
            });
            if batch.is_empty() {
                return Ok(());
            }
            self.out.send(Ok(batch)).await.map_err(|_| Gone)?;
        }
    }

    async fn say(&self, notice: Option<Answer>) -> Result<(), Gone> {
        match notice {
            Some(notice) => self.out.send(Ok(vec![notice])).await.map_err(|_| Gone),
            None => Ok(()),
        }
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        let errors = self.notices.flush();
        self.say(errors).await
    }
}

/// What became of a question, for people.
fn message(status: &Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    }
}
