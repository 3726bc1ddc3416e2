//! An order's life: paid, declined and paid again, cancelled, refunded, shipped, returned; read and listed.

use crate::server::{Server, order, unique};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn id(placed: &Value) -> String {
    placed["order"].as_str().unwrap().to_owned()
}

#[test]
fn a_placed_order_has_its_golden_body() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let mut body = order("ada", "tok_ok", "hoodie", 2);
    body["delivery"] = json!("address-3");
    let placed = server.post("/v1/orders", "k", &body).expect(201);
    let text = placed.text();
    let fields = placed.json();
    let golden = format!(
        "{{\"order\":{},\"state\":\"awaiting_payment\",\"buyer\":\"ada\",\"delivery\":\"address-3\",\
         \"total\":{{\"amount\":3998,\"currency\":\"EUR\"}},\
         \"lines\":[{{\"sku\":\"hoodie\",\"seller\":\"acme\",\"units\":2,\
         \"unit_price\":{{\"amount\":1999,\"currency\":\"EUR\"}},\"hold\":{}}}],\
         \"placed_at\":{},\"hold_expires_at\":{}}}",
        fields["order"], fields["lines"][0]["hold"], fields["placed_at"], fields["hold_expires_at"]
    );
    assert_eq!(text, golden);
    assert!(id(&fields).starts_with("ord_") && id(&fields).len() == 30);
    let names: BTreeSet<_> = placed.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["content-length", "content-type", "date", "request-id"]),
        "none that nobody needs"
    );
}

#[test]
fn an_order_is_paid_shipped_and_tells_its_story() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let placed = server.buy("k", "ada", "hoodie", 2).expect(201).json();
    let done = server.wait_for_state(&id(&placed), "fulfilled");
    assert_eq!(done["captured"], json!({ "amount": 3998, "currency": "EUR" }));
    assert_eq!(done["payments"][0]["state"], "captured");
    assert_eq!((&done["lines"][0]["shipped"], &done["lines"][0]["to_ship"]), (&json!(2), &json!(0)));
    let story: Vec<_> =
        done["timeline"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    let position = |word| story.iter().position(|what| *what == word).unwrap_or_else(|| panic!("{word}: {story:?}"));
    assert!(position("placed") < position("authorize_done"));
    assert!(position("allocate_done") < position("capture_done"), "allocated before captured: {story:?}");
    assert!(position("capture_done") < position("shipped"));
    assert_eq!(done.get("attention"), None);
    let late = server.post(&format!("/v1/orders/{}/cancel", id(&placed)), "c", &json!({}));
    assert_eq!(late.problem(), (409, "not_cancellable".into()));
}

#[test]
fn a_declined_payment_can_be_tried_again() {
    let server = Server::start();
    server.stock("hoodie", 1);
    let placed = server.post("/v1/orders", "k", &order("ada", "tok_declined_funds", "hoodie", 1)).expect(201).json();
    let id = id(&placed);
    crate::server::eventually(|| {
        let now = server.read_order(&id);
        if now["payments"][0]["state"] == "declined" { Ok(()) } else { Err(now.to_string()) }
    });
    assert_eq!(server.available("hoodie"), 0, "its units wait for another try");
    let path = format!("/v1/orders/{id}/payments");
    let retried = server.post(&path, "p", &json!({ "payment_token": "tok_ok" })).expect(202);
    assert_eq!(retried.json()["attempt"], 2);
    server.wait_for_state(&id, "fulfilled");
    let again = server.post(&path, "p", &json!({ "payment_token": "tok_ok" })).expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &retried.body));
    let other = server.post(&path, "p", &json!({ "payment_token": "tok_other" }));
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    let late = server.post(&path, "p2", &json!({ "payment_token": "tok_ok" }));
    assert_eq!(late.problem(), (409, "not_payable".into()));
}

#[test]
fn an_order_that_is_not_paid_runs_out() {
    let server = Server::with(&["--holds-ttl", "400ms", "--payment-timeout", "100ms"]);
    server.stock("hoodie", 1);
    let placed = server.post("/v1/orders", "k", &order("ada", "tok_declined_funds", "hoodie", 1)).expect(201).json();
    server.wait_for_state(&id(&placed), "expired");
    crate::server::eventually(|| if server.available("hoodie") == 1 { Ok(()) } else { Err("still claimed".into()) });
}

