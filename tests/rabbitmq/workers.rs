//! Steps that go over RabbitMQ, to workers inside the server or in processes of their own.

use super::{Hand, Services, audit, flags, metric, place, settled, start, wait_for};
use crate::server::Server;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A `stampede worker`. Killed when dropped.
pub struct Worker {
    child: Child,
    pub operations: SocketAddr,
}

impl Worker {
    fn start(rabbitmq: &Services, namespace: &str, kind: &str, server: &Server, dir: &Path) -> Worker {
        Worker::with(rabbitmq, namespace, kind, server, dir, &[])
    }

    /// With these flags more.
    pub fn with(
        rabbitmq: &Services,
        namespace: &str,
        kind: &str,
        server: &Server,
        dir: &Path,
        more: &[&str],
    ) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
        command.args(["worker", kind, "--server", &format!("http://{}", server.api)]);
        command.args(flags(rabbitmq, namespace, &["--ops-bind", "127.0.0.1:0", "--diagnostics-format", "json"]));
        command.args(more).arg("--data-dir").arg(dir).env("STAMPEDE_KEY", &server.key).current_dir(dir);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let working = lines.find(|line| line.contains("\"working\"")).expect("the worker did not start");
        let working: serde_json::Value = serde_json::from_str(&working).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Worker { child, operations: working["operations"].as_str().unwrap().parse().unwrap() }
    }

    pub fn pid(&self) -> i64 {
        self.child.id().into()
    }

    /// SIGTERM, and its end.
    pub fn end(&mut self) {
        // SAFETY: a signal to a child of ours that we have not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) }, 0);
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_server_works_on_what_it_published() {
    let rabbitmq = Services::rabbitmq();
    let mut server = start(rabbitmq, "inside", &[]);
    server.stock("hoodie", 40);
    let orders = place(&server, "hoodie", 40);
    settled(&server, &orders);
    // Authorise and capture each.
    let confirmed = "stampede_messages_published_total{queue=\"payment\",outcome=\"confirmed\"}";
    assert!(metric(server.operations, confirmed) >= 80);
    wait_for(&server, "stampede_broker_unconfirmed_messages", |count| count == 0);
    audit(&mut server, None, "hoodie", 40);
}

#[test]
fn workers_of_their_own_are_killed_and_others_go_on() {
    let rabbitmq = Services::rabbitmq();
    let mut server = start(rabbitmq, "apart", &["--rabbitmq-works", "none"]);
    let (payment, fulfilment) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    server.stock("hoodie", 60);
    // Nobody works yet: the orders stand, and their steps wait in RabbitMQ.
    let mut orders = place(&server, "hoodie", 20);
    wait_for(&server, "stampede_queue_depth_messages{queue=\"payment\"}", |count| count >= 20);
    assert_eq!(server.read_order(&orders[0])["state"], "awaiting_payment");

    let start = |kind, dir: &Path| Worker::start(rabbitmq, "apart", kind, &server, dir);
    let mut first = start("payment", payment.path());
    let ships = start("fulfilment", fulfilment.path());
    orders.extend(place(&server, "hoodie", 20));
    server.wait_for_state(&orders[0], "fulfilled");
    first.kill();
    orders.extend(place(&server, "hoodie", 20));
    let second = start("payment", payment.path());
    settled(&server, &orders);
    let reported = "stampede_messages_consumed_total{queue=\"payment\",outcome=\"reported\"}";
    assert!(metric(second.operations, reported) > 0 && metric(server.operations, reported) == 0);
    assert!(metric(ships.operations, "stampede_warehouse_shipments_total{outcome=\"taken_in\"}") >= 60);
    drop((second, ships));
    audit(&mut server, Some(payment.path()), "hoodie", 60);
}

#[test]
fn a_server_that_is_killed_finds_its_work_again() {
    let rabbitmq = Services::rabbitmq();
    let mut server = start(rabbitmq, "killed", &[]);
    server.stock("hoodie", 60);
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.extend(place(&server, "hoodie", 20));
        server.crash_and_restart();
    }
    settled(&server, &orders);
    audit(&mut server, None, "hoodie", 60);
}

#[test]
fn a_message_that_comes_twice_has_no_second_effect() {
    let rabbitmq = Services::rabbitmq();
    let mut server = start(rabbitmq, "twice", &[]);
    server.stock("hoodie", 5);
    let orders = place(&server, "hoodie", 5);
    settled(&server, &orders);
    let hand = Hand::on(rabbitmq);
    for (n, order) in orders.iter().enumerate() {
        for step in [r#"{"kind":"authorize","attempt":1}"#, r#"{"kind":"capture","attempt":1}"#] {
            let body = format!(r#"{{"id":"0/{n}/0","order":"{order}","step":{step},"asked_at":1,"repeated":false}}"#);
            let properties = lapin::BasicProperties::default().with_type("stampede.step.v1".into());
            (0..3).for_each(|_| hand.publish("twice.work", "payment", body.as_bytes(), properties.clone()));
        }
    }
    wait_for(&server, "stampede_broker_deliveries_total{queue=\"payment\",outcome=\"acked\"}", |count| count >= 40);
    let reported = "stampede_messages_consumed_total{queue=\"payment\",outcome=\"reported\"}";
    assert_eq!(metric(server.operations, reported), 10, "each step was done once");
    audit(&mut server, None, "hoodie", 5);
}
