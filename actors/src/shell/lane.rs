//! A lane: one thread's mail, its waiting askers, and the pump that moves both in batches.
//!
//! Everything here is of one thread; other threads reach it only through the inbox in [`Fabric`].

use crate::ids::EntityId;
use crate::mutant::Mutant;
use crate::record::Position;
use crate::shell::directory::Directory;
use crate::shell::fabric::{Fabric, LaneId, Parcel, Shard};
use crate::shell::message::{Address, Done, Envelope, Failure, Question, Reply, ReplyTo};
use crate::shell::post;
use crate::shell::slots::{ReplySlot, Slots};
use crate::shell::stats::{TIMED_ONE_IN, bump};
use crate::shell::vital::Vital;
use actix::Addr;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How often a lane looks for askers whose time is up.
const TICK: Duration = Duration::from_millis(50);

/// How long a repeat waits for the first request with its key (S15).
pub const REPEAT_WAITS: Duration = Duration::from_secs(1);

/// One thread's half of the fabric.
pub struct Lane {
    id: LaneId,
    fabric: Arc<Fabric>,
    directories: RefCell<Vec<Option<Addr<Directory>>>>,
    /// Questions for shards of this lane, by shard, until the pump runs.
    local: RefCell<Vec<Vec<Envelope>>>,
    /// Mail for other lanes, by lane, until the pump runs.
    remote: RefCell<Vec<Vec<Parcel>>>,
    slots: RefCell<Slots>,
    /// Answered slots whose answer may not leave yet.
    awaiting: RefCell<BinaryHeap<Reverse<(Position, ReplySlot)>>>,
    appended: Cell<bool>,
    ticks: Cell<u64>,
    /// Questions until one is timed.
    untimed: Cell<u32>,
}

thread_local! {
    static LANE: RefCell<Option<Rc<Lane>>> = const { RefCell::new(None) };
}

