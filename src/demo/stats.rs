//! What the buyers felt: latencies from the moment a request was meant to be sent, and answers by kind.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most unexpected answers that are kept word for word.
const KEPT: usize = 10;

/// What kind of answer a request got in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 2xx.
    Accepted,
    /// Business as usual: sold out and the like.
    Refused,
}

/// Counters and latencies of one run.
#[derive(Debug)]
pub struct Stats {
    all: Histogram<u64>,
    accepted: Histogram<u64>,
    refused: Histogram<u64>,
    second_accepted: Histogram<u64>,
    second_refused: Histogram<u64>,
    /// Requests that were answered for good.
    pub answers: u64,
    /// Requests sent again with the same key after a failure, a 429 or a 503.
    pub sent_again: u64,
    /// Refusals by code.
    pub refusals: BTreeMap<String, u64>,
    /// Arrivals that could not be started: the generator was the bottleneck, and the run is void.
    pub dropped: u64,
    /// Requests that never got a definite answer.
    pub gave_up: u64,
    /// The first few of them.
    pub gave_up_kept: Vec<String>,
    /// Largest delay between the moment an arrival was meant for and its start.
    pub latest: Duration,
    /// Answers that a correct server does not give to a correct request: how many, and the first few.
    pub unexpected: u64,
    /// The first few of them.
    pub unexpected_kept: Vec<String>,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            all: histogram(),
            accepted: histogram(),
            refused: histogram(),
            second_accepted: histogram(),
            second_refused: histogram(),
            answers: 0,
            sent_again: 0,
            refusals: BTreeMap::new(),
            dropped: 0,
            gave_up: 0,
            gave_up_kept: Vec::new(),
            latest: Duration::ZERO,
            unexpected: 0,
            unexpected_kept: Vec::new(),
        }
    }
}

impl Stats {
    /// A request got its answer this long after it was meant to be sent.
    pub fn answered(&mut self, kind: Kind, latency: Duration) {
        self.answers += 1;
        let micros = latency.as_micros() as u64;
        let (whole, second) = match kind {
            Kind::Accepted => (&mut self.accepted, &mut self.second_accepted),
            Kind::Refused => (&mut self.refused, &mut self.second_refused),
        };
        for histogram in [whole, second, &mut self.all] {
            histogram.saturating_record(micros);
        }
    }

    /// A refusal with this code.
    pub fn refused(&mut self, code: &str) {
        match self.refusals.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(self.refusals.insert(code.to_owned(), 1)),
        }
    }

    /// An answer that should not be.
    pub fn unexpected(&mut self, what: String) {
        self.unexpected += 1;
        if self.unexpected_kept.len() < KEPT {
            self.unexpected_kept.push(what);
        }
    }

    /// A request that was never answered for good, and what came last.
    pub fn gave_up(&mut self, request: &str, last: &str) {
        self.gave_up += 1;
        if self.gave_up_kept.len() < KEPT {
            self.gave_up_kept.push(format!("{request}: {last}"));
        }
    }

    /// Latency at a quantile (0 to 1) over the whole run, in milliseconds.
    #[must_use]
    pub fn ms(&self, quantile: f64) -> f64 {
        ms(&self.all, quantile)
    }

    /// The same for one kind of answers.
    #[must_use]
    pub fn kind_ms(&self, kind: Kind, quantile: f64) -> f64 {
        ms(self.of(kind), quantile)
    }

    /// Answers of one kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.of(kind).len()
    }

    /// What was felt since the last call.
    pub fn take_second(&mut self) -> Second {
        let (accepted, refused) = (Felt::from(&self.second_accepted), Felt::from(&self.second_refused));
        // Both have the same bounds, so one can be added to the other.
        let _ = self.second_accepted.add(&self.second_refused);
        let second = Second { all: Felt::from(&self.second_accepted), accepted, refused };
        self.second_accepted.reset();
        self.second_refused.reset();
        second
    }

    fn of(&self, kind: Kind) -> &Histogram<u64> {
        match kind {
            Kind::Accepted => &self.accepted,
            Kind::Refused => &self.refused,
        }
    }
}

/// Answers of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Second {
    /// Of both kinds.
    pub all: Felt,
    /// 2xx.
    pub accepted: Felt,
    /// Refused.
    pub refused: Felt,
}

/// Latencies in short; in milliseconds, and 0 without an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Felt {
    /// Half were faster.
    pub p50: f64,
    /// All but one in a hundred were faster.
    pub p99: f64,
    /// How many there were.
    pub count: u64,
}

impl From<&Histogram<u64>> for Felt {
    fn from(histogram: &Histogram<u64>) -> Felt {
        Felt { p50: ms(histogram, 0.50), p99: ms(histogram, 0.99), count: histogram.len() }
    }
}

/// Microseconds up to ten minutes, three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are constants, and good")
}

/// A quantile in milliseconds.
#[must_use]
pub fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_starts_anew() {
        let mut stats = Stats::default();
        stats.answered(Kind::Accepted, Duration::from_millis(2));
        stats.answered(Kind::Refused, Duration::from_millis(40));
        let Second { all, accepted, refused } = stats.take_second();
        assert!((1.9..2.1).contains(&all.p50) && (39.0..41.0).contains(&all.p99) && all.count == 2, "{all:?}");
        assert!(accepted.p99 < 2.1 && refused.p50 > 39.0 && (accepted.count, refused.count) == (1, 1));
        assert_eq!(stats.take_second().all.count, 0);
        assert_eq!((stats.count(Kind::Accepted), stats.count(Kind::Refused)), (1, 1));
        assert!((39.0..41.0).contains(&stats.ms(0.99)), "the whole run is kept");
        assert!(stats.kind_ms(Kind::Accepted, 1.0) < 3.0);
    }
}
