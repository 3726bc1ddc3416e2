//! What the run looked like, second by second: kept for the report, shown while it goes on.

use crate::demo::live::{grouped, note};
use crate::demo::server::own_cpu;
use crate::demo::stats::Felt;
use crate::load::sale::Sale;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Most samples that are kept; beyond them, two and two are made one.
const MAX: usize = 600;
/// Seconds over which the generator's own CPU is judged.
const WINDOW: usize = 5;

/// One stretch of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sample {
    /// Its end, in seconds from the beginning.
    pub at: f64,
    /// Its length, in seconds.
    pub seconds: f64,
    /// Arrivals started.
    pub arrived: u64,
    /// Arrivals dropped.
    pub dropped: u64,
    /// Arrivals that ended with an order.
    pub accepted: u64,
    /// Arrivals that were refused.
    pub refused: u64,
    /// Arrivals that ended with neither.
    pub failed: u64,
    /// Latencies of accepted purchases; absent without one.
    pub accepted_ms: Option<Latency>,
    /// Of refused ones.
    pub refused_ms: Option<Latency>,
    /// Units that nobody was acknowledged yet, at its end.
    pub stock_left: u64,
    /// Buyers at the counter, at its end.
    pub in_flight: usize,
    /// CPU of the generator, as a part of one core.
    pub cpu: f64,
}

/// Latencies of a stretch, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half were faster.
    pub p50: f64,
    /// All but one in a hundred were faster.
    pub p99: f64,
}

impl Latency {
    fn of(felt: Felt) -> Option<Latency> {
        (felt.count > 0).then_some(Latency { p50: felt.p50, p99: felt.p99 })
    }

    /// The worse of two: percentiles cannot be added up, and a report must not look better than the run was.
    fn worse(one: Option<Latency>, other: Option<Latency>) -> Option<Latency> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Latency { p50: one.p50.max(other.p50), p99: one.p99.max(other.p99) }),
            (one, other) => one.or(other),
        }
    }
}

impl Sample {
    /// This one and the next as one.
    fn and(&self, next: &Sample) -> Sample {
        let seconds = self.seconds + next.seconds;
        Sample {
            at: next.at,
            seconds,
            arrived: self.arrived + next.arrived,
            dropped: self.dropped + next.dropped,
            accepted: self.accepted + next.accepted,
            refused: self.refused + next.refused,
            failed: self.failed + next.failed,
            accepted_ms: Latency::worse(self.accepted_ms, next.accepted_ms),
            refused_ms: Latency::worse(self.refused_ms, next.refused_ms),
            stock_left: next.stock_left,
            in_flight: next.in_flight,
            cpu: (self.cpu * self.seconds + next.cpu * next.seconds) / seconds.max(1e-9),
        }
    }

    fn per_second(&self, count: u64) -> u64 {
        (count as f64 / self.seconds.max(1e-3)).round() as u64
    }

    fn line(&self, units: u64) -> String {
        let ms = |latency: Option<Latency>| match latency {
            Some(Latency { p50, p99 }) => format!("p50 {p50:.1} p99 {p99:.1} ms"),
            None => "none".to_owned(),
        };
        let mut line = format!(
            "{:>4.0} s  arrived {}/s  accepted {}/s ({})  refused {}/s ({})  stock left {}/{}  in flight {}  own CPU {:.0} %",
            self.at,
            grouped(self.per_second(self.arrived)),
            grouped(self.per_second(self.accepted)),
            ms(self.accepted_ms),
            grouped(self.per_second(self.refused)),
            ms(self.refused_ms),
            grouped(self.stock_left),
            grouped(units),
            grouped(self.in_flight as u64),
            self.cpu * 100.0,
        );
        for (word, count) in [("failed", self.failed), ("DROPPED", self.dropped)] {
            if count > 0 {
                line.push_str(&format!("  {word} {}", grouped(count)));
            }
        }
        line
    }
}

