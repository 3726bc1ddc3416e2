//! The feed itself: frames in, messages out, acknowledgements in any order.

use super::queue::{Lane, Queue};
use super::{EMBEDDED_LOG, Message, MessageId};
use crate::journal::Committed;
use stampede_actors::ids::EntityId;
use stampede_actors::order;
use stampede_actors::record::{Event, Position};
use stampede_actors::time::Timestamp;

/// Bounds of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Messages per queue that wait in memory, about 110 bytes each; the others wait in the log.
    pub waiting: usize,
    /// Payment steps in progress at once.
    pub payment: usize,
    /// Fulfilment steps in progress at once.
    pub fulfilment: usize,
    /// Stock steps in progress at once.
    pub stock: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { waiting: 16_384, payment: 1_024, fulfilment: 256, stock: 512 }
    }
}

impl Config {
    fn working(&self, queue: Queue) -> usize {
        match queue {
            Queue::Payment => self.payment,
            Queue::Fulfilment => self.fulfilment,
            Queue::Stock => self.stock,
        }
    }
}

/// From committed frames to messages, and back to a cursor.
#[derive(Debug)]
pub struct Feed {
    lanes: [Lane; 3],
    /// The last committed record that we know of.
    head: Position,
    /// The last committed record when we started.
    inherited: Position,
}

impl Feed {
    /// Everything up to `cursor` was finished before; the log ends at `head`, and what is between is read again.
    #[must_use]
    pub fn resume(config: &Config, cursor: Position, head: Position) -> Feed {
        // A cursor beyond the head would belong to another log: nothing is skipped because of it.
        let cursor = cursor.min(head);
        let lanes = Queue::ALL.map(|queue| Lane::new(cursor, head, config.waiting, config.working(queue)));
        Feed { lanes, head, inherited: head }
    }

    /// Takes a frame in, live or read again: each queue that it is next for and that has room takes its messages. A
    /// queue without room stays where it is, and [`Feed::wanted`] says from where the log must be read for it.
    pub fn ingest(&mut self, frame: &Committed) {
        self.saw(frame.last());
        let takers = Queue::ALL.map(|queue| self.lanes[queue as usize].wants(frame));
        if !takers.contains(&true) {
            return;
        }
        let mut index = 0;
        for (position, record) in (frame.first.0..).map(Position).zip(&frame.records) {
            for entry in &record.entries {
                if let (EntityId::Order(order), Event::Order(event)) = (&entry.entity, &entry.event) {
                    let inherited = position <= self.inherited;
                    if let Some(step) = order::opens(event) {
                        let lane = &mut self.lanes[Queue::of(step) as usize];
                        if takers[Queue::of(step) as usize] && position > lane.read {
                            let id = MessageId { log: EMBEDDED_LOG, seq: frame.seq, index };
                            let again = matches!(event, order::Event::Asked { .. });
                            let (at, trace) = (record.at, record.trace);
                            lane.push(Message { id, position, order: *order, step, at, inherited, again, trace });
                        }
                    } else if let order::Event::Answered { step, .. } = event
                        && inherited
                    {
                        self.lanes[Queue::of(*step) as usize].answered(*order, *step);
                    }
                }
                index += 1;
            }
        }
        for (lane, _) in self.lanes.iter_mut().zip(takers).filter(|(_, takes)| *takes) {
            lane.has_read(frame.last());
        }
    }

    /// The log has come this far, though the frames themselves may have been missed.
    pub fn saw(&mut self, head: Position) {
        self.head = self.head.max(head);
    }

    /// The log must be read from here on, because some queue has room again and missed frames; `None`: all is well, or
    /// nothing has room.
    #[must_use]
    pub fn wanted(&self) -> Option<Position> {
        let behind = self.lanes.iter().filter(|lane| lane.read < self.head && lane.is_hungry());
        behind.map(|lane| Position(lane.read.0 + 1)).min()
    }

    /// The next message of a queue; `None` when it has none or as many as allowed are being worked on.
    pub fn next(&mut self, queue: Queue) -> Option<Message> {
        self.lanes[queue as usize].next()
    }

    /// The message is finished: whatever followed from it is committed, or the order will ask again. Says whether it
    /// was being worked on.
    pub fn acknowledge(&mut self, queue: Queue, id: MessageId) -> bool {
        self.lanes[queue as usize].acknowledge(id)
    }

    /// Every message up to here is finished: a new start may begin after it.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.lanes.iter().map(Lane::finished).min().unwrap_or_default()
    }

    /// Committed records that the cursor has not passed yet.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.0 - self.cursor().0
    }

    /// Is everything finished that was waiting when we started? Until then nothing may expire (S18).
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.cursor() >= self.inherited
    }

    /// Messages of a queue that wait in memory.
    #[must_use]
    pub fn waiting(&self, queue: Queue) -> usize {
        self.lanes[queue as usize].waiting()
    }

    /// Messages of a queue that are being worked on.
    #[must_use]
    pub fn working(&self, queue: Queue) -> usize {
        self.lanes[queue as usize].working()
    }

    /// When the oldest unfinished message of a queue was asked for, among those in memory.
    #[must_use]
    pub fn oldest_at(&self, queue: Queue) -> Option<Timestamp> {
        self.lanes[queue as usize].oldest_at()
    }
}

#[cfg(test)]
mod tests;
