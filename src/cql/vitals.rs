//! What is counted about the log in CQL.

use super::protocol::Statement;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Kinds of statements that are counted apart.
pub const WORDS: [&str; 9] =
    ["commit", "seal", "open", "fence", "allocate", "read_header", "read_owner", "frames", "other"];

/// Ways in which they end.
pub const OUTCOMES: [&str; 3] = ["applied", "refused", "unknown"];

/// Counters of one process.
#[derive(Debug, Default)]
pub struct Vitals {
    requests: [[AtomicU64; 3]; WORDS.len()],
    micros: [AtomicU64; WORDS.len()],
    /// Statements sent again because their outcome was unknown.
    pub(super) again: AtomicU64,
    /// Owner's confirmations that had to be waited for (S25).
    pub(super) confirmations: AtomicU64,
    /// This process owns the log.
    pub(super) owner: AtomicBool,
    /// Frames that a stand-by has taken over from the log.
    pub(super) followed: AtomicU64,
    /// Buckets whose frames went to the archive.
    pub(super) trimmed: AtomicU64,
    /// Buckets before this one need not be looked at again.
    pub(super) trimmed_to: AtomicU64,
}

impl Vitals {
    pub(super) fn asked(&self, statement: Option<&Statement>, outcome: usize, took: Duration) {
        let word = statement.map_or("other", Statement::word);
        self.count(word, outcome, took);
    }

    pub(super) fn count(&self, word: &str, outcome: usize, took: Duration) {
        let index = WORDS.iter().position(|known| *known == word).unwrap_or(WORDS.len() - 1);
        self.requests[index][outcome].fetch_add(1, Relaxed);
        self.micros[index].fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Requests by kind and outcome.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let of = |(index, word): (usize, &'static str)| {
            let row = &self.requests[index];
            OUTCOMES.iter().zip(row).map(move |(outcome, count)| (word, *outcome, count.load(Relaxed)))
        };
        WORDS.into_iter().enumerate().flat_map(of)
    }

    /// Seconds spent waiting for answers, by kind.
    pub fn seconds(&self) -> impl Iterator<Item = (&'static str, f64)> {
        WORDS.into_iter().zip(&self.micros).map(|(word, micros)| (word, micros.load(Relaxed) as f64 / 1e6))
    }

    /// Statements sent again because their outcome was unknown.
    #[must_use]
    pub fn again(&self) -> u64 {
        self.again.load(Relaxed)
    }

    /// Confirmations that an answer had to wait for.
    #[must_use]
    pub fn confirmations(&self) -> u64 {
        self.confirmations.load(Relaxed)
    }

    /// Does this process own the log?
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.owner.load(Relaxed)
    }

    /// Frames that a stand-by has taken over.
    #[must_use]
    pub fn followed(&self) -> u64 {
        self.followed.load(Relaxed)
    }

    /// Buckets whose frames went to the archive.
    #[must_use]
    pub fn trimmed(&self) -> u64 {
        self.trimmed.load(Relaxed)
    }
}
