//! The protocol of the commit log in CQL, without CQL: which conditional statement comes next, and what a reply means.
//!
//! The log is a chain of buckets. Each has a header row, the fence: epoch of the owner, last committed frame, state. Only
//! conditional statements change it. [`Takeover`] makes a process the owner, [`Tenure`] commits frames as long as it is.
//! Both are pure: the same machines run in the server, in the exhaustive exploration and in the simulator.
//!
//! | Reply to a commit | Meaning | What follows |
//! |---|---|---|
//! | applied | committed now | answer clients |
//! | refused, our epoch, head is our frame | an earlier attempt had committed it | answer clients |
//! | refused, a higher epoch, or no header | fenced | stop, outcome unknown to clients |
//! | refused, our epoch, anything else | impossible | stop, outcome unknown to clients |
//! | none, or an error | unknown | the identical statement again; never another frame of that number in this epoch |

mod takeover;
mod tenure;

pub use crate::journal::superblock::Mark;
pub use takeover::{Step, Takeover};
pub use tenure::{Tenure, Verdict};

/// Names one start of one process.
pub type Writer = [u8; 16];

/// The first bucket of a log.
pub const FIRST_BUCKET: u64 = 1;

/// What may still be written to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Frames of its owner.
    #[default]
    Open,
    /// None; the next bucket goes on.
    Sealed,
    /// None, and its frames are in the archive. The header stays for good (S24).
    Trimmed,
}

/// The header row of a bucket. In a refusal only what the condition looked at is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header {
    /// Of the owner.
    pub epoch: u64,
    /// The last committed frame of the log, as far as this bucket goes.
    pub head: Mark,
    /// What may still be written.
    pub state: State,
    /// The bucket after it; 0: none yet.
    pub next: u64,
}

/// The row that epochs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Owner {
    /// The last epoch given out.
    pub epoch: u64,
    /// To whom.
    pub writer: Writer,
    /// A bucket that is there, at or before the newest.
    pub hint: u64,
}

/// What is asked of the database. Conditional, or a serial read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Statement {
    /// Takes the epoch after `from`, if that is still the last one.
    Allocate {
        /// The last epoch given out, as it was read.
        from: u64,
        /// Who takes it.
        writer: Writer,
    },
    /// Reads the [`Owner`].
    ReadOwner,
    /// Puts an epoch into a header: if the one there is lower and the bucket is open.
    Fence {
        /// Of which bucket.
        bucket: u64,
        /// Which epoch.
        epoch: u64,
    },
    /// Reads a [`Header`].
    ReadHeader {
        /// Of which bucket.
        bucket: u64,
    },
    /// Begins a bucket, if there is none of this number.
    Open {
        /// Its number.
        bucket: u64,
        /// Of its owner.
        epoch: u64,
        /// The last frame of the bucket before.
        head: Mark,
    },
    /// Adds a frame: if epoch and head are the expected ones and the bucket is open.
    Commit {
        /// To which bucket.
        bucket: u64,
        /// Of the owner.
        epoch: u64,
        /// The expected head.
        old: Mark,
        /// The frame.
        new: Mark,
    },
    /// Ends a bucket: if epoch and head are the expected ones and it is open.
    Seal {
        /// Which.
        bucket: u64,
        /// Of the owner.
        epoch: u64,
        /// The expected head.
        head: Mark,
        /// The bucket that comes next.
        next: u64,
    },
}

/// What the database said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The condition held, and it is done.
    Applied,
    /// The condition did not hold: what it looked at; `None`: there is no such row.
    Refused(Option<Header>),
    /// What a header holds; `None`: there is no such bucket.
    Header(Option<Header>),
    /// What the owner's row holds; `None`: there is none.
    Owner(Option<Owner>),
    /// Nothing, or an error: it may have been done, or be done later, or not at all.
    Unknown,
}

impl Statement {
    /// Its name, for metrics and messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Statement::Allocate { .. } => "allocate",
            Statement::ReadOwner => "read_owner",
            Statement::Fence { .. } => "fence",
            Statement::ReadHeader { .. } => "read_header",
            Statement::Open { .. } => "open",
            Statement::Commit { .. } => "commit",
            Statement::Seal { .. } => "seal",
        }
    }
}
