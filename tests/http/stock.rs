//! SKUs, receipts, adjustments, movements, pauses and holds.

use crate::client;
use crate::server::{Server, unique};
use serde_json::{Value, json};

#[test]
fn a_sku_is_listed_and_read() {
    let server = Server::start();
    let listing = json!({
        "seller": "acme",
        "price": { "amount": 1999, "currency": "EUR" },
        "buyer_limit": 2,
        "locations": [{ "location": "berlin", "priority": 1, "safety_stock": 3 }],
    });
    let put =
        |listing: &Value| server.send("PUT", "/v1/skus/hoodie-m", &[("Authorization", &server.bearer())], listing);
    let created = put(&listing).expect(201).json();
    assert_eq!(created["sku"], "hoodie-m");
    assert_eq!(put(&listing).expect(200).json()["availability"]["version"], created["availability"]["version"]);
    server.post_as_seller("/v1/skus/hoodie-m/receipts", "r", &json!({ "location": "berlin", "units": 10 })).expect(201);

    let read = server.get("/v1/skus/hoodie-m").expect(200).json();
    assert_eq!(read["price"], json!({ "amount": 1999, "currency": "EUR" }));
    assert_eq!(read["buyer_limit"], 2);
    let stock = server.get("/v1/skus/hoodie-m/availability").expect(200).json();
    let golden = json!({
        "sku": "hoodie-m", "available": 7, "on_hand": 10, "held": 0, "allocated": 0, "safety_stock": 3, "paused": false,
        "locations": [{
            "location": "berlin", "priority": 1, "available": 7, "on_hand": 10, "held": 0, "allocated": 0, "safety_stock": 3,
        }],
        "version": 3,
    });
    for (field, value) in golden.as_object().unwrap() {
        assert_eq!(&stock[field], value, "{field}");
    }
    assert!(stock["age_ms"].as_u64().unwrap() < 1_000 && stock["max_age_ms"].is_u64(), "{stock}");
    assert!(stock["observed_at"].as_str().unwrap().ends_with('Z'), "{stock}");

    let negative = json!({ "seller": "acme", "price": { "amount": -1, "currency": "EUR" } });
    assert_eq!(put(&negative).problem(), (422, "bad_price".into()));
    let zero = json!({ "seller": "acme", "price": { "amount": 1, "currency": "EUR" }, "buyer_limit": 0 });
    assert_eq!(
        (put(&zero).problem(), put(&zero).pointer()),
        ((422, "validation_failed".into()), "/buyer_limit".into())
    );
}

#[test]
fn stock_is_corrected_with_a_reason() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let adjust = |delta: Value, reason: &str| {
        let body = json!({ "location": "berlin", "delta": delta, "reason": reason, "reference": "count-7" });
        server.post_as_seller("/v1/skus/hoodie/adjustments", &unique(), &body)
    };
    assert_eq!(adjust(json!(-4), "damage").expect(201).json()["delta"], -4);
    assert_eq!(server.available("hoodie"), 6);
    assert_eq!(adjust(json!(0), "count").pointer(), "/delta");
    assert_eq!(adjust(json!(i64::MIN), "count").pointer(), "/delta");
    assert_eq!(adjust(json!(1), "boredom").pointer(), "/reason");
    server.buy("k", "ada", "hoodie", 5).expect(201);
    assert_eq!(adjust(json!(-2), "loss").problem(), (409, "below_claimed".into()));
    let unknown = server.post_as_seller("/v1/skus/none/receipts", "r", &json!({ "location": "berlin", "units": 1 }));
    assert_eq!(unknown.problem(), (404, "unknown_sku".into()));
}

