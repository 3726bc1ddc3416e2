//! The server with a real Redis beside it, which is killed, stopped, emptied and made to lie: orders go on, answers are
//! right, limits hold where they can, and everything heals when Redis is back.

#![allow(clippy::unwrap_used)] // a failed step fails the test

#[allow(dead_code)] // the API's own tests use more of it
#[path = "../http/client.rs"]
mod client;
mod doctor;
mod lies;
mod limits;
mod outages;
mod reads;
mod secrets;
#[allow(dead_code)]
#[path = "../http/server.rs"]
mod server;
#[path = "../support/services.rs"]
mod services;

use deadpool_redis::redis::{Client, Connection, FromRedisValue, Value, cmd};
use server::{Server, eventually};
use services::Services;

/// Flags of a server that uses this Redis under this namespace. `more`: other flags.
fn flags(redis: &Services, namespace: &str, more: &[&str]) -> Vec<String> {
    let url = redis.get("REDIS_URL");
    let mut flags = vec!["--cache", "redis", "--redis-url", &url, "--redis-namespace", namespace];
    if !more.contains(&"--redis-timeout") {
        // Patient, as the machine that runs the tests may have much else to do.
        flags.extend(["--redis-timeout", "500ms"]);
    }
    flags.iter().chain(more).map(ToString::to_string).collect()
}

/// Such a server, once Redis answers it.
fn start(redis: &Services, namespace: &str, more: &[&str]) -> Server {
    let flags = flags(redis, namespace, more);
    let server = Server::with(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    wait_for_circuit(&server, "closed");
    server
}

fn wait_for_circuit(server: &Server, state: &str) {
    eventually(|| {
        match metric(server, &format!("stampede_circuit_breaker_state{{target=\"redis\",state=\"{state}\"}}")) {
            1 => Ok(()),
            _ => Err(format!("the circuit is not {state}")),
        }
    });
}

/// The value of a series.
fn metric(server: &Server, series: &str) -> u64 {
    let text = client::send(server.operations, "GET", "/metrics", &[], None).expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

fn reads(server: &Server, outcome: &str) -> u64 {
    metric(server, &format!("stampede_cache_reads_total{{outcome=\"{outcome}\"}}"))
}

/// A client of Redis, for what the server would never do.
struct Hand(Connection);

impl Hand {
    fn on(redis: &Services) -> Hand {
        Hand(Client::open(redis.get("REDIS_URL")).unwrap().get_connection().unwrap())
    }

    #[track_caller]
    fn ask<T: FromRedisValue>(&mut self, words: &[&[u8]]) -> T {
        let mut command = cmd(std::str::from_utf8(words[0]).unwrap());
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut self.0).unwrap()
    }

    #[track_caller]
    fn tell(&mut self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let _: Value = self.ask(&words);
    }

    /// Keys of this namespace and kind.
    fn keys(&mut self, pattern: &str) -> Vec<String> {
        self.ask(&[b"KEYS", pattern.as_bytes()])
    }
}
