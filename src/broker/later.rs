//! Repeats that wait until RabbitMQ's queue is empty. While it is away, or others wait there, an earlier message of the same
//! step waits as well: a repeat would only make the queue longer, and with it all answers later, so that more is asked
//! again. But the earlier one may also be lost, and the order asks ever more rarely: so its repeat is not forgotten.

use crate::feed::{Message, Queue};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use stampede_actors::ids::OrderId;
use stampede_actors::order::Step;
use std::collections::VecDeque;

/// Most steps of one queue that are remembered. A step beyond them is asked for again by its order.
const MOST: usize = 65_536;
/// Each of them is here twice, as a message and as its name: 160 bytes at most, and what the set leaves free.
const _: () = assert!(size_of::<Message>() + size_of::<(OrderId, Step)>() <= 160);

/// The repeats of one queue, each step once.
#[derive(Debug, Default)]
struct Line {
    steps: HashSet<(OrderId, Step), FixedState>,
    messages: VecDeque<Message>,
}

/// The repeats of both queues.
#[derive(Debug, Default)]
pub(super) struct Later {
    lines: [Line; 2],
}

impl Later {
    /// Keeps it, unless the step is here already or there is no room.
    pub fn push(&mut self, message: Message) {
        let Some(line) = self.lines.get_mut(Queue::of(message.step) as usize) else { return };
        if line.messages.len() < MOST && line.steps.insert((message.order, message.step)) {
            line.messages.push_back(message);
        }
    }

    /// So many of a queue at most, in the order in which they came.
    pub fn take(&mut self, queue: Queue, most: usize) -> Vec<Message> {
        let Some(line) = self.lines.get_mut(queue as usize) else { return Vec::new() };
        let taken: Vec<Message> = line.messages.drain(..most.min(line.messages.len())).collect();
        for message in &taken {
            line.steps.remove(&(message.order, message.step));
        }
        taken
    }

    /// Repeats of a queue that wait.
    pub fn len(&self, queue: Queue) -> usize {
        self.lines.get(queue as usize).map_or(0, |line| line.messages.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::MessageId;
    use stampede_actors::record::Position;
    use stampede_actors::time::Timestamp;

    fn repeat(order: u128, seq: u64, step: Step) -> Message {
        Message {
            id: MessageId { log: 0, seq, index: 0 },
            position: Position(seq),
            order: OrderId(order),
            step,
            at: Timestamp(1),
            inherited: false,
            again: true,
            trace: None,
        }
    }

    fn orders(messages: &[Message]) -> Vec<u128> {
        messages.iter().map(|message| message.order.0).collect()
    }

    #[test]
    fn each_step_waits_once_and_comes_in_turn() {
        let authorize = Step::Authorize { attempt: 1 };
        let mut later = Later::default();
        for (order, seq) in [(1, 10), (2, 11), (1, 12), (3, 13), (2, 14)] {
            later.push(repeat(order, seq, authorize));
        }
        later.push(repeat(1, 15, Step::Capture { attempt: 1 }));
        later.push(repeat(1, 16, Step::Fulfil));
        assert_eq!((later.len(Queue::Payment), later.len(Queue::Fulfilment)), (4, 1));
        assert_eq!(orders(&later.take(Queue::Payment, 2)), [1, 2]);
        // One that was taken may wait again.
        later.push(repeat(1, 17, authorize));
        assert_eq!(orders(&later.take(Queue::Payment, 9)), [3, 1, 1]);
        assert_eq!(orders(&later.take(Queue::Fulfilment, 9)), [1]);
        assert_eq!((later.len(Queue::Payment), later.len(Queue::Fulfilment)), (0, 0));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut later = Later::default();
        for order in 0..MOST as u128 + 10 {
            later.push(repeat(order, 1, Step::Fulfil));
        }
        assert_eq!(later.len(Queue::Fulfilment), MOST);
        later.take(Queue::Fulfilment, 1);
        later.push(repeat(7_777_777, 2, Step::Fulfil));
        assert_eq!(later.len(Queue::Fulfilment), MOST);
    }
}
