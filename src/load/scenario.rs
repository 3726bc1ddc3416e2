//! The scenario file: what is for sale, who comes, and what must hold. Other generators read the same file, so unknown
//! fields are errors: a field that one reader ignores would be a test that one of them does not run.

mod check;

use crate::http::body::pointer;
use crate::load::tally::Invariant;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file of this release.
pub const DEFAULT: &str = include_str!("../../load-tests/scenarios.json");
/// The scenario of an ordinary day, with which others are compared.
const BASELINE: &str = "baseline";
/// The only version that is understood.
const VERSION: u32 = 1;

/// Where a file is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if pointer.is_empty() { "/" } else { pointer })]
pub struct Bad {
    /// JSON pointer.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// A scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenarios {
    version: u32,
    /// Sizes by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Scenarios by name.
    pub scenarios: BTreeMap<String, Scenario>,
}

/// How much of a scenario is played.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Multiplies rates.
    pub rate: f64,
    /// Multiplies durations; a stage lasts at least a second.
    pub time: f64,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is for, in one sentence.
    pub about: String,
    /// What is for sale.
    pub stock: StockPlan,
    /// When buyers come.
    pub arrivals: Arrivals,
    /// What they do.
    pub buyer: Ways,
    /// How often they press the button.
    pub repeat: Repeat,
    /// Do refused buyers keep coming back until demand or stock is used up?
    pub drain: bool,
    /// How fast answers must be.
    pub slo: Slo,
    /// What must be sold.
    pub expect: Expect,
    /// What must hold.
    pub invariants: Vec<Invariant>,
    /// p99 of accepted purchases on an ordinary day, in milliseconds: what was measured, or else the limit of [`BASELINE`].
    #[serde(skip)]
    pub baseline_p99_ms: Option<f64>,
}

/// SKUs made for one run.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockPlan {
    /// How many.
    pub skus: u32,
    /// Units over all of them, divided evenly; the first ones get the remainder.
    pub units: u32,
    /// Exponent of their popularity; 0: all alike.
    pub zipf: f64,
}

impl StockPlan {
    /// Units of the SKU with this index.
    #[must_use]
    pub fn units_of(&self, index: u32) -> u32 {
        self.units / self.skus + u32::from(index < self.units % self.skus)
    }
}

/// When buyers come.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RawArrivals")]
pub enum Arrivals {
    /// So many, one after the other.
    Iterations(u32),
    /// At a rate that moves evenly from stage to stage, whatever the server does.
    Rates {
        /// Arrivals per second at the beginning.
        start_rate: f64,
        /// One after the other.
        stages: Vec<Stage>,
    },
}

impl Arrivals {
    /// So long after the end of the first stage in which the rate falls, in seconds from the beginning: from then on the
    /// server has recovered. Absent: the rate never falls, or all is over by then.
    #[must_use]
    pub fn recovered_at(&self, within: f64) -> Option<f64> {
        let Arrivals::Rates { start_rate, stages } = self else { return None };
        let (mut rate, mut seconds) = (*start_rate, 0.0);
        let falls = |stage: &&Stage| {
            seconds += stage.seconds;
            std::mem::replace(&mut rate, stage.rate) > stage.rate
        };
        stages.iter().find(falls)?;
        let all: f64 = stages.iter().map(|stage| stage.seconds).sum();
        Some(seconds + within).filter(|at| *at < all)
    }
}

