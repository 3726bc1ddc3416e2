//! Whatever is wrong with a request is said precisely, and changes nothing.

use crate::client::{self, Answer};
use crate::server::{Server, order};
use serde_json::{Value, json};
use std::io::Write;

/// A server with one SKU, and everything that can be wrong about an order for it.
#[test]
fn an_order_that_is_wrong_says_where() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = order("ada", "tok_ok", "hoodie", 1);
        change(&mut body);
        server.post("/v1/orders", "key", &body)
    };
    let units = |units: Value| with(&|body| body["lines"][0]["units"] = units.clone());

    let wrong: Vec<(Answer, &str)> = vec![
        (units(json!(-1)), "/lines/0/units"),
        (units(json!(0)), "/lines/0/units"),
        (units(json!(1_000_000_001)), "/lines/0/units"),
        (units(json!(u64::MAX)), "/lines/0/units"),
        (units(json!(1.5)), "/lines/0/units"),
        (units(json!("1")), "/lines/0/units"),
        (units(Value::Null), "/lines/0/units"),
        (with(&|body| body["lines"] = json!([["hoodie", 1]])), "/lines/0"),
        (with(&|body| body["lines"] = json!({})), "/lines"),
        (with(&|body| body["lines"][0]["colour"] = json!("red")), "/lines/0/colour"),
        (with(&|body| body["coupon"] = json!("HALF")), "/coupon"),
        (with(&|body| body["buyer"] = json!(17)), "/buyer"),
        (with(&|body| body["buyer"] = json!("a b")), "/buyer"),
        (with(&|body| body["buyer"] = json!("x".repeat(65))), "/buyer"),
        (with(&|body| body["currency"] = json!("GOLD")), "/currency"),
        (with(&|body| body["lines"][0]["hold"] = json!("hld_1")), "/lines/0/hold"),
        (
            with(&|body| body["lines"][0]["unit_price"] = json!({ "amount": 1.5, "currency": "EUR" })),
            "/lines/0/unit_price/amount",
        ),
        (with(&|body| drop(body.as_object_mut().unwrap().remove("payment_token"))), ""),
        (server.post("/v1/orders", "key", &json!(["ada"])), ""),
    ];
    for (answer, pointer) in wrong {
        assert_eq!(answer.problem(), (422, "validation_failed".into()), "{}", answer.text());
        assert_eq!(answer.pointer(), pointer, "{}", answer.text());
    }

    let no_lines = with(&|body| body["lines"] = json!([]));
    assert_eq!(no_lines.problem(), (422, "invalid_order".into()));
    let many: Vec<Value> = (0..51).map(|n| json!({ "sku": format!("s{n}"), "units": 1 })).collect();
    assert_eq!(with(&|body| body["lines"] = json!(many)).problem(), (422, "invalid_order".into()));
    let other_currency = with(&|body| body["currency"] = json!("USD"));
    assert_eq!(other_currency.problem(), (422, "currency_mismatch".into()));
    let other_price = with(&|body| body["lines"][0]["unit_price"] = json!({ "amount": 999, "currency": "EUR" }));
    assert_eq!(other_price.problem(), (409, "price_changed".into()));
    let unknown = with(&|body| body["lines"][0]["sku"] = json!("unheard-of"));
    assert_eq!((unknown.problem(), unknown.pointer()), ((404, "unknown_sku".into()), "/lines/0".into()));
    let too_many = units(json!(11));
    assert_eq!((too_many.problem(), too_many.pointer()), ((409, "sold_out".into()), "/lines/0".into()));

    assert_eq!(server.available("hoodie"), 10, "nothing of all this changed anything");
    server.buy("key", "ada", "hoodie", 1).expect(201);
}

