//! One kind of work: its messages in memory, those that are being worked on, and how far it has read the log.

use super::{Message, MessageId};
use crate::journal::Committed;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::OrderId;
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
    /// Everything up to here was committed before the start.
    inherited: Position,
    /// Of the inherited messages that wait, those that no later record has answered or asked again: the others were
    /// finished by an earlier process, or will be by their repeat.
    unanswered: HashMap<(OrderId, Step), MessageId, FixedState>,
}

impl Lane {
    pub fn new(read: Position, inherited: Position, waiting_max: usize, working_max: usize) -> Lane {
        let unanswered = HashMap::with_hasher(FixedState::default());
        let (waiting, working) = (VecDeque::new(), BTreeMap::new());
        Lane { read, waiting, working, waiting_max, working_max, inherited, unanswered }
    }

    /// Is there room for the messages of one more frame? A frame is taken wholly, so the bound may be passed by one.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.waiting_max
    }

    /// Is it worth reading the log? Live, not for each single place that becomes free.
    pub fn is_hungry(&self) -> bool {
        if self.catching_up() { self.has_room() } else { self.is_half_empty() }
    }

    fn is_half_empty(&self) -> bool {
        self.waiting.len() <= self.waiting_max / 2
    }

    /// Is it still reading what was committed before the start?
    fn catching_up(&self) -> bool {
        self.read < self.inherited
    }

    /// Does this frame come next? It may begin earlier: after a start the cursor can be within a frame.
    pub fn wants(&self, frame: &Committed) -> bool {
        frame.first.0 <= self.read.0 + 1 && frame.last() > self.read && self.has_room()
    }

    pub fn push(&mut self, message: Message) {
        if message.inherited {
            self.unanswered.insert((message.order, message.step), message.id);
        }
        self.waiting.push_back(message);
    }

    /// A record before the start answers a step: whoever asked for it needs not ask again.
    pub fn answered(&mut self, order: OrderId, step: Step) {
        self.unanswered.remove(&(order, step));
    }

    /// All records up to `position` are taken in.
    pub fn has_read(&mut self, position: Position) {
        let was_catching_up = self.catching_up();
        self.read = position;
        if was_catching_up && !(self.catching_up() && self.has_room()) {
            let Lane { waiting, unanswered, .. } = self;
            waiting.retain(|message| is_unanswered(unanswered, message));
        }
    }

    pub fn next(&mut self) -> Option<Message> {
        // The past is read on first, as long as there is room: most of what it asks for, it also answers.
        if self.working.len() >= self.working_max || (self.catching_up() && self.is_half_empty()) {
            return None;
        }
        let message = self.waiting.pop_front()?;
        if message.inherited {
            self.unanswered.remove(&(message.order, message.step));
        }
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

fn is_unanswered(unanswered: &HashMap<(OrderId, Step), MessageId, FixedState>, message: &Message) -> bool {
    !message.inherited || unanswered.get(&(message.order, message.step)) == Some(&message.id)
}
