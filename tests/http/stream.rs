//! Live stock by server-sent events.

use crate::client;
use crate::server::Server;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An open stream.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut stream = client::connect(server.api);
        stream.write_all(&client::request("GET", path, headers, None)).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        Stream(reader)
    }

    /// Id and data of the next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<(u64, Value)> {
        let (mut id, mut data) = (None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().ok();
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = serde_json::from_str(text).ok();
            }
            if line == "0" {
                return None;
            }
            if let (Some(id), Some(data)) = (id, &data) {
                return Some((id, Value::clone(data)));
            }
        }
    }
}

#[test]
fn every_change_is_seen_but_not_too_often() {
    let server = Server::start();
    server.stock("hoodie", 100);
    let path = "/v1/skus/hoodie/stream";
    let mut stream = Stream::open(&server, path, &[]);
    let (first, stock) = stream.next().unwrap();
    assert_eq!((stock["available"].as_u64(), stock["version"].as_u64()), (Some(100), Some(first)));

    let start = Instant::now();
    let mut last = first;
    let mut events = 0;
    for n in 0..10 {
        server.buy(&format!("k{n}"), "ada", "hoodie", 1).expect(201);
    }
    loop {
        let (id, stock) = stream.next().unwrap();
        assert!(id > last, "versions grow");
        last = id;
        events += 1;
        if stock["available"] == 90 {
            break;
        }
    }
    let most = start.elapsed().as_millis() / 500 + 1;
    assert!(events <= most, "{events} events in {:?}", start.elapsed());
}

#[test]
fn a_reconnect_does_not_repeat_what_was_seen() {
    let server = Server::start();
    server.stock("hoodie", 100);
    let (seen, _) = Stream::open(&server, "/v1/skus/hoodie/stream", &[]).next().unwrap();
    let mut stream = Stream::open(&server, "/v1/skus/hoodie/stream", &[("Last-Event-ID", &seen.to_string())]);
    server.buy("k", "ada", "hoodie", 1).expect(201);
    let (id, stock) = stream.next().unwrap();
    assert!(id > seen);
    assert_eq!(stock["available"], 99);
}

#[test]
fn streams_are_bounded_and_only_of_what_there_is() {
    let server = Server::with(&["--streams-max", "2"]);
    server.stock("hoodie", 100);
    let path = "/v1/skus/hoodie/stream";
    assert_eq!(server.get("/v1/skus/none/stream").problem(), (404, "unknown_sku".into()));
    let open = [Stream::open(&server, path, &[]), Stream::open(&server, path, &[])];
    assert_eq!(server.get(path).problem(), (503, "overloaded".into()));
    drop(open);
    crate::server::eventually(|| {
        // The server notices at the next event that nobody listens.
        let change = server.buy(&crate::server::unique(), "ada", "hoodie", 1).status;
        let mut stream = client::connect(server.api);
        stream.write_all(&client::request("GET", path, &[], None)).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        if line.contains("200") { Ok(()) } else { Err(format!("{line} {change}")) }
    });
}

#[test]
fn a_stream_ends_when_the_server_goes_down() {
    let mut server = Server::start();
    server.stock("hoodie", 1);
    let mut stream = Stream::open(&server, "/v1/skus/hoodie/stream", &[]);
    assert!(stream.next().is_some());
    server.terminate();
    assert!(stream.next().is_none());
    assert!(server.wait(Duration::from_secs(10)).success());
}