impl Lane {
    /// Makes this thread the lane `id` and starts its shards' directories. Needs an actix arbiter (or a `LocalSet`).
    ///
    /// # Panics
    /// When the thread is a lane already: one thread, one lane.
    pub fn start(fabric: &Arc<Fabric>, id: LaneId) -> Rc<Lane> {
        let shards = fabric.shards();
        let lane = Rc::new(Lane {
            id,
            fabric: Arc::clone(fabric),
            directories: RefCell::new((0..shards).map(|_| None).collect()),
            local: RefCell::new((0..shards).map(|_| Vec::new()).collect()),
            remote: RefCell::new(fabric.lane_ids().map(|_| Vec::new()).collect()),
            slots: RefCell::default(),
            awaiting: RefCell::default(),
            appended: Cell::new(false),
            ticks: Cell::new(0),
            untimed: Cell::new(0),
        });
        LANE.with(|cell| {
            assert!(cell.borrow().is_none(), "one thread is one lane");
            *cell.borrow_mut() = Some(Rc::clone(&lane));
        });
        for shard in (0..shards).map(Shard).filter(|&shard| fabric.lane_of(shard) == id) {
            lane.directories.borrow_mut()[shard.0] = Some(Directory::start(shard, &lane));
        }
        let vital = |what: &str| Vital::new(fabric, id, what);
        actix::spawn(Pump { lane: Rc::clone(&lane), parcels: Vec::new(), _vital: vital("the pump") });
        let (ticking, vital) = (Rc::clone(&lane), vital("the ticker"));
        actix::spawn(async move {
            let _vital = vital;
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                ticking.tick();
            }
        });
        // From here on it may hang, also before its first tick.
        fabric.beat(id);
        lane
    }

    /// This thread's lane, if it is one. A thread that is ending is none any more: what is dropped then may still owe
    /// answers.
    #[must_use]
    pub fn current() -> Option<Rc<Lane>> {
        LANE.try_with(|cell| cell.borrow().clone()).ok().flatten()
    }

    /// Makes `lane` this thread's lane, or none, and gives back the one before: for a simulator that plays several
    /// threads on one.
    pub fn swap(lane: Option<Rc<Lane>>) -> Option<Rc<Lane>> {
        LANE.with(|cell| std::mem::replace(&mut *cell.borrow_mut(), lane))
    }

    /// Forgets this thread's lane; for tests that start several in turn on one thread.
    pub fn forget() {
        LANE.with(|cell| cell.borrow_mut().take());
    }

    /// What all lanes share.
    #[must_use]
    pub fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    /// Something of this lane was handed to the log: the writer is woken at the end of this poll round.
    pub(crate) fn appended(&self) {
        self.appended.set(true);
        self.fabric.signal(self.id);
    }

    pub(crate) fn id(&self) -> LaneId {
        self.id
    }

    fn send(&self, mut envelope: Envelope) {
        let untimed = self.untimed.get().checked_sub(1);
        self.untimed.set(untimed.unwrap_or(TIMED_ONE_IN - 1));
        envelope.sent = if untimed.is_none() { Some(Instant::now()) } else { None };
        let shard = self.fabric.shard_of(envelope.to.slot());
        let lane = self.fabric.lane_of(shard);
        if lane == self.id {
            self.local.borrow_mut()[shard.0].push(envelope);
        } else {
            self.remote.borrow_mut()[lane.0].push(Parcel::Question(shard, envelope));
        }
        self.fabric.signal(self.id);
    }

    fn reply(&self, to: ReplySlot, reply: Reply) {
        if to.lane == self.id {
            self.answer(to, reply);
        } else {
            self.remote.borrow_mut()[to.lane.0].push(Parcel::Answer(to, reply));
            self.fabric.signal(self.id);
        }
    }

    /// Takes an answer in; lets it go at once if everything that it rests on is committed.
    fn answer(&self, to: ReplySlot, reply: Reply) {
        let rests_on = reply.rests_on;
        let Some(slot) = self.slots.borrow_mut().answered(to, reply) else {
            return bump(&self.fabric.stats.stale_replies);
        };
        if rests_on <= self.fabric.journal.committed() || Mutant::CommitBeforeReply.is_off() {
            return self.slots.borrow_mut().let_go(slot);
        }
        self.awaiting.borrow_mut().push(Reverse((rests_on, to)));
        self.fabric.set_awaits_commit(self.id, true);
        self.let_go_committed();
    }

    /// Lets go what has been committed, and fails what never can be.
    fn let_go_committed(&self) {
        let mut awaiting = self.awaiting.borrow_mut();
        let mut slots = self.slots.borrow_mut();
        let stopped = self.fabric.journal.stopped();
        let committed = self.fabric.journal.committed();
        while let Some(Reverse((position, slot))) = awaiting.peek().copied() {
            if position <= committed {
                slots.let_go(slot);
            } else if stopped {
                slots.fail(slot, Failure::OutcomeUnknown);
            } else {
                break;
            }
            awaiting.pop();
        }
        if awaiting.is_empty() {
            self.fabric.set_awaits_commit(self.id, false);
        }
    }

    /// Gives up those whose time is up, and everybody when a part of the shards is dead.
    fn tick(&self) {
        self.fabric.beat(self.id);
        self.ticks.set(self.ticks.get() + 1);
        let overdue = if self.fabric.dead().is_some() { u64::MAX } else { self.ticks.get() };
        self.slots.borrow_mut().fail_overdue(overdue);
    }

    /// One turn: mail in, answers out, questions to the directories, mail to other lanes, and one wake-up of the log.
    fn turn(&self, parcels: &mut Vec<Parcel>) {
        for parcel in parcels.drain(..) {
            match parcel {
                Parcel::Question(shard, envelope) => self.local.borrow_mut()[shard.0].push(envelope),
                Parcel::Answer(slot, reply) => self.answer(slot, reply),
                Parcel::Loaded(shard, entity, outcome) => {
                    self.to_directory(shard, |directory| directory.do_send(post::Arrived { entity, outcome }));
                }
                Parcel::Timers(shard, timers) => {
                    self.to_directory(shard, |directory| directory.do_send(post::Arm(timers)));
                }
            }
        }
        self.let_go_committed();
        for shard in 0..self.fabric.shards() {
            // Taken out first: whatever is dropped on the way answers, and may send.
            let envelopes = std::mem::take(&mut self.local.borrow_mut()[shard]);
            if !envelopes.is_empty() {
                self.to_directory(Shard(shard), |directory| directory.do_send(post::Batch(envelopes)));
            }
        }
        for (lane, parcels) in self.remote.borrow_mut().iter_mut().enumerate().filter(|(_, p)| !p.is_empty()) {
            self.fabric.mail(LaneId(lane), parcels.drain(..));
        }
        if self.appended.replace(false) {
            self.fabric.journal.kick();
        }
    }

    fn to_directory(&self, shard: Shard, send: impl FnOnce(&Addr<Directory>)) {
        match &self.directories.borrow()[shard.0] {
            Some(directory) => send(directory),
            None => tracing::error!(shard = shard.0, lane = self.id.0, "mail for a shard that lives elsewhere"),
        }
    }
}

