//! The catalogue against itself, its page, and what is rendered.

#![allow(clippy::unwrap_used)] // a failed step fails the test

use super::catalogue::{ALL, Kind, Values};
use super::*;
use std::collections::BTreeSet;

#[test]
fn names_say_what_they_count() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        assert!(seen.insert(metric.name), "{} twice", metric.name);
        assert!(metric.name.starts_with("stampede_"), "{}", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.help.is_empty() && !metric.help.contains('|'), "{}", metric.name);
        for forbidden in ["sku", "order", "customer", "buyer", "cart", "ip", "path"] {
            assert!(metric.labels.iter().all(|label| label.key != forbidden), "{}: {forbidden}", metric.name);
        }
    }
}

#[test]
fn the_page_is_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), markdown(), "run with UPDATE_DOCS=1 to write docs/metrics.md");
}

#[test]
fn what_is_rendered_is_in_the_catalogue_with_its_type_and_help() {
    let _begun = InFlight::of(Route::PlaceOrder);
    answered(Route::PlaceOrder, 201, Duration::from_millis(3));
    let text = render();
    for line in text.lines().filter(|line| line.starts_with("# ")) {
        let mut words = line.splitn(4, ' ').skip(1);
        let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let metric = ALL.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name} is not known"));
        match what {
            "TYPE" => assert_eq!(rest, metric.kind.word(), "{name}"),
            _ => assert_eq!(rest, metric.help, "{name}"),
        }
    }
    assert!(
        text.contains(
            "stampede_http_request_duration_seconds_bucket{route=\"/v1/orders\",method=\"POST\",le=\"0.005\"}"
        )
    );
}

#[test]
fn known_series_start_at_zero() {
    let text = render();
    for shed in Shed::WORDS {
        let series = format!("stampede_http_requests_shed_total{{reason=\"{shed}\"}} 0");
        assert!(text.contains(&series), "{series}");
    }
    assert!(text.contains("stampede_oversold_units_total 0"));
    for stage in Stage::WORDS {
        assert!(text.contains(&format!("stampede_checkout_duration_seconds_count{{stage=\"{stage}\"}} ")), "{stage}");
    }
}

#[test]
fn open_metrics_names_families_without_total() {
    let text = open_metrics();
    assert!(text.contains("# TYPE stampede_http_requests counter\n"), "{text}");
    assert!(text.contains("stampede_http_requests_total{route="));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_label_without_end_is_cut_off() {
    let codes: Vec<String> = (0..catalogue::MAX_CURRENCIES + 8).map(|n| format!("C{n:02}")).collect();
    get().revenue(codes.iter().map(|code| (code.as_str(), 1)));
    let text = render();
    let series = text.lines().filter(|line| line.starts_with("stampede_revenue_minor_units_total{"));
    assert!(series.count() <= catalogue::MAX_CURRENCIES + 2, "one more for EUR, which is there from the start");
    assert!(text.contains("stampede_revenue_minor_units_total{currency=\"_other\"} 8"), "{text}");
    let folded = "stampede_metrics_overflow_total{metric=\"stampede_revenue_minor_units_total\"} 8";
    assert!(text.contains(folded), "{text}");
}

#[test]
fn words_of_others_are_theirs() {
    let operations = crate::store::Operation::ALL.map(crate::store::Operation::word);
    assert_eq!(operations, catalogue::STORE_OPERATIONS[..operations.len()]);
    let known = |word: &&str| catalogue::STORE_OPERATIONS.contains(word);
    assert!(crate::cache::Operation::ALL.map(crate::cache::Operation::word).iter().all(known));
    assert_eq!(crate::cache::Outcome::ALL.map(crate::cache::Outcome::word), catalogue::STORE_OUTCOMES);
    assert_eq!(crate::cache::Found::ALL.map(crate::cache::Found::word), catalogue::READ_OUTCOMES);
    assert_eq!(crate::cache::State::ALL.map(crate::cache::State::word), catalogue::CIRCUIT_STATES);
    assert_eq!(crate::limits::Policy::ALL.map(crate::limits::Policy::word), catalogue::POLICIES);
    assert_eq!(stampede_actors::shell::stats::KINDS, catalogue::ACTORS);
}

#[test]
fn closed_sets_are_closed() {
    let words = ALL.iter().flat_map(|metric| metric.labels).filter_map(|label| match label.values {
        Values::Of(words) => Some(words),
        _ => None,
    });
    for words in words {
        let unique: BTreeSet<_> = words.iter().collect();
        assert_eq!(unique.len(), words.len(), "{words:?}");
        assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')), "{words:?}");
    }
}
