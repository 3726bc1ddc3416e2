//! A full disk (S7): new claims are refused, everything else goes on, and so does selling once there is room. And should
//! somebody else take the very last byte, so that the store cannot write, the server stays until there is room again.

use crate::client;
use crate::server::{Server, eventually, unique};
use serde_json::json;
use std::time::{Duration, Instant};

const FLAGS: [&str; 6] = [
    "--log-segment-bytes=1MiB",
    "--log-frame-bytes=64KiB",
    "--fulfilment-auto-ship=false",
    "--store-keep-free=16MiB",
    "--store-flush-every=100ms",
    "--checkpoint-every=1s",
];

fn buy(server: &Server, buyer: &str) -> String {
    server.buy(&unique(), buyer, "hoodie", 1).expect(201).json()["order"].as_str().unwrap().to_owned()
}

fn cancel(server: &Server, order: &str) {
    server.post(&format!("/v1/orders/{order}/cancel"), &unique(), &json!({})).expect(202);
}

#[test]
fn s07_a_full_disk_refuses_new_claims_only() {
    let server = Server::on_a_small_disk(96, 48, &FLAGS);
    server.stock("hoodie", 1_000_000);
    let paid: Vec<String> = (0..100).map(|_| buy(&server, "ada")).collect();
    server.wait_for_state(&paid[0], "fulfilment_requested");

    let refused = (0..200_000).find_map(|_| {
        let answer = server.buy(&unique(), "bob", "hoodie", 1);
        (answer.status != 201).then_some(answer)
    });
    let refused = refused.expect("the disk fills up");
    assert_eq!(refused.problem(), (503, "disk_full".into()));
    assert!(refused.header("retry-after").is_some());
    assert!(!server.check("disk").0);

    server.get(&format!("/v1/orders/{}", paid[0])).expect(200);
    assert!(server.available("hoodie") > 0, "reads go on");
    // So does settlement, with all the stores that it writes to.
    paid.iter().for_each(|order| cancel(&server, order));
    paid.iter().for_each(|order| drop(server.wait_for_state(order, "cancelled")));
    eventually(|| match server.get_as_seller("/v1/orders?buyer=ada&state=cancelled&limit=100").expect(200).json() {
        listed if listed["data"].as_array().is_some_and(|orders| orders.len() == 100) => Ok(()),
        listed => Err(listed.to_string()),
    });
    for check in ["log", "projection", "workflows", "lanes"] {
        assert_eq!(server.check(check), (true, String::new()), "{check}");
    }

    server.drop_ballast();
    eventually(|| match server.buy(&unique(), "eve", "hoodie", 1).status {
        201 => Ok(()),
        status => Err(format!("still {status}")),
    });
    client::send(server.operations, "GET", "/health/ready", &[], None).expect(200);
}

#[test]
fn s07_a_store_without_a_byte_left_ends_the_server_only_when_there_is_room_again() {
    let mut server = Server::on_a_small_disk(96, 32, &FLAGS);
    server.stock("hoodie", 1_000);
    let orders: Vec<String> = (0..40).map(|_| buy(&server, "ada")).collect();
    orders.iter().for_each(|order| drop(server.wait_for_state(order, "fulfilment_requested")));
    server.fill_disk();
    eventually(|| match server.buy(&unique(), "bob", "hoodie", 1) {
        answer if answer.status == 503 => {
            assert_eq!(answer.problem(), (503, "disk_full".into()));
            Ok(())
        }
        answer => Err(format!("still {}", answer.status)),
    });
    // Settlement is logged, and then no store can take it in.
    let mut settled = orders.iter();
    eventually(|| {
        if let Some(order) = settled.next() {
            cancel(&server, order);
        }
        if server.check("projection").0 { Err("the store still writes".to_owned()) } else { Ok(()) }
    });
    // It stays as it is: a start would only find the disk full again.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(server.buy(&unique(), "bob", "hoodie", 1).problem(), (503, "disk_full".into()));
        server.get(&format!("/v1/orders/{}", orders[0])).expect(200);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!server.check("disk").0);

    let copy = server.copy_of_small_disk();
    server.drop_ballast();
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(1), "to be started again");
    let next = server.again_on(copy);
    // Whoever starts it finds everything that was acknowledged.
    orders.iter().take(orders.len() - settled.len()).for_each(|order| drop(next.wait_for_state(order, "cancelled")));
    eventually(|| match next.buy(&unique(), "eve", "hoodie", 1).status {
        201 => Ok(()),
        status => Err(format!("still {status}")),
    });
}
