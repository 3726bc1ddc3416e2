//! Latencies that are compared with those of an ordinary day: of the SKUs that are not hot while one is, and of the time
//! after a spike.

use crate::demo::stats::{Kind, histogram, ms};
use crate::load::buyer::Purchase;
use crate::load::scenario::Scenario;
use crate::load::schedule::Schedule;
use hdrhistogram::Histogram;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Compared {
    /// Accepted purchases of all SKUs but the hottest, which is the first.
    cold: Option<Histogram<u64>>,
    /// All answers from this arrival on.
    recovered: Option<(u32, Histogram<u64>)>,
}

impl Compared {
    /// Of the latencies that this scenario compares.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Compared {
        let at = scenario.slo.recovered_within_s.and_then(|within| scenario.arrivals.recovered_at(within));
        let before = |at: f64| Schedule::new(&scenario.arrivals).take_while(|moment| moment.as_secs_f64() < at).count();
        // A plan has far fewer arrivals than fit.
        let from = at.map(|at| before(at) as u32);
        Compared {
            cold: scenario.slo.cold_p99_times.map(|_| histogram()),
            recovered: from.map(|from| (from, histogram())),
        }
    }

    /// An arrival got its answer this long after it was meant to be. Those who come back later do not count.
    pub fn answered(&mut self, kind: Kind, purchase: Visit, latency: Duration) {
        let Visit { buyer, visit, sku } = purchase;
        let micros = latency.as_micros() as u64;
        if visit > 0 {
            return;
        }
        if let Some(cold) = self.cold.as_mut().filter(|_| kind == Kind::Accepted && sku > 0) {
            cold.saturating_record(micros);
        }
        if let Some((_, recovered)) = self.recovered.as_mut().filter(|(from, _)| buyer >= *from) {
            recovered.saturating_record(micros);
        }
    }

    /// p99 of the cold SKUs, in milliseconds; absent without such an answer.
    #[must_use]
    pub fn cold_p99_ms(&self) -> Option<f64> {
        self.cold.as_ref().and_then(p99)
    }

    /// p99 after the spike, in milliseconds; absent without such an answer.
    #[must_use]
    pub fn recovered_p99_ms(&self) -> Option<f64> {
        self.recovered.as_ref().and_then(|(_, recovered)| p99(recovered))
    }
}

fn p99(histogram: &Histogram<u64>) -> Option<f64> {
    (!histogram.is_empty()).then(|| ms(histogram, 0.99))
}

/// Whose answer it is.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// Number of the arrival.
    pub buyer: u32,
    /// 0 at the arrival.
    pub visit: u32,
    /// Index of the SKU.
    pub sku: u32,
}

impl From<&Purchase> for Visit {
    fn from(purchase: &Purchase) -> Visit {
        let Purchase { buyer, visit, sku, .. } = *purchase;
        Visit { buyer, visit, sku }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::load::scenario::{DEFAULT, Scenarios};

    const SLOW: Duration = Duration::from_millis(500);

    fn compared(scenario: &str) -> Compared {
        Compared::new(&Scenarios::parse(DEFAULT).unwrap().plan(scenario, "laptop", 1.0).unwrap())
    }

    fn about(ms: Option<f64>, is: f64) -> bool {
        ms.is_some_and(|ms| (ms - is).abs() < is / 100.0)
    }

    #[test]
    fn cold_is_every_sku_but_the_hottest_and_only_what_was_accepted() {
        let mut compared = compared("hot-sku");
        let visit = |sku| Visit { buyer: 0, visit: 0, sku };
        compared.answered(Kind::Accepted, visit(0), SLOW);
        compared.answered(Kind::Refused, visit(1), SLOW);
        compared.answered(Kind::Accepted, Visit { visit: 1, ..visit(1) }, SLOW);
        assert_eq!((compared.cold_p99_ms(), compared.recovered_p99_ms()), (None, None));
        compared.answered(Kind::Accepted, visit(1), Duration::from_millis(7));
        assert!(about(compared.cold_p99_ms(), 7.0), "{:?}", compared.cold_p99_ms());
    }

    #[test]
    fn a_spike_is_over_when_the_rate_has_fallen_and_some_seconds_have_passed() {
        let mut compared = compared("flash-spike");
        let visit = |buyer| Visit { buyer, visit: 0, sku: 0 };
        // 255 rise, 30,000 hold, 275 fall, 500 come in the ten seconds that the server has.
        let before = 255 + 30_000 + 275 + 500;
        compared.answered(Kind::Refused, visit(before - 5), SLOW);
        assert_eq!(compared.recovered_p99_ms(), None);
        compared.answered(Kind::Refused, visit(before + 5), Duration::from_millis(3));
        assert!(about(compared.recovered_p99_ms(), 3.0), "{:?}", compared.recovered_p99_ms());
    }
}
