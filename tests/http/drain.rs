//! SIGTERM: what is in progress finishes, new purchases are sent elsewhere, nothing acknowledged is lost.

use crate::client;
use crate::server::{Server, order};
use std::io::Write;
use std::time::Duration;

#[test]
fn sigterm_drains() {
    let mut server = Server::start();
    server.stock("hoodie", 10);
    let bought = server.buy("before", "ada", "hoodie", 1).expect(201);

    // A purchase whose body is still on its way, and a connection that is kept open.
    let body = order("bob", "tok_ok", "hoodie", 1).to_string();
    let length = body.len().to_string();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "\"slow\""), ("Content-Length", &length)];
    let mut slow = client::connect(server.api);
    slow.write_all(&client::request("POST", "/v1/orders", &headers, None)).unwrap();
    slow.write_all(&body.as_bytes()[..10]).unwrap();
    let mut kept = client::connect(server.api);
    kept.write_all(&client::request("GET", "/v1/skus/hoodie", &[], None)).unwrap();
    assert_eq!(client::read(&mut kept).unwrap().status, 200);

    server.terminate();
    let ready = || client::send(server.operations, "GET", "/health/ready", &[], None);
    crate::server::eventually(|| if ready().status == 503 { Ok(()) } else { Err("still ready".into()) });
    assert_eq!(client::send(server.operations, "GET", "/health/live", &[], None).status, 200);

    let other = order("eve", "tok_ok", "hoodie", 1).to_string();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "\"late\"")];
    kept.write_all(&client::request("POST", "/v1/orders", &headers, Some(other.as_bytes()))).unwrap();
    let late = client::read(&mut kept).unwrap();
    assert_eq!(late.problem(), (503, "draining".into()));
    assert!(late.header("retry-after").is_some());
    assert_eq!(late.header("connection"), Some("close"));

    slow.write_all(&body.as_bytes()[10..]).unwrap();
    assert_eq!(client::read(&mut slow).unwrap().status, 201, "what was in progress finishes");
    assert!(server.wait(Duration::from_secs(10)).success());

    server.crash_and_restart();
    assert_eq!(server.buy("before", "ada", "hoodie", 1).expect(201).body, bought.body);
    assert_eq!(server.buy("slow", "bob", "hoodie", 1).expect(201).header("idempotency-replayed"), Some("true"));
    assert_eq!(server.available("hoodie"), 8, "the late one bought nothing");
}

#[test]
fn an_idle_connection_does_not_hold_the_end_up() {
    let mut server = Server::start();
    let mut idle = client::connect(server.api);
    idle.write_all(&client::request("GET", "/v1/skus/none", &[], None)).unwrap();
    assert_eq!(client::read(&mut idle).unwrap().status, 404);
    server.terminate();
    assert!(server.wait(Duration::from_secs(5)).success());
}
