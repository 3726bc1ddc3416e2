//! The load generator through the real program: it runs scenarios on a server of its own, judges them, writes its
//! reports, and says by its exit code how it went.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use stampede::load::metrics::catalogue::{ALL as CATALOGUE, OUTCOMES as ENDS};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn smoke_passes_and_leaves_its_reports() {
    let here = tempfile::tempdir().unwrap();
    let (code, out, err) = load(&here, &["smoke", "--profile", "ci"]);
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(out.ends_with("PASS\n"), "{out}");

    let dir = here.path().join("load-report-smoke");
    let summary = summary(&dir);
    let expected = [("verdict", json!("PASS")), ("arrivals", json!(5)), ("accepted", json!(5)), ("sold", json!(5))];
    for (field, value) in expected {
        assert_eq!(summary[field], value, "{field} in {summary}");
    }
    for invariant in ["oversell", "lost_order", "idempotent_replay", "polite_refusal", "evaluated"] {
        let seen = &summary["invariants"][invariant];
        assert!(seen["evaluated"].as_u64().unwrap() >= 2 && seen["violated"] == 0, "{invariant}: {seen}");
    }
    // Two at once, one with another body, one more at the end, for each of five.
    assert!(summary["invariants"]["idempotent_replay"]["evaluated"].as_u64().unwrap() >= 15, "{summary}");
    let junit = std::fs::read_to_string(dir.join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"0\" errors=\"0\"") && junit.contains("name=\"lost_order\""), "{junit}");
    let report = std::fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(report.contains("<p class=\"badge pass\">PASS</p>") && report.contains("<svg"), "{report}");
}

#[test]
fn one_unit_goes_to_exactly_one_of_many() {
    let here = tempfile::tempdir().unwrap();
    let file = scenario(&here, 1, json!({ "kind": "constant", "rate": 60, "seconds": 1 }), "all");
    let (code, out, err) = load(&here, &["short", "--scenarios", &file, "--out", "report", "--json", "--seed", "7"]);
    assert_eq!(code, 0, "{out}\n{err}");
    let summary = summary(&here.path().join("report"));
    assert_eq!(serde_json::from_str::<Value>(out.lines().last().unwrap()).unwrap(), summary, "one and the same");
    assert_eq!((&summary["sold"], &summary["units"], &summary["seed"]), (&json!(1), &json!(1), &json!(7)));
    assert_eq!(summary["accepted"].as_u64().unwrap() + summary["accepted_later"].as_u64().unwrap(), 1, "{summary}");
    assert_eq!(summary["refused"]["sold_out"].as_u64().unwrap(), 59, "{summary}");
}

#[test]
fn a_generator_that_cannot_keep_up_makes_the_run_void() {
    let here = tempfile::tempdir().unwrap();
    let file = scenario(&here, 5_000, json!({ "kind": "constant", "rate": 3_000, "seconds": 1 }), "any");
    let narrow = ["short", "--scenarios", &file, "--connections", "1", "--in-flight", "1", "--out", "report"];
    let (code, out, err) = load(&here, &narrow);
    assert_eq!(code, 4, "{out}\n{err}");
    assert!(out.ends_with("VOID\n"), "{out}");
    let summary = summary(&here.path().join("report"));
    assert_eq!(summary["verdict"], "VOID");
    assert!(summary["dropped_arrivals"].as_u64().unwrap() > 0, "{summary}");
    assert!(summary["invariants"].as_object().unwrap().values().all(|seen| seen["violated"] == 0), "{summary}");
    let junit = std::fs::read_to_string(here.path().join("report/junit.xml")).unwrap();
    assert!(junit.contains("errors=\"1\"") && junit.contains("were dropped"), "{junit}");
}

