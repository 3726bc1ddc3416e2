//! A request may be repeated: it happens once, and the answer has the same bytes (S15, S16).

use crate::client;
use crate::server::{Server, order, unique};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[test]
fn a_replay_has_the_same_bytes_whatever_became_of_the_order() {
    let mut server = Server::start();
    server.stock("hoodie", 10);
    let first = server.buy("k", "ada", "hoodie", 2).expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = first.json()["order"].as_str().unwrap().to_owned();

    server.wait_for_state(&id, "fulfilled");
    let again = server.buy("k", "ada", "hoodie", 2).expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);

    server.crash_and_restart();
    let later = server.buy("k", "ada", "hoodie", 2).expect(201);
    assert_eq!(later.header("idempotency-replayed"), Some("true"));
    assert_eq!(later.body, first.body);
    assert_eq!(server.available("hoodie"), 8);
}

#[test]
fn spaces_order_and_nulls_make_no_other_request() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "\"k\"")];
    let send = |body: &str| client::send(server.api, "POST", "/v1/orders", &headers, Some(body.as_bytes()));
    let first = send(r#"{"buyer":"ada","payment_token":"tok_ok","lines":[{"sku":"hoodie","units":1}]}"#).expect(201);
    let same = send(
        r#" { "lines": [ {"units": 1, "sku": "hoodie", "hold": null} ], "delivery": null, "payment_token": "tok_ok", "buyer": "ada" } "#,
    );
    assert_eq!(same.expect(201).body, first.body);
}

#[test]
fn a_key_with_another_body_is_refused() {
    let server = Server::start();
    server.stock("hoodie", 10);
    server.buy("k", "ada", "hoodie", 1).expect(201);
    assert_eq!(server.buy("k", "ada", "hoodie", 2).problem(), (422, "idempotency_key_reused".into()));
    assert_eq!(server.buy("k", "eve", "hoodie", 1).problem(), (422, "idempotency_key_reused".into()));

    let receipts = "/v1/skus/hoodie/receipts";
    server.post_as_seller(receipts, "r", &json!({ "location": "berlin", "units": 5 })).expect(201);
    let other = server.post_as_seller(receipts, "r", &json!({ "location": "berlin", "units": 6 }));
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    assert_eq!(server.available("hoodie"), 14);
}

#[test]
fn a_key_counts_in_its_route_and_for_its_caller() {
    let server = Server::start();
    server.stock("hoodie", 10);
    server.stock("mug", 10);
    let body = json!({ "location": "berlin", "units": 5 });
    let receipt = |sku: &str| server.post_as_seller(&format!("/v1/skus/{sku}/receipts"), "same", &body).expect(201);
    assert_ne!(receipt("hoodie").json()["receipt"], receipt("mug").json()["receipt"], "another SKU, another receipt");

    let other = stampede::keys::create(server.data_dir(), "other").unwrap();
    let bearer = format!("Bearer {}", other.secret);
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "\"same\"")];
    let theirs = crate::server::eventually(|| {
        let answer = server.send("POST", "/v1/skus/hoodie/receipts", &headers, &body);
        if answer.status == 401 { Err("the new key is not known yet".into()) } else { Ok(answer) }
    });
    assert_eq!(theirs.expect(201).header("idempotency-replayed"), None, "another caller, another receipt");
    assert_eq!(server.available("hoodie"), 20);
}

