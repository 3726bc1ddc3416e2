//! `stampede serve`, `dev`, `keys` and `verify`, with a real server.

use super::{FAILED, Here, OK, Serving, USAGE, VIOLATED, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn a_server_stops_when_told_and_its_log_verifies() {
    let here = Here::new();
    let serving = Serving::start(&here, &[]);
    here.run(&["verify", "stampede-data"]).fails(FAILED, "in use by another process");
    here.run(&["serve", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0"]).fails(FAILED, "in use");
    assert_eq!(serving.stop(), OK);

    let report: Value = serde_json::from_str(&here.run(&["verify", "stampede-data", "--json"]).says(OK)).unwrap();
    assert_eq!((report["was_clean"].as_bool(), report["found"].as_u64()), (Some(true), Some(0)), "{report}");
    assert!(here.run(&["verify", "stampede-data"]).says(OK).ends_with("every invariant holds\n"));
    here.run(&["verify", "nowhere"]).fails(FAILED, "nowhere");
}

#[test]
fn an_order_is_looked_up_with_its_whole_timeline() {
    let here = Here::new();
    here.write("stock.csv", "sku,seller,location,units,price,currency\nhoodie,acme,berlin,5,19.99,EUR\n");
    here.run(&["import", "stock.csv"]).says(OK);
    let serving = Serving::start(&here, &["--payment-latency", "5ms", "--fulfilment-latency", "5ms"]);
    let headers = "Content-Type: application/json\r\nIdempotency-Key: \"one\"\r\n";
    let body = r#"{"buyer":"buyer-1","payment_token":"tok_ok","lines":[{"sku":"hoodie","units":2}]}"#;
    let answer = serving.exchange("POST", "/v1/orders", headers, body);
    let placed: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let order = placed["order"].as_str().unwrap();
    let url = serving.url();
    wait_until(|| here.run(&["order", order, "--server", &url]).stdout.contains("fulfilled"));

    let told = here.run(&["order", order, "--server", &url]).says(OK);
    let at = |words: &str| told.find(words).unwrap_or_else(|| panic!("no {words:?} in {told}"));
    assert!(told.starts_with(&format!("{order}  fulfilled  of buyer-1: 39.98 EUR, 39.98 EUR captured")), "{told}");
    assert!(at("2 x hoodie of acme") < at("placed") && at("placed") < at("capture_done"), "{told}");
    let json: Value = serde_json::from_str(&here.run(&["order", order, "--server", &url, "--json"]).says(OK)).unwrap();
    let steps = json["timeline"].as_array().unwrap().len();
    assert!(steps > 5 && told.lines().count() == steps + 2, "{steps} steps in {told}");

    here.run(&["order", "nonsense", "--server", &url]).fails(USAGE, "is no order's name");
    here.run(&["order", "ord_00000000000000000000000000", "--server", &url]).fails(FAILED, "404 unknown_order");
    assert_eq!(serving.stop(), OK);
    here.run(&["order", order, "--server", &url]).fails(super::NOT_READY, &url);
}

#[test]
fn a_damaged_log_ends_with_99_and_names_the_place() {
    let here = Here::new();
    here.write_stock("stock.csv", 50);
    here.run(&["import", "stock.csv"]).says(OK);
    let wal = std::fs::read_dir(here.dir().join("stampede-data/wal")).unwrap();
    let damaged = wal.map(|entry| entry.unwrap().path()).any(|segment| {
        let mut bytes = std::fs::read(&segment).unwrap();
        let Some(place) = bytes.windows(6).position(|window| window == b"sku-17") else { return false };
        bytes[place] ^= 1;
        std::fs::write(&segment, bytes).is_ok()
    });
    assert!(damaged, "a record was there to be damaged");

    here.run(&["verify", "stampede-data"]).fails(VIOLATED, "offset");
    let ended = here.run(&["verify", "stampede-data", "--json"]);
    let said: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, said["corrupt"]["file"].as_str().is_some()), (VIOLATED, true), "{said}");
    assert!(said["corrupt"]["offset"].as_u64().unwrap() >= 4_096, "{said}");
    here.run(&["serve", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0"]).fails(VIOLATED, "corrupt");
}

#[test]
fn a_port_that_is_taken_stops_the_start() {
    let here = Here::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = here.run(&["serve", "--ops-bind", "127.0.0.1:0", "--api-bind", &address]);
    refused.fails(FAILED, &format!("api.bind: cannot listen on {address}"));
}

#[test]
fn a_key_lives_from_create_to_revoke() {
    let here = Here::new();
    let serving = Serving::start(&here, &[]);
    let made: Value = serde_json::from_str(&here.run(&["keys", "create", "ops", "--json"]).says(OK)).unwrap();
    let secret = made["key"].as_str().unwrap();
    assert!(secret.starts_with("sk_") && secret.len() > 30);
    wait_until(|| serving.status("GET", "/v1/audit", Some(secret)) == 200);
    assert_eq!(serving.status("GET", "/v1/audit", None), 401);
    here.run(&["keys", "create", "ops"]).fails(FAILED, "exists");

    let keys: Value = serde_json::from_str(&here.run(&["keys", "ls", "--json"]).says(OK)).unwrap();
    assert_eq!(keys[0]["name"], "ops");
    assert!(!here.run(&["keys", "ls"]).says(OK).contains(secret), "a key is shown once");

    here.run(&["keys", "revoke", "ops"]).says(OK);
    wait_until(|| serving.status("GET", "/v1/audit", Some(secret)) == 401);
    here.run(&["keys", "revoke", "ops"]).fails(FAILED, "no live key named");
    here.run(&["keys", "create", "two words"]).fails(FAILED, "letters, digits");
}

#[test]
fn dev_opens_a_shop_whose_line_can_be_pasted() {
    let here = Here::new();
    let dev = Dev::start(&here);
    let [first, ready] = [0, 1].map(|line| dev.words[line].as_str());
    let names: Vec<&str> = first.split("  ").map(|pair| pair.split_once(' ').unwrap().0).collect();
    assert_eq!(names, ["API", "Operations", "Docs", "Data", "Key"], "{first}");
    assert!(first.ends_with("Data ./stampede-data  Key sk_test_demo"), "{first}");
    assert!(ready.starts_with("ready in ") && ready.ends_with(" s"), "{ready}");

    let bought = dev.paste();
    assert!(bought.starts_with("HTTP/1.1 201 Created") && !bought.contains("idempotency-replayed"), "{bought}");
    assert!(dev.paste().to_lowercase().contains("idempotency-replayed: true"));
    dev.serving.stop();

    let again = Dev::start(&here);
    let available = again.serving.json("GET", "/v1/skus/t-shirt/availability", None);
    assert_eq!(available["available"], 499, "seeded once: {available}");
    again.serving.stop();
}

#[test]
fn dev_resets_its_own_directory_and_no_other() {
    let here = Here::new();
    let dev = Dev::start(&here);
    dev.paste();
    here.run(&["dev", "--reset"]).fails(USAGE, "a server is running on ./stampede-data");
    dev.serving.stop();

    let dev = Dev::start_with(&here, &["--reset"]);
    assert_eq!(dev.serving.json("GET", "/v1/skus/t-shirt/availability", None)["available"], 500);
    dev.serving.stop();

    std::fs::create_dir(here.dir().join("mine")).unwrap();
    here.write("mine/letter.txt", "dear");
    here.run(&["dev", "--reset", "--data-dir", "mine"]).fails(USAGE, "no data directory of ours: nothing was deleted");
    assert!(here.dir().join("mine/letter.txt").exists());
}

/// A running `stampede dev` and what it said.
struct Dev {
    serving: Serving,
    words: Vec<String>,
}

impl Dev {
    fn start(here: &Here) -> Dev {
        Dev::start_with(here, &[])
    }

    fn start_with(here: &Here, more: &[&str]) -> Dev {
        let mut command = here.command();
        command.args(["dev", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0"]).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The last line of the welcome.
        let mut words = Vec::new();
        for line in lines {
            let line = line.unwrap();
            let last = line.starts_with("All orders:");
            words.push(line);
            if last {
                break;
            }
        }
        let mut addresses = words[0].split("  ");
        let mut address = |name: &str| addresses.next().unwrap().trim_start_matches(name).to_owned();
        let (api, operations) = (address("API http://"), address("Operations http://"));
        Dev { serving: Serving { child, api, operations }, words }
    }

    /// Runs the printed line as a shell would, with `curl` where there is one, and answers head and body.
    fn paste(&self) -> String {
        let start = self.words.iter().position(|line| line.starts_with("curl -i")).unwrap();
        let line = self.words[start..start + 2].join("\n");
        let curl = Command::new("sh").args(["-c", &format!("command -v curl >/dev/null && {line}")]).output().unwrap();
        if curl.status.success() {
            return String::from_utf8(curl.stdout).unwrap();
        }
        // The same request, as far as it can be read out of the line.
        let body = line.split("-d '").nth(1).unwrap().trim_end_matches('\'');
        let headers = "Content-Type: application/json\r\nIdempotency-Key: \"first\"\r\n";
        self.serving.exchange("POST", "/v1/orders", headers, body)
    }
}
