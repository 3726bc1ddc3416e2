#![allow(clippy::unwrap_used)] // a panic is how a test fails

use super::*;
use crate::demo::Word;
use crate::load::junit;
use crate::load::samples::Latency;
use crate::load::tally::{Invariant, Seen};
use crate::load::verdict::Threshold;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;

/// Words that would break a page that does not escape them.
const EVIL: &str = "<script>alert(\"1\" & '2')</script>\u{1b}[31m";

fn summary(verdict: Word) -> Summary {
    let seen = |violated, kept: &[&str]| Seen {
        evaluated: 12_345,
        violated,
        kept: kept.iter().map(|&text| text.to_owned()).collect(),
    };
    Summary {
        scenario: "flash-spike".into(),
        about: format!("about {EVIL}"),
        profile: "ci".into(),
        rate_factor: 1.0,
        verdict,
        arrivals: 701,
        dropped_arrivals: 0,
        accepted: 240,
        refused: BTreeMap::from([("sold_out".to_owned(), 461)]),
        errors: 0,
        accepted_later: 0,
        accepted_ms: Quantiles { p50: Some(2.0), p99: Some(9.5), p999: Some(12.0), max: Some(13.0) },
        refused_ms: Quantiles { p50: None, p99: None, p999: None, max: None },
        units: 240,
        sold: 240,
        invariants: BTreeMap::from([
            (Invariant::Oversell, seen(0, &[])),
            (Invariant::LostOrder, seen(2, &["ord_1 is not there", EVIL])),
        ]),
        thresholds: vec![
            Threshold { name: "accepted_p99_ms", kept: true, what: "9.5 ms, at most 100 ms".into() },
            Threshold { name: "errors", kept: false, what: EVIL.into() },
        ],
        reasons: vec![format!("reason {EVIL}")],
        notes: vec!["refused_p99_ms was not judged".into()],
        knee_per_second: Some(1_234),
        generator_cpu_percent: 7,
        latest_arrival_ms: 3,
        seconds: 8.0,
        server: "http://127.0.0.1:8080".into(),
        own_server: true,
        connections: 256,
        seed: 42,
        run: "load-0123abcd".into(),
        started: "2026-11-25T20:00:00Z".into(),
        ended: "2026-11-25T20:00:10Z".into(),
    }
}

fn samples() -> Vec<Sample> {
    let sample = |at: u32| Sample {
        at: at.into(),
        seconds: 1.0,
        arrived: 100,
        dropped: 0,
        accepted: 40,
        refused: 60,
        failed: 0,
        accepted_ms: (at != 3).then_some(Latency { p50: 2.0, p99: 9.0 }),
        refused_ms: None,
        stock_left: 240 - u64::from(at * 40),
        in_flight: 2,
        cpu: 0.05,
    };
    (1..=6).map(sample).collect()
}

/// Every element is closed, and everything is XML as well. The texts between the tags.
#[track_caller]
fn well_formed(text: &str) -> String {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut depth, mut texts) = (0_i32, String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Text(words)) => texts.push_str(&words.decode().unwrap()),
            Ok(_) => {}
            Err(error) => panic!("{error} at {}\n{text}", reader.error_position()),
        }
    }
    assert_eq!(depth, 0, "{text}");
    texts
}

#[test]
fn the_page_shows_everything_and_is_well_formed() {
    let page = html(&summary(Word::Fail), &samples());
    let texts = well_formed(&page);
    let expected = [
        "FAIL",
        "flash-spike",
        "240/240",
        "9.5 ms",
        "accepted_p99_ms",
        "errors",
        "oversell",
        "lost_order",
        "12,345",
        "refused: sold_out",
        "461",
        "7 % of one core",
        "load-0123abcd",
        "http://127.0.0.1:8080 (of its own)",
        "42",
        "✗ does not hold",
        "1,234 per second",
        "2026-11-25T20:00:10Z",
        "refused_p99_ms was not judged",
    ];
    for words in expected {
        assert!(texts.contains(words), "{words}");
    }
    assert_eq!(page.matches("<svg").count(), 3, "latency, throughput, stock");
    assert!(page.matches("<path class=\"line").count() >= 5);
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let page = html(&summary(Word::Fail), &samples());
    for forbidden in ["<script", "<link", "<img", "<iframe", "@import", "url(", "src=", "href=", "onload"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn a_page_without_a_sample_is_well_formed() {
    well_formed(&html(&summary(Word::Void), &[]));
    well_formed(&html(&summary(Word::Pass), &samples()[..1]));
}

#[test]
fn junit_has_a_case_for_each_limit_and_each_invariant() {
    let text = junit::text(&summary(Word::Fail)).unwrap();
    well_formed(&text);
    for case in ["valid", "accepted_p99_ms", "errors", "oversell", "lost_order"] {
        assert_eq!(text.matches(&format!("<testcase name=\"{case}\"")).count(), 1, "{case} in {text}");
    }
    let sums = text.lines().nth(1).unwrap();
    assert!(sums.contains("tests=\"5\"") && sums.contains("failures=\"2\" errors=\"0\""), "{text}");
    assert!(text.contains("violated 2 times of 12345: ord_1 is not there"), "{text}");
}

#[test]
fn a_void_run_is_an_error_in_junit() {
    let text = junit::text(&summary(Word::Void)).unwrap();
    assert!(text.contains("failures=\"2\" errors=\"1\""), "{text}");
}

#[test]
fn the_summary_has_the_fields_of_the_contract() {
    let summary = serde_json::to_value(summary(Word::Fail)).unwrap();
    let fields = [
        "scenario",
        "profile",
        "verdict",
        "arrivals",
        "dropped_arrivals",
        "accepted",
        "refused",
        "errors",
        "accepted_ms",
        "refused_ms",
        "invariants",
        "thresholds",
        "reasons",
        "server",
        "seed",
        "generator_cpu_percent",
        "started",
        "ended",
    ];
    for field in fields {
        assert!(summary.get(field).is_some(), "{field}");
    }
    assert_eq!(summary["verdict"], "FAIL");
    assert_eq!(summary["thresholds"], serde_json::json!({ "accepted_p99_ms": true, "errors": false }));
    assert_eq!(summary["invariants"]["lost_order"], serde_json::json!({ "evaluated": 12_345, "violated": 2 }));
    assert_eq!(summary["refused_ms"]["p99"], serde_json::Value::Null);
}
