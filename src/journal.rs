//! The embedded commit log: one frame per group commit, hash-chained, in preallocated segments.
//!
//! Four parts share one directory. [`Queue`] takes records from any thread and gives them positions. [`GroupCommit`]
//! makes frames of them, one unsynced frame at a time (S2), and hands them to a [`CommitLog`]: [`Wal`] here.
//! [`Upkeep`] works beside it: next segments, archive, reuse. [`Log`] is the handle for everybody else: readers,
//! cursors, checkpoints, health. [`LogThread`] runs them in production; tests step them by hand (S14).
//!
//! ```text
//! let opened = Wal::open(disk, dir, config, &clock)?;        // Opened { log, wal, upkeep, queue, head, cut, checkpoint, clock }
//! let mut replay = opened.log.read_from(position)?;          // Reader: next() -> Result<Option<Committed>, Error>; at the
//!                                                            // head None, and more later; goes through archive and live log
//! opened.log.keep("feed", position);                         // a durable cursor: what follows it stays (S6)
//! opened.log.checkpoint(Checkpoint { .. }, entities)?;       // after the store's sync (S4)
//! let thread = LogThread::start(Box::new(opened.wal), opened.upkeep, opened.queue, clock, listeners)?;
//! thread.stop();                                             // commits what waits, seals, closes cleanly
//! ```

use stampede_actors::record::{Position, Record};
use stampede_actors::time::{Span, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub mod archive;
mod blocks;
mod chain;
pub mod checkpoint;
pub mod copies;
pub mod frame;
mod group;
mod living;
mod log;
pub mod merkle;
mod mirror;
mod open;
mod pace;
mod queue;
mod reader;
pub mod segment;
pub mod superblock;
mod tail;
#[cfg(test)]
mod tests;
mod thread;
mod upkeep;
mod vitals;
mod wal;
mod writer;

pub(crate) use chain::Chain;
pub use checkpoint::Checkpoint;
pub use frame::FrameBody;
pub use group::{GroupCommit, Next};
pub use living::{Copied, Living};
pub use log::{Log, RESERVE};
pub use mirror::mark;
pub use open::{Inspected, Opened};
pub use queue::Queue;
pub use reader::{RawFrame, Reader};
pub use thread::LogThread;
pub use upkeep::Upkeep;
pub use vitals::{Health, Vitals};
pub use wal::Wal;
pub use writer::{Turn, Writer};

/// Names one log for good. Random, in every frame, so that no frame of another log or an earlier use is ever valid (S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LogId(pub [u8; 16]);

/// Number of a frame in its log; gap-free, from 1. Zero: before the first.
pub type Seq = u64;

/// BLAKE3 hash of a frame: of its header, which holds the hash before it and the Merkle root of its records.
pub type Hash = [u8; 32];

/// One committed frame. Empty frames (seals, S3) are published too: they carry the chain on.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Number of the frame.
    pub seq: Seq,
    /// Its hash; the next frame names it.
    pub hash: Hash,
    /// Engine time when it was made.
    pub at: Timestamp,
    /// Position of its first record; in an empty frame, of the record that will come next.
    pub first: Position,
    /// The records, at positions `first`, `first + 1` and so on.
    pub records: Vec<Record>,
}

impl Committed {
    /// Position of the last record of this frame, or of an earlier one when this one is empty.
    #[must_use]
    pub fn last(&self) -> Position {
        Position(self.first.0 + self.records.len() as u64 - 1)
    }
}

/// The end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Last committed frame.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
    /// Last committed record.
    pub position: Position,
    /// Engine time of the last frame.
    pub at: Timestamp,
    /// Epoch of the last frame.
    pub epoch: u64,
}

/// What became of a frame. Three answers, in every backend (S27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable and has this place in the chain.
    Committed {
        /// Its number.
        seq: Seq,
        /// Its hash.
        hash: Hash,
    },
    /// Somebody else owns the log now: it was not written, and nothing of ours ever will be again.
    Fenced(String),
    /// An error on the way: it may be durable, or partly, or not at all. The process must stop.
    Unknown(String),
}

/// One log that frames are committed to, one at a time, in order.
pub trait CommitLog: Send {
    /// Which log.
    fn log_id(&self) -> LogId;

    /// The last committed frame.
    fn head(&self) -> Head;

