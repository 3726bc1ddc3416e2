#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::layers::{flag_name, variable_name};
use super::*;
use std::collections::BTreeSet;
use std::path::Path;

fn file(text: &str) -> Result<Config, Vec<String>> {
    let (mut layers, mut wrong) = (Layers::default(), Vec::new());
    layers.add_file(Path::new("stampede.toml"), text, &mut wrong);
    if wrong.is_empty() { Config::from_layers(&layers).map_err(|error| error.0) } else { Err(wrong) }
}

fn environment(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let (mut layers, mut wrong) = (Layers::default(), Vec::new());
    layers.add_environment(variables.iter().map(|(k, v)| (k.to_string(), v.into())), &mut wrong);
    if wrong.is_empty() { Config::from_layers(&layers).map_err(|error| error.0) } else { Err(wrong) }
}

#[test]
fn every_default_can_be_read_and_contradicts_nothing() {
    assert_eq!(Config::from_layers(&Layers::default()).unwrap(), Config::default());
    assert_eq!(Config::default().holds.ttl, Duration::from_secs(600));
}

#[test]
fn names_are_unique_in_file_environment_and_flags() {
    let count = catalogue().count();
    assert_eq!(catalogue().map(|s| s.name).collect::<BTreeSet<_>>().len(), count);
    assert_eq!(catalogue().map(|s| variable_name(s.name)).collect::<BTreeSet<_>>().len(), count);
    assert_eq!(catalogue().map(|s| flag_name(s.name)).collect::<BTreeSet<_>>().len(), count);
}

#[test]
fn every_setting_says_what_it_does() {
    for setting in catalogue() {
        let doc = setting.doc.join("\n");
        assert!(doc.contains("Effect:") || doc.contains("Errors:"), "{} says no effect", setting.name);
    }
}

#[test]
fn a_file_sets_values_of_every_kind() {
    let config = file("workers = 3\nmeasure = true\n[holds]\nttl = \"90s\"\n[log]\nframe-bytes = \"64KiB\"\n").unwrap();
    assert_eq!((config.workers, config.measure), (3, true));
    assert_eq!(config.holds.ttl, Duration::from_secs(90));
    assert_eq!(config.log.frame_bytes, Bytes(65536));
}

#[test]
fn unknown_names_are_errors_that_name_the_nearest() {
    assert_eq!(
        file("[holds]\nttl = \"1m\"\ntime-to-live = \"1m\"\n").unwrap_err(),
        ["stampede.toml: unknown setting holds.time-to-live; `stampede config explain` lists all"]
    );
    assert_eq!(
        environment(&[("STAMPEDE_HOLDS_TTLS", "1m")]).unwrap_err(),
        ["environment STAMPEDE_HOLDS_TTLS: unknown setting holds-ttls; did you mean holds.ttl?"]
    );
}

#[test]
fn the_environment_is_read_and_what_kubernetes_adds_is_left_alone() {
    let config =
        environment(&[("STAMPEDE_HOLDS_TTL", "2m"), ("STAMPEDE_PORT_8080_TCP", "tcp://10.0.0.1:8080")]).unwrap();
    assert_eq!(config.holds.ttl, Duration::from_secs(120));
}

#[test]
fn wrong_values_are_reported_together_with_their_source() {
    let wrong = environment(&[("STAMPEDE_WORKERS", "many"), ("STAMPEDE_HOLDS_TTL", "soon")]).unwrap_err();
    assert_eq!(wrong[0], "workers = \"many\" (environment STAMPEDE_WORKERS): expected a whole number");
    assert!(wrong[1].starts_with("holds.ttl = \"soon\" (environment STAMPEDE_HOLDS_TTL): expected a duration"));
}

#[test]
fn contradictions_are_errors() {
    assert_eq!(file("[holds]\nttl = \"40m\"\n").unwrap_err(), ["holds.ttl must not be longer than holds.max-total"]);
    assert_eq!(file("shards = 0").unwrap_err(), ["shards must be 1 to 4096"]);
    let late = file("[log]\nsync-delay = \"11s\"\n").unwrap_err();
    assert_eq!(late, ["log.sync-delay must not be longer than 10s"]);
}

#[test]
fn bytes_are_written_as_they_are_read() {
    for (text, bytes) in [("65537", 65537), ("64KiB", 65536), ("64MiB", 64 << 20), ("2GiB", 2 << 30)] {
        let read = <Bytes as value::Value>::parse(text).unwrap();
        assert_eq!((read, read.to_string()), (Bytes(bytes), text.to_string()));
    }
    // The unit may be named.
    for (text, bytes) in [("512B", 512), ("0B", 0)] {
        assert_eq!(<Bytes as value::Value>::parse(text), Ok(Bytes(bytes)));
    }
}
