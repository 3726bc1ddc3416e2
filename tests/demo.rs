//! The demo, short, through the real program: it passes, and it passes when the server is killed in the middle.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use serde_json::{Value, json};
use std::process::Command;

const SHORT: [&str; 10] = ["demo", "--buyers", "3000", "--units", "60", "--skus", "12", "--seconds", "3", "--json"];

#[test]
fn a_short_demo_passes() {
    let verdict = demo(&[]);
    assert_passed(&verdict);
    assert_eq!(verdict["outage_ms"], Value::Null);
}

#[test]
fn a_short_demo_passes_when_the_server_is_killed() {
    let verdict = demo(&["--kill-at", "50%"]);
    assert_passed(&verdict);
    // How many had to ask again is left open: the next process listens before it has recovered, so that a kill between
    // two answers makes buyers wait and cuts nobody off.
    assert!(verdict["outage_ms"].as_u64().unwrap() > 0, "{verdict}");
}

#[test]
fn a_short_demo_passes_when_payments_time_out() {
    assert_passed(&demo(&["--fault", "payment=timeout:30%"]));
}

#[test]
fn a_short_demo_passes_with_questions_and_answers_between_threads() {
    let elsewhere = [("STAMPEDE_WORKERS", "2"), ("STAMPEDE_PLACEMENT", "own"), ("STAMPEDE_SHARDS", "8")];
    assert_passed(&demo_in(&elsewhere, &["--kill-at", "50%"]));
}

#[test]
fn wrong_usage_is_told_from_failure() {
    for wrong in [["--kill-at", "0%"], ["--fault", "disk=full:1%"], ["--buyers", "0"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_stampede")).arg("demo").args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

/// Runs a short demo, and reads the last line of its output.
fn demo(more: &[&str]) -> Value {
    demo_in(&[], more)
}

/// The same, with settings of the server in the environment.
fn demo_in(environment: &[(&str, &str)], more: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
    command.args(SHORT).args(more).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[track_caller]
fn assert_passed(verdict: &Value) {
    let expected = [
        ("verdict", json!("PASS")),
        ("sold", json!(60)),
        ("oversold", json!(0)),
        ("undersold", json!(0)),
        ("lost_acknowledged", json!(0)),
    ];
    for (field, value) in expected {
        assert_eq!(verdict[field], value, "{field} in {verdict}");
    }
    assert!(verdict["orders"].as_u64().unwrap() > 20, "{verdict}");
    assert_eq!(verdict["orders"], verdict["charges"], "{verdict}");
    for field in ["orders_per_second", "p50_ms", "p99_ms"] {
        assert!(verdict[field].as_f64().unwrap() > 0.0, "{field} in {verdict}");
    }
    assert!(verdict["replays"].as_u64().unwrap() > 20, "{verdict}");
}
