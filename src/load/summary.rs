//! `summary.json`: the run in numbers. Field names are part of the interface; other generators write the same ones.

use crate::demo::Word;
use crate::demo::stats::{Kind, Stats};
use crate::load::samples::Sample;
use crate::load::tally::{Invariant, Seen};
use crate::load::verdict::Threshold;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Reasons that are printed.
const REASONS: usize = 20;

/// A run in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its scenario.
    pub scenario: String,
    /// What the scenario is for.
    pub about: String,
    /// Its size.
    pub profile: String,
    /// What rates were multiplied with on top.
    pub rate_factor: f64,
    /// PASS, FAIL or VOID.
    pub verdict: Word,
    /// Arrivals that were meant to be.
    pub arrivals: u64,
    /// Those that the generator could not start.
    pub dropped_arrivals: u64,
    /// Those that ended with an order.
    pub accepted: u64,
    /// Refused ones, by code.
    pub refused: BTreeMap<String, u64>,
    /// Those that ended with neither.
    pub errors: u64,
    /// Orders of buyers who came back after the arrivals.
    pub accepted_later: u64,
    /// Latencies of accepted purchases, from the moment they were meant to be sent.
    pub accepted_ms: Quantiles,
    /// Of refused ones.
    pub refused_ms: Quantiles,
    /// Units for sale.
    pub units: i64,
    /// Units sold.
    pub sold: i64,
    /// What must hold.
    pub invariants: BTreeMap<Invariant, Seen>,
    /// Limits that were judged.
    #[serde(serialize_with = "by_name")]
    pub thresholds: Vec<Threshold>,
    /// Why it is not PASS.
    pub reasons: Vec<String>,
    /// What could not be judged.
    pub notes: Vec<String>,
    /// Where the rate was when p99 of accepted purchases passed its limit, on a rising ramp: arrivals per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knee_per_second: Option<u64>,
    /// CPU of the generator in its busiest five seconds, in hundredths of its one thread.
    pub generator_cpu_percent: u64,
    /// Largest delay of an arrival that was the generator's own.
    pub latest_arrival_ms: u64,
    /// Length of the arrivals, in seconds.
    pub seconds: f64,
    /// API of the server.
    pub server: String,
    /// The server was started for this run.
    pub own_server: bool,
    /// Connections that buyers shared.
    pub connections: u32,
    /// The seed that decided who wants what.
    pub seed: u64,
    /// The run's id: its SKUs, buyers and keys begin with it.
    pub run: String,
    /// When it began, and when all was settled and read back.
    pub started: String,
    /// The same.
    pub ended: String,
}

/// Latencies in milliseconds; absent without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half were faster.
    pub p50: Option<f64>,
    /// All but one in a hundred.
    pub p99: Option<f64>,
    /// All but one in a thousand.
    pub p999: Option<f64>,
    /// The slowest.
    pub max: Option<f64>,
}

impl Quantiles {
    /// Of one kind of answers.
    #[must_use]
    pub fn of(stats: &Stats, kind: Kind) -> Quantiles {
        let at = |quantile| (stats.count(kind) > 0).then(|| stats.kind_ms(kind, quantile));
        Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

impl Summary {
    /// For people: the reasons, if there are any, and one line.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.reasons.iter().map(String::as_str).take(REASONS);
        let more = self.reasons.len().saturating_sub(REASONS);
        let more = (more > 0).then(|| format!("and {more} more"));
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        let lines = lines.map(str::to_owned).chain(more).chain(notes);
        let mut text: String = lines.map(|line| format!("  {line}\n")).collect();
        let refused: u64 = self.refused.values().sum();
        let ms = |ms: Option<f64>| ms.map_or("none".to_owned(), |ms| format!("{ms:.1} ms"));
        let evaluated: u64 = self.invariants.values().map(|seen| seen.evaluated).sum();
        let violated: u64 = self.invariants.values().map(|seen| seen.violated).sum();
        text.push_str(&format!(
            "{} {}  sold {}/{}  accepted {} (p99 {})  refused {refused} (p99 {})  errors {}  dropped {}  \
             invariants {evaluated} looked at, {violated} violated  {}",
            self.scenario,
            self.profile,
            self.sold,
            self.units,
            self.accepted + self.accepted_later,
            ms(self.accepted_ms.p99),
            ms(self.refused_ms.p99),
            self.errors,
            self.dropped_arrivals,
            self.verdict.as_str(),
        ));
        text
    }
}

/// The rate before the first stretch in which accepted purchases were slower than `limit`, or arrivals were dropped.
#[must_use]
pub fn knee(samples: &[Sample], limit: f64) -> Option<u64> {
    let slow = |sample: &Sample| sample.dropped > 0 || sample.accepted_ms.is_some_and(|latency| latency.p99 > limit);
    let first = samples.iter().position(slow)?;
    let before = first.checked_sub(1).map(|index| &samples[index])?;
    Some((before.arrived as f64 / before.seconds.max(1e-3)).round() as u64)
}

fn by_name<S: Serializer>(thresholds: &[Threshold], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(thresholds.len()))?;
    for threshold in thresholds {
        map.serialize_entry(threshold.name, &threshold.kept)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::samples::Latency;

    fn ramp(p99: impl Fn(u64) -> f64) -> Vec<Sample> {
        let sample = |second: u64| Sample {
            at: second as f64,
            seconds: 1.0,
            arrived: 100 * second,
            dropped: 0,
            accepted: 100 * second,
            refused: 0,
            failed: 0,
            accepted_ms: Some(Latency { p50: 1.0, p99: p99(second) }),
            refused_ms: None,
            stock_left: 0,
            in_flight: 0,
            cpu: 0.1,
        };
        (1..=10).map(sample).collect()
    }

    #[test]
    fn the_knee_is_the_last_rate_before_it_got_slow() {
        let samples = ramp(|second| if second >= 7 { 501.0 } else { 20.0 });
        assert_eq!(knee(&samples, 500.0), Some(600));
        assert_eq!(knee(&samples, 1_000.0), None, "it never got slow");
        assert_eq!(knee(&ramp(|_| 501.0), 500.0), None, "it was slow from the beginning");
        let mut dropping = ramp(|_| 20.0);
        dropping[3].dropped = 1;
        assert_eq!(knee(&dropping, 500.0), Some(300));
    }
}