/// Moves mail; woken by the lane itself, by other lanes, and by commits: once for many.
struct Pump {
    lane: Rc<Lane>,
    parcels: Vec<Parcel>,
    _vital: Vital,
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Pump { lane, parcels, .. } = &mut *self;
        lane.fabric.collect(lane.id, context.waker(), parcels);
        lane.turn(parcels);
        Poll::Pending
    }
}

/// Sends a question from this thread.
pub fn send(envelope: Envelope) {
    match Lane::current() {
        Some(lane) => lane.send(envelope),
        None => tracing::error!(to = %envelope.to, "a question from a thread that is no lane"),
    }
}

/// Sends an answer from this thread.
pub(crate) fn reply(to: ReplySlot, reply: Reply) {
    if let Some(lane) = Lane::current() {
        lane.reply(to, reply);
    }
}

/// Asks an entity. The answer comes when everything that it rests on is committed, or, after `within` (rounded up to
/// the lane's tick), [`Failure::OutcomeUnknown`]. Dropping it does not take the question back.
///
/// # Panics
/// When this thread is no lane.
pub fn ask(to: EntityId, question: Question, within: Duration) -> Ask {
    start(to, question, within, None)
}

/// The same for a request with an idempotency key. When it turns out to repeat what is not committed yet, it waits for
/// [`REPEAT_WAITS`] in all, and then for [`Failure::InFlight`] (S15).
///
/// # Panics
/// When this thread is no lane.
pub fn ask_keyed(to: EntityId, question: Question, within: Duration) -> Ask {
    start(to, question, within, Some(within.min(REPEAT_WAITS)))
}

fn start(to: EntityId, question: Question, within: Duration, repeat_within: Option<Duration>) -> Ask {
    let Some(lane) = Lane::current() else { panic!("ask() needs a thread that is a lane") };
    let tick_after = |wait: Duration| lane.ticks.get() + 1 + wait.as_millis().div_ceil(TICK.as_millis()) as u64;
    let slot = lane.slots.borrow_mut().take(lane.id, tick_after(within), repeat_within.map(tick_after));
    lane.send(Envelope::new(to, question, ReplyTo::new(Address::Slot(slot)), Position(0)));
    Ask { lane, slot }
}

/// An answer to come.
pub struct Ask {
    lane: Rc<Lane>,
    slot: ReplySlot,
}

impl Future for Ask {
    type Output = Result<Done, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.lane.slots.borrow_mut().poll(self.slot, context.waker())
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.lane.slots.borrow_mut().free(self.slot);
    }
}
