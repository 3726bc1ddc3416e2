//! `stampede doctor` looks at RabbitMQ; every kind of trouble is told, with what to do, and never the password.

use super::{Hand, Services, client, place, start};
use crate::server::Server;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::Value;
use std::io::Write;
use std::process::Command;

/// Level, detail and fix of what it found about RabbitMQ.
fn doctor(url: &str, more: &[&str]) -> Vec<(String, String, String)> {
    let here = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stampede"))
        .args(["doctor", "--json", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--broker", "rabbitmq"])
        .args(more)
        .env("STAMPEDE_RABBITMQ_URL", url)
        .current_dir(here.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let word = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let found = checks.filter(|check| word(check, "name").starts_with("rabbitmq"));
    found.map(|check| (word(check, "level"), word(check, "detail"), word(check, "fix"))).collect()
}

/// The one finding that is red; its detail, and its fix names what to do.
#[track_caller]
fn red(url: &str, more: &[&str], detail: &str, fix: &str) {
    let found = doctor(url, more);
    let reds: Vec<_> = found.iter().filter(|(level, ..)| level == "red").collect();
    assert!(reds.len() == 1 && reds[0].1.contains(detail) && reds[0].2.contains(fix), "{found:?}");
}

#[test]
fn a_good_rabbitmq_is_green() {
    let found = doctor(&Services::rabbitmq().get("AMQP_URL"), &["--rabbitmq-namespace", "green"]);
    assert!(found.len() == 4 && found.iter().all(|(level, ..)| level == "ok"), "{found:?}");
    assert!(found[0].1.contains("version 3."), "{found:?}");
}

#[test]
fn every_trouble_is_told_with_what_to_do() {
    let rabbitmq = Services::rabbitmq();
    let port = rabbitmq.get("AMQP_PORT");
    let control = |words: &[&str]| {
        let done = Command::new(rabbitmq.get("RABBITMQ_CTL")).args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    red(&format!("amqp://u:s3cret@{nobody}"), &[], "refused", "start it");
    red(
        &format!("amqp://guest:s3cret@127.0.0.1:{port}/%2f"),
        &[],
        "password in rabbitmq.url is wrong",
        "change_password",
    );
    red(&format!("amqp://guest:guest@127.0.0.1:{port}/nowhere"), &[], "nowhere", "add_vhost");
    control(&["add_user", "shop", "s3cret"]);
    control(&["set_permissions", "-p", "/", "shop", "^other\\..*", "^other\\..*", "^other\\..*"]);
    red(&format!("amqp://shop:s3cret@127.0.0.1:{port}/%2f"), &[], "no right", "set_permissions");
    // Somebody else's queue under our name.
    let hand = Hand::on(rabbitmq);
    hand.now(async |channel| {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare("foreign.payment".into(), options, FieldTable::default()).await.unwrap();
    });
    let url = rabbitmq.get("AMQP_URL");
    red(&url, &["--rabbitmq-namespace", "foreign"], "foreign.payment", "another rabbitmq.namespace");
}

#[test]
fn what_is_no_rabbitmq_or_too_old_is_told() {
    for (says, detail) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "no RabbitMQ"),
        (b"\x01\0\0\0\0\0\x2c\0\0\0\0\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.8.34\xce", "too old"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(says);
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        });
        red(&format!("amqp://{at}"), &[], detail, "");
    }
}

#[test]
fn a_foreign_queue_stops_no_order() {
    let rabbitmq = Services::rabbitmq();
    let hand = Hand::on(rabbitmq);
    hand.now(async |channel| {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare("taken.fulfilment".into(), options, FieldTable::default()).await.unwrap();
    });
    let flags = super::flags(rabbitmq, "taken", &[]);
    let server = Server::with(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    server.stock("hoodie", 1);
    let orders = place(&server, "hoodie", 1);
    assert_eq!(super::metric(server.operations, "stampede_broker_up"), 0);
    hand.now(async |channel| {
        channel.queue_delete("taken.fulfilment".into(), Default::default()).await.unwrap();
    });
    super::settled(&server, &orders);
}

#[test]
fn the_api_of_workers_needs_a_key_and_says_what_is_wrong() {
    let rabbitmq = Services::rabbitmq();
    let server = start(rabbitmq, "keyed", &["--rabbitmq-works", "none"]);
    server.stock("hoodie", 1);
    let order = place(&server, "hoodie", 1).remove(0);
    let step = serde_json::json!({ "step": { "kind": "authorize", "attempt": 1 }, "repeated": false });
    let path = format!("/v1/orders/{order}/work");
    assert_eq!(server.put(&path, &step).status, 401);
    let bearer = server.bearer();
    let headers = [("Authorization", bearer.as_str())];
    let opened = server.send("PUT", &path, &headers, &step).expect(200).json();
    assert_eq!(opened["errand"]["pay"]["operation"], "authorize");
    let wrong = serde_json::json!({ "step": { "kind": "allocate" }, "repeated": false });
    assert_eq!(server.send("PUT", &path, &headers, &wrong).status, 422);
    let done = serde_json::json!({ "step": { "kind": "authorize", "attempt": 1 }, "answer": { "outcome": "done", "reference": "auth-1" } });
    let answer = format!("{path}/answer");
    assert_eq!(server.send("PUT", &answer, &headers, &done).expect(200).json()["replayed"], false);
    assert_eq!(server.send("PUT", &answer, &headers, &done).expect(200).json()["replayed"], true);
    assert_eq!(server.send("PUT", &path, &headers, &step).expect(200).json()["is_open"], false);
    let nobody = "/v1/orders/ord_00000000000000000000000000/work/answer";
    assert_eq!(server.send("PUT", nobody, &headers, &done).code(), "unknown_order");
    // Nothing of it is left in a list of processes or in a log: the address alone is shown.
    let shown = client::send(server.operations, "GET", "/metrics", &[], None).expect(200).text();
    assert!(!shown.contains("guest"));
}
