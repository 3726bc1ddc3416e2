//! How the broker is doing: written by its thread, read by anybody.

use crate::feed::Queue;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What became of publishing a message once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// RabbitMQ has it.
    Confirmed = 0,
    /// RabbitMQ refused it: the queue is full, or a node failed.
    Nacked = 1,
    /// There was no queue for it.
    Returned = 2,
    /// No word of it came, or the connection ended before.
    Unconfirmed = 3,
}

impl Published {
    /// All of them.
    pub const ALL: [Published; 4] =
        [Published::Confirmed, Published::Nacked, Published::Returned, Published::Unconfirmed];

    /// The label in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["confirmed", "nacked", "returned", "unconfirmed"][self as usize]
    }
}

/// What was said of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Acknowledged = 0,
    Returned = 1,
    Lost = 2,
    Poison = 3,
}

/// Words for what became of a delivery, in the order of their counts.
pub const SETTLED: [&str; 4] = ["acked", "retried", "lost", "poison"];

/// One kind of work.
#[derive(Debug, Default)]
pub struct WorkVitals {
    published: [AtomicU64; 4],
    settled: [AtomicU64; 4],
    /// Messages in the queue that nobody works on, when it was last looked at.
    pub ready: AtomicU64,
    /// Repeats that wait until that is none.
    pub later: AtomicU64,
    /// Dead letters, when they were last looked at.
    pub dead: AtomicU64,
    /// Dead letters that were seen to come, since the start.
    pub died: AtomicU64,
    /// Deliveries that came before.
    pub redelivered: AtomicU64,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Vitals {
    works: [WorkVitals; 2],
    /// A connection stands, and its topology is right.
    pub up: AtomicBool,
    /// RabbitMQ takes no messages now: it is short of memory or disk.
    pub blocked: AtomicBool,
    /// Connections made.
    pub connections: AtomicU64,
    /// Messages published and not confirmed.
    pub unconfirmed: AtomicU64,
}

impl Vitals {
    /// One kind of work; `None` for what no broker carries.
    #[must_use]
    pub fn work(&self, queue: Queue) -> Option<&WorkVitals> {
        self.works.get(queue as usize)
    }

    pub(super) fn published(&self, queue: Queue, outcome: Published) {
        if let Some(work) = self.work(queue) {
            work.published[outcome as usize].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn settled(&self, queue: Queue, settled: Settled) {
        if let Some(work) = self.work(queue) {
            work.settled[settled as usize].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn waits_longer(&self, queue: Queue, repeats: usize) {
        if let Some(work) = self.work(queue) {
            work.later.store(repeats as u64, Relaxed);
        }
    }

    pub(super) fn counted(&self, queue: Queue, ready: u64, dead: u64) {
        if let Some(work) = self.work(queue) {
            work.ready.store(ready, Relaxed);
            let before = work.dead.swap(dead, Relaxed);
            work.died.fetch_add(dead.saturating_sub(before), Relaxed);
        }
    }
}

impl WorkVitals {
    /// Messages whose publishing ended so.
    #[must_use]
    pub fn published(&self, outcome: Published) -> u64 {
        self.published[outcome as usize].load(Relaxed)
    }

    /// Deliveries by what became of them, in the order of [`SETTLED`].
    pub fn settled(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SETTLED.iter().copied().zip(self.settled.iter().map(|count| count.load(Relaxed)))
    }
}
