//! The password of Redis stands nowhere: not in explanations, complaints or messages.

use super::Services;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn explanations_and_complaints_hide_it() {
    let here = tempfile::tempdir().unwrap();
    let run = |url: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
        command.args(arguments).env("STAMPEDE_REDIS_URL", url).current_dir(here.path());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = run("redis://shop:s3cret@10.0.0.1:6379/2", &["config", "explain", "redis.url"]);
    assert!(said.starts_with("redis.url = redis://***@10.0.0.1:6379/2\n"), "{said}");
    assert!(said.contains("source   environment STAMPEDE_REDIS_URL") && !said.contains("s3cret"), "{said}");
    for wrong in ["redis://shop:s3cret@10.0.0.1:port", "rediss://shop:s3cret@10.0.0.1", "shop:s3cret"] {
        let said = run(wrong, &["config", "explain", "--json"]);
        assert!(said.contains("expected") && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn messages_hide_it() {
    let redis = Services::redis();
    let here = tempfile::tempdir().unwrap();
    let url = redis.get("REDIS_URL").replace("redis://", "redis://shop:s3cret@");
    let mut child = Command::new(env!("CARGO_BIN_EXE_stampede"))
        .args(["serve", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--cache", "redis"])
        .args(["--diagnostics-filter", "trace", "--diagnostics-format", "json"])
        .env("STAMPEDE_REDIS_URL", url)
        .current_dir(here.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        said.push_str(&line);
        if line.contains("no Redis:") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("no Redis:") && said.contains("***@127.0.0.1"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
