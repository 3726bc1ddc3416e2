//! How long things took, counted in buckets: plain atomics, so that noting one costs two additions and no lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, each inclusive. What takes longer goes into one bucket more.
pub const BOUNDS_MICROS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// Observations so far.
#[derive(Debug, Default)]
pub struct Durations {
    /// Each observation in one bucket only.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What was observed up to some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observed {
    /// Observations up to each bound, and all of them: every number includes the one before.
    pub up_to: [u64; BOUNDS_MICROS.len() + 1],
    /// All observations together, in seconds.
    pub seconds: f64,
}

impl Durations {
    /// Notes one.
    pub fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| bound * 1_000 < nanoseconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    /// What was observed until now. Others may go on recording: an observation may be in the sum and not yet in a bucket.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let mut observed = Observed::default();
        let mut sum = 0;
        for (bucket, up_to) in self.buckets.iter().zip(&mut observed.up_to) {
            sum += bucket.load(Relaxed);
            *up_to = sum;
        }
        observed.seconds = self.nanoseconds.load(Relaxed) as f64 / 1e9;
        observed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let durations = Durations::default();
        assert_eq!(durations.observed(), Observed::default());
        for micros in [0, 500, 501, 1_000, 10_000_000, 10_000_001, 60_000_000] {
            durations.record(Duration::from_micros(micros));
        }
        durations.record(Duration::from_nanos(500_001));
        let observed = durations.observed();
        assert_eq!(observed.up_to[..3], [2, 5, 5]);
        assert_eq!(observed.up_to[12..], [5, 6, 8]);
        assert!((observed.seconds - 80.002_502_001).abs() < 1e-9, "{}", observed.seconds);
    }

    #[test]
    fn nothing_is_too_long() {
        let durations = Durations::default();
        durations.record(Duration::MAX);
        assert_eq!(durations.observed().up_to[14], 1);
    }
}
