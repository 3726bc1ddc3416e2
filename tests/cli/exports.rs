//! `stampede export`, and `verify` of what it wrote: the root goes to the other machine, the log does not.

use super::{FAILED, Here, OK, Serving, USAGE, VIOLATED, wait_until};
use serde_json::{Value, json};

/// A directory with 20 SKUs, of which one was bought three times, by a server that has stopped.
fn shop() -> Here {
    let here = Here::new();
    here.write_stock("stock.csv", 20);
    here.run(&["import", "stock.csv"]).says(OK);
    let serving = Serving::start(&here, &[]);
    here.run(&["export", "--sku", "sku-7"]).fails(FAILED, "in use by another process");
    assert!(!here.dir().join("stampede.export").exists(), "nothing is left behind");
    for (number, sku) in ["sku-7", "sku-7", "sku-8", "sku-7"].iter().enumerate() {
        let headers = format!("Content-Type: application/json\r\nIdempotency-Key: \"key-{number}\"\r\n");
        let body = json!({ "buyer": "ann", "payment_token": "tok_ok", "lines": [{ "sku": sku, "units": 1 }] });
        let answer = serving.exchange("POST", "/v1/orders", &headers, &body.to_string());
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    let key = here.key("tests");
    wait_until(|| serving.json("GET", "/v1/audit", Some(&key))["captured_orders"] == 4);
    assert_eq!(serving.stop(), OK);
    here
}

/// The root, as `verify` says it to whoever notes it down.
fn root(here: &Here) -> String {
    let words = here.run(&["verify", "stampede-data"]).says(OK);
    let root = words.lines().find_map(|line| line.strip_prefix("root: ")).unwrap().to_owned();
    let report: Value = serde_json::from_str(&here.run(&["verify", "stampede-data", "--json"]).says(OK)).unwrap();
    assert_eq!(report["root"], root.as_str());
    root
}

#[test]
fn an_export_is_proven_on_another_machine() {
    let (here, elsewhere) = (shop(), Here::new());
    let root = root(&here);
    let said = here.run(&["export", "--sku", "sku-7", "--from", "2020-01-01T00:00:00Z"]).says(OK);
    assert!(said.contains(" of 1 SKUs and 3 orders, ") && said.contains(&format!("--root {root}\n")), "{said}");
    std::fs::copy(here.dir().join("stampede.export"), elsewhere.dir().join("proof")).unwrap();

    let words = elsewhere.run(&["verify", "proof", "--root", &root]).says(OK);
    assert!(words.contains("from 2020-01-01T00:00:00.000000Z to the end: "), "{words}");
    assert!(words.contains("\ngenuine and complete: ") && words.trim_end().ends_with(&root), "{words}");
    let verdict = elsewhere.run(&["verify", "proof", "--root", &root.to_uppercase(), "--json"]).says(OK);
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!((&verdict["orders"], &verdict["skus"][0][0]), (&json!(3), &json!("sku-7")));
    let records = elsewhere.run(&["verify", "proof", "--root", &root, "--records"]).says(OK);
    let shown = records.lines().filter(|line| line.starts_with("record ")).count() as u64;
    assert_eq!(Some(shown), verdict["records"].as_u64());
    assert_eq!(records.matches(": Order(Placed {").count(), 3, "{records}");
    assert!(!records.contains("sku-8"));
}

#[test]
fn an_export_that_is_not_right_ends_with_99_and_names_the_place() {
    let here = shop();
    let root = root(&here);
    here.run(&["export", "--sku", "sku-7", "--out", "proof", "--json"]).says(OK);
    let genuine = std::fs::read(here.dir().join("proof")).unwrap();
    let mut altered = genuine.clone();
    let place = altered.windows(5).rposition(|window| window == b"sku-7").unwrap();
    altered[place] ^= 1;
    std::fs::write(here.dir().join("altered"), altered).unwrap();
    here.run(&["verify", "altered", "--root", &root]).fails(VIOLATED, ", at byte ");
    let ended = here.run(&["verify", "altered", "--root", &root, "--json"]);
    assert_eq!(ended.code, VIOLATED);
    let said: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(said["refuted"]["file"] == "altered" && said["refuted"]["offset"].as_u64().unwrap() > 40, "{said}");
    std::fs::write(here.dir().join("short"), &genuine[..genuine.len() - 1]).unwrap();
    here.run(&["verify", "short", "--root", &root]).fails(VIOLATED, "cut short");
    here.run(&["verify", "proof", "--root", &"0".repeat(64)]).fails(VIOLATED, "the root of this export is");
}

#[test]
fn what_cannot_be_exported_or_checked_is_said_plainly() {
    let here = Here::new();
    here.write_stock("stock.csv", 3);
    here.run(&["import", "stock.csv"]).says(OK);
    let root = "0".repeat(64);
    here.run(&["export"]).fails(USAGE, "--sku");
    here.run(&["export", "--sku", "two words"]).fails(USAGE, "letters, digits");
    here.run(&["export", "--sku", "sku-1", "--from", "yesterday"]).fails(USAGE, "--from");
    here.run(&["export", "--sku", "sku-9"]).fails(FAILED, "there is no SKU sku-9 in this log");
    here.run(&["export", "--sku", "sku-1", "--head", "99"]).fails(FAILED, "there is no frame 99");
    let never = ["export", "--sku", "sku-1", "--from", "2026-01-02 00:00:00", "--to", "2026-01-01 00:00:00"];
    here.run(&never).fails(FAILED, "ends before it begins");
    here.run(&["export", "--sku", "sku-1", "--out", "stock.csv"]).fails(FAILED, "stock.csv is there already");
    here.run(&["export", "--sku", "sku-1", "--data-dir", "nowhere"]).fails(FAILED, "nowhere");

    here.run(&["verify", "stock.csv", "--root", &root]).fails(FAILED, "this is no export");
    here.run(&["verify", "stock.csv"]).fails(USAGE, "--root HASH");
    here.run(&["verify", "stock.csv", "--root", "abc"]).fails(USAGE, "64 hexadecimal digits");
    here.run(&["verify", "stampede-data", "--root", &root]).fails(USAGE, "--root is for an export");
    here.run(&["verify", "stampede-data", "--records"]).fails(USAGE, "--records is for an export");
    here.run(&["verify", "nowhere", "--root", &root]).fails(FAILED, "nowhere");
}
