//! `stampede import`: into a running server and into a directory, killed and repeated (S22).

use super::{FAILED, Here, NOT_READY, OK, Serving, USAGE, wait_until};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn an_import_names_every_wrong_line_and_writes_nothing() {
    let here = Here::new();
    let header = "sku,seller,location,units,price,currency\n";
    here.write("stock.csv", &format!("{header}tee,acme,berlin,ten,19.99,EUR\nmug,acme,berlin,1,7.999,EUR\n"));
    let ended = here.run(&["import", "stock.csv", "--server", "http://127.0.0.1:1", "--key", "sk_x"]);
    assert_eq!(ended.code, FAILED);
    for says in [
        "stock.csv: 2 errors in the file; nothing was imported",
        "line 2: units \"ten\": expected a whole number from 0 to 1000000000",
        "line 3: price \"7.999\": an amount in EUR is written with at most 2 decimals",
    ] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    here.run(&["import", "none.csv", "--check"]).fails(FAILED, "none.csv: No such file");
}

#[test]
fn an_import_can_be_checked_without_a_server() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\ntee,acme,berlin,10,19.99,EUR\n");
    let ended = here.run(&["import", "stock.csv", "--check"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (OK, "1 rows of 1 SKUs are right; nothing was imported\n"));
}

#[test]
fn a_server_needs_an_address_and_a_key() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\ntee,acme,berlin,10,19.99,EUR\n");
    here.run(&["import", "stock.csv", "--server", "http://127.0.0.1:1"]).fails(USAGE, "--key");
    let https = here.run(&["import", "stock.csv", "--server", "https://127.0.0.1", "--key", "sk_x"]);
    https.fails(USAGE, "https is not spoken here");
}

#[test]
fn a_directory_takes_stock_in_once() {
    let here = Here::new();
    let units = here.write_stock("stock.csv", 300);
    assert_eq!(import(&here, &["stock.csv"]), (300, 0));
    assert_eq!(import(&here, &["stock.csv"]), (0, 300), "a complete import, repeated, changes nothing");
    assert_eq!(here.units(), units);
}

#[test]
fn s22_an_import_into_a_directory_is_killed_and_repeated_until_it_is_complete() {
    let here = Here::new();
    let units = here.write_stock("stock.csv", 3_000);
    let mut patience = Duration::from_millis(50);
    let mut kills = 0;
    let ended = loop {
        let mut import = here.command();
        import.args(["import", "stock.csv", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = import.spawn().unwrap();
        std::thread::sleep(patience);
        match child.try_wait().unwrap() {
            Some(_) => break child.wait_with_output().unwrap(),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                patience = patience.mul_f64(1.5);
            }
        }
    };
    let summary: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let (received, already) = (summary["received"].as_u64().unwrap(), summary["already"].as_u64().unwrap());
    assert_eq!(received + already, 3_000, "{summary}");
    assert!(kills > 0, "killed at least once");
    assert_eq!(here.units(), units, "every row once, after {kills} kills");
}

#[test]
fn s22_an_import_outlives_the_death_of_its_server() {
    let here = Here::new();
    let units = here.write_stock("stock.csv", 4_000);
    let serving = Serving::start(&here, &[]);
    let (url, key) = (serving.url(), here.key("ops"));
    let mut import = here.command();
    import.args(["import", "stock.csv", "--json", "--server", &url, "--key", &key]);
    let import = import.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Rows go in by their order: the first hundred are done, thousands are not.
    wait_until(|| serving.status("GET", "/v1/skus/sku-100", None) == 200);
    let api = serving.api.clone();
    serving.kill();
    let serving = Serving::start(&here, &["--api-bind", &api]);
    let ended = import.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let summary: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(summary["received"].as_u64().unwrap() + summary["already"].as_u64().unwrap(), 4_000, "{summary}");
    serving.stop();
    assert_eq!(here.units(), units);
}

#[test]
fn s22_a_row_is_one_receipt_whoever_imports_it_and_how() {
    let here = Here::new();
    let units = here.write_stock("stock.csv", 40);
    let serving = Serving::start(&here, &[]);
    let (url, first, second) = (serving.url(), here.key("first"), here.key("second"));
    assert_eq!(import(&here, &["stock.csv", "--server", &url, "--key", &first]), (40, 0));
    assert_eq!(import(&here, &["stock.csv", "--server", &url, "--key", &second]), (0, 40), "another key");
    here.run(&["import", "stock.csv"]).fails(FAILED, "a server is running on this directory");
    serving.stop();
    assert_eq!(import(&here, &["stock.csv"]), (0, 40), "no server");
    assert_eq!(here.units(), units);
}

#[test]
fn a_bad_key_fails_and_an_absent_server_is_not_ready() {
    let here = Here::new();
    here.write_stock("stock.csv", 3);
    let serving = Serving::start(&here, &[]);
    let url = serving.url();
    here.run(&["import", "stock.csv", "--server", &url, "--key", "sk_no"]).fails(FAILED, "refuses this API key");
    serving.stop();
    let absent = ["import", "stock.csv", "--server", &url, "--key", "sk_no", "--patience", "200ms"];
    here.run(&absent).fails(NOT_READY, "the same import, repeated, completes it");
}

/// Imports, and says how many rows came in and how many had been there.
fn import(here: &Here, arguments: &[&str]) -> (u64, u64) {
    let said = here.run(&[&["import", "--json"], arguments].concat()).says(OK);
    let summary: Value = serde_json::from_str(&said).unwrap();
    (summary["received"].as_u64().unwrap(), summary["already"].as_u64().unwrap())
}
