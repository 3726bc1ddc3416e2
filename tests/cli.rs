//! The command line, as its callers meet it: the real program, its words and its exit codes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const OK: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;

#[test]
fn the_version_names_commit_and_licence() {
    let here = Here::new();
    let version = here.run(&["--version"]).says(OK);
    let expected = format!("stampede {} (commit ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&expected) && version.ends_with(", Apache-2.0)\n"), "{version}");
}

#[test]
fn wrong_usage_ends_with_2_and_a_word_on_standard_error() {
    let here = Here::new();
    for arguments in [&["--bogus"][..], &["bogus"], &[], &["import"], &["doctor", "--holds-ttl"]] {
        let ended = here.run(arguments);
        assert_eq!(ended.code, USAGE, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty());
    }
}

#[test]
fn help_is_no_error() {
    let here = Here::new();
    let help = here.run(&["--help"]).says(OK);
    assert!(help.contains("Exit codes: 0 ok, 1 failed, 2 usage"), "{help}");
}

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

#[test]
fn completions_name_the_commands() {
    let here = Here::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(here.run(&["completions", shell]).says(OK).contains("doctor"), "{shell}");
    }
    assert_eq!(here.run(&["completions", "tcsh"]).code, USAGE);
}

#[test]
fn the_doctor_answers_in_json_and_by_exit_code() {
    let here = Here::new();
    let free = ["--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--log-segment-bytes", "1MiB"];
    let healthy = here.run(&[&["doctor", "--json"], &free[..]].concat());
    let report: Value = serde_json::from_str(&healthy.stdout).unwrap();
    let names: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let expected = ["api port", "operations port", "file limit", "clock", "memory", "data directory", "file system"];
    assert_eq!(names[..7], expected);
    assert!(names.contains(&"disk sync") && names.contains(&"direct writes"), "{names:?}");
    assert_eq!(healthy.code, if report["ok"] == true { OK } else { FAILED });

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ill = here.run(&["doctor", "--api-bind", &address]);
    assert_eq!(ill.code, FAILED);
    assert!(ill.stdout.contains(&format!("RED   api port        {address} is in use")), "{}", ill.stdout);
    assert!(ill.stdout.contains("stampede serve --api-bind 127.0.0.1:"), "a line to paste");
    assert!(!ill.stdout.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn the_doctor_leaves_nothing_behind() {
    let here = Here::new();
    here.run(&["doctor"]);
    assert_eq!(std::fs::read_dir(here.dir()).unwrap().count(), 0);
}

#[test]
fn an_import_names_every_wrong_line_and_writes_nothing() {
    let here = Here::new();
    let header = "sku,seller,location,units,price,currency\n";
    here.write("stock.csv", &format!("{header}tee,acme,berlin,ten,19.99,EUR\nmug,acme,berlin,1,7.999,EUR\n"));
    let ended = here.run(&["import", "stock.csv", "--server", "http://127.0.0.1:1", "--key", "sk_x"]);
    assert_eq!(ended.code, FAILED);
    for says in [
        "stock.csv: 2 errors in the file; nothing was imported",
        "line 2: units \"ten\": expected a whole number from 0 to 1000000000",
        "line 3: price \"7.999\": an amount in EUR is written with at most 2 decimals",
    ] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    here.run(&["import", "none.csv", "--check"]).fails(FAILED, "none.csv: No such file");
}

#[test]
fn an_import_can_be_checked_without_a_server() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\ntee,acme,berlin,10,19.99,EUR\n");
    let ended = here.run(&["import", "stock.csv", "--check"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (OK, "1 rows of 1 SKUs are right; nothing was imported\n"));
}

#[test]
fn an_import_needs_to_know_where_to() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\ntee,acme,berlin,10,19.99,EUR\n");
    here.run(&["import", "stock.csv"]).fails(USAGE, "--server");
    let https = here.run(&["import", "stock.csv", "--server", "https://127.0.0.1", "--key", "sk_x"]);
    https.fails(USAGE, "https is not spoken here");
}

/// A directory of its own, and the program in it.
struct Here(TempDir);

impl Here {
    fn new() -> Here {
        Here(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir().join(name), text).unwrap();
    }

    /// The program, with no settings from outside.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
        command.current_dir(self.dir());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STAMPEDE_") {
                command.env_remove(name);
            }
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command().args(arguments))
    }
}

/// How the program ended, and what it said.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn from(command: &mut Command) -> Ended {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: status.code().expect("ended by itself"), stdout: text(stdout), stderr: text(stderr) }
    }

    #[track_caller]
    fn says(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    #[track_caller]
    fn fails(self, code: i32, says: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(says), "{}", self.stderr);
    }
}
