//! `stampede doctor` looks at Redis.

use super::{Hand, Services};
use serde_json::Value;
use std::process::Command;

/// What it found about Redis, by name: level, detail and fix; and whether all is well.
fn doctor(url: &str, more: &[&str]) -> (Vec<(String, String, String)>, String) {
    let here = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stampede"))
        .args(["doctor", "--json", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--cache", "redis"])
        .args(more)
        .env("STAMPEDE_REDIS_URL", url)
        .current_dir(here.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let word = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let about = checks.filter(|check| word(check, "name").starts_with("redis"));
    let found: Vec<_> = about
        .map(|check| (word(check, "name") + " " + &word(check, "level"), word(check, "detail"), word(check, "fix")))
        .collect();
    let is_red = found.iter().any(|(name, ..)| name.ends_with(" red"));
    assert!(!is_red || report["ok"] == false && output.status.code() == Some(1), "{text}");
    (found, text)
}

#[test]
fn a_good_redis_is_green() {
    let redis = Services::redis();
    let (found, _) = doctor(&redis.get("REDIS_URL"), &["--redis-timeout", "1s"]);
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = ["redis ok", "redis version ok", "redis rights ok", "redis memory ok", "redis latency ok"];
    assert_eq!(names, expected, "{found:?}");
    assert!(Hand::on(redis).keys("stampede:doctor:*").is_empty(), "it leaves nothing behind");
}

#[test]
fn one_that_is_not_there_or_not_ours_is_red_and_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let (found, _) = doctor(&format!("redis://127.0.0.1:{port}"), &[]);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "redis red"), "{found:?}");
    assert!(found[0].1.contains(&port.to_string()) && found[0].2.contains("STAMPEDE_REDIS_URL="), "{found:?}");

    let redis = Services::start(&["redis"]);
    let mut hand = Hand::on(&redis);
    hand.tell(&["ACL", "SETUSER", "reader", "on", ">s3cret", "~*", "+@read", "+ping", "+info"]);
    hand.tell(&["CONFIG", "SET", "maxmemory", "50mb"]);
    let place = redis.get("REDIS_URL").replace("redis://", "");
    let (found, text) = doctor(&format!("redis://reader:s3cret@{place}"), &["--redis-timeout", "1s"]);
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert!(names.contains(&"redis rights red") && names.contains(&"redis memory warn"), "{found:?}");
    assert!(found.iter().any(|(_, detail, fix)| detail.contains("NOPERM") && fix.contains("ACL SETUSER")), "{found:?}");
    assert!(!text.contains("s3cret"), "{text}");

    let (found, text) = doctor(&format!("redis://reader:wr0ng@{place}"), &[]);
    assert_eq!(found[0].0, "redis red");
    assert!(found[0].1.contains("the password in redis.url is wrong") && !text.contains("wr0ng"), "{text}");
}

#[test]
fn nobody_asks_when_redis_is_not_used() {
    let here = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stampede")).arg("doctor").current_dir(here.path()).output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("redis"));
}
