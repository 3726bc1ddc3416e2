//! `stampede bench`, short, through the real program: its figures have the shape that is promised. What they say is not
//! looked at: this machine may be doing anything else meanwhile.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use serde_json::Value;
use std::process::{Command, Output};

#[test]
fn a_figure_has_median_spread_rounds_bar_and_detail() {
    let output = bench(&["--only", "P2", "--rounds", "1", "--seconds", "1", "--connections", "16", "--json"]);
    let figures = figures(&output);
    let names: Vec<&String> = figures.as_object().unwrap().keys().collect();
    assert_eq!(names, ["P2"]);
    let figure = &figures["P2"];
    assert_eq!(figure["unit"], "ratio");
    assert_eq!(figure["bar"]["at_least"], 0.8);
    // On a disk that somebody else keeps busy no round may be valid: then it says so, and ends with 4.
    let void = figure["void"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if void { 4 } else { 0 }), "{figures}");
    assert!(figure["discarded"].as_u64().unwrap() <= 2, "further rounds are bounded: {figures}");
    if void {
        assert_eq!((figure["rounds"].as_u64(), &figure["median"]), (Some(0), &Value::Null));
        return;
    }
    assert_eq!(figure["rounds"], 1);
    for field in ["median", "min", "max"] {
        assert!(figure[field].as_f64().unwrap() > 0.0, "{field} in {figures}");
    }
    assert!(figure["met"].is_boolean(), "{figures}");
    for detail in ["noop_per_s", "noop_server_us", "noop_client_us", "sold_out_per_s", "fdatasync_p50_us"] {
        assert!(figure["detail"][detail].as_f64().unwrap() > 0.0, "{detail} in {figures}");
    }
}

#[test]
fn recovery_is_measured_on_a_small_log_too() {
    let options =
        ["--only", "P12", "--rounds", "1", "--seconds", "1", "--events", "2000", "--connections", "16", "--json"];
    let output = bench(&options);
    let figures = figures(&output);
    let names: Vec<&String> = figures.as_object().unwrap().keys().collect();
    assert_eq!(names, ["P12", "P12_start"]);
    let void = figures["P12"]["void"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if void { 4 } else { 0 }), "{figures}");
    if !void {
        assert!(figures["P12"]["detail"]["events"].as_f64().unwrap() >= 2_000.0, "{figures}");
        assert!(figures["P12_start"]["median"].as_f64().unwrap() > 0.0, "{figures}");
    }
}

#[test]
fn wrong_usage_is_told_from_failure() {
    for wrong in
        [["--only", "P99"], ["--only", "P2,nothing"], ["--rounds", "0"], ["--seconds", "0"], ["--connections", "0"]]
    {
        let output = bench(&wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let said = bench(&["--only", "P99"]);
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("\"P99\"") && said.contains("P1_256"), "{said}");
}

fn bench(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stampede")).arg("bench").args(options).output().unwrap()
}

fn figures(output: &Output) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"))
}