#[test]
fn a_cancelled_order_gives_everything_back() {
    let server = Server::with(&["--fulfilment-auto-ship=false"]);
    server.stock("hoodie", 3);
    let placed = server.buy("k", "ada", "hoodie", 2).expect(201).json();
    let id = id(&placed);
    server.wait_for_state(&id, "fulfilment_requested");
    let path = format!("/v1/orders/{id}/cancel");
    let cancelled = server.post(&path, "c", &json!({ "reason": "changed_mind" })).expect(202);
    let done = server.wait_for_state(&id, "cancelled");
    assert_eq!(done["refunded"], done["captured"], "{done}");
    crate::server::eventually(|| match server.available("hoodie") {
        3 => Ok(()),
        units => Err(format!("{units} available")),
    });
    let again = server.post(&path, "c", &json!({ "reason": "changed_mind" })).expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &cancelled.body));
    server.post(&path, "another", &json!({})).expect(202);
}

#[test]
fn a_cancellation_needs_no_body() {
    let server = Server::with(&["--fulfilment-auto-ship=false"]);
    server.stock("hoodie", 1);
    let placed = server.buy("k", "ada", "hoodie", 1).expect(201).json();
    let path = format!("/v1/orders/{}/cancel", id(&placed));
    let answer = crate::client::send(server.api, "POST", &path, &[("Idempotency-Key", "\"c\"")], None);
    answer.expect(202);
}

#[test]
fn units_are_shipped_returned_and_refunded_by_line() {
    let server = Server::with(&["--fulfilment-auto-ship=false"]);
    server.stock("hoodie", 5);
    let placed = server.buy("k", "ada", "hoodie", 3).expect(201).json();
    let id = id(&placed);
    let path = |what: &str| format!("/v1/orders/{id}/{what}");
    let units = |units: u32| json!([{ "line": 0, "units": units }]);
    let early =
        server.post_as_seller(&path("shipments"), &unique(), &json!({ "location": "berlin", "lines": units(1) }));
    if early.status != 201 {
        assert_eq!(early.problem(), (409, "not_shippable".into()), "not before it is paid");
    }
    let shipped_early = u64::from(early.status == 201);
    server.wait_for_state(&id, if shipped_early == 1 { "partly_shipped" } else { "fulfilment_requested" });

    let body = json!({ "location": "berlin", "lines": units(2 - shipped_early as u32), "tracking": "DHL-1" });
    let shipment = server.post_as_seller(&path("shipments"), "s", &body).expect(201);
    assert_eq!(shipment.json()["tracking"], "DHL-1");
    assert_eq!(server.post_as_seller(&path("shipments"), "s", &body).expect(201).body, shipment.body);
    server.wait_for_state(&id, "partly_shipped");
    let too_many = server.post_as_seller(&path("shipments"), "s2", &json!({ "location": "berlin", "lines": units(2) }));
    assert_eq!(too_many.problem(), (409, "not_shippable".into()));

    let body = json!({ "location": "berlin", "lines": units(1), "restock": true });
    let returned = server.post_as_seller(&path("returns"), "b", &body).expect(201);
    assert_eq!(server.post_as_seller(&path("returns"), "b", &body).expect(201).body, returned.body);
    let more = server.post_as_seller(
        &path("returns"),
        "b2",
        &json!({ "location": "berlin", "lines": units(2), "restock": true }),
    );
    assert_eq!(more.problem(), (409, "not_returnable".into()));

    let body = json!({ "lines": units(1), "restock": true });
    let refund = server.post_as_seller(&path("refunds"), "f", &body).expect(202);
    assert_eq!(refund.json()["amount"], json!({ "amount": 1999, "currency": "EUR" }));
    crate::server::eventually(|| {
        let now = server.read_order(&id);
        if now["refunds"][0]["state"] == "done" { Ok(()) } else { Err(now.to_string()) }
    });
    let again = server.post_as_seller(&path("refunds"), "f", &body).expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &refund.body));
    let reused = server.post_as_seller(&path("refunds"), "f", &json!({ "restock": false }));
    assert_eq!(reused.problem(), (422, "idempotency_key_reused".into()));

    let rest = server.post_as_seller(&path("refunds"), "g", &json!({ "restock": true })).expect(202).json();
    assert_eq!(rest["amount"], json!({ "amount": 2 * 1999, "currency": "EUR" }));
    let none = server.post_as_seller(&path("refunds"), "h", &json!({ "restock": true }));
    assert_eq!(none.problem(), (409, "not_refundable".into()));
    crate::server::eventually(|| {
        let now = server.read_order(&id);
        if now["refunded"] == now["captured"] { Ok(()) } else { Err(now.to_string()) }
    });
}

