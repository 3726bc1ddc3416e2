//! The server with a real RabbitMQ between its feed and its workers, which is killed, emptied and fed with nonsense: orders
//! go on, every one is settled once, and everything heals when RabbitMQ is back.

#![allow(clippy::unwrap_used)] // a failed step fails the test

#[allow(dead_code)] // the API's own tests use more of it
#[path = "../http/client.rs"]
mod client;
#[path = "../support/collector.rs"]
mod collector;
mod dead_letters;
mod doctor;
mod logs;
mod outages;
#[allow(dead_code)]
#[path = "../http/server.rs"]
mod server;
#[path = "../support/services.rs"]
mod services;
mod traces;
mod workers;

use server::{Server, eventually};
use services::Services;
use stampede::demo::books::Books;
use std::path::Path;
use std::process::{Command, Output};

/// Flags of a server, or of a worker, that uses this RabbitMQ under this namespace. `more`: other flags.
fn flags(rabbitmq: &Services, namespace: &str, more: &[&str]) -> Vec<String> {
    let url = rabbitmq.get("AMQP_URL");
    let flags = ["--broker", "rabbitmq", "--rabbitmq-url", &url, "--rabbitmq-namespace", namespace];
    // Short, so that what is asked again is asked soon.
    let pace = ["--payment-latency", "5ms", "--fulfilment-latency", "10ms"];
    let ask_again = ["--payment-ask-again", "500ms"];
    let soon = if more.contains(&ask_again[0]) { &[][..] } else { &ask_again[..] };
    flags.iter().chain(&pace).chain(soon).chain(more).map(ToString::to_string).collect()
}

/// Such a server, once RabbitMQ answers it.
fn start(rabbitmq: &Services, namespace: &str, more: &[&str]) -> Server {
    let flags = flags(rabbitmq, namespace, more);
    let server = Server::with(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    wait_for(&server, "stampede_broker_up", |up| up == 1);
    server
}

/// The value of a series.
fn metric(at: std::net::SocketAddr, series: &str) -> u64 {
    let text = client::send(at, "GET", "/metrics", &[], None).expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}")).parse::<f64>().unwrap() as u64
}

#[track_caller]
fn wait_for(server: &Server, series: &str, is_good: impl Fn(u64) -> bool) {
    eventually(|| match metric(server.operations, series) {
        value if is_good(value) => Ok(()),
        value => Err(format!("{series} is {value}")),
    });
}

/// Places orders of one unit, each of which must be taken; their ids.
fn place(server: &Server, sku: &str, count: usize) -> Vec<String> {
    let buy = |n| {
        let answer = server.buy(&server::unique(), &format!("buyer-{n}"), sku, 1).expect(201);
        answer.json()["order"].as_str().unwrap().to_owned()
    };
    (0..count).map(buy).collect()
}

/// Waits for all of them to be fulfilled.
#[track_caller]
fn settled(server: &Server, orders: &[String]) {
    for order in orders {
        server.wait_for_state(order, "fulfilled");
    }
}

/// Stops the server and reads its log and the provider's books back: so many units are sold, each charged once, and no
/// rule is broken. `books`: where the worker of payments kept them.
#[track_caller]
fn audit(server: &mut Server, books: Option<&Path>, sku: &str, sold: i64) {
    server.terminate();
    assert!(server.wait(std::time::Duration::from_secs(20)).success());
    let books = Books::read(server.data_dir(), books.unwrap_or(server.data_dir())).unwrap();
    assert_eq!(books.violations(), [] as [String; 0]);
    assert_eq!(books.complaints(), [] as [String; 0]);
    assert_eq!((books.sold(sku), books.charges() as i64), (sold, sold));
}

/// `stampede` with these words, and the flags of this RabbitMQ and namespace.
fn stampede(rabbitmq: &Services, namespace: &str, words: &[&str]) -> Output {
    let here = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
    command.args(words).args(["--rabbitmq-namespace", namespace]).current_dir(here.path());
    command.env("STAMPEDE_RABBITMQ_URL", rabbitmq.get("AMQP_URL")).output().unwrap()
}

/// A client of RabbitMQ, for what the server would never do.
struct Hand {
    runtime: tokio::runtime::Runtime,
    channel: lapin::Channel,
    /// Ends with the hand.
    _connection: lapin::Connection,
}

impl Hand {
    fn on(rabbitmq: &Services) -> Hand {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (connection, channel) = runtime.block_on(async {
            let connection = lapin::Connection::connect(&rabbitmq.get("AMQP_URL"), Default::default()).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            (connection, channel)
        });
        Hand { runtime, channel, _connection: connection }
    }

    /// Does something with the channel.
    fn now<T>(&self, work: impl AsyncFnOnce(&lapin::Channel) -> T) -> T {
        self.runtime.block_on(work(&self.channel))
    }

    fn publish(&self, exchange: &str, key: &str, body: &[u8], properties: lapin::BasicProperties) {
        self.now(async |channel| {
            let options = lapin::options::BasicPublishOptions::default();
            channel.basic_publish(exchange.into(), key.into(), options, body, properties).await.unwrap().await.unwrap();
        });
    }
}
