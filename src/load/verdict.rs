//! The verdict. Three things can be wrong: the server breaks a promise, the run proves nothing, a limit is passed. The
//! first counts whatever the others say; a limit that a bad run passed says nothing about the server.

use crate::cli::Exit;
use crate::demo::Word;
use crate::demo::stats::{Kind, Stats};
use crate::load::scenario::{Scenario, Sold};
use crate::load::tally::{Invariant, Seen, Tally};
use std::collections::BTreeMap;
use std::time::Duration;

/// From here on the generator is the bottleneck, in hundredths of its one thread.
const SATURATED: u64 = 80;
/// A generator that was later than this is told: its delay is in the latencies.
const LATE: Duration = Duration::from_millis(50);

/// A limit, and whether it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// Its name, stable.
    pub name: &'static str,
    /// It was kept.
    pub kept: bool,
    /// What was seen, and what is allowed.
    pub what: String,
}

/// How a run ended, with everything that was judged.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// PASS, FAIL or VOID.
    pub word: Word,
    /// How the program ends.
    pub exit: Exit,
    /// What must hold.
    pub invariants: BTreeMap<Invariant, Seen>,
    /// Limits.
    pub thresholds: Vec<Threshold>,
    /// Why it is not PASS.
    pub reasons: Vec<String>,
    /// What could not be judged.
    pub notes: Vec<String>,
}

/// What the run itself says.
#[derive(Debug, Clone, Copy)]
pub struct Evidence {
    /// Units for sale.
    pub units: i64,
    /// Units sold.
    pub sold: i64,
    /// Arrivals without a usable answer.
    pub failed: u64,
    /// Purchases of which nobody knows whether they happened.
    pub unclear: usize,
    /// Orders that were neither paid nor over in the end, or units still held.
    pub settled: bool,
    /// Records that refusals wrote into the log; absent where something else may have written.
    pub written: Option<u64>,
    /// CPU of the generator in its busiest seconds, in hundredths of a core.
    pub cpu_percent: u64,
    /// p99 of accepted purchases of the SKUs that are not hot; absent without one.
    pub cold_p99_ms: Option<f64>,
    /// p99 of all answers after the spike; absent without one.
    pub recovered_p99_ms: Option<f64>,
}

/// Judges a run.
#[must_use]
pub fn judge(scenario: &Scenario, tally: &Tally, stats: &Stats, evidence: &Evidence) -> Verdict {
    let invariants = tally.outcome(&scenario.invariants);
    let (thresholds, mut notes) = thresholds(scenario, stats, evidence);
    if stats.latest > LATE {
        let late = stats.latest.as_millis();
        notes.push(format!("the machine was busy: arrivals were up to {late} ms late, and that is in the latencies"));
    }
    let void = void(stats, evidence);
    let violated = invariants.iter().filter(|(_, seen)| seen.violated > 0);
    let mut reasons: Vec<String> = violated
        .map(|(invariant, seen)| {
            format!("{} violated {} times: {}", invariant.word(), seen.violated, seen.kept.join("; "))
        })
        .collect();
    let broken = !reasons.is_empty();
    let (word, exit) = match (broken, void.is_empty(), thresholds.iter().all(|threshold| threshold.kept)) {
        (true, _, _) => (Word::Fail, Exit::Violated),
        (false, false, _) => (Word::Void, Exit::Void),
        (false, true, false) => (Word::Fail, Exit::Failed),
        (false, true, true) => (Word::Pass, Exit::Ok),
    };
    reasons.extend(void);
    let missed = thresholds.iter().filter(|threshold| !threshold.kept);
    reasons.extend(missed.map(|threshold| format!("{}: {}", threshold.name, threshold.what)));
    Verdict { word, exit, invariants, thresholds, reasons, notes }
}

/// Why the run proves nothing.
fn void(stats: &Stats, evidence: &Evidence) -> Vec<String> {
    let mut void = Vec::new();
    if stats.dropped > 0 {
        void.push(format!("{} arrivals were dropped: the load was less than it should have been", stats.dropped));
    }
    if stats.answers == 0 {
        void.push("no purchase was answered: nothing was measured".to_owned());
    }
    if evidence.cpu_percent >= SATURATED {
        void.push(format!("the generator used {} % of its one thread: it was the bottleneck", evidence.cpu_percent));
    }
    void
}

fn thresholds(scenario: &Scenario, stats: &Stats, evidence: &Evidence) -> (Vec<Threshold>, Vec<String>) {
    let (mut thresholds, mut notes) = (Vec::new(), Vec::new());
    let mut judge = |name, kept, what| thresholds.push(Threshold { name, kept, what });
    let limits = [
        ("accepted_p99_ms", Kind::Accepted, scenario.slo.accepted_p99_ms),
        ("refused_p99_ms", Kind::Refused, scenario.slo.refused_p99_ms),
    ];
    for (name, kind, limit) in limits {
        match limit {
            Some(_) if stats.count(kind) == 0 => notes.push(format!("{name} was not judged: there was no such answer")),
            Some(limit) => {
                let p99 = stats.kind_ms(kind, 0.99);
                judge(name, p99 <= limit, format!("{p99:.1} ms, at most {limit} ms"));
            }
            None => {}
        }
    }
    let recovered = scenario.slo.recovered_within_s.map(|_| 1.0);
    let limits = [
        ("cold_p99_ms", evidence.cold_p99_ms, scenario.slo.cold_p99_times),
        ("recovered_p99_ms", evidence.recovered_p99_ms, recovered),
    ];
    for (name, p99, times) in limits {
        match (p99, times.zip(scenario.baseline_p99_ms)) {
            (None, Some(_)) => notes.push(format!("{name} was not judged: there was no such answer")),
            (Some(p99), Some((times, baseline))) => {
                let what = format!("{p99:.1} ms, at most {times} × the baseline's {baseline} ms");
                judge(name, p99 <= times * baseline, what);
            }
            (_, None) => {}
        }
    }
    let (failed, unclear) = (evidence.failed, evidence.unclear);
    let kept = stats.gave_up_kept.iter().chain(&stats.unexpected_kept).cloned().collect::<Vec<_>>().join("; ");
    let errors = failed == 0 && unclear == 0 && stats.unexpected == 0;
    let what = format!("{failed} arrivals without a usable answer, {unclear} never cleared up");
    judge("errors", errors, if errors { what } else { format!("{what}: {kept}") });
    judge("settled", evidence.settled, "every order is paid or over, and nothing is held".to_owned());
    let what = format!("{} of {} units", evidence.sold, evidence.units);
    match scenario.expect.sold {
        Sold::All => judge("sold_all", evidence.sold == evidence.units, what),
        Sold::None => judge("sold_none", evidence.sold == 0, what),
        Sold::Any => {}
    }
    if let Some(written) = evidence.written {
        judge("nothing_written", written == 0, format!("{written} records in the log for refusals"));
    }
    (thresholds, notes)
}

#[cfg(test)]
mod tests;
