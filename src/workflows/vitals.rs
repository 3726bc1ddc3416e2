//! How the work is going: counters and gauges that metrics read without a lock.

use super::job::End;
use super::provider::Operation;
use crate::feed::{Feed, Queue};
use stampede_actors::order::Answer;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// What a provider call led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentOutcome {
    /// Done.
    Authorised = 0,
    /// Definitely not done.
    Declined = 1,
    /// The provider answered that it does not know.
    Error = 2,
    /// The provider did not answer in time.
    Timeout = 3,
}

impl PaymentOutcome {
    /// All of them.
    pub const ALL: [PaymentOutcome; 4] =
        [PaymentOutcome::Authorised, PaymentOutcome::Declined, PaymentOutcome::Error, PaymentOutcome::Timeout];

    /// The label in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            PaymentOutcome::Authorised => "authorised",
            PaymentOutcome::Declined => "declined",
            PaymentOutcome::Error => "error",
            PaymentOutcome::Timeout => "timeout",
        }
    }

    /// `None`: no answer in time.
    pub(super) fn of(answer: Option<&Answer>) -> PaymentOutcome {
        match answer {
            Some(Answer::Done { .. }) => PaymentOutcome::Authorised,
            Some(Answer::Refused { .. }) => PaymentOutcome::Declined,
            Some(Answer::Unknown) => PaymentOutcome::Error,
            None => PaymentOutcome::Timeout,
        }
    }
}

/// One queue.
#[derive(Debug, Default)]
pub struct QueueVitals {
    /// Messages that wait in memory.
    pub waiting: AtomicU64,
    /// Messages that are being worked on.
    pub working: AtomicU64,
    /// Engine time of the oldest unfinished message in memory, in microseconds; 0: none.
    pub oldest_at: AtomicI64,
    /// Steps reported with a definite answer.
    pub reported: AtomicU64,
    /// Messages whose step was done or given up already.
    pub not_open: AtomicU64,
    /// Steps whose outcome nobody knows yet.
    pub unknown: AtomicU64,
    /// Steps that one of our own entities could not take.
    pub left_to_order: AtomicU64,
    /// Messages for a step that was being worked on.
    pub duplicates: AtomicU64,
}

/// Everything; written by the workflow thread, read by anybody.
#[derive(Debug, Default)]
pub struct Vitals {
    queues: [QueueVitals; 3],
    /// Committed records that the cursor has not passed yet.
    pub lag: AtomicU64,
    /// Frames that were read again from the log because a queue had had no room.
    pub frames_reread: AtomicU64,
    /// Calls to the provider by operation and outcome.
    calls: [[AtomicU64; 4]; 4],
    /// Callbacks of the provider taken in.
    pub callbacks: AtomicU64,
    /// Shipments reported by the warehouse and taken in.
    pub shipments: AtomicU64,
    /// Shipments that the order refused.
    pub shipments_refused: AtomicU64,
}

impl Vitals {
    /// One queue.
    #[must_use]
    pub fn queue(&self, queue: Queue) -> &QueueVitals {
        &self.queues[queue as usize]
    }

    /// Calls of one operation that had this outcome.
    #[must_use]
    pub fn calls(&self, operation: Operation, outcome: PaymentOutcome) -> u64 {
        self.calls[operation as usize][outcome as usize].load(Relaxed)
    }

    pub(super) fn called(&self, operation: Operation, outcome: PaymentOutcome) {
        self.calls[operation as usize][outcome as usize].fetch_add(1, Relaxed);
    }

    /// A job on a message of this queue ended so.
    pub fn ended(&self, queue: Queue, end: End) {
        let queue = self.queue(queue);
        let counter = match end {
            End::Reported => &queue.reported,
            End::NotOpen => &queue.not_open,
            End::Unknown => &queue.unknown,
            End::LeftToOrder => &queue.left_to_order,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn observe(&self, feed: &Feed) {
        self.lag.store(feed.lag(), Relaxed);
        for queue in Queue::ALL {
            let vitals = self.queue(queue);
            vitals.waiting.store(feed.waiting(queue) as u64, Relaxed);
            vitals.working.store(feed.working(queue) as u64, Relaxed);
            vitals.oldest_at.store(feed.oldest_at(queue).map_or(0, |at| at.0), Relaxed);
        }
    }
}
