//! What the shells count: plain atomics, exported by whoever serves metrics.

use crate::shell::durations::Durations;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Kinds of entities, in the order of the arrays below.
pub const KINDS: [&str; 4] = ["sku", "cart", "order", "shop"];

/// Shards that have a histogram of their own; those beyond share one more.
pub const SHARDS_APART: usize = 64;

/// One question in so many of a lane is timed. A prime, so that no rhythm of questions hides some kind of them.
pub const TIMED_ONE_IN: u32 = 13;

/// Counters and gauges of all shards of a process.
#[derive(Debug, Default)]
pub struct Stats {
    /// Warm entities, by kind.
    pub warm: [AtomicU64; 4],
    /// Entities started, by kind.
    pub activations: [AtomicU64; 4],
    /// Entities passivated, by kind.
    pub passivations: [AtomicU64; 4],
    /// Entities reloaded after a crash, by kind.
    pub crashes: [AtomicU64; 4],
    /// Entities that take no commands after repeated crashes.
    pub quarantined: AtomicU64,
    /// Answers that came after their asker had given up (S12).
    pub stale_replies: AtomicU64,
    /// Commands refused because a bounded table of the shells was full.
    pub refused_full: AtomicU64,
    /// Timers fired.
    pub timers_fired: AtomicU64,
    /// Questions delivered, by shard.
    pub questions: Vec<AtomicU64>,
    /// From a timed question's being sent to its being handled, by shard.
    pub waits: Vec<Arc<Durations>>,
    /// How long handling a timed question took, by kind.
    pub handling: [Arc<Durations>; 4],
    /// From a purchase's reaching its order to all its units being held.
    pub reserving: Arc<Durations>,
}

impl Stats {
    /// All zero.
    #[must_use]
    pub fn new(shards: usize) -> Stats {
        let apart = shards.min(SHARDS_APART + 1);
        Stats {
            questions: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            waits: (0..apart).map(|_| Arc::default()).collect(),
            ..Stats::default()
        }
    }

    /// The waits of a shard's questions.
    pub(crate) fn waits_of(&self, shard: usize) -> &Durations {
        &self.waits[shard.min(SHARDS_APART)]
    }
}

/// Adds one.
pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Index of a kind in the arrays of [`Stats`].
pub(crate) fn kind(entity: &crate::ids::EntityId) -> usize {
    match entity {
        crate::ids::EntityId::Sku(_) => 0,
        crate::ids::EntityId::Cart(_) => 1,
        crate::ids::EntityId::Order(_) => 2,
        crate::ids::EntityId::Shop => 3,
    }
}
