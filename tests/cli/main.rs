//! The command line, as its callers meet it: the real program, its words and its exit codes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod backups;
mod doctor;
mod exports;
mod imports;
mod loads;
mod servers;
mod settings;
mod upgrades;

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const OK: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NOT_READY: i32 = 3;
const VIOLATED: i32 = 99;

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
fn completions_name_the_commands() {
    let here = Here::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(here.run(&["completions", shell]).says(OK).contains("doctor"), "{shell}");
    }
    assert_eq!(here.run(&["completions", "tcsh"]).code, USAGE);
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

    /// Writes a stock file of so many rows, each of a SKU of its own, and answers how many units are in it.
    fn write_stock(&self, name: &str, rows: u64) -> u64 {
        let mut text = String::from("sku,seller,location,units,price,currency\n");
        for row in 0..rows {
            writeln!(text, "sku-{row},seller-{},berlin,{},19.99,EUR", row % 7, row % 50 + 1).unwrap();
        }
        self.write(name, &text);
        (0..rows).map(|row| row % 50 + 1).sum()
    }

    /// Units on hand, by the log of the stopped server.
    fn units(&self) -> u64 {
        let report = self.run(&["verify", "stampede-data", "--json"]).says(OK);
        serde_json::from_str::<Value>(&report).unwrap()["audit"]["on_hand"].as_u64().unwrap()
    }

    /// Makes an API key.
    fn key(&self, name: &str) -> String {
        let key = self.run(&["keys", "create", name]).says(OK).trim().to_owned();
        // A running server looks at the file four times a second.
        std::thread::sleep(Duration::from_millis(300));
        key
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

/// A running server; killed when it is dropped.
struct Serving {
    child: Child,
    /// Address of its API.
    api: String,
}

impl Serving {
    /// Starts one on free ports and waits until it is ready.
    fn start(here: &Here, more: &[&str]) -> Serving {
        let mut command = here.command();
        command.args(["serve", "--ops-bind", "127.0.0.1:0", "--diagnostics-format", "json"]).args(more);
        if !more.contains(&"--api-bind") {
            command.args(["--api-bind", "127.0.0.1:0"]);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut words = String::new();
        let api = loop {
            let Some(line) = lines.next() else { panic!("it did not start: {words}") };
            let line = line.unwrap();
            words.push_str(&line);
            match serde_json::from_str::<Value>(&line) {
                Ok(said) if said["message"] == "ready" => break said["api"].as_str().unwrap().to_owned(),
                _ => {}
            }
        };
        // Somebody must go on reading, or its words would block it.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { child, api }
    }

    fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// SIGTERM; its exit code.
    fn stop(mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().expect("ended by itself")
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a request over a connection of its own and answers head and body.
    fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.api).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn status(&self, method: &str, path: &str, key: Option<&str>) -> u16 {
        let headers = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        self.exchange(method, path, &headers, "").split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn json(&self, method: &str, path: &str, key: Option<&str>) -> Value {
        let headers = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let answer = self.exchange(method, path, &headers, "");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}
