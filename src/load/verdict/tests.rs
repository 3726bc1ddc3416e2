#![allow(clippy::unwrap_used)] // a panic is how a test fails

use super::*;
use crate::load::scenario::{DEFAULT, Scenarios};
use std::time::Duration;

/// A run of `flash-spike` in which everything is right.
struct Story {
    scenario: Scenario,
    tally: Tally,
    stats: Stats,
    evidence: Evidence,
}

impl Story {
    fn new() -> Story {
        let scenario = Scenarios::parse(DEFAULT).unwrap().plan("flash-spike", "ci", 1.0).unwrap();
        let mut tally = Tally::default();
        scenario.invariants.iter().for_each(|invariant| tally.look(*invariant, None));
        let mut stats = Stats::default();
        stats.answered(Kind::Accepted, Duration::from_millis(5));
        stats.answered(Kind::Refused, Duration::from_millis(5));
        let evidence = Evidence {
            units: 240,
            sold: 240,
            failed: 0,
            unclear: 0,
            settled: true,
            written: None,
            cpu_percent: 79,
            cold_p99_ms: None,
            recovered_p99_ms: Some(5.0),
        };
        Story { scenario, tally, stats, evidence }
    }

    fn judge(&self) -> Verdict {
        judge(&self.scenario, &self.tally, &self.stats, &self.evidence)
    }

    fn ends(change: impl FnOnce(&mut Story)) -> (Word, Exit) {
        let mut story = Story::new();
        change(&mut story);
        let Verdict { word, exit, reasons, .. } = story.judge();
        assert_eq!(reasons.is_empty(), word == Word::Pass, "{reasons:?}");
        (word, exit)
    }
}

const VIOLATED: fn(&mut Story) = |story| story.tally.look(Invariant::Oversell, Some("two of one".into()));
const DROPPED: fn(&mut Story) = |story| story.stats.dropped = 1;
const SLOW: fn(&mut Story) = |story| story.stats.answered(Kind::Accepted, Duration::from_millis(101));

#[test]
fn a_run_in_which_everything_is_right_passes() {
    assert_eq!(Story::ends(|_| {}), (Word::Pass, Exit::Ok));
    let verdict = Story::new().judge();
    let names: Vec<_> = verdict.thresholds.iter().map(|threshold| threshold.name).collect();
    assert_eq!(names, ["accepted_p99_ms", "refused_p99_ms", "recovered_p99_ms", "errors", "settled", "sold_all"]);
    assert!(verdict.notes.is_empty() && verdict.invariants.len() == 7);
}

#[test]
fn each_limit_that_is_passed_fails() {
    let failed = (Word::Fail, Exit::Failed);
    assert_eq!(Story::ends(SLOW), failed);
    assert_eq!(Story::ends(|story| story.stats.answered(Kind::Refused, Duration::from_millis(21))), failed);
    assert_eq!(Story::ends(|story| story.evidence.failed = 1), failed);
    assert_eq!(Story::ends(|story| story.evidence.unclear = 1), failed);
    assert_eq!(Story::ends(|story| story.stats.unexpected("500".into())), failed);
    assert_eq!(Story::ends(|story| story.evidence.settled = false), failed);
    assert_eq!(Story::ends(|story| story.evidence.sold = 239), failed);
    assert_eq!(Story::ends(|story| story.evidence.written = Some(1)), failed);
    assert_eq!(Story::ends(|story| story.scenario.expect.sold = Sold::None), failed);
}

#[test]
fn what_is_compared_with_an_ordinary_day_fails_beyond_it() {
    let failed = (Word::Fail, Exit::Failed);
    assert_eq!(Story::ends(|story| story.evidence.recovered_p99_ms = Some(50.0)), (Word::Pass, Exit::Ok));
    assert_eq!(Story::ends(|story| story.evidence.recovered_p99_ms = Some(50.1)), failed);
    let measured = |story: &mut Story| story.scenario.baseline_p99_ms = Some(4.0);
    assert_eq!(Story::ends(measured), failed, "5 ms are slow where an ordinary day has 4");
    let hot = |p99: f64| {
        move |story: &mut Story| {
            story.scenario.slo.cold_p99_times = Some(1.5);
            story.evidence.cold_p99_ms = Some(p99);
        }
    };
    assert_eq!((Story::ends(hot(75.0)), Story::ends(hot(75.1))), ((Word::Pass, Exit::Ok), failed));
    let mut story = Story::new();
    story.evidence.recovered_p99_ms = None;
    let notes = story.judge().notes;
    assert!(notes.len() == 1 && notes[0].contains("recovered_p99_ms was not judged"), "{notes:?}");
}

#[test]
fn a_run_that_proves_nothing_is_void_and_never_passes() {
    let void = (Word::Void, Exit::Void);
    assert_eq!(Story::ends(DROPPED), void);
    assert_eq!(Story::ends(|story| story.evidence.cpu_percent = 80), void);
    assert_eq!(Story::ends(|story| story.stats = Stats::default()), void);
}

#[test]
fn void_beats_a_passed_limit() {
    assert_eq!(
        Story::ends(|story| {
            DROPPED(story);
            SLOW(story);
        }),
        (Word::Void, Exit::Void)
    );
}

#[test]
fn a_broken_promise_beats_everything() {
    let broken = (Word::Fail, Exit::Violated);
    assert_eq!(Story::ends(VIOLATED), broken);
    for other in [DROPPED, SLOW] {
        assert_eq!(
            Story::ends(|story| {
                other(story);
                VIOLATED(story);
            }),
            broken
        );
    }
    assert_eq!(Story::ends(|story| story.tally.look(Invariant::IdempotentReplay, Some("other".into()))), broken);
}

#[test]
fn a_limit_without_an_answer_to_judge_is_told() {
    let mut story = Story::new();
    story.stats = Stats::default();
    story.stats.answered(Kind::Accepted, Duration::from_millis(5));
    let verdict = story.judge();
    assert_eq!((verdict.word, verdict.notes.len()), (Word::Pass, 1));
    assert!(verdict.notes[0].contains("refused_p99_ms"), "{:?}", verdict.notes);
    assert!(verdict.thresholds.iter().all(|threshold| threshold.name != "refused_p99_ms"));
}

#[test]
fn a_generator_that_was_late_is_told() {
    let mut story = Story::new();
    story.stats.latest = Duration::from_millis(418);
    let verdict = story.judge();
    assert!(verdict.word == Word::Pass && verdict.notes[0].contains("418 ms late"), "{:?}", verdict.notes);
}
