//! One kind of work: its messages in memory, those that are being worked on, and how far it has read the log.

use super::{Message, MessageId};
use crate::journal::Committed;
use stampede_actors::order::Step;
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// A kind of work. Each has its own bounds, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Steps of the payment provider.
    Payment = 0,
    /// Steps of the warehouse.
    Fulfilment = 1,
    /// Steps of our own SKUs.
    Stock = 2,
}

impl Queue {
    /// All of them.
    pub const ALL: [Queue; 3] = [Queue::Payment, Queue::Fulfilment, Queue::Stock];

    /// Who does this step.
    #[must_use]
    pub fn of(step: Step) -> Queue {
        match step {
            Step::Authorize { .. } | Step::Capture { .. } | Step::Void { .. } | Step::Refund { .. } => Queue::Payment,
            Step::Fulfil | Step::CallOff { .. } => Queue::Fulfilment,
            Step::Allocate
            | Step::GiveBack
            | Step::GiveBackUnits { .. }
            | Step::ShipStock { .. }
            | Step::ReturnStock { .. } => Queue::Stock,
        }
    }

    /// `payment`, `fulfilment` or `stock`: the label in metrics and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Queue::Payment => "payment",
            Queue::Fulfilment => "fulfilment",
            Queue::Stock => "stock",
        }
    }
}

/// The state of one queue.
#[derive(Debug)]
pub(super) struct Lane {
    /// Everything up to here is in `waiting`, in `working` or finished.
    pub read: Position,
    waiting: VecDeque<Message>,
    working: BTreeMap<MessageId, Message>,
    waiting_max: usize,
    working_max: usize,
}

impl Lane {
    pub fn new(read: Position, waiting_max: usize, working_max: usize) -> Lane {
        Lane { read, waiting: VecDeque::new(), working: BTreeMap::new(), waiting_max, working_max }
    }

    /// Is there room for the messages of one more frame? A frame is taken wholly, so the bound may be passed by one.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.waiting_max
    }

    /// Worth reading the log for: not for each single place that becomes free.
    pub fn is_half_empty(&self) -> bool {
        self.waiting.len() <= self.waiting_max / 2
    }

    /// Does this frame come next? It may begin earlier: after a start the cursor can be within a frame.
    pub fn wants(&self, frame: &Committed) -> bool {
        frame.first.0 <= self.read.0 + 1 && frame.last() > self.read && self.has_room()
    }

    pub fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    pub fn next(&mut self) -> Option<Message> {
        if self.working.len() >= self.working_max {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.working.insert(message.id, message);
        Some(message)
    }

    pub fn acknowledge(&mut self, id: MessageId) -> bool {
        self.working.remove(&id).is_some()
    }

    /// Everything up to here is finished.
    pub fn finished(&self) -> Position {
        match self.oldest() {
            Some(message) => Position(message.position.0 - 1),
            None => self.read,
        }
    }

    /// When the oldest unfinished message was asked for.
    pub fn oldest_at(&self) -> Option<Timestamp> {
        self.oldest().map(|message| message.at)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn working(&self) -> usize {
        self.working.len()
    }

    fn oldest(&self) -> Option<&Message> {
        // Handed out in order, so whatever is being worked on is older than what waits.
        self.working.first_key_value().map(|(_, message)| message).or_else(|| self.waiting.front())
    }
}
