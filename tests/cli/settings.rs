//! Settings from file, environment and flags, and how they are explained.

use super::{Ended, Here, OK, USAGE};
use serde_json::Value;
use std::process::Command;

#[test]
fn a_later_source_wins_and_explain_says_which() {
    let here = Here::new();
    let holds = |command: &mut Command| -> Value {
        let ended = Ended::from(command.args(["config", "explain", "holds.ttl", "--json"]));
        serde_json::from_str::<Value>(&ended.says(OK)).unwrap()[0].clone()
    };
    let explained = holds(&mut here.command());
    assert_eq!((explained["value"].as_str(), explained["source"].as_str()), (Some("10m"), Some("default")));

    here.write("stampede.toml", "[holds]\nttl = \"5m\"\n");
    let explained = holds(&mut here.command());
    assert_eq!((explained["value"].as_str(), explained["source"].as_str()), (Some("5m"), Some("file stampede.toml")));

    let explained = holds(here.command().env("STAMPEDE_HOLDS_TTL", "4m"));
    assert_eq!(explained["source"], "environment STAMPEDE_HOLDS_TTL");

    let explained = here.run(&["config", "explain", "holds.ttl", "--holds-ttl", "3m"]).says(OK);
    assert!(explained.starts_with("holds.ttl = 3m\n    source   flag --holds-ttl\n    default  10m"), "{explained}");
    assert!(explained.contains("Effect: longer sells less, shorter loses carts."), "{explained}");
}

#[test]
fn every_setting_is_explained() {
    let here = Here::new();
    let all: Value = serde_json::from_str(&here.run(&["config", "explain", "--json"]).says(OK)).unwrap();
    assert!(all.as_array().unwrap().len() > 30);
    let group: Value = serde_json::from_str(&here.run(&["config", "explain", "log", "--json"]).says(OK)).unwrap();
    assert!(group.as_array().unwrap().iter().all(|one| one["name"].as_str().unwrap().starts_with("log.")));
    here.run(&["config", "explain", "holds.tl"]).fails(USAGE, "did you mean holds.ttl?");
}

#[test]
fn unknown_settings_are_errors_wherever_they_stand() {
    let here = Here::new();
    here.run(&["doctor", "--hold-ttl", "1m"]).fails(USAGE, "--hold-ttl");
    let variable = Ended::from(here.command().args(["doctor"]).env("STAMPEDE_HOLD_TTL", "1m"));
    variable.fails(USAGE, "environment STAMPEDE_HOLD_TTL: unknown setting hold-ttl; did you mean holds.ttl?");

    here.write("stampede.toml", "workers = 1\n\n[holds]\nlifetime = \"1m\"\n");
    here.run(&["doctor"]).fails(USAGE, "stampede.toml: unknown setting holds.lifetime");
    here.run(&["doctor", "--config", "missing.toml"]).fails(USAGE, "missing.toml: No such file");

    here.write("stampede.toml", "[holds\n");
    here.run(&["doctor"]).fails(USAGE, "stampede.toml: TOML parse error at line 1");
}

#[test]
fn values_that_cannot_be_or_contradict_are_errors() {
    let here = Here::new();
    here.run(&["doctor", "--workers", "many"]).fails(USAGE, "workers = \"many\" (flag --workers)");
    here.run(&["doctor", "--holds-ttl", "1h"]).fails(USAGE, "holds.ttl must not be longer than holds.max-total");
}
