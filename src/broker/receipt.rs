//! A delivery, and the one word that is owed for it.

use super::vitals::{Settled, Vitals};
use crate::feed::{Message, Queue};
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use std::sync::Arc;

/// A step that a worker is asked to do.
#[derive(Debug)]
pub struct Delivery {
    /// What to do.
    pub message: Message,
    /// How to say that it is done.
    pub receipt: Receipt,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its result is committed, or the order asks again by itself.
    Done,
    /// It shall come once more.
    Again,
}

/// Owed to RabbitMQ. Dropped, the message comes again when the connection has ended.
#[derive(Debug)]
pub struct Receipt {
    queue: Queue,
    acker: Acker,
    vitals: Arc<Vitals>,
}

impl Receipt {
    pub(super) fn new(queue: Queue, acker: Acker, vitals: Arc<Vitals>) -> Receipt {
        Receipt { queue, acker, vitals }
    }

    /// Does the connection that it came over still stand? Otherwise it comes again anyway.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.acker.usable()
    }

    /// Says it. When the connection has ended meanwhile nothing is said, and the message comes again.
    pub async fn settle(self, verdict: Verdict) {
        let (said, settled) = match verdict {
            Verdict::Done => (self.acker.ack(BasicAckOptions::default()).await, Settled::Acknowledged),
            Verdict::Again => {
                let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                (self.acker.nack(back).await, Settled::Returned)
            }
        };
        let settled = if matches!(said, Ok(true)) { settled } else { Settled::Lost };
        self.vitals.settled(self.queue, settled);
    }
}
