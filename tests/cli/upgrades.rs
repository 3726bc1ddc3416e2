//! Data directories that earlier builds left, as `dev/upgrade-fixture` wrote them: this build starts on each, finds what was
//! in it, and goes on.

use super::{Here, OK, Serving, wait_until};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};

#[test]
fn what_earlier_builds_left_is_opened_found_and_gone_on_with() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let packed: Vec<PathBuf> = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    let packed: Vec<&PathBuf> = packed.iter().filter(|path| path.to_string_lossy().ends_with(".tar.zst")).collect();
    assert!(!packed.is_empty());
    for packed in packed {
        let expected = packed.to_str().unwrap().replace(".tar.zst", ".json");
        let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
        eprintln!("of {}", expected["version"]);
        opens(packed, &expected);
    }
}

fn opens(packed: &Path, expected: &Value) {
    let here = Here::new();
    let data = here.dir().join("stampede-data");
    tar::Archive::new(zstd::Decoder::new(File::open(packed).unwrap()).unwrap()).unpack(&data).unwrap();
    let verified = |found: u64| -> Value {
        let report: Value = serde_json::from_str(&here.run(&["verify", "stampede-data", "--json"]).says(OK)).unwrap();
        assert_eq!(report["found"], found, "{report}");
        report
    };
    includes(&verified(0), &expected["verified"], "the log");
    // It can be backed up as it lies there, too.
    here.run(&["backup", "copy"]).says(OK);
    here.run(&["restore", "copy", "--check"]).says(OK);

    let serving = Serving::start(&here, &["--start-grace", "500ms"]);
    let key = expected["api_key"].as_str();
    for order in expected["orders"].as_array().unwrap() {
        let id = order["order"].as_str().unwrap();
        includes(&serving.json("GET", &format!("/v1/orders/{id}"), None), order, id);
    }
    for cart in expected["carts"].as_array().unwrap() {
        let id = cart["cart"].as_str().unwrap();
        includes(&serving.json("GET", &format!("/v1/carts/{id}"), None), cart, id);
    }
    let waiting = format!("/v1/orders/{}", expected["waiting"].as_str().unwrap());
    wait_until(|| serving.json("GET", &waiting, None)["state"] == "expired");
    for sku in expected["skus"].as_array().unwrap() {
        let path = format!("/v1/skus/{}/availability", sku["sku"].as_str().unwrap());
        wait_until(|| serving.json("GET", &path, None)["held"] == 0);
        includes(&serving.json("GET", &path, None), sku, &path);
    }
    for replay in expected["replays"].as_array().unwrap() {
        let [path, key, body] = ["path", "key", "body"].map(|field| replay[field].as_str().unwrap());
        let answer = order(&serving, path, key, body);
        let (head, said) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", replay["status"])), "{key}: {answer}");
        assert!(head.to_lowercase().contains("idempotency-replayed: true"), "{key}: {answer}");
        assert_eq!(said, replay["answer"], "{key}");
    }

    let on_hand = |sku: &str| serving.json("GET", &format!("/v1/skus/{sku}/availability"), None)["on_hand"].as_u64();
    let before = on_hand("tee").unwrap();
    let body = r#"{"buyer":"buyer-new","payment_token":"tok_ok","lines":[{"sku":"tee","units":2}]}"#;
    let placed = order(&serving, "/v1/orders", "of-the-new-build", body);
    assert!(placed.starts_with("HTTP/1.1 201 ") && !placed.to_lowercase().contains("idempotency-replayed"), "{placed}");
    let placed: Value = serde_json::from_str(placed.split_once("\r\n\r\n").unwrap().1).unwrap();
    let placed = format!("/v1/orders/{}", placed["order"].as_str().unwrap());
    wait_until(|| serving.json("GET", &placed, None)["state"] == "fulfilled");
    // The order is fulfilled first; the SKU hears of it a moment later.
    wait_until(|| on_hand("tee") == Some(before - 2));
    let audit = serving.json("GET", "/v1/audit", key);
    assert_eq!(audit["verdict"], "ok", "{audit}");
    assert_eq!(serving.stop(), OK);
    assert!(verified(0)["head"].as_u64() > expected["verified"]["head"].as_u64());
}

fn order(serving: &Serving, path: &str, key: &str, body: &str) -> String {
    let headers = format!("Content-Type: application/json\r\nIdempotency-Key: \"{key}\"\r\n");
    serving.exchange("POST", path, &headers, body)
}

/// Everything that is expected is there; a later build may say more.
#[track_caller]
fn includes(found: &Value, expected: &Value, of: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                includes(found.get(name).unwrap_or(&Value::Null), value, &format!("{of} {name}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{of}: {found:?}");
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                includes(found, expected, &format!("{of} {index}"));
            }
        }
        _ => assert_eq!(found, expected, "{of}"),
    }
}