#[test]
fn a_body_that_is_no_json_is_malformed() {
    let server = Server::start();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "\"k\"")];
    let nested = "[".repeat(100_000);
    for body in ["", "{", "{\"buyer\":}", "buyer=ada", "{} {}", "\u{0}", nested.as_str()] {
        let answer = client::send(server.api, "POST", "/v1/orders", &headers, Some(body.as_bytes()));
        assert_eq!(answer.problem(), (400, "malformed_json".into()), "{body:.20}");
    }
    let answer = client::send(server.api, "POST", "/v1/orders", &headers, Some(b"{\"buyer\":\"\xff\"}"));
    assert_eq!(answer.problem(), (400, "malformed_json".into()));
}

#[test]
fn a_body_must_be_plain_json() {
    let server = Server::start();
    let send = |headers: &[(&str, &str)]| {
        let headers = [headers, &[("Idempotency-Key", "\"k\"")]].concat();
        client::send(server.api, "POST", "/v1/orders", &headers, Some(b"{}")).problem()
    };
    let refused = (415, "unsupported_media_type".to_owned());
    assert_eq!(send(&[]), refused);
    assert_eq!(send(&[("Content-Type", "text/plain")]), refused);
    assert_eq!(send(&[("Content-Type", "application/x-www-form-urlencoded")]), refused);
    assert_eq!(send(&[("Content-Type", "application/json"), ("Content-Encoding", "gzip")]), refused);
    assert_eq!(send(&[("Content-Type", "application/json; charset=utf-8")]).0, 422, "it is read, and lacks fields");
}

#[test]
fn too_much_is_refused() {
    let server = Server::with(&["--api-body-limit", "4KiB"]);
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "\"k\"")];
    let large = format!("{{\"buyer\":\"{}\"}}", "x".repeat(5_000));
    let announced = client::send(server.api, "POST", "/v1/orders", &headers, Some(large.as_bytes()));
    assert_eq!(announced.problem(), (413, "body_too_large".into()));

    let mut chunked = b"POST /v1/orders HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
        Idempotency-Key: \"k\"\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    write!(chunked, "{:x}\r\n{large}\r\n0\r\n\r\n", large.len()).unwrap();
    let mut stream = client::connect(server.api);
    stream.write_all(&chunked).unwrap();
    assert_eq!(client::read(&mut stream).unwrap().problem(), (413, "body_too_large".into()));

    let long = "x".repeat(20_000);
    let headers = client::send(server.api, "GET", "/v1/skus/a", &[("X-Note", &long)], None);
    assert_eq!(headers.problem(), (431, "headers_too_large".into()));
    let path = client::send(server.api, "GET", &format!("/v1/skus/a?{long}"), &[], None);
    assert_eq!(path.problem(), (431, "headers_too_large".into()));
}

#[test]
fn a_body_that_does_not_come_times_out() {
    let server = Server::with(&["--api-header-timeout", "300ms"]);
    let mut stream = client::connect(server.api);
    let head = client::request(
        "POST",
        "/v1/orders",
        &[("Content-Type", "application/json"), ("Idempotency-Key", "\"k\""), ("Content-Length", "100")],
        None,
    );
    stream.write_all(&head).unwrap();
    stream.write_all(b"{\"buyer\"").unwrap();
    assert_eq!(client::read(&mut stream).unwrap().problem(), (408, "body_timeout".into()));
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let server = Server::start();
    for path in ["/", "/v1", "/v2/orders", "/v1/orders/", "/v1/noop", "/v1/skus/a/b/c/d"] {
        assert_eq!(server.get(path).problem(), (404, "unknown_route".into()), "{path}");
    }
    let wrong = client::send(server.api, "DELETE", "/v1/orders", &[], None);
    assert_eq!(wrong.problem(), (405, "method_not_allowed".into()));
    assert_eq!(wrong.header("allow"), Some("POST, GET"));
    assert_eq!(client::send(server.api, "PATCH", "/v1/skus/a", &[], None).header("allow"), Some("PUT, GET"));

    let none = "0".repeat(26);
    assert_eq!(server.get(&format!("/v1/orders/ord_{none}")).problem(), (404, "unknown_order".into()));
    assert_eq!(server.get(&format!("/v1/carts/crt_{none}")).problem(), (404, "unknown_cart".into()));
    assert_eq!(server.get("/v1/skus/unheard-of").problem(), (404, "unknown_sku".into()));
    assert_eq!(server.get("/v1/skus/unheard-of/availability").problem(), (404, "unknown_sku".into()));
    assert_eq!(server.get(&format!("/v1/skus/a/holds/hld_{none}")).problem(), (404, "hold_ended".into()));
    let cancel = server.post(&format!("/v1/orders/ord_{none}/cancel"), "k", &json!({}));
    assert_eq!(cancel.problem(), (404, "unknown_order".into()));
}