#[test]
fn a_key_is_needed_and_must_be_usable() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let body = order("ada", "tok_ok", "hoodie", 1);
    let send = |headers: &[(&str, &str)]| server.send("POST", "/v1/orders", headers, &body);
    assert_eq!(send(&[]).problem(), (400, "idempotency_key_missing".into()));
    for bad in ["", "\"\"", "\"open", "a b", "\"a\" x"] {
        assert_eq!(send(&[("Idempotency-Key", bad)]).problem(), (400, "idempotency_key_malformed".into()), "{bad}");
    }
    let long = format!("\"{}\"", "x".repeat(129));
    assert_eq!(send(&[("Idempotency-Key", &long)]).problem(), (400, "idempotency_key_malformed".into()));
    let twice = send(&[("Idempotency-Key", "\"a\""), ("Idempotency-Key", "\"b\"")]);
    assert_eq!(twice.problem(), (400, "idempotency_key_malformed".into()));

    let quoted = send(&[("Idempotency-Key", "\"a\"")]).expect(201);
    assert_eq!(quoted.header("warning"), None);
    let bare = send(&[("Idempotency-Key", "a")]).expect(201);
    assert!(bare.header("warning").is_some(), "the bare value is taken, with a word of warning");
    assert_eq!(bare.body, quoted.body, "and is the same key");

    let carts = server.send("POST", "/v1/carts", &[], &json!({ "buyer": "ada" }));
    assert_eq!(carts.problem(), (400, "idempotency_key_missing".into()));
}

/// One unit, one key, 100 at once: one order, and every answer that is not "still in flight" is that order.
#[test]
fn s15_a_double_click_is_one_order() {
    let server = Server::start();
    server.stock("ticket", 1);
    let click = |_| server.buy("one-click", "ada", "ticket", 1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clicks: Vec<_> = (0..100).map(|n| scope.spawn(move || click(n))).collect();
        clicks.into_iter().map(|click| click.join().unwrap()).collect()
    });
    let mut orders = BTreeSet::new();
    let mut first = 0;
    for answer in answers {
        match answer.status {
            201 => {
                first += usize::from(answer.header("idempotency-replayed").is_none());
                orders.insert(answer.body);
            }
            _ => {
                assert_eq!(answer.problem(), (409, "idempotency_key_in_flight".into()));
                assert_eq!(answer.header("retry-after"), Some("1"));
            }
        }
    }
    assert_eq!((orders.len(), first), (1, 1), "one order, and only one answer is not a replay");
    assert_eq!(server.available("ticket"), 0);
    let listed = server.get_as_seller("/v1/orders?buyer=ada").expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

/// The answer was lost, the SKU sold out meanwhile: the repeat still gets its order, and only it does.
#[test]
fn s16_a_repeat_after_the_last_unit_is_not_told_sold_out() {
    let mut server = Server::start();
    server.stock("ticket", 2);
    let lost = server.buy("a", "ada", "ticket", 1).expect(201);
    server.buy("b", "bob", "ticket", 1).expect(201);
    assert_eq!(server.buy("c", "cyd", "ticket", 1).problem(), (409, "sold_out".into()));

    let again = server.buy("a", "ada", "ticket", 1).expect(201);
    assert_eq!((again.body, again.headers.iter().any(|(n, _)| n == "idempotency-replayed")), (lost.body.clone(), true));
    server.crash_and_restart();
    assert_eq!(server.buy("a", "ada", "ticket", 1).expect(201).body, lost.body);
}

/// A refusal is not stored: the same key is decided afresh.
#[test]
fn s16_a_refused_key_may_succeed_later() {
    let server = Server::start();
    server.stock("ticket", 0);
    assert_eq!(server.buy("a", "ada", "ticket", 1).problem(), (409, "sold_out".into()));
    server.stock("ticket", 1);
    let bought = server.buy("a", "ada", "ticket", 1).expect(201);
    assert_eq!(bought.header("idempotency-replayed"), None);
}

/// An id may be spelt in several ways: it is the same thing, and so is the request.
#[test]
fn another_spelling_is_no_other_request() {
    let server = Server::with(&["--fulfilment-auto-ship=false"]);
    server.stock("a:b", 10);
    let body = json!({ "location": "berlin", "units": 5 });
    let receipt = |sku: &str| server.post_as_seller(&format!("/v1/skus/{sku}/receipts"), "r", &body).expect(201);
    assert_eq!(receipt("a:b").body, receipt("a%3Ab").body);
    assert_eq!(server.available("a%3ab"), 15);

    let order = server.buy("k", "ada", "a:b", 2).expect(201).json()["order"].as_str().unwrap().to_owned();
    server.wait_for_state(&order, "fulfilment_requested");
    let upper = format!("ord_{}", order.strip_prefix("ord_").unwrap().to_uppercase());
    let body = json!({ "lines": [{ "line": 0, "units": 1 }], "restock": true });
    let refund = |order: &str| server.post_as_seller(&format!("/v1/orders/{order}/refunds"), "f", &body).expect(202);
    assert_eq!(refund(&order).body, refund(&upper).body);
    assert_eq!(server.read_order(&upper)["refunds"].as_array().unwrap().len(), 1);
}

