//! How the log is doing: counters and gauges that metrics, readiness and `room` read without a lock.

use stampede_actors::journal::Class;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Written by the log's own parts, read by anybody.
#[derive(Debug, Default)]
pub struct Vitals {
    pub(super) epoch: AtomicU64,
    pub(super) frames: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) seals: AtomicU64,
    pub(super) rolls: AtomicU64,
    pub(super) cuts: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) waiting_events: AtomicU64,
    pub(super) sync_micros: AtomicU64,
    pub(super) sync_micros_total: AtomicU64,
    pub(super) pace_micros: AtomicU64,
    pub(super) pace_records: AtomicU64,
    pub(super) spares: AtomicU64,
    pub(super) archived: AtomicU64,
    pub(super) live: AtomicU64,
    pub(super) upkeep_failures: AtomicU64,
    pub(super) intake_shut: AtomicBool,
    pub(super) settle_shut: AtomicBool,
    pub(super) stopped: AtomicBool,
}

/// The log at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Of this opening.
    pub epoch: u64,
    /// Committed since the start, seals included.
    pub frames: u64,
    /// Committed since the start.
    pub records: u64,
    /// Written for frames since the start, padding included.
    pub bytes: u64,
    /// Empty frames among them.
    pub seals: u64,
    /// Segments begun since the start.
    pub rolls: u64,
    /// Incomplete last frames cut off at the start: 0 or 1.
    pub cuts: u64,
    /// Records handed over and not committed yet.
    pub waiting: u64,
    /// Smoothed time of one write and sync, in microseconds.
    pub sync_micros: u64,
    /// All writes and syncs together, in microseconds.
    pub sync_micros_total: u64,
    /// How long the last frame waited for company, in microseconds.
    pub pace_micros: u64,
    /// How many records the next frame waits for under load.
    pub pace_records: u64,
    /// Preallocated segments.
    pub spares: u64,
    /// Segments archived since the start.
    pub archived: u64,
    /// Segments not reusable yet, the one being written included.
    pub live: u64,
    /// Failed tries to archive, reuse or preallocate since the start. They are tried again.
    pub upkeep_failures: u64,
    /// No space for new claims; readiness fails (S7).
    pub disk_full: bool,
    /// No space for settlement either.
    pub reserve_used_up: bool,
    /// No frame will be committed any more.
    pub stopped: bool,
}

impl Vitals {
    /// Everything at once, though not at one instant.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            epoch: self.epoch.load(Relaxed),
            frames: self.frames.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            seals: self.seals.load(Relaxed),
            rolls: self.rolls.load(Relaxed),
            cuts: self.cuts.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            sync_micros: self.sync_micros.load(Relaxed),
            sync_micros_total: self.sync_micros_total.load(Relaxed),
            pace_micros: self.pace_micros.load(Relaxed),
            pace_records: self.pace_records.load(Relaxed),
            spares: self.spares.load(Relaxed),
            archived: self.archived.load(Relaxed),
            live: self.live.load(Relaxed),
            upkeep_failures: self.upkeep_failures.load(Relaxed),
            disk_full: self.intake_shut.load(Relaxed),
            reserve_used_up: self.settle_shut.load(Relaxed),
            stopped: self.stopped.load(Relaxed),
        }
    }

    pub(super) fn shut(&self, class: Class) -> bool {
        match class {
            Class::Intake => self.intake_shut.load(Relaxed),
            Class::Settle => self.settle_shut.load(Relaxed),
        }
    }
}
