//! What operators do: noted with who and why, safe to repeat, and the same after a restart.

use crate::server::{Server, eventually, order, unique};
use serde_json::{Value, json};

fn because(reason: &str) -> Value {
    json!({ "reason": reason })
}

/// What was done, newest first: what, to what, why.
fn actions(server: &Server) -> Vec<(String, String, String)> {
    let list = server.get_as_seller("/v1/ops/actions").expect(200).json();
    let text = |action: &Value, field: &str| action[field].as_str().unwrap_or_default().to_owned();
    let row = |action: &Value| {
        assert_eq!(action["by"], "tests", "{action}");
        (text(action, "what"), text(action, "subject"), text(action, "reason"))
    };
    list["data"].as_array().unwrap().iter().map(row).collect()
}

fn words(rows: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    rows.iter().map(|(what, subject, why)| ((*what).to_owned(), (*subject).to_owned(), (*why).to_owned())).collect()
}

#[test]
fn a_paused_shop_sells_nothing_also_after_a_kill_and_goes_on_with_what_was_sold() {
    let mut server = Server::with(&["--payment-latency", "1s"]);
    server.stock("hoodie", 10);
    server.stock("mug", 10);
    let before = server.buy("before", "ada", "hoodie", 1).expect(201);
    let id = before.json()["order"].as_str().unwrap().to_owned();

    let paused = server.post_as_seller("/v1/ops/shop/pause", "p1", &because("INC-42")).expect(200);
    assert_eq!(paused.json()["paused"], true);
    assert_eq!(paused.header("idempotency-replayed"), None);
    let again = server.post_as_seller("/v1/ops/shop/pause", "p1", &because("INC-42")).expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &paused.body));
    let other = server.post_as_seller("/v1/ops/shop/pause", "p1", &because("INC-43"));
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));

    for _ in 0..2 {
        assert_eq!(server.buy("new", "eve", "mug", 1).problem(), (409, "sale_paused".into()));
        let hold = format!("/v1/skus/mug/holds/hld_{}", "1".repeat(26));
        let body = json!({ "units": 1, "buyer": "eve" });
        assert_eq!(server.put(&hold, &body).problem(), (409, "sale_paused".into()));
        let repeat = server.buy("before", "ada", "hoodie", 1).expect(201);
        assert_eq!((repeat.header("idempotency-replayed"), &repeat.body), (Some("true"), &before.body));
        assert_eq!(server.get_as_seller("/v1/ops/shop").expect(200).json()["paused"], true);
        server.crash_and_restart();
    }
    server.wait_for_state(&id, "fulfilled");

    server.post_as_seller("/v1/ops/shop/resume", "r1", &because("over")).expect(200);
    server.buy("new", "eve", "mug", 1).expect(201);
    // A repeat that comes late pauses nothing.
    assert_eq!(
        server.post_as_seller("/v1/ops/shop/pause", "p1", &because("INC-42")).expect(200).json()["paused"],
        false
    );
    server.buy("newer", "eve", "mug", 1).expect(201);
    assert_eq!(actions(&server), words(&[("resume_shop", "", "over"), ("pause_shop", "", "INC-42")]));
}

#[test]
fn pausing_a_sku_is_noted_and_so_is_that_it_could_not_be_done() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let headers = [("Authorization", server.bearer())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    server.send("POST", "/v1/skus/hoodie/pause", &headers, &because("wrong price")).expect(200);
    assert_eq!(server.buy(&unique(), "ada", "hoodie", 1).problem(), (409, "sale_paused".into()));
    crate::client::send(server.api, "POST", "/v1/skus/hoodie/resume", &headers, None).expect(200);
    server.buy(&unique(), "ada", "hoodie", 1).expect(201);
    assert_eq!(server.send("POST", "/v1/skus/none/pause", &headers, &because("typo")).problem().0, 404);
    let bad = server.send("POST", "/v1/skus/hoodie/pause", &headers, &because("two\nlines"));
    assert_eq!(bad.problem(), (422, "validation_failed".into()));
    let expected = words(&[
        ("pause_sku", "none", "not done: unknown_sku"),
        ("pause_sku", "none", "typo"),
        ("resume_sku", "hoodie", "no reason given"),
        ("pause_sku", "hoodie", "wrong price"),
    ]);
    assert_eq!(actions(&server), expected);
}