#[test]
fn movements_are_listed_page_by_page_and_add_up() {
    let server = Server::start();
    server.stock("hoodie", 0);
    for _ in 0..7 {
        let body = json!({ "location": "berlin", "units": 3 });
        server.post_as_seller("/v1/skus/hoodie/receipts", &unique(), &body).expect(201);
    }
    server.buy("k", "ada", "hoodie", 2).expect(201);

    let mut rows: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get_as_seller(&format!("/v1/skus/hoodie/movements?limit=3{after}")).expect(200).json();
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        assert_eq!(page["has_more"], page["next"].is_string(), "{page}");
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let received: Vec<_> = rows.iter().filter(|row| row["reason"] == "received").collect();
    assert_eq!(received.len(), 7);
    assert!(rows.iter().any(|row| row["reason"] == "held" && row["units"] == 2), "{rows:?}");
    let versions: Vec<_> = rows.iter().map(|row| row["version"].as_u64().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a >= b), "newest first: {versions:?}");
    let on_hand: i64 = rows
        .iter()
        .flat_map(|row| row["deltas"].as_array().unwrap())
        .map(|delta| delta["on_hand"].as_i64().unwrap())
        .sum();
    let now = server.get("/v1/skus/hoodie/availability").expect(200).json()["on_hand"].as_i64().unwrap();
    assert!(on_hand == now || on_hand == now + 2, "{on_hand} against {now}: the order may be shipped in between");
}

#[test]
fn a_paused_sale_sells_nothing_until_it_is_resumed() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let switch = |what: &str| {
        client::send(
            server.api,
            "POST",
            &format!("/v1/skus/hoodie/{what}"),
            &[("Authorization", &server.bearer())],
            None,
        )
    };
    assert_eq!(switch("pause").expect(200).json()["paused"], true);
    assert_eq!(switch("pause").expect(200).json()["paused"], true);
    assert_eq!(server.buy("k", "ada", "hoodie", 1).problem(), (409, "sale_paused".into()));
    assert_eq!(switch("resume").expect(200).json()["paused"], false);
    server.buy("k", "ada", "hoodie", 1).expect(201);
}

#[test]
fn a_hold_is_named_by_the_client_and_repeats() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let path = "/v1/skus/hoodie/holds/hld_7000000000000000000000000a";
    let body = json!({ "units": 2, "buyer": "ada" });
    let held = server.put(path, &body).expect(201);
    assert_eq!(server.put(path, &body).expect(200).body, held.body);
    assert_eq!(server.get(path).expect(200).body, held.body);
    assert_eq!(held.json()["unit_price"], json!({ "amount": 1999, "currency": "EUR" }));
    assert_eq!(server.available("hoodie"), 8);
    assert_eq!(server.put(path, &json!({ "units": 3, "buyer": "ada" })).problem(), (409, "hold_differs".into()));

    server.delete(path).expect(204);
    server.delete(path).expect(204);
    assert_eq!(server.available("hoodie"), 10);
    assert_eq!(server.get(path).problem(), (404, "hold_ended".into()));
    let wrong = server.put("/v1/skus/hoodie/holds/hold-1", &body);
    assert_eq!(wrong.problem(), (422, "validation_failed".into()));
    let sold_out =
        server.put("/v1/skus/hoodie/holds/hld_7000000000000000000000000b", &json!({ "units": 11, "buyer": "ada" }));
    assert_eq!(sold_out.problem(), (409, "sold_out".into()));
}

#[test]
fn an_order_takes_over_its_buyers_hold() {
    let server = Server::start();
    server.stock("hoodie", 2);
    let hold = "hld_7000000000000000000000000c";
    server.put(&format!("/v1/skus/hoodie/holds/{hold}"), &json!({ "units": 2, "buyer": "ada" })).expect(201);
    let with_hold = |buyer: &str| {
        let lines = json!([{ "sku": "hoodie", "units": 2, "hold": hold }]);
        server.post("/v1/orders", buyer, &json!({ "buyer": buyer, "payment_token": "tok_ok", "lines": lines }))
    };
    assert_eq!(with_hold("eve").problem(), (409, "hold_differs".into()));
    let order = with_hold("ada").expect(201).json();
    assert_eq!(order["lines"][0]["hold"], hold);
    assert_eq!(server.available("hoodie"), 0);
}

#[test]
fn a_hold_runs_out() {
    let server = Server::with(&["--holds-ttl", "300ms"]);
    server.stock("hoodie", 1);
    server
        .put("/v1/skus/hoodie/holds/hld_7000000000000000000000000d", &json!({ "units": 1, "buyer": "ada" }))
        .expect(201);
    assert_eq!(server.available("hoodie"), 0);
    crate::server::eventually(|| match server.available("hoodie") {
        1 => Ok(()),
        _ => Err("still held".into()),
    });
}
