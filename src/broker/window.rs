//! Messages on their way to RabbitMQ: what is to be published, what waits for its confirm, and what goes out again. Without
//! a clock or a connection (S14).

use crate::feed::{Message, MessageId, Queue};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A message that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    message: Message,
    /// It went out before, over this or an earlier connection.
    repeated: bool,
    /// When it went out; `None`: not over this connection.
    sent: Option<Duration>,
}

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Window {
    waiting: BTreeMap<MessageId, Waiting>,
    /// Of those, the ones to publish now.
    due: VecDeque<MessageId>,
    /// And those to publish when the pause after a refusal is over.
    refused: Vec<MessageId>,
}

impl Window {
    /// A message of the feed.
    pub fn push(&mut self, message: Message) {
        self.waiting.insert(message.id, Waiting { message, repeated: false, sent: None });
        self.due.push_back(message.id);
    }

    /// Messages that are not confirmed.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The next to publish; one that went out before says so, because a worker may have seen it.
    pub fn next(&mut self, now: Duration) -> Option<Message> {
        while let Some(id) = self.due.pop_front() {
            if let Some(waiting) = self.waiting.get_mut(&id) {
                let mut message = waiting.message;
                message.inherited |= std::mem::replace(&mut waiting.repeated, true);
                waiting.sent = Some(now);
                return Some(message);
            }
        }
        None
    }

    /// RabbitMQ has it; says whose it was, the first time.
    pub fn confirmed(&mut self, id: MessageId) -> Option<Queue> {
        self.waiting.remove(&id).map(|waiting| Queue::of(waiting.message.step))
    }

    /// RabbitMQ has refused it; it goes out again after [`Window::retry`].
    pub fn refused(&mut self, id: MessageId) -> Option<Queue> {
        let waiting = self.waiting.get_mut(&id)?;
        waiting.sent = None;
        self.refused.push(id);
        Some(Queue::of(waiting.message.step))
    }

    /// The pause after refusals is over.
    pub fn retry(&mut self) {
        self.due.extend(self.refused.drain(..));
    }

    /// The connection has ended: all that is not confirmed goes out over the next one, in order. Gives how many of each
    /// queue had been sent.
    pub fn start_over(&mut self) -> [u64; 2] {
        let mut sent = [0; 2];
        for waiting in self.waiting.values_mut() {
            if waiting.sent.take().is_some()
                && let Some(count) = sent.get_mut(Queue::of(waiting.message.step) as usize)
            {
                *count += 1;
            }
        }
        self.refused.clear();
        self.due = self.waiting.keys().copied().collect();
        sent
    }

    /// Has one been waiting for its confirm since before `then`?
    pub fn overdue(&self, then: Duration) -> bool {
        self.waiting.values().filter_map(|waiting| waiting.sent).any(|sent| sent < then)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use stampede_actors::ids::OrderId;
    use stampede_actors::order::Step;
    use stampede_actors::record::Position;
    use stampede_actors::time::Timestamp;

    fn message(seq: u64) -> Message {
        Message {
            id: MessageId { log: 0, seq, index: 0 },
            position: Position(seq),
            order: OrderId(u128::from(seq)),
            step: Step::Authorize { attempt: 1 },
            at: Timestamp(1),
            inherited: false,
            again: false,
            trace: None,
        }
    }

    fn out(window: &mut Window, now: u64) -> Vec<(u64, bool)> {
        std::iter::from_fn(|| window.next(Duration::from_secs(now))).map(|m| (m.id.seq, m.inherited)).collect()
    }

    #[test]
    fn what_is_confirmed_is_let_go_once() {
        let mut window = Window::default();
        (1..=3).for_each(|seq| window.push(message(seq)));
        assert_eq!(out(&mut window, 0), [(1, false), (2, false), (3, false)]);
        assert_eq!(window.confirmed(message(2).id), Some(Queue::Payment));
        assert_eq!(window.confirmed(message(2).id), None);
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn what_is_not_confirmed_goes_out_again_in_order_and_says_so() {
        let mut window = Window::default();
        (1..=4).for_each(|seq| window.push(message(seq)));
        window.next(Duration::ZERO);
        window.next(Duration::ZERO);
        window.confirmed(message(1).id);
        assert_eq!(window.start_over(), [1, 0]);
        assert_eq!(out(&mut window, 1), [(2, true), (3, false), (4, false)]);
    }

    #[test]
    fn a_refused_one_waits_for_the_pause() {
        let mut window = Window::default();
        window.push(message(1));
        out(&mut window, 0);
        assert_eq!(window.refused(message(1).id), Some(Queue::Payment));
        assert_eq!(out(&mut window, 1), []);
        assert!(!window.overdue(Duration::from_secs(9)));
        window.retry();
        assert_eq!(out(&mut window, 2), [(1, true)]);
    }

    #[test]
    fn a_late_confirm_of_an_old_connection_counts() {
        let mut window = Window::default();
        window.push(message(1));
        out(&mut window, 0);
        window.start_over();
        assert_eq!(window.confirmed(message(1).id), Some(Queue::Payment));
        assert_eq!(out(&mut window, 1), []);
    }

    #[test]
    fn the_oldest_unconfirmed_decides_what_is_overdue() {
        let mut window = Window::default();
        window.push(message(1));
        assert!(!window.overdue(Duration::from_secs(99)));
        out(&mut window, 5);
        assert!(!window.overdue(Duration::from_secs(5)));
        assert!(window.overdue(Duration::from_secs(6)));
    }
}
