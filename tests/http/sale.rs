//! A rush on few units.

use crate::server::{Server, order};
use serde_json::json;

/// 300 buyers at once for one unit: exactly one gets it, everybody else is told so.
#[test]
fn one_unit_goes_to_one_of_300_buyers() {
    let server = Server::start();
    server.stock("ticket", 1);
    let buy = |n: usize| server.buy(&format!("key-{n}"), &format!("buyer-{n}"), "ticket", 1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..300).map(|n| scope.spawn(move || buy(n))).collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect()
    });
    let bought = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status == 409 && answer.code() == "sold_out").count();
    assert_eq!((bought, refused), (1, 299));
    assert_eq!(server.available("ticket"), 0);
    let audit = server.get_as_seller("/v1/audit").expect(200).json();
    assert_eq!((&audit["verdict"], &audit["oversold"]), (&json!("ok"), &json!(0)), "{audit}");
}

/// The limit counts what a buyer holds and what one has bought (S17).
#[test]
fn s17_a_buyer_gets_no_more_than_the_limit() {
    let server = Server::start();
    let price = json!({ "amount": 1999, "currency": "EUR" });
    server.stock_with("console", 10, json!({ "seller": "acme", "price": price, "buyer_limit": 2 }));
    let first = server.buy("a", "ada", "console", 1).expect(201);
    server.buy("b", "ada", "console", 1).expect(201);
    let third = server.buy("c", "ada", "console", 1);
    assert_eq!(third.problem(), (409, "buyer_limit".into()));
    assert_eq!(third.json()["retryable"], false);
    server.wait_for_state(first.json()["order"].as_str().unwrap(), "fulfilled");
    assert_eq!(server.buy("d", "ada", "console", 1).problem(), (409, "buyer_limit".into()), "shipped units count");
    server.buy("e", "bob", "console", 2).expect(201);
}

/// An order gets all of its lines or nothing.
#[test]
fn all_lines_or_none() {
    let server = Server::start();
    server.stock("hoodie", 5);
    server.stock("ticket", 0);
    let mut body = order("ada", "tok_ok", "hoodie", 2);
    body["lines"].as_array_mut().unwrap().push(json!({ "sku": "ticket", "units": 1 }));
    let refused = server.post("/v1/orders", "k", &body);
    assert_eq!((refused.problem(), refused.pointer()), ((409, "sold_out".into()), "/lines/1".into()));
    crate::server::eventually(|| match server.available("hoodie") {
        5 => Ok(()),
        units => Err(format!("{units} available: the other line was not given back")),
    });
}

/// As many purchases as there are permits; the rest is told to come again.
#[test]
fn s13_too_many_at_once_are_told_to_come_again() {
    let server = Server::with(&["--permits", "1", "--shards", "1"]);
    server.stock("hoodie", 1_000);
    let buy = |n: usize| server.buy(&format!("key-{n}"), &format!("buyer-{n}"), "hoodie", 1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..100).map(|n| scope.spawn(move || buy(n))).collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect()
    });
    let bought = answers.iter().filter(|answer| answer.status == 201).count();
    let shed: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(bought + shed.len(), 100);
    assert!(bought > 0 && !shed.is_empty(), "{bought} bought, {} shed", shed.len());
    for answer in shed {
        assert_eq!(answer.code(), "overloaded");
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.json()["operation_state"], "not_started");
    }
    assert_eq!(server.available("hoodie"), 1_000 - bought as i64);
}
