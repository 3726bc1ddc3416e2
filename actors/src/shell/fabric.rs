//! What all lanes share: which shard lives where, the ports to log, clock and store, the mail between threads.

use crate::ids::{EntityId, SLOTS, Slot};
use crate::journal::Journal;
use crate::shell::harbour::Harbour;
use crate::shell::loader::{Loaded, Loader};
use crate::shell::message::{Envelope, Reply};
use crate::shell::pieces::{Piece, Pieces};
use crate::shell::slots::ReplySlot;
use crate::shell::sold_out::SoldOut;
use crate::shell::stats::Stats;
use crate::time::{Moment, Span, Timestamp};
use crate::{order, sku};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A thread that hosts shards or asks for things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// A part of the slots; lives on one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub usize);

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// Engine time, and up to where deadlines have run out (S18).
    fn moment(&self) -> Moment;
}

/// The knobs of the shells.
#[derive(Clone)]
pub struct Settings {
    /// Rules of SKUs.
    pub sku: Arc<sku::Terms>,
    /// Rules of orders.
    pub order: order::Terms,
    /// How long an order's holds last.
    pub hold_ttl: Span,
    /// An entity that nobody asked for this long is passivated.
    pub passivate_after: std::time::Duration,
    /// Entities looked at per shard and tick when passivating (S11: a few at a time).
    pub passivate_per_tick: usize,
    /// Entities in memory per shard beyond which those idle for a second are passivated, more at a time.
    pub warm_per_shard: usize,
    /// Timers fired per shard and tick.
    pub timers_per_tick: usize,
    /// Commands parked per entity while it is being loaded.
    pub parked_per_entity: usize,
    /// Entities being loaded at once per shard.
    pub loads_per_shard: usize,
    /// Purchases per shard that are admitted and not yet answered (S13).
    pub permits_per_shard: usize,
    /// Crashes of one entity within a minute until it is quarantined.
    pub crashes_until_quarantine: u32,
}

/// Mail between threads.
pub(crate) enum Parcel {
    /// A question for an entity of a shard of the receiving lane.
    Question(Shard, Envelope),
    /// An answer for one of its slots.
    Answer(ReplySlot, Reply),
    /// A cold entity, read back.
    Loaded(Shard, EntityId, Result<Loaded, String>),
    /// Deadlines of cold entities that come up soon.
    Timers(Shard, Vec<(Timestamp, EntityId)>),
}

/// What all lanes share.
pub struct Fabric {
    /// The knobs.
    pub settings: Settings,
    /// The commit log.
    pub journal: Arc<dyn Journal>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where cold entities come from.
    pub loader: Arc<dyn Loader>,
    /// What is counted.
    pub stats: Stats,
    pub(crate) sold_out: SoldOut,
    /// The whole shop takes no new claims.
    paused: AtomicBool,
    lane_of_shard: Vec<LaneId>,
    permits: Vec<AtomicUsize>,
    harbours: Vec<Harbour<Parcel>>,
    /// How often each lane has ticked: one that hangs does not tick.
    beats: Vec<AtomicU64>,
    /// Which part of a lane has ended that no lane can do without.
    dead: OnceLock<String>,
    /// Who draws traced work.
    pieces: OnceLock<Arc<dyn Pieces>>,
}