#[test]
fn orders_are_listed_page_by_page() {
    let server = Server::start();
    server.stock("hoodie", 100);
    let mine: Vec<String> = (0..5).map(|_| id(&server.buy(&unique(), "ada", "hoodie", 1).expect(201).json())).collect();
    let theirs = id(&server.buy(&unique(), "bob", "hoodie", 1).expect(201).json());
    let list = |query: &str| server.get_as_seller(&format!("/v1/orders?{query}")).expect(200).json();
    let ids = |page: &Value| -> Vec<String> { page["data"].as_array().unwrap().iter().map(id).collect() };

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = list(&format!("buyer=ada&limit=2{after}"));
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    seen.reverse();
    assert_eq!(seen, mine, "newest first, all of them, nobody else's, just committed ones too");
    assert_eq!(ids(&list("limit=200")).len(), 6);
    let from = server.read_order(&theirs)["placed_at"].as_str().unwrap().to_owned();
    assert_eq!(ids(&list(&format!("from={from}"))), std::slice::from_ref(&theirs));
    assert_eq!(ids(&list(&format!("to={from}"))).len(), 5);
    server.wait_for_state(&theirs, "fulfilled");
    crate::server::eventually(|| match ids(&list("state=fulfilled")).contains(&theirs) {
        true => Ok(()),
        false => Err("not listed by its state".into()),
    });
    assert!(ids(&list("attention=true")).is_empty());
}

/// A paid order that nobody ships is listed for a person, until one takes care of it, and again at the next reminder.
#[test]
fn what_needs_a_person_is_acknowledged_and_comes_back() {
    let server = Server::with(&["--fulfilment-auto-ship=false", "--fulfilment-within", "6s"]);
    server.stock("hoodie", 10);
    let order = id(&server.buy("k", "ada", "hoodie", 1).expect(201).json());
    let path = format!("/v1/orders/{order}/attention/acknowledge");
    let note = json!({ "note": "ticket-17", "reason": "unfulfilled" });
    server.wait_for_state(&order, "fulfilment_requested");
    assert_eq!(server.post_as_seller(&path, "early", &note).problem(), (409, "no_attention".into()));

    let listed = || -> Vec<String> {
        let page = server.get_as_seller("/v1/orders?attention=true").expect(200).json();
        page["data"].as_array().unwrap().iter().map(id).collect()
    };
    let wait_until_listed = || {
        crate::server::eventually(|| if listed().is_empty() { Err("not listed".into()) } else { Ok(()) });
    };
    wait_until_listed();
    assert_eq!(server.read_order(&order)["attention"], "unfulfilled");
    let other = server.post_as_seller(&path, "other", &json!({ "note": "ticket-17", "reason": "contradiction" }));
    assert_eq!(other.problem(), (409, "no_attention".into()), "that was not seen");

    let seen = server.post_as_seller(&path, "seen", &note).expect(201);
    assert!(listed().is_empty());
    let now = server.read_order(&order);
    assert_eq!(now.get("attention"), None);
    let story = now["timeline"].as_array().unwrap();
    let told = story.last().unwrap();
    assert_eq!((&told["what"], &told["detail"]), (&json!("attention_acknowledged"), &json!("ticket-17")));
    let again = server.post_as_seller(&path, "seen", &note).expect(201);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &seen.body));
    let reused = server.post_as_seller(&path, "seen", &json!({ "note": "ticket-18" }));
    assert_eq!(reused.problem(), (422, "idempotency_key_reused".into()));
    let twice = server.post_as_seller(&path, "twice", &json!({ "note": "ticket-18" }));
    assert_eq!(twice.problem(), (409, "no_attention".into()), "somebody takes care of it already");

    wait_until_listed();
    server.post_as_seller(&path, "all", &json!({ "note": "ticket-18" })).expect(201);
    assert!(listed().is_empty());
}

#[test]
fn an_acknowledgement_needs_a_key_a_note_and_a_known_reason() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let order = id(&server.buy("k", "ada", "hoodie", 1).expect(201).json());
    let path = format!("/v1/orders/{order}/attention/acknowledge");
    let anybody = server.post(&path, "a", &json!({ "note": "ticket-17" }));
    assert_eq!(anybody.problem(), (401, "api_key_missing".into()));
    let long = "x".repeat(129);
    for (body, pointer) in [
        (json!({}), ""),
        (json!({ "note": "" }), "/note"),
        (json!({ "note": long }), "/note"),
        (json!({ "note": "ticket-17", "reason": "bored" }), "/reason"),
    ] {
        assert_eq!(server.post_as_seller(&path, "a", &body).pointer(), pointer, "{body}");
    }
    let nobodys = format!("/v1/orders/ord_{}/attention/acknowledge", "0".repeat(26));
    let unknown = server.post_as_seller(&nobodys, "a", &json!({ "note": "ticket-17" }));
    assert_eq!(unknown.problem(), (404, "unknown_order".into()));
}
