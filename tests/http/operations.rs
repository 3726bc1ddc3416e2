//! Health and metrics, and the API's description.

use crate::client;
use crate::server::{Server, eventually};
use serde_json::Value;
use stampede::metrics::catalogue::{ALL, Kind, OTHER, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

fn scrape(server: &Server) -> String {
    let answer = client::send(server.operations, "GET", "/metrics", &[], None).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// Name and labels of each sample; buckets, sums and counts under their metric's name.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match series.split_once('{') {
                None => (series, ""),
                Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            };
            let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
                let (key, value) = label.split_once("=\"").unwrap();
                (key.to_owned(), value.trim_end_matches('"').to_owned())
            });
            (name.to_owned(), labels.collect(), value.parse().unwrap())
        })
        .collect()
}

fn family<'a>(sample: &'a str, families: &BTreeSet<&str>) -> &'a str {
    let of_histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| sample.strip_suffix(suffix).filter(|name| families.contains(name)));
    of_histogram.unwrap_or(sample)
}

/// The running program and the catalogue say the same, both ways: name, type, help, label keys, label values.
#[test]
fn what_is_scraped_is_the_catalogue() {
    let server = Server::start();
    server.stock("hoodie", 10);
    let placed = server.buy("k", "ada", "hoodie", 1).expect(201).json();
    server.wait_for_state(placed["order"].as_str().unwrap(), "fulfilled");
    server.buy("k", "ada", "hoodie", 1).expect(201);
    server.get("/v1/skus/none");
    let text = scrape(&server);

    let mut said: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
        let mut words = line.splitn(3, ' ');
        let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let entry = said.entry(name).or_default();
        if what == "TYPE" { entry.0 = rest } else { entry.1 = rest }
    }
    let known: BTreeMap<&str, (&str, &str)> =
        ALL.iter().map(|metric| (metric.name, (metric.kind.word(), metric.help))).collect();
    assert_eq!(said, known);

    let families: BTreeSet<&str> = known.keys().copied().collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (name, labels, _) in samples(&text) {
        let name = family(&name, &families);
        let metric = ALL.iter().find(|metric| metric.name == name).unwrap();
        seen.insert(metric.name);
        let keys: BTreeSet<&str> = labels.keys().map(String::as_str).filter(|key| *key != "le").collect();
        let expected: BTreeSet<&str> = metric.labels.iter().map(|label| label.key).collect();
        assert_eq!(keys, expected, "{name}");
        for label in metric.labels {
            if let Values::Of(words) = label.values {
                let value = labels[label.key].as_str();
                assert!(words.contains(&value) && value != OTHER, "{name}: {}={value}", label.key);
            }
        }
    }
    assert_eq!(seen, families, "every metric has a series");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    for metric in ALL {
        assert!(page.contains(&format!("| `{}` | {} |", metric.name, metric.kind.word())), "{}", metric.name);
    }
}