    /// Does it end with an empty frame, so that its last record is proven to be acknowledged (S3)?
    fn sealed(&self) -> bool {
        true
    }

    /// Is there room for a frame of `bytes`? May prepare some. `false`: ask again later; nothing is wrong with the log.
    ///
    /// # Errors
    /// The outcome to stop with.
    fn make_room(&mut self, bytes: usize) -> Result<bool, Outcome>;

    /// Makes the frame durable. After any other answer than `Committed` it must not be called again.
    fn commit(&mut self, frame: &mut FrameBody) -> Outcome;

    /// Ends the log cleanly: the next start demands exactly this head (S3).
    ///
    /// # Errors
    /// The outcome to stop with.
    fn close(&mut self) -> Result<(), Outcome>;
}

/// Why no frame will be committed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// Asked to, and everything handed over was committed.
    Cleanly,
    /// Another process owns the log. Exit 1.
    Fenced(String),
    /// A write or sync failed: what was waiting has an unknown outcome. Exit 1.
    Failed(String),
}

/// Somebody who wants to know what was committed. Called on the log's thread: must be quick and must not block.
pub trait CommitListener: Send + Sync {
    /// A frame is durable. Called in order, without gaps.
    fn on_commit(&self, frame: &Arc<Committed>);

    /// No frame will come any more. Called once.
    fn on_stopped(&self, why: &Stopped);
}

/// How the log is laid out and paced.
#[derive(Debug, Clone)]
pub struct Config {
    /// Size of a segment file in bytes; a multiple of 4 KiB, at least four frames of [`Config::frame_bytes`].
    pub segment_bytes: u64,
    /// A frame takes no further record beyond this many bytes. One record is never split, whatever its size (S9).
    pub frame_bytes: usize,
    /// Longest that a frame waits for company under load.
    pub pace_cap: Span,
    /// An empty frame seals the last one after this long without records (S3).
    pub idle_seal: Span,
    /// Records that may wait in front of the log; beyond, `room` answers `Busy`.
    pub queue_records: usize,
    /// Events in those records, all together.
    pub queue_events: usize,
    /// Each frame is written so much later, as if the disk were slower: for tests and measurements.
    pub sync_delay: Span,
    /// zstd level of the archive.
    pub archive_level: i32,
    /// Archived segments older than this are deleted once two full checkpoint files cover them; `None`: kept for ever.
    pub archive_max_age: Option<Span>,
    /// Bytes on the same disk that are left to others, above all to the store: with less of them free there is room for
    /// settlement only (S7), and no further segment is made. 0: none are looked after.
    pub keep_free: u64,
    /// Id of the log, should there be none yet; `None`: a random one. The simulator's runs want the same each time.
    pub log_id: Option<LogId>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            segment_bytes: 64 << 20,
            frame_bytes: 256 << 10,
            pace_cap: Span(400),
            idle_seal: Span::millis(50),
            queue_records: 65_536,
            queue_events: 262_144,
            sync_delay: Span(0),
            archive_level: 1,
            archive_max_age: None,
            keep_free: 0,
            log_id: None,
        }
    }
}

/// The last frame before a crash was incomplete: it was never acknowledged, and was cut off (S3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The number that the frame would have had.
    pub seq: Seq,
    /// The segment file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
}

/// The log is damaged where it must not be. Never repaired by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at offset {offset} (frame {seq}): {what}", file.display())]
pub struct Corrupt {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The frame that should be there.
    pub seq: Seq,
    /// What is wrong with it.
    pub what: String,
}

/// Why a log cannot be opened, read or tended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Damage. Exit code 99.
    #[error("the commit log is corrupt: {0}")]
    Corrupt(#[from] Corrupt),
    /// Another process has it open.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// Somebody replaced our files: another process may own the log by now (S8).
    #[error("{0}")]
    Fenced(String),
    /// What was asked for is no longer kept.
    #[error("position {wanted} is no longer in log or archive, which begin at {first}")]
    Gone {
        /// First position asked for.
        wanted: u64,
        /// First position there is.
        first: u64,
    },
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// The log is not in the directory alone, and what it rests on cannot be used.
    #[error("{0}")]
    Remote(String),
    /// The disk said no.
    #[error("{what} {}: {source}", file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        file: PathBuf,
        /// The error itself.
        source: io::Error,
    },
}

impl Error {
    /// What to make of an error of the disk.
    fn io(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, file: file.to_owned(), source }
    }
}
