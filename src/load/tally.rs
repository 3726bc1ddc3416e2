//! The invariants of a run: how often each was looked at, and what was found. One that was never looked at did not hold.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Findings that are kept word for word, per invariant.
const KEPT: usize = 5;

/// What must hold. The words are those of scenario files and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// No SKU sells more than it had.
    Oversell,
    /// No unit is left over while somebody wanted it.
    Undersell,
    /// Available, held and sold units add up to those there were.
    Conservation,
    /// Money is taken once per order, and for no order that is not paid.
    DoubleCharge,
    /// Orders acknowledged to buyers are those that the server has, and no others.
    LostOrder,
    /// The same key gets the same bytes; another body under it is refused.
    IdempotentReplay,
    /// Every 429 and 503 says when to come back; no refusal looks like a success.
    PoliteRefusal,
    /// Every invariant that was asked for was looked at as often as it should be.
    Evaluated,
}

impl Invariant {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Invariant::Oversell => "oversell",
            Invariant::Undersell => "undersell",
            Invariant::Conservation => "conservation",
            Invariant::DoubleCharge => "double_charge",
            Invariant::LostOrder => "lost_order",
            Invariant::IdempotentReplay => "idempotent_replay",
            Invariant::PoliteRefusal => "polite_refusal",
            Invariant::Evaluated => "evaluated",
        }
    }
}

/// What was seen of one invariant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// How often it was looked at.
    pub evaluated: u64,
    /// How often it did not hold.
    pub violated: u64,
    /// The first few findings.
    #[serde(skip)]
    pub kept: Vec<String>,
}

/// What was seen of all of them.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<Invariant, Seen>);

impl Tally {
    /// Looked once: nothing, or what was found.
    pub fn look(&mut self, invariant: Invariant, found: Option<String>) {
        let seen = self.0.entry(invariant).or_default();
        seen.evaluated += 1;
        if let Some(found) = found {
            seen.violated += 1;
            if seen.kept.len() < KEPT {
                seen.kept.push(found);
            }
        }
    }

    /// Looked once: it must be so.
    pub fn must(&mut self, invariant: Invariant, holds: bool, otherwise: impl FnOnce() -> String) {
        self.look(invariant, (!holds).then(otherwise));
    }

    /// How often it was looked at.
    #[must_use]
    pub fn evaluated(&self, invariant: Invariant) -> u64 {
        self.0.get(&invariant).map_or(0, |seen| seen.evaluated)
    }

    /// The outcome for a scenario: what it asks for, whether it was seen or not, and whatever else was violated.
    #[must_use]
    pub fn outcome(&self, asked: &[Invariant]) -> BTreeMap<Invariant, Seen> {
        let violated = self.0.iter().filter(|(_, seen)| seen.violated > 0).map(|(invariant, _)| *invariant);
        let all = asked.iter().copied().chain(violated);
        all.map(|invariant| (invariant, self.0.get(&invariant).cloned().unwrap_or_default())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_the_first_are_kept() {
        let mut tally = Tally::default();
        tally.must(Invariant::Oversell, true, || unreachable!("it holds"));
        (0..20).for_each(|n| tally.must(Invariant::Oversell, false, || format!("finding {n}")));
        let seen = &tally.outcome(&[])[&Invariant::Oversell];
        assert_eq!((seen.evaluated, seen.violated, seen.kept.len()), (21, 20, KEPT));
    }

    #[test]
    fn the_outcome_names_what_was_asked_for_and_what_was_violated() {
        let mut tally = Tally::default();
        tally.look(Invariant::LostOrder, None);
        tally.look(Invariant::DoubleCharge, Some("twice".into()));
        let words: Vec<_> = tally.outcome(&[Invariant::Oversell]).into_keys().map(Invariant::word).collect();
        assert_eq!(words, ["oversell", "double_charge"]);
    }

    #[test]
    fn words_are_those_of_the_file() {
        for word in ["oversell", "undersell", "conservation", "double_charge", "lost_order", "idempotent_replay"] {
            let read: Result<Invariant, _> = serde_json::from_value(word.into());
            assert_eq!(read.map(Invariant::word).ok(), Some(word));
        }
    }
}
