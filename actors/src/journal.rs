//! The port to the commit log, as the actors see it.

use crate::record::{Position, Record};

/// Who may use the last room there is (S7, S13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// New claims: receipts, carts, holds, orders. Refused first.
    Intake,
    /// What ends a claim or settles an order: release, expiry, allocation, results, timers.
    Settle,
}

/// Why the log takes no record now. Nothing was decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The queue in front of the log is full.
    #[error("the commit log is behind")]
    Busy,
    /// No space on the disk for this class of work.
    #[error("the disk is full")]
    DiskFull,
    /// The log has stopped; the process is going down.
    #[error("the commit log has stopped")]
    Stopped,
}

/// Hands records to the commit log. One per log; shared by all shards whose records go there.
pub trait Journal: Send + Sync {
    /// Is there room for one more record of this class? Asked before `decide`.
    ///
    /// # Errors
    /// [`NoRoom`] with the reason.
    fn room(&self, class: Class) -> Result<(), NoRoom>;

    /// Takes the record and assigns its position. Cannot fail (S10): room was asked for before.
    ///
    /// # Panics
    /// When `rests_on`, the highest position that the record follows from, is not before its own: somebody heard of an
    /// event before the log had it. Nothing was taken then.
    fn append(&self, record: Record, rests_on: Position) -> Position;

    /// The last committed position.
    fn committed(&self) -> Position;

    /// Has the log stopped for good? Nothing beyond [`Journal::committed`] will ever be committed then.
    fn stopped(&self) -> bool;

    /// Wakes the writer. A lane calls it once per poll round in which it appended, so that many records share the
    /// wake-up; `append` itself wakes nobody.
    fn kick(&self);
}
