//! The server's own words: their filter is changed while it runs, and a message that repeats itself is told by its
//! count.

use crate::client;
use crate::server::{eventually, order, unique};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server whose words are kept. Killed when dropped.
struct Heard {
    api: SocketAddr,
    operations: SocketAddr,
    bearer: String,
    said: Arc<Mutex<Vec<Value>>>,
    child: Child,
    _dir: TempDir,
}

impl Heard {
    fn start(flags: &[&str]) -> Heard {
        let dir = tempfile::tempdir().unwrap();
        let key = stampede::keys::create(dir.path(), "tests").unwrap().secret;
        let mut child = Command::new(env!("CARGO_BIN_EXE_stampede"))
            .args(["serve", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--diagnostics-format", "json"])
            .args(flags)
            .arg("--data-dir")
            .arg(dir.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<Vec<Value>>>::default();
        let (lines, to) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                to.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let ready = eventually(|| match said.lock().unwrap().iter().find(|line| line["message"] == "ready") {
            Some(ready) => Ok(ready.clone()),
            None => Err("it does not start".to_owned()),
        });
        let at = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        Heard { api: at("api"), operations: at("operations"), bearer: format!("Bearer {key}"), said, child, _dir: dir }
    }

    /// What was said with this message.
    fn lines(&self, message: &str) -> Vec<Value> {
        self.said.lock().unwrap().iter().filter(|line| line["message"] == message).cloned().collect()
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> client::Answer {
        let headers = [&[("Content-Type", "application/json"), ("Authorization", &self.bearer)], headers].concat();
        client::send(self.api, method, path, &headers, Some(body.to_string().as_bytes()))
    }

    fn stock(&self, units: u32) {
        let listing = json!({ "seller": "acme", "price": { "amount": 1999, "currency": "EUR" } });
        self.send("PUT", "/v1/skus/tee", &[], &listing).expect(201);
        let body = json!({ "location": "berlin", "units": units });
        self.send("POST", "/v1/skus/tee/receipts", &[("Idempotency-Key", "\"receipt\"")], &body).expect(201);
    }

    fn buy(&self) -> String {
        let key = format!("\"{}\"", unique());
        let answer = self.send("POST", "/v1/orders", &[("Idempotency-Key", &key)], &order("b", "tok_ok", "tee", 1));
        answer.expect(201).json()["order"].as_str().unwrap().to_owned()
    }

    fn filter(&self) -> String {
        let shown = client::send(self.api, "GET", FILTER, &[("Authorization", &self.bearer)], None).expect(200);
        shown.json()["filter"].as_str().unwrap().to_owned()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As [`eventually`], for what takes more than two rounds of ten seconds.
#[track_caller]
fn in_a_while<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(why) => assert!(start.elapsed() < Duration::from_secs(60), "{why}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

const FILTER: &str = "/v1/ops/log-filter";
const UNKNOWN: &str = "nobody says what became of a step: its order asks again";
const CHANGED: &str = "the log's filter was changed";
const MORE_OFTEN: &str = "the same message came more often";
/// A provider that never says anything.
const SILENT: [&str; 4] = ["--faults", "payment=timeout:100%", "--payment-timeout", "20ms"];

#[test]
fn a_message_that_repeats_itself_is_told_by_its_count() {
    let server = Heard::start(&[&SILENT[..], &["--diagnostics-repeats", "3", "--payment-ask-again", "1h"]].concat());
    server.stock(30);
    let orders: Vec<_> = (0..30).map(|_| server.buy()).collect();
    // Every order meets it once: what was said and what was counted is all of them.
    // A count is told when ten seconds are over, and the last one perhaps in the next ten.
    let (said, more) = in_a_while(|| {
        let (said, more) = (server.lines(UNKNOWN), server.lines(MORE_OFTEN));
        let left_out: u64 = more.iter().map(|line| line["left_out"].as_u64().unwrap()).sum();
        if said.len() as u64 + left_out == 30 {
            Ok((said, more))
        } else {
            Err(format!("{} and {left_out}", said.len()))
        }
    });
    assert!(said.len() < 30 && !more.is_empty(), "{more:#?}");
    for line in &said {
        assert!(orders.iter().any(|order| line["order"] == **order), "{line}");
        assert_eq!(line["step"], "authorize");
    }
    assert!(
        more.iter().all(|line| line["module"] == "stampede::workflows::run" && line["level"] == "WARN"),
        "{more:#?}"
    );
}

#[test]
fn the_filter_is_changed_while_the_server_runs() {
    let server = Heard::start(&[&SILENT[..], &["--diagnostics-filter", "info", "--payment-ask-again", "1h"]].concat());
    server.stock(10);
    assert_eq!(server.filter(), "info");
    let first = server.buy();
    let heard = |order: &str| server.lines(UNKNOWN).iter().any(|line| line["order"] == order);
    let wait_for =
        |order: &str| eventually(|| if heard(order) { Ok(()) } else { Err(format!("nothing about {order}")) });
    wait_for(&first);

    let answer = server.send("PUT", FILTER, &[], &json!({ "filter": "info,stampede::workflows=error" })).expect(200);
    assert_eq!(answer.json()["filter"], "info,stampede::workflows=error");
    let id = answer.header("request-id").unwrap().to_owned();
    let changed = eventually(|| server.lines(CHANGED).pop().ok_or_else(|| "not told".to_owned()));
    assert_eq!((changed["by"].as_str(), changed["request"].as_str()), (Some("tests"), Some(id.as_str())));
    assert_eq!(server.filter(), "info,stampede::workflows=error");
    let second = server.buy();
    // The provider has been silent about it as well.
    let unknown = "stampede_messages_consumed_total{queue=\"payment\",outcome=\"unknown\"} 2";
    eventually(|| {
        let text = client::send(server.operations, "GET", "/metrics", &[], None).expect(200).text();
        if text.contains(unknown) { Ok(()) } else { Err("no second one".to_owned()) }
    });
    server.send("PUT", FILTER, &[], &json!({ "filter": "warn" })).expect(200);
    let third = server.buy();
    wait_for(&third);
    assert!(!heard(&second), "the filter was in force");
}

#[test]
fn a_filter_that_cannot_be_read_changes_nothing() {
    let server = Heard::start(&["--diagnostics-filter", "info"]);
    let long = "x".repeat(1_025);
    for wrong in ["stampede=loud", "info,=", "a=b=c", &long] {
        let problem = server.send("PUT", FILTER, &[], &json!({ "filter": wrong })).expect(422).json();
        assert_eq!(
            (problem["code"].as_str(), problem["errors"][0]["pointer"].as_str()),
            (Some("validation_failed"), Some("/filter")),
            "{problem}"
        );
    }
    server.send("PUT", FILTER, &[], &json!({ "level": "info" })).expect(422);
    client::send(server.api, "PUT", FILTER, &[("Content-Type", "application/json")], Some(b"{\"filter\":\"off\"}"))
        .expect(401);
    client::send(server.api, "GET", FILTER, &[], None).expect(401);
    assert_eq!(server.filter(), "info");
    assert!(server.lines(CHANGED).is_empty());
}