/// Asked again and again while a real run goes on, as Prometheus does.
#[test]
fn a_run_can_be_watched() {
    let here = tempfile::tempdir().unwrap();
    let file = scenario(&here, 20, json!({ "kind": "constant", "rate": 40, "seconds": 3 }), "all");
    let mut command = command(&here, &["short", "--scenarios", &file, "--metrics", "127.0.0.1:0", "--out", "report"]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(run.stderr.take().unwrap()).lines();
    let said = words.find_map(|line| line.unwrap().strip_prefix("metrics on http://").map(str::to_owned)).unwrap();
    let at: SocketAddr = said.strip_suffix("/metrics").unwrap().parse().unwrap();
    // Whoever reads no more would hold the run up.
    let rest = std::thread::spawn(move || words.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
    let mut seen: Vec<String> = Vec::new();
    while run.try_wait().unwrap().is_none() {
        seen.extend(scrape(at));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(run.wait().unwrap().code(), Some(0), "{}", rest.join().unwrap());
    let summary = summary(&here.path().join("report"));
    let (first, last) = (seen.first().unwrap(), seen.last().unwrap());

    let value = |text: &str, series: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
        let value = line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("{series}: {text}"))
    };
    for metric in CATALOGUE {
        assert!(last.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.word())), "{}", metric.name);
    }
    assert!(last.contains(r#"stampede_load_info{scenario="short",profile="laptop",version=""#), "{last}");
    assert_eq!(value(first, "stampede_load_planned_arrivals"), 120.0);
    let target = |text: &String| value(text, "stampede_load_target_arrivals_per_second");
    assert!(seen.iter().any(|text| target(text) == 40.0), "it was seen while it went on");
    for text in &seen {
        let [due, started, dropped, buyers, cpu] = [
            "due_arrivals_total",
            "arrivals_total",
            "dropped_arrivals_total",
            "buyers_in_flight",
            "cpu_milliseconds_total",
        ]
        .map(|name| value(text, &format!("stampede_load_{name}")));
        assert!(due <= 120.0 && started <= 120.0 && dropped == 0.0 && cpu >= 0.0, "{text}");
        let ended: f64 =
            ENDS.iter().map(|end| value(text, &format!("stampede_load_answers_total{{outcome=\"{end}\"}}"))).sum();
        // Others go on counting while it is written down.
        assert!(ended <= 120.0 && buyers <= 120.0, "{text}");
        for (series, count) in
            [("answer_duration_seconds_count{answer=\"refused\"}", 120.0), ("lateness_seconds_count{}", 120.0)]
        {
            assert!(value(text, &format!("stampede_load_{series}")) <= count, "{text}");
        }
    }
    let growing = |name: &str| {
        let values: Vec<f64> = seen.iter().map(|text| value(text, name)).collect();
        assert!(values.is_sorted() && values.last() > Some(&0.0), "{name}: {values:?}");
        *values.last().unwrap()
    };
    assert!(growing("stampede_load_arrivals_total") <= summary["arrivals"].as_f64().unwrap());
    growing("stampede_load_due_arrivals_total");
    assert!(growing("stampede_load_answers_total{outcome=\"accepted\"}") <= summary["accepted"].as_f64().unwrap());
    assert!(
        growing("stampede_load_answers_total{outcome=\"sold_out\"}")
            <= summary["refused"]["sold_out"].as_f64().unwrap()
    );
    growing("stampede_load_answer_duration_seconds_count{answer=\"accepted\"}");
    growing("stampede_load_lateness_seconds_count{}");
}

#[test]
fn an_address_for_metrics_that_is_taken_stops_the_run_before_it_begins() {
    let here = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let (code, out, err) = load(&here, &["smoke", "--metrics", &at]);
    assert!(code == 1 && err.contains("--metrics: cannot listen on"), "{code} {out} {err}");
    let (code, out, err) = load(&here, &["smoke", "--metrics", "localhost"]);
    assert!(code == 2 && err.contains("--metrics"), "{code} {out} {err}");
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn what_is_expected_and_does_not_come_fails() {
    let here = tempfile::tempdir().unwrap();
    let file = scenario(&here, 100, json!({ "kind": "constant", "rate": 20, "seconds": 1 }), "all");
    let (code, out, err) = load(&here, &["short", "--scenarios", &file, "--out", "report"]);
    assert_eq!(code, 1, "{out}\n{err}");
    assert!(out.contains("sold_all: 20 of 100 units") && out.ends_with("FAIL\n"), "{out}");
}

#[test]
fn other_machines_are_refused() {
    let here = tempfile::tempdir().unwrap();
    for url in ["http://192.0.2.1:8080", "http://[2001:db8::1]:8080", "http://0.0.0.0:8080"] {
        let (code, out, err) = load(&here, &["smoke", "--url", url, "--key", "sk_test_demo"]);
        assert!(code == 2 && err.contains("is not on this machine"), "{url}: {code} {out} {err}");
    }
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn wrong_usage_is_told_from_a_server_that_is_not_there() {
    let here = tempfile::tempdir().unwrap();
    let good = scenario(&here, 1, json!({ "kind": "iterations", "count": 1 }), "any");
    let bad = scenario_file(&here, "bad.json", 1, json!({ "kind": "constant", "rate": "fast" }), "any");
    let wrong: [(&[&str], &str); 6] = [
        (&["rush"], "flash-spike"),
        (&["smoke", "--profile", "huge"], "laptop"),
        (&["short", "--scenarios", &bad], "bad.json: /scenarios/short/arrivals/rate"),
        (&["short", "--scenarios", "nowhere.json"], "nowhere.json"),
        (&["smoke", "--rate-factor", "0"], "0.000001"),
        (&[], "SCENARIO"),
    ];
    for (arguments, says) in wrong {
        let (code, out, err) = load(&here, arguments);
        assert!(code == 2 && err.contains(says), "{arguments:?}: {code} {out} {err}");
    }
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) =
        load(&here, &["short", "--scenarios", &good, "--url", &format!("http://{free}"), "--key", "sk_none"]);
    assert!(code == 3 && err.contains("not ready"), "{code} {err}");
}

#[test]
fn the_list_names_every_scenario_with_what_it_is_for() {
    let (code, out, err) = load(&tempfile::tempdir().unwrap(), &["--list"]);
    assert_eq!(code, 0, "{err}");
    let file: Value = serde_json::from_str(include_str!("../load-tests/scenarios.json")).unwrap();
    for (name, scenario) in file["scenarios"].as_object().unwrap() {
        let line = out.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.ends_with(scenario["about"].as_str().unwrap()), "{line}");
    }
}

/// Runs the generator in this directory, without settings from outside: exit code, standard output and error.
fn load(here: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = command(here, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("ended by itself"), text(output.stdout), text(output.stderr))
}

fn command(here: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
    command.arg("load").args(arguments).current_dir(here.path()).env_remove("STAMPEDE_KEY");
    // A server whose run failed leaves its files there.
    command.env("TMPDIR", here.path());
    command
}

/// What is exported now; nothing while nobody listens any more.
fn scrape(at: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: load\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    // One that was cut off when the run ended is none.
    (head.starts_with("HTTP/1.1 200 OK\r\n") && length == Some(body.len())).then(|| body.to_owned())
}

fn summary(dir: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir.join("summary.json")).unwrap()).unwrap()
}

/// A file with one scenario, `short`, that judges no latency.
fn scenario(here: &TempDir, units: u32, arrivals: Value, sold: &str) -> String {
    scenario_file(here, "short.json", units, arrivals, sold)
}

fn scenario_file(here: &TempDir, name: &str, units: u32, arrivals: Value, sold: &str) -> String {
    let file = json!({
        "version": 1,
        "profiles": { "laptop": { "rate": 1, "time": 1 } },
        "scenarios": { "short": {
            "about": "Short.",
            "stock": { "skus": 1, "units": units, "zipf": 0 },
            "arrivals": arrivals,
            "buyer": { "express": 1, "cart": 0, "hold": 0 },
            "repeat": { "same": 1, "other_body": 0 },
            "drain": true,
            "slo": {},
            "expect": { "sold": sold },
            "invariants": ["oversell", "undersell", "conservation", "double_charge", "lost_order", "evaluated"],
        } },
    });
    std::fs::write(here.path().join(name), file.to_string()).unwrap();
    name.to_owned()
}