/// All samples of a run.
#[derive(Debug, Default)]
pub struct Samples {
    rows: Vec<Sample>,
    /// How many seconds one row stands for.
    each: usize,
    /// How many have gone into the last row.
    in_last: usize,
    window: VecDeque<(f64, f64)>,
    busiest: f64,
}

impl Samples {
    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &[Sample] {
        &self.rows
    }

    /// CPU of the generator in its busiest five seconds, or in the whole run when it was shorter, in hundredths of a
    /// core. A moment counts as at least a second: the clock of CPU time is too coarse for less.
    #[must_use]
    pub fn cpu_percent(&self) -> u64 {
        let busiest = if self.window.len() < WINDOW { self.window_cpu() } else { self.busiest };
        (busiest * 100.0).round() as u64
    }

    /// Adds one second.
    pub fn push(&mut self, sample: Sample) {
        self.window.push_back((sample.cpu * sample.seconds, sample.seconds));
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        if self.window.len() == WINDOW {
            self.busiest = self.busiest.max(self.window_cpu());
        }
        self.each = self.each.max(1);
        match self.rows.last_mut() {
            Some(last) if self.in_last < self.each => {
                *last = last.and(&sample);
                self.in_last += 1;
            }
            _ => {
                self.rows.push(sample);
                self.in_last = 1;
            }
        }
        if self.rows.len() > MAX {
            self.rows =
                self.rows.chunks(2).map(|pair| pair[1..].iter().fold(pair[0], |one, next| one.and(next))).collect();
            self.each *= 2;
        }
    }

    fn window_cpu(&self) -> f64 {
        let (cpu, seconds) = self.window.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        cpu / f64::max(seconds, 1.0)
    }
}

/// Takes samples.
#[derive(Debug)]
pub struct Sampler {
    began: Instant,
    last: Instant,
    cpu: Duration,
    seen: [u64; 5],
}

impl Sampler {
    /// The run begins now.
    ///
    /// # Errors
    /// When the kernel does not say how much CPU was used.
    pub fn start() -> anyhow::Result<Sampler> {
        let now = Instant::now();
        Ok(Sampler { began: now, last: now, cpu: own_cpu()?, seen: [0; 5] })
    }

    /// Takes a sample at every full second, and shows it, until it is dropped.
    ///
    /// # Errors
    /// As [`Sampler::take`].
    pub async fn watch(&mut self, sale: &Sale, samples: &mut Samples) -> anyhow::Result<()> {
        loop {
            let full = (self.last - self.began).as_secs() + 1;
            sleep_until(self.began + Duration::from_secs(full)).await;
            let sample = self.take(sale)?;
            note(&sample.line(sale.scenario.stock.units.into()));
            samples.push(sample);
        }
    }

    /// What happened since the last one.
    ///
    /// # Errors
    /// When the kernel does not say how much CPU was used.
    pub fn take(&mut self, sale: &Sale) -> anyhow::Result<Sample> {
        let (now, cpu) = (Instant::now(), own_cpu()?);
        let (counts, stats) = (&sale.counts, &mut *sale.stats.borrow_mut());
        let totals =
            [counts.started.get(), stats.dropped, counts.accepted.get(), counts.refused.get(), counts.failed.get()];
        let [arrived, dropped, accepted, refused, failed] = std::array::from_fn(|n| totals[n] - self.seen[n]);
        let seconds = (now - self.last).as_secs_f64();
        let felt = stats.take_second();
        let sample = Sample {
            at: (now - self.began).as_secs_f64(),
            seconds,
            arrived,
            dropped,
            accepted,
            refused,
            failed,
            accepted_ms: Latency::of(felt.accepted),
            refused_ms: Latency::of(felt.refused),
            stock_left: sale.stock_left(),
            in_flight: counts.active.get(),
            cpu: (cpu - self.cpu).as_secs_f64() / seconds.max(1e-3),
        };
        (self.last, self.cpu, self.seen) = (now, cpu, totals);
        Ok(sample)
    }
}

#[cfg(test)]
mod tests;
