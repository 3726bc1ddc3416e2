//! Carts and their checkout.

use crate::server::Server;
use serde_json::{Value, json};

fn open(server: &Server, key: &str) -> String {
    let opened = server.post("/v1/carts", key, &json!({ "buyer": "ada" })).expect(201);
    opened.json()["cart"].as_str().unwrap().to_owned()
}

#[test]
fn a_cart_is_filled_and_becomes_an_order_for_ever() {
    let mut server = Server::start();
    server.stock("hoodie", 10);
    server.stock("mug", 10);
    let cart = open(&server, "c");
    assert_eq!(open(&server, "c"), cart, "the key names the cart");
    assert_eq!(
        server.post("/v1/carts", "c", &json!({ "buyer": "eve" })).problem(),
        (422, "idempotency_key_reused".into())
    );

    let line = |sku: &str, units: u32| server.put(&format!("/v1/carts/{cart}/lines/{sku}"), &json!({ "units": units }));
    line("hoodie", 1).expect(200);
    line("mug", 1).expect(200);
    let filled = line("hoodie", 2).expect(200).json();
    assert_eq!(filled["total"], json!({ "amount": 3 * 1999, "currency": "EUR" }));
    assert_eq!(line("none", 1).problem(), (404, "unknown_sku".into()));
    assert_eq!(line("hoodie", 0).pointer(), "/units");
    let without = server.delete(&format!("/v1/carts/{cart}/lines/mug")).expect(200).json();
    assert_eq!(without["lines"].as_array().unwrap().len(), 1);
    assert_eq!(server.available("hoodie"), 10, "a cart claims nothing");

    let path = format!("/v1/carts/{cart}/checkout");
    let body = json!({ "payment_token": "tok_ok", "delivery": "address-3" });
    let order = server.post(&path, "k", &body).expect(201);
    assert_eq!(order.json()["cart"], cart);
    assert_eq!(order.json()["total"], json!({ "amount": 2 * 1999, "currency": "EUR" }));
    for key in ["k", "another"] {
        let again = server.post(&path, key, &body).expect(201);
        assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &order.body), "{key}");
    }
    let other_content = json!({ "payment_token": "tok_other" });
    assert_eq!(server.post(&path, "k", &other_content).problem(), (422, "idempotency_key_reused".into()));
    let other_key = server.post(&path, "another", &other_content).expect(201);
    assert_eq!((other_key.header("idempotency-replayed"), &other_key.body), (Some("true"), &order.body));
    server.crash_and_restart();
    let line = |sku: &str, units: u32| server.put(&format!("/v1/carts/{cart}/lines/{sku}"), &json!({ "units": units }));
    let later = server.post(&path, "yet-another", &other_content).expect(201);
    assert_eq!((later.header("idempotency-replayed"), &later.body), (Some("true"), &order.body));
    assert_eq!(server.post(&path, "k", &other_content).problem(), (422, "idempotency_key_reused".into()));

    assert_eq!(line("hoodie", 3).problem(), (409, "cart_checked_out".into()));
    let read = server.get(&format!("/v1/carts/{cart}")).expect(200).json();
    assert_eq!((&read["state"], &read["order"]), (&json!("checked_out"), &order.json()["order"]));
    let id = order.json()["order"].as_str().unwrap().to_owned();
    assert_eq!(server.wait_for_state(&id, "fulfilled")["delivery"], "address-3");
}

#[test]
fn a_cart_keeps_the_price_it_saw() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let cart = open(&server, "c");
    server.put(&format!("/v1/carts/{cart}/lines/hoodie"), &json!({ "units": 1 })).expect(200);
    server.stock_with("hoodie", 0, json!({ "seller": "acme", "price": { "amount": 2999, "currency": "EUR" } }));
    let order = server.post(&format!("/v1/carts/{cart}/checkout"), "k", &json!({ "payment_token": "tok_ok" }));
    assert_eq!(order.expect(201).json()["total"]["amount"], 1999);
}

#[test]
fn a_cart_has_one_currency_and_something_in_it() {
    let server = Server::start();
    server.stock("hoodie", 10);
    server.stock_with("kimono", 10, json!({ "seller": "acme", "price": { "amount": 9000, "currency": "JPY" } }));
    let cart = open(&server, "c");
    let check_out =
        |key: &str| server.post(&format!("/v1/carts/{cart}/checkout"), key, &json!({ "payment_token": "tok_ok" }));
    assert_eq!(check_out("k").problem(), (409, "cart_empty".into()));
    server.put(&format!("/v1/carts/{cart}/lines/hoodie"), &json!({ "units": 1 })).expect(200);
    let other = server.put(&format!("/v1/carts/{cart}/lines/kimono"), &json!({ "units": 1 }));
    assert_eq!(other.problem(), (422, "currency_mismatch".into()));
    check_out("k").expect(201);
}

#[test]
fn a_refused_checkout_leaves_the_cart_as_it_was() {
    let server = Server::start();
    server.stock("hoodie", 1);
    let cart = open(&server, "c");
    server.put(&format!("/v1/carts/{cart}/lines/hoodie"), &json!({ "units": 2 })).expect(200);
    let path = format!("/v1/carts/{cart}/checkout");
    let body = json!({ "payment_token": "tok_ok" });
    assert_eq!(server.post(&path, "k", &body).problem(), (409, "sold_out".into()));
    let read: Value = server.get(&format!("/v1/carts/{cart}")).expect(200).json();
    assert_eq!(read["state"], "open");
    server.put(&format!("/v1/carts/{cart}/lines/hoodie"), &json!({ "units": 1 })).expect(200);
    server.post(&path, "k", &body).expect(201);
}

#[test]
fn an_abandoned_cart_is_gone() {
    let server = Server::with(&["--carts-ttl", "300ms"]);
    server.stock("hoodie", 1);
    let cart = open(&server, "c");
    crate::server::eventually(|| match server.get(&format!("/v1/carts/{cart}")).expect(200).json()["state"].as_str() {
        Some("abandoned") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let late = server.put(&format!("/v1/carts/{cart}/lines/hoodie"), &json!({ "units": 1 }));
    assert_eq!(late.problem(), (410, "cart_abandoned".into()));
}
