//! `stampede ops`, `fault` and `top` on a running server.

use super::{FAILED, Here, NOT_READY, OK, Serving, USAGE, wait_until};
use serde_json::Value;

#[test]
fn operators_steer_a_sale_and_everybody_sees_who_did_what() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\nhoodie,acme,berlin,5,19.99,EUR\n");
    here.run(&["import", "stock.csv"]).says(OK);
    let key = here.key("oncall");
    let flags = [
        "--fault-injection",
        "--faults",
        "payment=lost:100%",
        "--payment-ask-again",
        "1m",
        "--payment-timeout",
        "300ms",
    ];
    let serving = Serving::start(&here, &flags);
    let url = serving.url();
    let ops = |arguments: &[&str]| {
        let whom = ["--server", &url, "--key", &key];
        here.run(&[arguments, &whom].concat())
    };
    let buy = |name: &str| {
        let headers = format!("Content-Type: application/json\r\nIdempotency-Key: \"{name}\"\r\n");
        let body = r#"{"buyer":"buyer-1","payment_token":"tok_ok","lines":[{"sku":"hoodie","units":1}]}"#;
        let answer = serving.exchange("POST", "/v1/orders", &headers, body);
        serde_json::from_str::<Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let order = buy("first")["order"].as_str().unwrap().to_owned();

    assert!(ops(&["ops", "pause", "--reason", "INC-42"]).says(OK).starts_with("the shop is paused since 2"));
    assert_eq!(buy("second")["code"], "sale_paused");
    assert_eq!(ops(&["ops", "resume", "--reason", "over"]).says(OK), "the shop sells\n");
    let paused = ops(&["ops", "pause", "hoodie", "--reason", "wrong price"]).says(OK);
    assert_eq!(paused, "hoodie is paused: 4 available, 1 held\n");
    ops(&["ops", "resume", "hoodie", "--reason", "right price"]).says(OK);
    assert!(ops(&["ops", "drain", "--reason", "kernel"]).says(OK).starts_with("draining: "));
    assert_eq!(buy("third")["code"], "draining");
    assert!(ops(&["ops", "undrain", "--reason", "done"]).says(OK).starts_with("in service: "));

    let holds = ops(&["ops", "holds", "hoodie"]).says(OK);
    assert!(
        holds.starts_with("hld_") && holds.contains("1 of buyer-1") && holds.trim_end().ends_with(&order),
        "{holds}"
    );
    let hold = holds.split_whitespace().next().unwrap();
    ops(&["ops", "release", "hoodie", hold, "--reason", "x"]).fails(FAILED, "409 hold_ordered");
    let outbox = ops(&["ops", "outbox"]).says(OK);
    assert!(outbox.starts_with(&format!("{order}  authorize (payment, asked ")), "{outbox}");

    assert_eq!(ops(&["fault"]).says(OK), "faults: payment=lost:100%; each sync takes 0 ms longer\n");
    assert_eq!(ops(&["fault", "none"]).says(OK), "faults: none; each sync takes 0 ms longer\n");
    wait_until(|| {
        ops(&["ops", "replay", &order, "--reason", "provider is back"]).says(OK);
        // So that the record is not full of it: the last 256 deeds are at hand.
        std::thread::sleep(std::time::Duration::from_millis(300));
        here.run(&["order", &order, "--server", &url]).stdout.contains("fulfilled")
    });
    wait_until(|| ops(&["ops", "hot"]).says(OK).contains("hoodie"));

    let actions = ops(&["ops", "actions"]).says(OK);
    let said: Vec<_> = actions.lines().rev().take(8).map(|line| line.split_once("oncall").unwrap().1.trim()).collect();
    let said: Vec<String> = said.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        said[..3],
        [
            "pause_shop the shop: INC-42".to_owned(),
            "resume_shop the shop: over".to_owned(),
            "pause_sku hoodie: wrong price".to_owned(),
        ]
    );
    assert!(said[6].starts_with("release_hold hoodie hld_") && said[7].ends_with("not done: hold_ordered"), "{said:?}");
    let json: Value = serde_json::from_str(&ops(&["ops", "actions", "--json"]).says(OK)).unwrap();
    assert!(json.as_array().unwrap().len() >= 8);

    ops(&["ops", "pause", "no/such", "--reason", "x"]).fails(USAGE, "is no name");
    ops(&["ops", "pause", "none", "--reason", "x"]).fails(FAILED, "404 unknown_sku");
    ops(&["fault", "payment=angry:1%"]).fails(FAILED, "422 validation_failed");
    here.run(&["ops", "actions", "--server", &url, "--key", "sk_wrong"]).fails(FAILED, "401 api_key_invalid");
}

#[test]
fn top_shows_a_server_at_a_glance() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\nhoodie,acme,berlin,500,19.99,EUR\n");
    here.run(&["import", "stock.csv"]).says(OK);
    let key = here.key("oncall");
    let serving = Serving::start(&here, &[]);
    let (api, operations) = (serving.url(), format!("http://{}", serving.operations));
    let headers = "Content-Type: application/json\r\nIdempotency-Key: \"one\"\r\n";
    let body = r#"{"buyer":"buyer-1","payment_token":"tok_ok","lines":[{"sku":"hoodie","units":2}]}"#;
    serving.exchange("POST", "/v1/orders", headers, body);
    let top = |more: &[&str]| {
        let whom = ["top", "--server", &api, "--ops", &operations];
        here.run(&[&whom[..], more].concat())
    };
    // Units and hot SKUs are as of the store's last write.
    wait_until(|| {
        let text = top(&["--every", "200ms", "--times", "1", "--key", &key]).says(OK);
        text.contains("100.0 %  hoodie") && text.contains("stock    available 498")
    });
    let text = top(&["--every", "200ms", "--times", "2"]).says(OK);
    assert_eq!(text.matches("ready   oversold 0  violations 0").count(), 2, "{text}");
    for line in ["stock    available 498", "orders   0/s", "queues   payment ", "log      ", "rank 1"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let json = top(&["--times", "1", "--json"]).says(OK);
    let glance: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&glance["ready"], &glance["units"]["available"]), (&true.into(), &498.0.into()), "{glance}");
    top(&["--every", "1ms"]).fails(USAGE, "at least 100ms");
    drop(serving);
    top(&["--times", "1"]).fails(NOT_READY, &operations);
}
