//! Points in time and spans, in whole microseconds of engine time. Nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// A point in engine time: microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest point there is.
    pub const ZERO: Timestamp = Timestamp(0);

    /// This point, `span` later; stays at the last point instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0))
    }
}

/// A length of time in microseconds, never negative when made by the constructors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Span {
    /// `n` milliseconds.
    #[must_use]
    pub const fn millis(n: i64) -> Span {
        Span(n * 1_000)
    }

    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: i64) -> Span {
        Span(n * 1_000_000)
    }

    /// `n` minutes.
    #[must_use]
    pub const fn minutes(n: i64) -> Span {
        Span::seconds(n * 60)
    }

    /// `n` hours.
    #[must_use]
    pub const fn hours(n: i64) -> Span {
        Span::seconds(n * 3_600)
    }
}

/// The time a command is decided at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Engine time now.
    pub now: Timestamp,
    /// Deadlines up to here have run out. Equal to `now`, except right after a start, when it stays at the last
    /// logged time until the results that were waiting have been taken in.
    pub overdue: Timestamp,
}

impl Moment {
    /// A moment in which every passed deadline counts.
    #[must_use]
    pub fn at(now: Timestamp) -> Moment {
        Moment { now, overdue: now }
    }
}
