#![allow(clippy::unwrap_used)] // a panic is how a test fails

use super::*;
use serde_json::{Value, json};

fn file() -> Value {
    serde_json::from_str(DEFAULT).unwrap()
}

fn error_of(file: &Value) -> Bad {
    Scenarios::parse(&file.to_string()).unwrap_err()
}

#[test]
fn the_file_of_this_release_is_right_and_runs_at_every_size() {
    let scenarios = Scenarios::parse(DEFAULT).unwrap();
    for name in scenarios.scenarios.keys() {
        for profile in scenarios.profiles.keys() {
            scenarios.plan(name, profile, 1.0).unwrap();
        }
    }
    for name in ["smoke", "baseline", "flash-spike", "single-unit", "hot-sku", "retry-storm", "breakpoint"] {
        assert!(scenarios.scenarios.contains_key(name), "{name}");
    }
}

#[test]
fn a_profile_changes_rates_and_durations_and_nothing_else() {
    let scenarios = Scenarios::parse(DEFAULT).unwrap();
    let spike = scenarios.plan("flash-spike", "ci", 2.0).unwrap();
    assert_eq!(spike.stock, scenarios.scenarios["flash-spike"].stock);
    let Arrivals::Rates { start_rate, stages } = spike.arrivals else { panic!("a spike has rates") };
    assert_eq!(start_rate, 4.0);
    let seconds: Vec<f64> = stages.iter().map(|stage| stage.seconds).collect();
    assert_eq!((seconds, stages[0].rate), (vec![1.0, 6.0, 1.0, 3.0], 200.0), "no stage is shorter than a second");
    assert_eq!((spike.slo.recovered_within_s, spike.baseline_p99_ms), (Some(1.0), Some(50.0)));
    assert_eq!(scenarios.plan("smoke", "bench", 9.0).unwrap().arrivals, Arrivals::Iterations(5));
}

#[test]
fn what_is_not_there_is_told_with_what_there_is() {
    let scenarios = Scenarios::parse(DEFAULT).unwrap();
    assert!(scenarios.plan("rush", "ci", 1.0).unwrap_err().contains("flash-spike"));
    assert!(scenarios.plan("smoke", "huge", 1.0).unwrap_err().contains("laptop"));
    assert!(scenarios.plan("breakpoint", "bench", 100.0).unwrap_err().contains("at this size"));
}

#[test]
fn a_wrong_file_is_told_with_the_place() {
    let cases = [
        ("/version", json!(2), "/version"),
        ("/profiles/ci/rate", json!(0), "/profiles/ci/rate"),
        ("/scenarios/smoke/about", json!(7), "/scenarios/smoke/about"),
        ("/scenarios/smoke/stock/skus", json!(0), "/scenarios/smoke/stock/skus"),
        ("/scenarios/smoke/stock/skus", json!(1.5), "/scenarios/smoke/stock/skus"),
        ("/scenarios/smoke/stock/zipf", json!(-1), "/scenarios/smoke/stock/zipf"),
        ("/scenarios/smoke/arrivals", json!({ "kind": "constant", "rate": 1 }), "/scenarios/smoke/arrivals"),
        ("/scenarios/smoke/arrivals", json!({ "kind": "iterations", "count": 0 }), "/scenarios/smoke/arrivals/count"),
        ("/scenarios/smoke/arrivals/kind", json!("steps"), "/scenarios/smoke/arrivals/kind"),
        ("/scenarios/flash-spike/arrivals/stages", json!([]), "/scenarios/flash-spike/arrivals/stages"),
        (
            "/scenarios/flash-spike/arrivals/stages/1/rate",
            json!("many"),
            "/scenarios/flash-spike/arrivals/stages/1/rate",
        ),
        (
            "/scenarios/flash-spike/arrivals/stages/1/seconds",
            json!(0),
            "/scenarios/flash-spike/arrivals/stages/1/seconds",
        ),
        ("/scenarios/smoke/buyer", json!({ "express": 0, "cart": 0, "hold": 0 }), "/scenarios/smoke/buyer"),
        ("/scenarios/smoke/repeat/same", json!(0), "/scenarios/smoke/repeat/same"),
        ("/scenarios/smoke/repeat/other_body", json!(1.01), "/scenarios/smoke/repeat/other_body"),
        ("/scenarios/smoke/slo/accepted_p99_ms", json!(-5), "/scenarios/smoke/slo/accepted_p99_ms"),
        ("/scenarios/smoke/expect/sold", json!("most"), "/scenarios/smoke/expect/sold"),
        ("/scenarios/smoke/invariants", json!([]), "/scenarios/smoke/invariants"),
        ("/scenarios/hot-sku/slo/cold_p99_times", json!(0.5), "/scenarios/hot-sku/slo/cold_p99_times"),
        ("/scenarios/hot-sku/stock/zipf", json!(0), "/scenarios/hot-sku/slo/cold_p99_times"),
        ("/scenarios/flash-spike/slo/recovered_within_s", json!(31), "/scenarios/flash-spike/slo/recovered_within_s"),
        ("/scenarios/baseline/slo/accepted_p99_ms", json!(null), "/scenarios/flash-spike/slo/recovered_within_s"),
        ("/scenarios/smoke/invariants/1", json!("oversell"), "/scenarios/smoke/invariants/1"),
        ("/scenarios/smoke/invariants/1", json!("luck"), "/scenarios/smoke/invariants/1"),
    ];
    for (place, value, pointer) in cases {
        let mut file = file();
        *file.pointer_mut(place).unwrap() = value.clone();
        let bad = error_of(&file);
        assert_eq!(bad.pointer, pointer, "{place} = {value}: {bad}");
    }
}

#[test]
fn fields_that_are_unknown_or_missing_are_errors() {
    for object in ["", "/profiles/ci", "/scenarios/smoke", "/scenarios/smoke/stock", "/scenarios/smoke/arrivals"] {
        let mut file = file();
        file.pointer_mut(object).unwrap()["colour"] = json!("red");
        let bad = error_of(&file);
        assert!(bad.pointer.starts_with(object) && bad.message.contains("colour"), "{object}: {bad}");
    }
    for (object, field) in [("/scenarios/smoke", "drain"), ("/scenarios/smoke/repeat", "same"), ("", "profiles")] {
        let mut file = file();
        file.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(field);
        let bad = error_of(&file);
        assert!(bad.pointer == object && bad.message.contains(field), "{object}: {bad}");
    }
    let mut renamed = file();
    let smoke = renamed["scenarios"]["smoke"].clone();
    renamed["scenarios"]["../etc"] = smoke;
    assert!(error_of(&renamed).message.contains("1 to 64"), "it would become a directory");
}

#[test]
fn what_is_no_json_is_told() {
    for text in ["", "{", "[]", "{} {}", "\u{feff}{}"] {
        assert!(Scenarios::parse(text).is_err(), "{text:?}");
    }
    assert!(Scenarios::parse(&format!("{DEFAULT} x")).is_err(), "something after the end");
}

#[test]
fn units_are_divided_evenly_and_the_first_get_the_rest() {
    let stock = StockPlan { skus: 3, units: 11, zipf: 0.0 };
    assert_eq!([0, 1, 2].map(|index| stock.units_of(index)), [4, 4, 3]);
}
