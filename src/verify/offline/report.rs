//! What the offline check says.

use crate::verify::invariants::Violation;
use crate::verify::summary::AuditSummary;
use serde::Serialize;
use std::path::PathBuf;

/// A rule that does not hold, and where that shows first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What does not hold.
    #[serde(flatten)]
    pub violation: Violation,
    /// The frame with the record that shows it, or with the last one of its entity where that follows from all of them.
    /// `None`: it is about sums, or the store.
    pub seq: Option<u64>,
    /// The record.
    pub position: Option<u64>,
    /// The frame's file.
    pub file: Option<PathBuf>,
    /// Where in it the record begins, in bytes.
    pub offset: Option<u64>,
}

/// How the store compares with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// There is none: the next start makes it.
    Absent,
    /// It cannot be read or does not belong to this log: the next start makes it afresh.
    Unusable,
    /// Every entity was compared, as of the frame up to which the store goes.
    Compared,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Frames read.
    pub frames: u64,
    /// Records read.
    pub records: u64,
    /// Events read.
    pub events: u64,
    /// Entities there are.
    pub entities: usize,
    /// The last frame.
    pub head: u64,
    /// The last record.
    pub position: u64,
    /// Hash of the last frame: it stands for the whole history.
    pub hash: String,
    /// Hash of that and of every entity's last version: what an export is checked against. `None` while versions have a
    /// gap, since nothing could be proven then.
    pub root: Option<String>,
    /// The first record that is still kept. Not 1: what came before was deleted, and stands as the full checkpoint says.
    pub first: u64,
    /// The log was closed cleanly.
    pub was_clean: bool,
    /// The incomplete last frame that the next start will cut off: it was never acknowledged.
    pub cut: Option<(PathBuf, u64)>,
    /// Checkpoint files that are damaged. Not needed while the log is whole.
    pub damaged_checkpoints: Vec<PathBuf>,
    /// How the store compares.
    pub store: StoreState,
    /// The sums.
    pub audit: AuditSummary,
    /// How many findings there are.
    pub found: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Did everything hold?
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.found == 0
    }
}