/// Everything that moves stock is remembered by its key.
#[test]
fn s17_receipts_and_adjustments_count_once() {
    let mut server = Server::start();
    server.stock("hoodie", 10);
    let receive = |server: &Server| {
        server.post_as_seller("/v1/skus/hoodie/receipts", "r", &json!({ "location": "berlin", "units": 5 })).expect(201)
    };
    let adjust = |server: &Server| {
        let body = json!({ "location": "berlin", "delta": -3, "reason": "damage", "reference": "note-1" });
        server.post_as_seller("/v1/skus/hoodie/adjustments", "a", &body).expect(201)
    };
    let first = (receive(&server), adjust(&server));
    let again = (receive(&server), adjust(&server));
    assert_eq!((&again.0.body, &again.1.body), (&first.0.body, &first.1.body));
    assert_eq!(again.0.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.1.header("idempotency-replayed"), Some("true"));
    server.crash_and_restart();
    assert_eq!(receive(&server).body, first.0.body);
    assert_eq!(server.available("hoodie"), 12);
}

/// A client that hangs up loses nothing: the order is there when it comes back.
#[test]
fn a_client_that_hangs_up_loses_nothing() {
    use std::io::Write;
    let server = Server::start();
    server.stock("hoodie", 10);
    let key = unique();
    let quoted = format!("\"{key}\"");
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", quoted.as_str())];
    let body = order("ada", "tok_ok", "hoodie", 1).to_string();
    let mut stream = client::connect(server.api);
    stream.write_all(&client::request("POST", "/v1/orders", &headers, Some(body.as_bytes()))).unwrap();
    drop(stream);

    crate::server::eventually(|| match server.available("hoodie") {
        9 => Ok(()),
        units => Err(format!("{units} left")),
    });
    let again = server.buy(&key, "ada", "hoodie", 1).expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(server.available("hoodie"), 9);
}

/// The first request waits for a slow disk: its repeat is told when to come again, and then gets the same order.
#[test]
fn s15_a_repeat_in_flight_is_told_when_to_come_again() {
    let mut server = Server::start();
    server.stock("ticket", 1);
    server.crash_and_restart_with(&["--log-sync-delay", "3s"]);
    let (first, repeat, waited) = std::thread::scope(|scope| {
        let first = scope.spawn(|| server.buy("one-click", "ada", "ticket", 1));
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        let repeat = server.buy("one-click", "ada", "ticket", 1);
        let waited = began.elapsed();
        (first.join().unwrap().expect(201), repeat, waited)
    });
    assert_eq!(repeat.problem(), (409, "idempotency_key_in_flight".into()));
    assert_eq!(repeat.header("retry-after"), Some("1"));
    let body = repeat.json();
    assert_eq!((&body["operation_state"], &body["retryable"]), (&json!("in_progress"), &json!(true)));
    assert!((1_000..1_500).contains(&body["retry_after_ms"].as_u64().unwrap()), "{body}");
    assert!(waited >= Duration::from_millis(900) && waited < Duration::from_millis(2_600), "{waited:?}");
    assert_eq!(first.header("idempotency-replayed"), None);

    let later = server.buy("one-click", "ada", "ticket", 1).expect(201);
    assert_eq!((later.header("idempotency-replayed"), &later.body), (Some("true"), &first.body));
    let metrics = client::send(server.operations, "GET", "/metrics", &[], None).expect(200).text();
    let counted = "stampede_idempotency_requests_total{outcome=\"in_flight_conflict\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}
