//! A full disk (S7): new claims are refused, everything else goes on, and so does selling once there is room.

use crate::client;
use crate::server::{Server, unique};
use serde_json::json;

#[test]
fn s07_a_full_disk_refuses_new_claims_only() {
    let flags = ["--log-segment-bytes=1MiB", "--log-frame-bytes=64KiB", "--fulfilment-auto-ship=false"];
    let server = Server::on_a_small_disk(96, 48, &flags);
    server.stock("hoodie", 1_000_000);
    let paid = server.buy("paid", "ada", "hoodie", 1).expect(201).json()["order"].as_str().unwrap().to_owned();
    server.wait_for_state(&paid, "fulfilment_requested");

    let refused = (0..200_000).find_map(|_| {
        let answer = server.buy(&unique(), "bob", "hoodie", 1);
        (answer.status != 201).then_some(answer)
    });
    let refused = refused.expect("the disk fills up");
    assert_eq!(refused.problem(), (503, "disk_full".into()));
    assert!(refused.header("retry-after").is_some());
    let ready = client::send(server.operations, "GET", "/health/ready", &[], None).expect(503).json();
    let disk = ready["checks"].as_array().unwrap().iter().find(|check| check["check"] == "disk").unwrap();
    assert_eq!(disk["ok"], false, "{ready}");

    server.get(&format!("/v1/orders/{paid}")).expect(200);
    assert!(server.available("hoodie") > 0, "reads go on");
    server.post(&format!("/v1/orders/{paid}/cancel"), "c", &json!({})).expect(202);
    server.wait_for_state(&paid, "cancelled");

    server.drop_ballast();
    crate::server::eventually(|| match server.buy(&unique(), "eve", "hoodie", 1).status {
        201 => Ok(()),
        status => Err(format!("still {status}")),
    });
    client::send(server.operations, "GET", "/health/ready", &[], None).expect(200);
}
