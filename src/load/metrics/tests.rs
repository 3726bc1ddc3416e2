//! The table against its page and against what is rendered; what is counted where.

#![allow(clippy::unwrap_used)] // a failed step fails the test

use super::*;
use crate::load::scenario::Stage;
use crate::metrics::catalogue::Values;
use std::collections::BTreeSet;

fn metrics() -> Metrics {
    let arrivals = Arrivals::Rates { start_rate: 10.0, stages: vec![Stage { seconds: 10.0, rate: 10.0 }] };
    Metrics::new("rush \"hour\"", "ci", &arrivals)
}

#[test]
fn the_page_is_the_load_generators_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/load-metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        markdown(),
        "run with UPDATE_DOCS=1 to write docs/load-metrics.md"
    );
}

#[test]
fn names_say_what_they_count_and_none_is_the_servers() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        assert!(seen.insert(metric.name), "{} twice", metric.name);
        assert!(metric.name.starts_with("stampede_load_"), "{}", metric.name);
        assert_eq!(metric.kind == Of::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.help.is_empty() && !metric.help.contains('|'), "{}", metric.name);
    }
    let servers = crate::metrics::catalogue::ALL;
    assert!(servers.iter().all(|metric| !metric.name.starts_with("stampede_load_")));
}

#[test]
fn what_is_rendered_is_the_table() {
    let text = metrics().render();
    let mut said = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let (name, kind) = line["# TYPE ".len()..].split_once(' ').unwrap();
        said.insert((name.to_owned(), kind.to_owned()));
    }
    let known: BTreeSet<_> = ALL.iter().map(|m| (m.name.to_owned(), m.kind.word().to_owned())).collect();
    assert_eq!(said, known, "{text}");
    for metric in ALL {
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}: {text}", metric.name);
        for label in metric.labels {
            let Values::Of(words) = label.values else { continue };
            for word in words {
                assert!(text.contains(&format!("{}=\"{word}\"", label.key)), "{}: {word}", metric.name);
            }
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let info = format!(r#"stampede_load_info{{scenario="rush \"hour\"",profile="ci",version="{version}"}} 1"#);
    assert!(text.contains(&info), "{text}");
}

#[test]
fn every_end_is_counted_once_and_the_sets_are_closed() {
    let metrics = metrics();
    let ends = [
        (End::Bought, "accepted"),
        (End::Refused("sold_out".into()), "sold_out"),
        (End::Refused("contended".into()), "contended"),
        (End::Refused("buyer_limit".into()), "buyer_limit"),
        (End::Refused("rate_limited".into()), "rate_limited"),
        (End::Refused("overloaded".into()), "unavailable"),
        (End::Refused("a code of tomorrow".into()), "refused"),
        (End::Failed("nothing came".into()), "failed"),
    ];
    for (end, _) in &ends {
        metrics.started();
        metrics.ended(end);
    }
    let text = metrics.render();
    assert_eq!(ends.iter().map(|(_, word)| *word).collect::<Vec<_>>(), OUTCOMES);
    for (_, word) in &ends {
        let line = format!("stampede_load_answers_total{{outcome=\"{word}\"}} 1\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    for line in ["stampede_load_arrivals_total 8\n", "stampede_load_buyers_in_flight 0\n"] {
        assert!(text.contains(line), "{line}{text}");
    }
    let series = text.lines().filter(|line| line.starts_with("stampede_load_answers_total{")).count();
    assert_eq!(series, OUTCOMES.len());
}

/// Each of the codes that the server gives with 503 counts as `unavailable`.
#[test]
fn the_servers_refusals_of_503_are_known() {
    let page = include_str!("../../../docs/problems.md");
    let codes = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let code = cells.next()?.trim().trim_end_matches('`');
        (cells.next()?.trim() == "503").then_some(code)
    });
    let codes: Vec<_> = codes.collect();
    assert!(codes.len() >= 6, "{codes:?}");
    for code in codes {
        assert_eq!(outcome(code), "unavailable", "{code}");
    }
}

#[test]
fn latency_lateness_and_requests_are_told() {
    let metrics = metrics();
    metrics.answered(Kind::Accepted, Duration::from_millis(30));
    metrics.answered(Kind::Refused, Duration::from_secs(20));
    metrics.came(Duration::from_micros(700));
    metrics.dropped();
    let under_way = metrics.request();
    let text = metrics.render();
    for line in [
        r#"stampede_load_answer_duration_seconds_bucket{answer="accepted",le="0.025"} 0"#,
        r#"stampede_load_answer_duration_seconds_bucket{answer="accepted",le="0.05"} 1"#,
        r#"stampede_load_answer_duration_seconds_bucket{answer="refused",le="10"} 0"#,
        r#"stampede_load_answer_duration_seconds_bucket{answer="refused",le="+Inf"} 1"#,
        r#"stampede_load_lateness_seconds_bucket{le="0.0005"} 0"#,
        r#"stampede_load_lateness_seconds_bucket{le="0.001"} 1"#,
        "stampede_load_lateness_seconds_sum{} 0.0007",
        "stampede_load_dropped_arrivals_total 1",
        "stampede_load_requests_in_flight 1",
        "stampede_load_planned_arrivals 100",
        "stampede_load_due_arrivals_total 0",
        "stampede_load_target_arrivals_per_second 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    drop(under_way);
    assert!(metrics.render().contains("stampede_load_requests_in_flight 0\n"));
}

#[test]
fn what_is_due_follows_from_the_clock() {
    let metrics = metrics();
    metrics.begin(Instant::now() - Duration::from_secs(3600));
    let text = metrics.render();
    assert!(text.contains("stampede_load_due_arrivals_total 100\n"), "{text}");
    assert!(text.contains("stampede_load_target_arrivals_per_second 0\n"), "it is over: {text}");
    let one_by_one = Metrics::new("smoke", "ci", &Arrivals::Iterations(5));
    one_by_one.begin(Instant::now());
    one_by_one.started();
    let text = one_by_one.render();
    assert!(text.contains("stampede_load_due_arrivals_total 1\n"), "{text}");
    assert!(text.contains("stampede_load_planned_arrivals 5\n"), "{text}");
}