#[test]
fn a_drained_server_refuses_purchases_until_it_is_undrained() {
    let server = Server::start();
    server.stock("hoodie", 10);
    server.post_as_seller("/v1/ops/node/drain", "d", &because("new kernel")).expect(200);
    let ready = || crate::client::send(server.operations, "GET", "/health/ready", &[], None).status;
    assert_eq!(server.buy("k", "ada", "hoodie", 1).problem(), (503, "draining".into()));
    assert_eq!(ready(), 503);
    assert_eq!(server.get_as_seller("/v1/ops/node").expect(200).json()["draining"], true);
    assert_eq!(server.available("hoodie"), 10, "reading goes on");
    server.post_as_seller("/v1/ops/node/undrain", "u", &because("done")).expect(200);
    assert_eq!(ready(), 200);
    server.buy("k", "ada", "hoodie", 1).expect(201);
    // Repeats that come late do not take back what was said since.
    let late = server.post_as_seller("/v1/ops/node/drain", "d", &because("new kernel")).expect(200);
    assert_eq!((late.header("idempotency-replayed"), &late.json()["draining"]), (Some("true"), &json!(false)));
    server.post_as_seller("/v1/ops/node/drain", "d2", &because("once more")).expect(200);
    let late = server.post_as_seller("/v1/ops/node/undrain", "u", &because("done")).expect(200);
    assert_eq!(late.json()["draining"], true);
    server.post_as_seller("/v1/ops/node/undrain", "u2", &because("done")).expect(200);
    let whats: Vec<String> = actions(&server).into_iter().map(|(what, _, _)| what).collect();
    assert_eq!(whats, ["undrain_node", "drain_node", "undrain_node", "drain_node"]);
}

