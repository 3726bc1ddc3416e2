//! From committed frames to work: which steps the orders have opened, handed to the workers at least once, and a durable
//! cursor that says up to where all of them are finished (S6).
//!
//! [`Feed`] is a state machine without a thread, a clock or a file (S14): frames go in, messages come out, messages are
//! acknowledged in any order. Each kind of work has a [`Queue`] of its own, so that a slow payment provider does not
//! hold up releases. What does not fit into a queue's memory is left in the log, and read again when there is room.
//! `projection` keeps the store in step with the log.

mod cursor;
mod inlet;
mod machine;
pub mod projection;
mod queue;
mod source;

pub use cursor::Cursor;
pub use inlet::{Arrivals, Inlet};
pub use machine::{Config, Feed};
pub use queue::Queue;
pub use source::FrameSource;

use crate::journal::Seq;
use stampede_actors::ids::OrderId;
use stampede_actors::order::Step;
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;
use stampede_actors::trace::TraceLink;
use std::fmt;
use std::str::FromStr;

/// The log of a process that keeps its own; every shard writes there.
pub const EMBEDDED_LOG: u16 = 0;

/// Names one message for good: log, frame, and which event of the frame (S27). In the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Which log.
    pub log: u16,
    /// The frame.
    pub seq: Seq,
    /// The event in the frame, from 0.
    pub index: u32,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.log, self.seq, self.index)
    }
}

impl FromStr for MessageId {
    type Err = ();
    fn from_str(text: &str) -> Result<MessageId, ()> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(());
        let id = MessageId {
            log: next()?.parse().map_err(drop)?,
            seq: next()?.parse().map_err(drop)?,
            index: next()?.parse().map_err(drop)?,
        };
        if parts.next().is_some() { Err(()) } else { Ok(id) }
    }
}

/// An order has opened a step: somebody should do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// The record that it comes from.
    pub position: Position,
    /// Whose step.
    pub order: OrderId,
    /// What to do.
    pub step: Step,
    /// When it was asked for, in engine time.
    pub at: Timestamp,
    /// Committed before this process started: an earlier one may have begun with it.
    pub inherited: bool,
    /// The order asks once more, because nobody has answered.
    pub again: bool,
    /// Where it belongs in a trace that is kept.
    pub trace: Option<TraceLink>,
}