/// A stretch of time at whose end a rate is reached.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How long.
    pub seconds: f64,
    /// Arrivals per second at its end.
    pub rate: f64,
}

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArrivals {
    kind: ArrivalKind,
    count: Option<u32>,
    rate: Option<f64>,
    seconds: Option<f64>,
    start_rate: Option<f64>,
    stages: Option<Vec<Stage>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ArrivalKind {
    Iterations,
    Constant,
    Ramping,
}

impl TryFrom<RawArrivals> for Arrivals {
    type Error = &'static str;

    fn try_from(raw: RawArrivals) -> Result<Arrivals, &'static str> {
        let RawArrivals { kind, count, rate, seconds, start_rate, stages } = raw;
        match (kind, count, rate, seconds, start_rate, stages) {
            (ArrivalKind::Iterations, Some(count), None, None, None, None) => Ok(Arrivals::Iterations(count)),
            (ArrivalKind::Constant, None, Some(rate), Some(seconds), None, None) => {
                Ok(Arrivals::Rates { start_rate: rate, stages: vec![Stage { seconds, rate }] })
            }
            (ArrivalKind::Ramping, None, None, None, Some(start_rate), Some(stages)) => {
                Ok(Arrivals::Rates { start_rate, stages })
            }
            (ArrivalKind::Iterations, ..) => Err("iterations have a count, and nothing else"),
            (ArrivalKind::Constant, ..) => Err("a constant rate has rate and seconds, and nothing else"),
            (ArrivalKind::Ramping, ..) => Err("a ramp has start_rate and stages, and nothing else"),
        }
    }
}

/// What one arrival does, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ways {
    /// One `POST /v1/orders`.
    pub express: f64,
    /// A cart, its line, the checkout.
    pub cart: f64,
    /// A hold, then the order that takes it over.
    pub hold: f64,
}

/// How often a purchase is sent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// Times at once, under one key.
    pub same: u32,
    /// Share of purchases that are sent once more under their key with another body: that must be refused.
    pub other_body: f64,
}

/// How fast answers must be. Absent: not judged.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// p99 of accepted purchases, in milliseconds.
    #[serde(default)]
    pub accepted_p99_ms: Option<f64>,
    /// p99 of refused ones, in milliseconds.
    #[serde(default)]
    pub refused_p99_ms: Option<f64>,
    /// p99 of accepted purchases of all SKUs but the hottest, as a multiple of the baseline's.
    #[serde(default)]
    pub cold_p99_times: Option<f64>,
    /// So long after a spike, in seconds, and from then on, p99 of all answers is no more than the baseline's.
    #[serde(default)]
    pub recovered_within_s: Option<f64>,
}

/// What must have come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// How much of the stock is sold in the end.
    pub sold: Sold,
}

/// How much of the stock is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sold {
    /// Every unit.
    All,
    /// No unit.
    None,
    /// It does not matter.
    Any,
}

impl Scenarios {
    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// [`Bad`] with the place of the first mistake.
    pub fn parse(text: &str) -> Result<Scenarios, Bad> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let scenarios: Scenarios = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| Bad { pointer: pointer(error.path()), message: error.inner().to_string() })?;
        reader.end().map_err(|error| Bad { pointer: String::new(), message: error.to_string() })?;
        check::file(&scenarios)?;
        Ok(scenarios)
    }

    fn baseline(&self) -> Option<f64> {
        self.scenarios.get(BASELINE).and_then(|baseline| baseline.slo.accepted_p99_ms)
    }

    /// A scenario at a size, its rates multiplied by `rate_factor` on top.
    ///
    /// # Errors
    /// A name that is not in the file, or a scenario that becomes too large.
    pub fn plan(&self, name: &str, profile: &str, rate_factor: f64) -> Result<Scenario, String> {
        let among = |names: Vec<&str>| names.join(", ");
        let mut scenario = self.scenarios.get(name).cloned().ok_or_else(|| {
            let names = among(self.scenarios.keys().map(String::as_str).collect());
            format!("there is no scenario {name:?}; there are: {names}")
        })?;
        let size = self.profiles.get(profile).copied().ok_or_else(|| {
            let names = among(self.profiles.keys().map(String::as_str).collect());
            format!("there is no profile {profile:?}; there are: {names}")
        })?;
        scenario.baseline_p99_ms = self.baseline();
        if let Some(within) = &mut scenario.slo.recovered_within_s {
            *within = (*within * size.time).max(1.0);
        }
        if let Arrivals::Rates { start_rate, stages } = &mut scenario.arrivals {
            let faster = size.rate * rate_factor;
            *start_rate *= faster;
            for stage in stages {
                stage.rate *= faster;
                stage.seconds = (stage.seconds * size.time).max(1.0);
            }
        }
        check::size(&scenario.arrivals)?;
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests;
