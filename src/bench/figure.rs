//! A figure: what it says, what came out of its rounds, and the bar that it should reach.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What a figure should reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Bar {
    /// Does this value reach it?
    #[must_use]
    pub fn is_met_by(self, value: f64) -> bool {
        match self {
            Bar::AtLeast(bar) => value >= bar,
            Bar::AtMost(bar) => value <= bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::AtLeast(bar) => write!(f, ">= {}", Rounded(*bar)),
            Bar::AtMost(bar) => write!(f, "<= {}", Rounded(*bar)),
        }
    }
}

/// A figure that can be measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    /// Its name, for `--only` and in JSON.
    pub name: &'static str,
    /// What its number counts.
    pub unit: &'static str,
    /// What it should reach.
    pub bar: Option<Bar>,
    /// What it is, in one line.
    pub what: &'static str,
}

/// What one round said about one figure: its value, and what helps to understand it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// In the unit of the figure.
    pub value: f64,
    /// Further numbers by name; the names are the same in every round.
    pub detail: Vec<(&'static str, f64)>,
}

impl Sample {
    /// A value with nothing beside it.
    #[must_use]
    pub fn new(value: f64) -> Sample {
        Sample { value, detail: Vec::new() }
    }

    /// One more number beside it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: f64) -> Sample {
        self.detail.push((name, value));
        self
    }

    /// More numbers beside it.
    #[must_use]
    pub fn and(mut self, detail: impl IntoIterator<Item = (&'static str, f64)>) -> Sample {
        self.detail.extend(detail);
        self
    }
}

/// A measured figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Of the valid rounds; nothing when there are too few of them.
    pub median: Option<Rounded>,
    /// Smallest value of a valid round.
    pub min: Option<Rounded>,
    /// Largest value of a valid round.
    pub max: Option<Rounded>,
    /// Valid rounds.
    pub rounds: usize,
    /// Rounds that do not count.
    pub discarded: usize,
    /// Too few rounds are valid: it says nothing.
    pub void: bool,
    /// What the number counts.
    pub unit: &'static str,
    /// What it should reach.
    pub bar: Option<Bar>,
    /// Does the median reach it?
    pub met: Option<bool>,
    /// Medians of what was measured beside it.
    pub detail: BTreeMap<&'static str, Rounded>,
}

impl Figure {
    /// Sums up the valid rounds. `void`: they are too few.
    #[must_use]
    pub fn of(spec: &Spec, samples: &[&Sample], discarded: usize, void: bool) -> Figure {
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        let spread = (!void).then(|| Spread::of(&values)).flatten();
        let mut beside: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for (name, value) in samples.iter().flat_map(|sample| &sample.detail) {
            beside.entry(name).or_default().push(*value);
        }
        let median = |(name, values): (_, Vec<f64>)| Some((name, Rounded(Spread::of(&values)?.median)));
        Figure {
            median: spread.map(|spread| Rounded(spread.median)),
            min: spread.map(|spread| Rounded(spread.min)),
            max: spread.map(|spread| Rounded(spread.max)),
            rounds: samples.len(),
            discarded,
            void,
            unit: spec.unit,
            bar: spec.bar,
            met: spec.bar.zip(spread).map(|(bar, spread)| bar.is_met_by(spread.median)),
            detail: beside.into_iter().filter_map(median).collect(),
        }
    }
}

/// Where the values of some rounds lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The one in the middle, or the mean of the two there.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of no values there is none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = sorted.first().zip(sorted.last())?;
        let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Spread { median, min, max })
    }
}

/// A number that is shown and written with four digits that count: more would be noise.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rounded(pub f64);

impl Rounded {
    fn value(self) -> f64 {
        if self.0 == 0.0 || !self.0.is_finite() {
            return self.0;
        }
        let decimals = 3 - self.0.abs().log10().floor() as i32;
        if decimals <= 0 {
            return self.0.round();
        }
        let scale = 10_f64.powi(decimals.min(12));
        (self.0 * scale).round() / scale
    }
}

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.value().to_string())
    }
}

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;

    const SPEC: Spec = Spec { name: "x", unit: "ratio", bar: Some(Bar::AtLeast(0.5)), what: "" };

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values).map(|s| (s.min, s.median, s.max));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[2.0]), Some((2.0, 2.0, 2.0)));
        assert_eq!(spread(&[9.0, 1.0]), Some((1.0, 5.0, 9.0)));
        assert_eq!(spread(&[3.0, 100.0, 1.0]), Some((1.0, 3.0, 100.0)));
        assert_eq!(spread(&[4.0, 3.0, 100.0, 1.0]), Some((1.0, 3.5, 100.0)));
    }

    #[test]
    fn a_figure_sums_its_rounds_up() {
        let samples = [0.4, 0.6, 0.5].map(|value| Sample::new(value).with("server_us", value * 100.0));
        let figure = Figure::of(&SPEC, &samples.iter().collect::<Vec<_>>(), 2, false);
        assert_eq!(
            (figure.min, figure.median, figure.max),
            (Some(Rounded(0.4)), Some(Rounded(0.5)), Some(Rounded(0.6)))
        );
        assert_eq!((figure.rounds, figure.discarded, figure.met), (3, 2, Some(true)));
        assert_eq!(figure.detail["server_us"], Rounded(50.0));
        let json = serde_json::to_value(&figure).unwrap();
        assert_eq!(json["bar"]["at_least"], 0.5);
    }

    #[test]
    fn a_void_figure_has_no_value_and_meets_nothing() {
        let sample = Sample::new(0.9);
        let figure = Figure::of(&SPEC, &[&sample], 9, true);
        assert_eq!((figure.median, figure.met, figure.rounds), (None, None, 1));
    }

    #[test]
    fn a_bar_is_reached_from_its_side() {
        assert!(Bar::AtLeast(0.5).is_met_by(0.5) && !Bar::AtLeast(0.5).is_met_by(0.49));
        assert!(Bar::AtMost(3.0).is_met_by(3.0) && !Bar::AtMost(3.0).is_met_by(3.01));
    }

    #[test]
    fn four_digits_count() {
        let texts = [0.512_345, 12.345_6, 1_234_567.8, 0.0].map(|value| Rounded(value).to_string());
        assert_eq!(texts, ["0.5123", "12.35", "1234568", "0"]);
    }
}