#[test]
fn a_path_that_names_nothing_possible_is_invalid() {
    let server = Server::start();
    for path in
        ["/v1/orders/17", "/v1/carts/ord_00000000000000000000000000", "/v1/skus/a%20b", "/v1/skus/a/holds/hld_1"]
    {
        let answer = server.get(path);
        assert_eq!(answer.problem(), (422, "validation_failed".into()), "{path}");
        assert!(answer.json()["errors"][0]["parameter"].is_string(), "{}", answer.text());
    }
}

#[test]
fn a_bad_query_is_named() {
    let server = Server::start();
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("after=nonsense", "after"),
        ("state=lost", "state"),
        ("from=yesterday", "from"),
        ("buyer=a%20b", "buyer"),
        ("attention=perhaps", "attention"),
        ("attention=true&buyer=ada", "attention"),
        ("limit=1&limit=2", "limit"),
        ("colour=red", "query"),
    ] {
        let answer = server.get_as_seller(&format!("/v1/orders?{query}"));
        assert_eq!(answer.problem(), (422, "validation_failed".into()), "{query}");
        assert_eq!(answer.json()["errors"][0]["parameter"], parameter, "{}", answer.text());
    }
}

#[test]
fn stock_orders_and_audit_need_a_key() {
    let server = Server::start();
    let none = format!("ord_{}", "0".repeat(26));
    let routes = [
        ("PUT", "/v1/skus/a".to_owned()),
        ("POST", "/v1/skus/a/receipts".to_owned()),
        ("POST", "/v1/skus/a/adjustments".to_owned()),
        ("GET", "/v1/skus/a/movements".to_owned()),
        ("POST", "/v1/skus/a/pause".to_owned()),
        ("POST", "/v1/skus/a/resume".to_owned()),
        ("GET", "/v1/orders".to_owned()),
        ("POST", format!("/v1/orders/{none}/refunds")),
        ("POST", format!("/v1/orders/{none}/shipments")),
        ("POST", format!("/v1/orders/{none}/returns")),
        ("POST", format!("/v1/orders/{none}/attention/acknowledge")),
        ("GET", "/v1/audit".to_owned()),
    ];
    for (method, path) in routes {
        let missing = client::send(server.api, method, &path, &[], None);
        assert_eq!(missing.problem(), (401, "api_key_missing".into()), "{method} {path}");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
        for wrong in ["Bearer sk_0000", "Bearer", "Basic dXNlcg==", "sk_0000"] {
            let answer = client::send(server.api, method, &path, &[("Authorization", wrong)], None);
            assert_eq!(answer.problem(), (401, "api_key_invalid".into()), "{method} {path} {wrong}");
        }
    }
}

#[test]
fn a_key_made_or_revoked_beside_the_server_counts() {
    let server = Server::start();
    let made = stampede::keys::create(server.data_dir(), "late").unwrap();
    let audit = || {
        let bearer = format!("Bearer {}", made.secret);
        client::send(server.api, "GET", "/v1/audit", &[("Authorization", &bearer)], None).status
    };
    let until = |status| crate::server::eventually(|| if audit() == status { Ok(()) } else { Err("not yet".into()) });
    until(200);
    stampede::keys::revoke(server.data_dir(), "late").unwrap();
    until(401);
}
