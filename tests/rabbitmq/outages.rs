//! RabbitMQ goes away, comes back, loses its queues, and is full: no order waits for it.

use super::{Hand, Services, audit, flags, metric, place, settled, start, wait_for};
use crate::server::Server;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

#[test]
fn orders_go_on_without_it_and_drain_when_it_is_back() {
    let rabbitmq = Services::start(&["rabbitmq"]);
    let mut server = start(&rabbitmq, "away", &["--holds-ttl", "2m", "--payment-attention-after", "100"]);
    server.stock("hoodie", 60);
    // A queue that was made a moment before its only node is killed may never have a leader again.
    let mut orders = place(&server, "hoodie", 20);
    settled(&server, &orders);
    std::thread::sleep(std::time::Duration::from_secs(2));
    rabbitmq.kill("RABBITMQ_PID");
    wait_for(&server, "stampede_broker_up", |up| up == 0);
    orders.extend(place(&server, "hoodie", 20));
    // The cursor stays, and says so; readiness does not fail.
    wait_for(&server, "stampede_outbox_pending_messages", |count| count >= 20);
    assert!(metric(server.operations, "stampede_broker_unconfirmed_messages") >= 20);
    assert!(server.check("workflows").0);
    server.crash_and_restart();
    orders.extend(place(&server, "hoodie", 20));
    rabbitmq.start_again();
    // Its queues elect their leaders first.
    let since = std::time::Instant::now();
    while metric(server.operations, "stampede_broker_up") == 0 {
        assert!(since.elapsed() < std::time::Duration::from_secs(60), "it did not heal");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    settled(&server, &orders);
    wait_for(&server, "stampede_outbox_pending_messages", |count| count == 0);
    audit(&mut server, None, "hoodie", 60);
}

#[test]
fn a_server_starts_without_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://127.0.0.1:{}", free.local_addr().unwrap().port());
    drop(free);
    let server = Server::with(&["--broker", "rabbitmq", "--rabbitmq-url", &url]);
    server.stock("hoodie", 1);
    let orders = place(&server, "hoodie", 1);
    assert_eq!(server.read_order(&orders[0])["state"], "awaiting_payment");
}

#[test]
fn queues_and_exchanges_that_are_deleted_are_made_again() {
    let rabbitmq = Services::rabbitmq();
    let mut server = start(rabbitmq, "deleted", &[]);
    server.stock("hoodie", 30);
    let mut orders = place(&server, "hoodie", 10);
    let hand = Hand::on(rabbitmq);
    hand.now(async |channel| {
        channel.queue_delete("deleted.payment".into(), QueueDeleteOptions::default()).await.unwrap();
    });
    orders.extend(place(&server, "hoodie", 10));
    settled(&server, &orders);
    // A message to no exchange ends the channel.
    hand.now(async |channel| {
        channel.exchange_delete("deleted.work".into(), ExchangeDeleteOptions::default()).await.unwrap();
    });
    orders.extend(place(&server, "hoodie", 10));
    settled(&server, &orders);
    assert!(metric(server.operations, "stampede_broker_connections_total") >= 2);
    audit(&mut server, None, "hoodie", 30);
}

#[test]
fn what_a_full_queue_refuses_waits_in_the_log() {
    let rabbitmq = Services::rabbitmq();
    let few = ["--rabbitmq-works", "none", "--rabbitmq-queue-messages", "10"];
    let mut server = start(rabbitmq, "full", &[&few[..], &["--payment-ask-again", "5s"]].concat());
    server.stock("hoodie", 60);
    let orders = place(&server, "hoodie", 60);
    wait_for(&server, "stampede_messages_published_total{queue=\"payment\",outcome=\"nacked\"}", |count| count > 0);
    assert!(metric(server.operations, "stampede_outbox_pending_messages") > 0);
    let works = flags(rabbitmq, "full", &["--rabbitmq-queue-messages", "10"]);
    server.crash_and_restart_with(&works.iter().map(String::as_str).collect::<Vec<_>>());
    settled(&server, &orders);
    audit(&mut server, None, "hoodie", 60);
}
