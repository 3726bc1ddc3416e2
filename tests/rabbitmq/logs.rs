//! What the log must never hold.

use crate::client;
use crate::server::{eventually, unique};
use crate::services::Services;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// A whole run, with everything of ours said that can be: keys that are right and wrong, passwords that are refused.
#[test]
fn the_log_holds_no_secret() {
    let rabbitmq = Services::rabbitmq();
    let dir = tempfile::tempdir().unwrap();
    let key = stampede::keys::create(dir.path(), "tests").unwrap().secret;
    let amqp = rabbitmq.get("AMQP_URL");
    let place = amqp.rsplit_once('@').map_or_else(|| amqp.trim_start_matches("amqp://"), |(_, place)| place);
    let mut server = Command::new(env!("CARGO_BIN_EXE_stampede"))
        .args(["serve", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--diagnostics-format", "json"])
        .args([
            "--diagnostics-filter",
            "debug,stampede=trace,stampede_actors=trace,lapin=off",
            "--diagnostics-repeats",
            "0",
        ])
        .args([
            "--broker",
            "rabbitmq",
            "--cache",
            "redis",
            "--faults",
            "payment=timeout:50%",
            "--payment-timeout",
            "50ms",
        ])
        .args(["--tracing-otlp", "http://127.0.0.1:1", "--tracing-sample", "1"])
        .env("STAMPEDE_RABBITMQ_URL", format!("amqp://shop:amqp-s3cret@{place}"))
        .env("STAMPEDE_REDIS_URL", "redis://shop:redis-s3cret@127.0.0.1:1")
        .arg("--data-dir")
        .arg(dir.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let ready: Value = loop {
        let line = lines.next().unwrap_or_else(|| panic!("it did not start: {said:#?}"));
        said.push(line.clone());
        match serde_json::from_str::<Value>(&line) {
            Ok(message) if message["message"] == "ready" => break message,
            _ => {}
        }
    };
    let said = Arc::new(Mutex::new(said));
    let to = Arc::clone(&said);
    let rest = std::thread::spawn(move || lines.for_each(|line| to.lock().unwrap().push(line)));
    let api = ready["api"].as_str().unwrap().parse().unwrap();
    let send = |method: &str, path: &str, headers: &[(&str, &str)], body: Value| {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        client::send(api, method, path, &headers, Some(body.to_string().as_bytes()))
    };
    let right = format!("Bearer {key}");
    send("PUT", "/v1/skus/tee", &[("Authorization", "Bearer sk_wr0ng-key")], json!({})).expect(401);
    let listing = json!({ "seller": "acme", "price": { "amount": 1999, "currency": "EUR" } });
    send("PUT", "/v1/skus/tee", &[("Authorization", &right)], listing).expect(201);
    let receipt = [("Authorization", right.as_str()), ("Idempotency-Key", "\"receipt\"")];
    send("POST", "/v1/skus/tee/receipts", &receipt, json!({ "location": "berlin", "units": 5 })).expect(201);
    for token in ["tok_s3cret_a", "tok_s3cret_b"] {
        let body = json!({
            "buyer": "ada-lovelace", "delivery": "address-of-ada", "payment_token": token,
            "lines": [{ "sku": "tee", "units": 1 }]
        });
        let idempotency = format!("\"key-s3cret-{}\"", unique());
        send("POST", "/v1/orders", &[("Idempotency-Key", &idempotency)], body).expect(201);
    }
    send("PUT", "/v1/ops/log-filter", &[("Authorization", &right)], json!({ "filter": "trace,lapin=off" })).expect(200);
    send("PUT", "/v1/skus/tee", &[("Authorization", &right)], json!({ "seller": 7 })).expect(422);
    eventually(|| match said.lock().unwrap().iter().any(|line| line.contains("RabbitMQ cannot be used")) {
        true => Ok(()),
        false => Err("RabbitMQ has not refused the password yet".to_owned()),
    });
    // SAFETY: a signal to a child of ours that we have not waited for.
    assert_eq!(unsafe { libc::kill(server.id() as i32, libc::SIGTERM) }, 0);
    assert!(server.wait().unwrap().success());
    rest.join().unwrap();
    let log = said.lock().unwrap().join("\n");
    assert!(log.contains("the log's filter was changed"), "{log}");
    for secret in
        [&key, "amqp-s3cret", "redis-s3cret", "wr0ng-key", "tok_s3cret", "key-s3cret", "ada-lovelace", "address-of"]
    {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}