impl Fabric {
    /// `lane_of_shard[s]` is where shard `s` lives; `lanes` counts all lanes, those without shards as well.
    #[must_use]
    pub fn new(
        settings: Settings,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        loader: Arc<dyn Loader>,
        lane_of_shard: Vec<LaneId>,
        lanes: usize,
    ) -> Arc<Fabric> {
        assert!(!lane_of_shard.is_empty() && lane_of_shard.iter().all(|lane| lane.0 < lanes), "every shard has a lane");
        let permits = lane_of_shard.iter().map(|_| AtomicUsize::new(0)).collect();
        let harbours = (0..lanes).map(|_| Harbour::default()).collect();
        let stats = Stats::new(lane_of_shard.len());
        let beats = (0..lanes).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Fabric {
            settings,
            journal,
            clock,
            loader,
            stats,
            sold_out: SoldOut::default(),
            paused: AtomicBool::new(false),
            lane_of_shard,
            permits,
            harbours,
            beats,
            dead: OnceLock::new(),
            pieces: OnceLock::new(),
        })
    }

    /// Does the shop take no new claims? As its own actor last said.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Says so: the shop's actor, and a start before there is one.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.lane_of_shard.len()
    }

    /// All lanes.
    pub fn lane_ids(&self) -> impl Iterator<Item = LaneId> + use<> {
        (0..self.harbours.len()).map(LaneId)
    }

    /// Where a slot's entities live.
    #[must_use]
    pub fn shard_of(&self, slot: Slot) -> Shard {
        Shard(usize::from(slot.0) * self.lane_of_shard.len() / usize::from(SLOTS))
    }

    /// Where a shard lives.
    #[must_use]
    pub fn lane_of(&self, shard: Shard) -> LaneId {
        self.lane_of_shard[shard.0]
    }

    /// Does a shard live there?
    pub(crate) fn hosts(&self, lane: LaneId) -> bool {
        self.lane_of_shard.contains(&lane)
    }

    /// Sends from a thread that has no lane of its own.
    pub fn post(&self, envelope: Envelope) {
        let shard = self.shard_of(envelope.to.slot());
        self.mail(self.lane_of(shard), std::iter::once(Parcel::Question(shard, envelope)));
    }

    /// Tells finished pieces of traced work to this one from now on; the first one stays.
    pub fn tell_pieces_to(&self, pieces: Arc<dyn Pieces>) {
        self.pieces.get_or_init(|| pieces);
    }

    pub(crate) fn piece_done(&self, piece: &Piece<'_>) {
        if let Some(pieces) = self.pieces.get() {
            pieces.done(piece);
        }
    }

    /// Arms deadlines of cold entities.
    pub fn arm(&self, timers: Vec<(Timestamp, EntityId)>) {
        let mut by_shard: Vec<Vec<(Timestamp, EntityId)>> = vec![Vec::new(); self.shards()];
        for timer in timers {
            by_shard[self.shard_of(timer.1.slot()).0].push(timer);
        }
        for (shard, timers) in by_shard.into_iter().enumerate().filter(|(_, timers)| !timers.is_empty()) {
            let shard = Shard(shard);
            self.mail(self.lane_of(shard), std::iter::once(Parcel::Timers(shard, timers)));
        }
    }

    /// A permit for one purchase at this slot's shard; `None`: too many are in progress (S13).
    #[must_use]
    pub fn permit(self: &Arc<Self>, slot: Slot) -> Option<Permit> {
        let shard = self.shard_of(slot);
        let taken = self.permits[shard.0].fetch_add(1, Ordering::Relaxed);
        let permit = Permit { fabric: Arc::clone(self), shard };
        (taken < self.settings.permits_per_shard).then_some(permit)
    }

    /// Permits in use, by shard.
    pub fn permits_in_use(&self) -> impl Iterator<Item = usize> + '_ {
        self.permits.iter().map(|taken| taken.load(Ordering::Relaxed).min(self.settings.permits_per_shard))
    }

    /// The log has committed more, or has stopped: wakes the lanes that wait for it. Called by the log's thread.
    pub fn on_commit(&self) {
        Harbour::committed(&self.harbours);
    }

    /// What has ended, in a panic or with its thread, that a shard or an asker cannot do without: whoever waits on any
    /// lane is told that the outcome is unknown, and the process has to stop.
    #[must_use]
    pub fn dead(&self) -> Option<&str> {
        self.dead.get().map(String::as_str)
    }

    /// The first to go is the one to tell of.
    pub(crate) fn died(&self, what: String) {
        let _ = self.dead.set(what);
    }

    /// How often a lane has ticked; 0: it has not started. It ticks many times a second unless something holds it up.
    #[must_use]
    pub fn beats(&self, lane: LaneId) -> u64 {
        self.beats[lane.0].load(Ordering::Relaxed)
    }

    pub(crate) fn beat(&self, lane: LaneId) {
        self.beats[lane.0].fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves mail for a lane and wakes it once.
    pub(crate) fn mail(&self, lane: LaneId, parcels: impl Iterator<Item = Parcel>) {
        self.harbours[lane.0].mail(parcels);
    }

    /// Makes the lane's pump run soon.
    pub(crate) fn signal(&self, lane: LaneId) {
        self.harbours[lane.0].signal();
    }

    /// Says whether the lane has replies that wait for a commit. Set before the lane looks at the committed position
    /// once more.
    pub(crate) fn set_awaits_commit(&self, lane: LaneId, awaits: bool) {
        self.harbours[lane.0].set_awaits_commit(awaits);
    }

    /// Registers the lane's pump and takes its mail.
    pub(crate) fn collect(&self, lane: LaneId, waker: &std::task::Waker, into: &mut Vec<Parcel>) {
        self.harbours[lane.0].collect(waker, into);
    }
}

/// Leave to have one purchase in progress. Given back when dropped.
pub struct Permit {
    fabric: Arc<Fabric>,
    shard: Shard,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.fabric.permits[self.shard.0].fetch_sub(1, Ordering::Relaxed);
    }
}