#[test]
fn what_happens_is_counted() {
    let server = Server::start();
    server.stock("hoodie", 1);
    let placed = server.buy("k", "ada", "hoodie", 1).expect(201).json();
    server.buy("k", "ada", "hoodie", 1).expect(201);
    server.buy("l", "bob", "hoodie", 1).expect(409);
    server.buy("k", "bob", "hoodie", 1).expect(422);
    server.wait_for_state(placed["order"].as_str().unwrap(), "fulfilled");
    let value = |series: &str| {
        let text = scrape(&server);
        let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{series}:\n{text}"))
    };
    assert_eq!(value("stampede_http_requests_total{route=\"/v1/orders\",method=\"POST\",status_class=\"2xx\"}"), 2.0);
    assert_eq!(value("stampede_http_requests_total{route=\"/v1/orders\",method=\"POST\",status_class=\"409\"}"), 1.0);
    assert_eq!(value("stampede_http_request_duration_seconds_count{route=\"/v1/orders\",method=\"POST\"}"), 4.0);
    assert_eq!(value("stampede_http_requests_in_flight{route=\"/v1/orders\"}"), 0.0);
    assert_eq!(value("stampede_checkout_requests_total{outcome=\"accepted\"}"), 1.0);
    assert_eq!(value("stampede_checkout_requests_total{outcome=\"duplicate\"}"), 1.0);
    assert_eq!(value("stampede_checkout_requests_total{outcome=\"sold_out\"}"), 1.0);
    assert_eq!(value("stampede_idempotency_requests_total{outcome=\"replayed\"}"), 1.0);
    assert_eq!(value("stampede_idempotency_requests_total{outcome=\"fingerprint_mismatch\"}"), 1.0);
    assert_eq!(value("stampede_orders_total{outcome=\"placed\"}"), 1.0);
    assert_eq!(value("stampede_orders_total{outcome=\"paid\"}"), 1.0);
    assert_eq!(value("stampede_hold_transitions_total{to=\"confirmed\"}"), 1.0);
    assert_eq!(value("stampede_journal_epoch{backend=\"embedded\"}"), 1.0);
    assert!(value("stampede_journal_batch_records_count{backend=\"embedded\"}") > 0.0);
    assert_eq!(
        value("stampede_payment_attempts_total{provider=\"simulated\",operation=\"capture\",outcome=\"authorised\"}"),
        1.0
    );
    for stage in ["reserve", "journal"] {
        let series = format!("stampede_checkout_duration_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(value(&series), 1.0, "{stage}: one order was placed, and no replay counts");
    }
    assert_eq!(value("stampede_checkout_duration_seconds_count{stage=\"total\"}"), 4.0);
    let scraped = samples(&scrape(&server));
    let sum = |name: &str| scraped.iter().filter(|(of, ..)| of == name).map(|(_, _, value)| value).sum::<f64>();
    assert!(sum("stampede_shard_wait_seconds_count") > 0.0);
    let timed = sum("stampede_actor_handle_duration_seconds_count");
    assert!(timed > 0.0 && timed <= sum("stampede_shard_wait_seconds_count"));
    assert!(value("stampede_store_operations_total{backend=\"embedded\",op=\"range\",outcome=\"done\"}") > 0.0);
    assert_eq!(value("stampede_store_operations_total{backend=\"embedded\",op=\"write\",outcome=\"failed\"}"), 0.0);
    assert_eq!(value("stampede_scenario_active{kind=\"fault\"}"), 0.0);
    crate::server::eventually(|| {
        let confirmed = value("stampede_hold_duration_seconds_count{end=\"confirmed\"}");
        let hottest = value("stampede_hot_sku_share_ratio{rank=\"1\"}");
        let written = value("stampede_store_operations_total{backend=\"embedded\",op=\"write\",outcome=\"done\"}");
        let timed = value("stampede_store_operation_duration_seconds_count{backend=\"embedded\"}");
        let all_there = confirmed == 1.0 && hottest == 1.0 && written > 0.0 && timed >= written;
        if all_there { Ok(()) } else { Err(format!("{confirmed} {hottest} {written} {timed}")) }
    });
    assert_eq!(value("stampede_hot_sku_share_ratio{rank=\"2\"}"), 0.0);
    eventually(|| {
        let looks = |rule| value(&format!("stampede_invariant_checks_total{{invariant=\"{rule}\"}}"));
        let looks = ["oversell", "conservation", "captured_once", "refund_within_capture"].map(looks);
        // The sums alone are one look at two of them.
        if looks.iter().all(|looks| *looks >= 1.0) && looks[1] > 1.0 && looks[2] > 1.0 {
            Ok(())
        } else {
            Err(format!("{looks:?}"))
        }
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    for pair in ["orders_charges", "stock_movements"] {
        let agreed = value(&format!("stampede_reconciliation_last_success_timestamp_seconds{{pair=\"{pair}\"}}"));
        assert!((now - agreed).abs() < 600.0, "{pair}: {agreed}, now {now}");
    }
    assert_eq!(value("stampede_ready{check=\"log\"}"), 1.0);
    assert_eq!(value("stampede_oversold_units_total"), 0.0);
    crate::server::eventually(|| match value("stampede_revenue_minor_units_total{currency=\"EUR\"}") {
        1999.0 => Ok(()),
        other => Err(format!("revenue {other}")),
    });
    assert!(samples(&scrape(&server)).len() < 5_000, "within the scrape's limit");
}

/// Whoever injects a fault sees it in every dashboard.
#[test]
fn an_injected_fault_shows() {
    let server = Server::with(&["--log-sync-delay", "20ms", "--measure"]);
    let text = scrape(&server);
    for kind in ["fault", "load_test"] {
        assert!(text.contains(&format!("stampede_scenario_active{{kind=\"{kind}\"}} 1\n")), "{kind}");
    }
    let began = std::time::Instant::now();
    server.stock("hoodie", 1);
    assert!(began.elapsed() >= std::time::Duration::from_millis(40), "two answers waited for a sync each");
}

#[test]
fn open_metrics_on_request() {
    let server = Server::start();
    let accept = [("Accept", "application/openmetrics-text; version=1.0.0")];
    let answer = client::send(server.operations, "GET", "/metrics", &accept, None).expect(200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.text().ends_with("# EOF\n"));
    let counters = ALL.iter().filter(|metric| metric.kind == Kind::Counter);
    for metric in counters {
        let name = metric.name.strip_suffix("_total").unwrap();
        assert!(answer.text().contains(&format!("# TYPE {name} counter\n")), "{name}");
    }
}

#[test]
fn health_says_what_it_checks() {
    let server = Server::start();
    let get = |path: &str| client::send(server.operations, "GET", path, &[], None).expect(200).json();
    assert_eq!(get("/health/live")["status"], "live");
    assert_eq!(get("/health/startup")["status"], "started");
    let ready = get("/health/ready");
    assert_eq!(ready["status"], "ready");
    for check in ready["checks"].as_array().unwrap() {
        assert_eq!(check["ok"], true, "{check}");
    }
    assert_eq!(client::send(server.operations, "GET", "/v1/orders", &[], None).status, 404, "no API here");
    assert_eq!(server.get("/metrics").status, 404, "and no metrics there");
}

/// Every described operation is served, and the playground needs nothing from elsewhere.
#[test]
fn the_description_is_true_and_the_playground_is_offline() {
    let server = Server::start();
    let document: Value = server.get("/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in document["paths"].as_object().unwrap() {
        let id = format!("_{}", "0".repeat(26));
        let concrete = path
            .replace("{sku}", "some-sku")
            .replace("{hold}", &format!("hld{id}"))
            .replace("{cart}", &format!("crt{id}"))
            .replace("{order}", &format!("ord{id}"))
            .replace("{file}", "index.html");
        for (method, operation) in item.as_object().unwrap() {
            let answer = client::send(server.api, &method.to_uppercase(), &concrete, &[], None);
            let served = answer.status != 405 && (answer.status != 404 || answer.code() != "unknown_route");
            assert!(served, "{method} {path}: {}", answer.text());
            let statuses = operation["responses"].as_object().unwrap();
            assert!(
                statuses.contains_key(&answer.status.to_string()),
                "{method} {path}: {} is not described",
                answer.status
            );
        }
    }

    assert_eq!(server.get("/docs").expect(308).header("location"), Some("/docs/"));
    let page = server.get("/docs/").expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(!page.text().contains("http://") && !page.text().contains("https://"), "nothing from elsewhere");
    assert!(server.get("/docs/swagger-initializer.js").expect(200).text().contains("/openapi.json"));
    server.get("/docs/swagger-ui-bundle.js").expect(200);
    server.get("/docs/nothing.js").expect(404);
}

#[test]
fn noop_is_there_for_measuring_only() {
    let server = Server::with(&["--measure"]);
    let body =
        serde_json::json!({ "buyer": "ada", "payment_token": "tok_ok", "lines": [{ "sku": "hoodie", "units": 1 }] });
    server.stock("hoodie", 1);
    let noop = server.send("POST", "/v1/noop", &[], &body).expect(201);
    let order = server.buy("k", "ada", "hoodie", 1).expect(201);
    let difference = noop.body.len().abs_diff(order.body.len());
    assert!(difference < 16, "{} against {}", noop.text(), order.text());
}

/// A client that resets its connection is never answered, and is not in flight any more either.
#[test]
fn requests_whose_client_has_gone_are_not_in_flight() {
    let mut server = Server::start();
    server.stock("hoodie", 10);
    server.crash_and_restart_with(&["--log-sync-delay", "2s"]);
    let in_flight = |server: &Server| {
        let of_orders = |(name, labels, _): &(String, BTreeMap<String, String>, f64)| {
            name == "stampede_http_requests_in_flight" && labels.get("route").is_some_and(|route| route == "/v1/orders")
        };
        samples(&scrape(server)).into_iter().find(of_orders).map_or(0.0, |(_, _, value)| value)
    };
    let body = serde_json::to_vec(&crate::server::order("ada", "tok_ok", "hoodie", 1)).unwrap();
    let headers = [("Idempotency-Key", "\"gone\""), ("Content-Type", "application/json")];
    let mut stream = client::connect(server.api);
    stream.write_all(&client::request("POST", "/v1/orders", &headers, Some(&body))).unwrap();
    eventually(|| if in_flight(&server) == 1.0 { Ok(()) } else { Err("the request is not in flight".to_owned()) });
    reset_when_closed(&stream);
    drop(stream);
    eventually(|| match in_flight(&server) {
        0.0 => Ok(()),
        left => Err(format!("{left} requests are still in flight")),
    });
}

/// Closing it resets the connection.
fn reset_when_closed(stream: &std::net::TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option's value is a `linger` that lives until the call returns.
    let set = unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size)
    };
    assert_eq!(set, 0);
}