#[test]
fn holds_are_listed_in_pages_and_given_back_unless_an_order_has_them() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let hold = |n: u32| format!("hld_{n:026}");
    for n in 1..=3 {
        let body = json!({ "units": n, "buyer": format!("buyer-{n}") });
        server.put(&format!("/v1/skus/hoodie/holds/{}", hold(n)), &body).expect(201);
    }
    let placed = server.buy("k", "ada", "hoodie", 1).expect(201).json();
    let ordered = placed["lines"][0]["hold"].as_str().unwrap();

    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.get_as_seller(&format!("/v1/ops/skus/hoodie/holds?limit=2{after}")).expect(200).json();
        assert!(page["data"].as_array().unwrap().len() <= 2);
        seen.extend(page["data"].as_array().unwrap().iter().map(|hold| hold["hold"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let mut all = vec![hold(1), hold(2), hold(3), ordered.to_owned()];
    all.sort();
    seen.sort();
    assert_eq!(seen, all);
    let bad = server.get_as_seller("/v1/ops/skus/hoodie/holds?after=xyz");
    assert_eq!(bad.problem(), (422, "validation_failed".into()));

    let path = |hold: &str| format!("/v1/ops/skus/hoodie/holds/{hold}/release");
    let before = server.available("hoodie");
    server.post_as_seller(&path(&hold(3)), "rel", &because("buyer called")).expect(204);
    assert_eq!(server.available("hoodie"), before + 3);
    let again = server.post_as_seller(&path(&hold(3)), "rel", &because("buyer called")).expect(204);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(server.available("hoodie"), before + 3);
    let refused = server.post_as_seller(&path(ordered), "rel2", &because("buyer called"));
    assert!(refused.code() == "hold_ordered" || refused.code() == "hold_allocated", "{}", refused.text());
    assert_eq!(server.post_as_seller(&path(&hold(9)), "rel3", &because("x")).problem(), (404, "hold_ended".into()));
    assert_eq!(actions(&server)[0].2, "not done: hold_ended");
}

#[test]
fn the_outbox_shows_what_is_not_answered_and_asks_again_on_demand() {
    let flags = ["--faults", "payment=lost:100%", "--fault-injection", "--payment-timeout", "200ms"];
    let slow = ["--payment-ask-again", "30s"];
    let server = Server::with(&[&flags[..], &slow].concat());
    server.stock("hoodie", 10);
    let placed = server.buy("k", "ada", "hoodie", 1).expect(201).json();
    let id = placed["order"].as_str().unwrap();
    let outbox = server.get_as_seller("/v1/ops/outbox").expect(200).json();
    let entry = &outbox["data"][0];
    assert_eq!((&entry["order"], &entry["steps"][0]["step"]), (&json!(id), &json!("authorize")), "{outbox}");
    assert_eq!(entry["steps"][0]["queue"], "payment");

    // The provider answers again; by itself the order would ask in half a minute.
    let calm = json!({ "faults": [], "reason": "drill is over" });
    put_faults(&server, "f1", &calm).expect(200);
    eventually(|| {
        let reply =
            server.post_as_seller(&format!("/v1/ops/outbox/{id}/replay"), &unique(), &because("provider is back"));
        reply.expect(200);
        let state = server.read_order(id)["state"].clone();
        if state == "fulfilled" { Ok(()) } else { Err(format!("{state}")) }
    });
    // The last step, of the SKU itself, ends just after.
    let outbox = eventually(|| {
        let outbox = server.get_as_seller("/v1/ops/outbox").expect(200).json();
        if outbox["data"] == json!([]) { Ok(outbox) } else { Err(outbox.to_string()) }
    });
    assert_eq!(outbox["has_more"], false);
    let none = format!("/v1/ops/outbox/ord_{}/replay", "1".repeat(26));
    assert_eq!(server.post_as_seller(&none, "none", &because("x")).problem(), (404, "unknown_order".into()));
}

fn put_faults(server: &Server, key: &str, body: &Value) -> crate::client::Answer {
    let headers = [("Authorization", server.bearer()), ("Idempotency-Key", format!("\"{key}\""))];
    server.send("PUT", "/v1/ops/faults", &headers.each_ref().map(|(name, value)| (*name, value.as_str())), body)
}

#[test]
fn faults_come_and_go_while_it_runs_but_only_where_that_is_allowed() {
    let server = Server::start();
    let decline = json!({ "faults": ["payment=decline:100%"], "sync_delay_ms": 3, "reason": "drill" });
    assert_eq!(put_faults(&server, "f", &decline).problem(), (403, "faults_refused".into()));
    drop(server);

    let server = Server::with(&["--fault-injection"]);
    server.stock("hoodie", 10);
    let scenario = |server: &Server| {
        let text = crate::client::send(server.operations, "GET", "/metrics", &[], None).text();
        text.lines().any(|line| line == "stampede_scenario_active{kind=\"fault\"} 1")
    };
    assert!(!scenario(&server));
    let now = put_faults(&server, "f", &decline).expect(200).json();
    assert_eq!((&now["faults"], &now["sync_delay_ms"]), (&json!(["payment=decline:100%"]), &json!(3)));
    assert!(scenario(&server), "the alert about faults can see it");
    let placed = server.post("/v1/orders", "k", &order("ada", "tok_ok", "hoodie", 1)).expect(201).json();
    let declined = eventually(|| {
        let now = server.read_order(placed["order"].as_str().unwrap());
        if now["payments"][0]["state"] == "declined" { Ok(now) } else { Err(format!("{now}")) }
    });
    assert_eq!(declined["state"], "awaiting_payment");

    put_faults(&server, "calm", &json!({ "reason": "over" })).expect(200);
    // A late repeat brings nothing back.
    let late = put_faults(&server, "f", &decline).expect(200);
    assert_eq!((late.header("idempotency-replayed"), &late.json()["faults"]), (Some("true"), &json!([])));
    let placed = server.buy("k2", "eve", "hoodie", 1).expect(201).json();
    server.wait_for_state(placed["order"].as_str().unwrap(), "fulfilled");
    for bad in [
        json!({ "faults": ["payment=angry:1%"], "reason": "x" }),
        json!({ "faults": ["payment=late:101%"], "reason": "x" }),
        json!({ "sync_delay_ms": 10_001, "reason": "x" }),
        json!({ "faults": vec!["payment=late:1%"; 17], "reason": "x" }),
        json!({ "faults": [] }),
    ] {
        assert_eq!(put_faults(&server, &unique(), &bad).problem(), (422, "validation_failed".into()), "{bad}");
    }
    assert!(!scenario(&server));
}

#[test]
fn the_most_wanted_skus_are_named() {
    let server = Server::start();
    server.stock("hot", 100);
    server.stock("cold", 100);
    for n in 0..10 {
        server.buy(&unique(), &format!("b{n}"), if n == 0 { "cold" } else { "hot" }, 1).expect(201);
    }
    let hot = eventually(|| {
        let hot = server.get_as_seller("/v1/ops/hot-skus?limit=5").expect(200).json();
        // They are counted one by one, a moment after they were granted.
        let all = hot["data"].as_array().unwrap().len() == 2 && hot["data"][0]["share"].as_f64() > Some(0.5);
        if all { Ok(hot) } else { Err(hot.to_string()) }
    });
    assert_eq!((&hot["data"][0]["sku"], &hot["data"][0]["rank"]), (&json!("hot"), &json!(1)));
    assert_eq!(hot["data"][1]["sku"], "cold");
    for bad in ["0", "65", "x"] {
        let answer = server.get_as_seller(&format!("/v1/ops/hot-skus?limit={bad}"));
        assert_eq!(answer.problem(), (422, "validation_failed".into()));
    }
}

#[test]
fn operators_need_a_key_and_a_reason() {
    let server = Server::start();
    for path in ["shop", "actions", "node", "hot-skus", "outbox", "faults", "skus/x/holds"] {
        assert_eq!(server.get(&format!("/v1/ops/{path}")).problem(), (401, "api_key_missing".into()), "{path}");
    }
    for path in ["shop/pause", "shop/resume", "node/drain", "node/undrain"] {
        let path = format!("/v1/ops/{path}");
        assert_eq!(server.post(&path, "k", &because("x")).problem(), (401, "api_key_missing".into()), "{path}");
        let without = server.post_as_seller(&path, &unique(), &json!({}));
        assert_eq!(without.problem(), (422, "validation_failed".into()), "{path}");
        let headers = [("Authorization", server.bearer())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let keyless = server.send("POST", &path, &headers, &because("x"));
        assert_eq!(keyless.problem(), (400, "idempotency_key_missing".into()), "{path}");
    }
    assert_eq!(actions(&server), []);
}
