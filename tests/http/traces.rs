//! Traces of one process, and a collector that is not there.

use crate::client;
use crate::collector::Collector;
use crate::server::{Server, eventually, unique};
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

fn counted(server: &Server, outcome: &str) -> u64 {
    let text = client::send(server.operations, "GET", "/metrics", &[], None).expect(200).text();
    let series = format!("stampede_tracing_spans_total{{outcome=\"{outcome}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(series.as_str()));
    value.unwrap_or_else(|| panic!("no {series}")).parse::<f64>().unwrap() as u64
}

fn buys(server: &Server, count: usize) -> Vec<String> {
    let buy =
        |n| server.buy(&unique(), &format!("b-{n}"), "tee", 1).expect(201).json()["order"].as_str().unwrap().to_owned();
    let orders: Vec<_> = (0..count).map(buy).collect();
    for order in &orders {
        server.wait_for_state(order, "fulfilled");
    }
    orders
}

#[test]
fn a_share_of_the_orders_whose_callers_do_not_decide_is_traced() {
    let collector = Collector::start();
    let mut server = Server::with(&["--tracing-otlp", &collector.url(), "--tracing-sample", "1"]);
    server.stock("tee", 5);
    let orders = buys(&server, 2);
    // Refused: the request is traced all the same, and says why.
    server.buy(&unique(), "b", "tee", 9).expect(409);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    let spans = collector.spans();
    for order in &orders {
        let about: Vec<_> = spans.iter().filter(|span| span.says("stampede.order") == order).collect();
        assert!(about.len() >= 10 && about.iter().all(|span| span.trace == about[0].trace), "{about:#?}");
    }
    let refused = spans.iter().find(|span| span.says("http.response.status_code") == "409").unwrap();
    assert_eq!((refused.says("stampede.outcome"), refused.parent.as_str()), ("sold_out", ""));
    let reserve = spans.iter().find(|span| span.trace == refused.trace && span.name == "reserve").unwrap();
    assert_eq!((reserve.says("stampede.outcome"), &reserve.parent), ("sold_out", &refused.id));
}

/// A slow bucket leads to the trace of a request that was slow. Only where the format has a place for it.
#[test]
fn a_slow_request_is_an_example_of_its_bucket() {
    let collector = Collector::start();
    let flags = ["--tracing-otlp", &collector.url(), "--tracing-sample", "0", "--log-sync-delay", "150ms"];
    let server = Server::with(&flags);
    server.stock("tee", 5);
    let body = crate::server::order("b", "tok_ok", "tee", 1);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let key = format!("\"{}\"", unique());
    server.send("POST", "/v1/orders", &[("Idempotency-Key", key.as_str()), ("traceparent", parent)], &body).expect(201);
    // Not traced: no example.
    server.buy(&unique(), "b", "tee", 1).expect(201);
    let scrape = |accept: &str| client::send(server.operations, "GET", "/metrics", &[("Accept", accept)], None).text();
    let open = scrape("application/openmetrics-text; version=1.0.0");
    let with: Vec<_> = open.lines().filter_map(|line| line.split_once(" # {trace_id=\"")).collect();
    assert_eq!(with.len(), 2, "one bucket of the route, one of the purchase: {with:?}");
    for (series, example) in with {
        assert!(
            series.starts_with("stampede_checkout_duration_seconds_bucket{stage=\"total\",le=\"")
                || series.starts_with(
                    "stampede_http_request_duration_seconds_bucket{route=\"/v1/orders\",method=\"POST\",le=\""
                ),
            "{series}"
        );
        assert!(example.starts_with("0af7651916cd43dd8448eb211c80319c\"} 0."), "{example}");
    }
    assert!(!scrape("text/plain").contains("trace_id"));
}

#[test]
fn a_later_request_joins_its_orders_trace() {
    let collector = Collector::start();
    let mut server = Server::with(&["--tracing-otlp", &collector.url(), "--tracing-sample", "0"]);
    server.stock("tee", 5);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = crate::server::order("b", "tok_ok", "tee", 1);
    let key = unique();
    let key = format!("\"{key}\"");
    let headers = [("Idempotency-Key", key.as_str()), ("traceparent", parent)];
    let order =
        server.send("POST", "/v1/orders", &headers, &body).expect(201).json()["order"].as_str().unwrap().to_owned();
    server.wait_for_state(&order, "fulfilled");
    let refund = json!({ "lines": [], "restock": true });
    let answer = server.post_as_seller(&format!("/v1/orders/{order}/refunds"), &unique(), &refund).expect(202);
    assert!(answer.header("traceparent").unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    // Reads do not.
    assert_eq!(server.get(&format!("/v1/orders/{order}")).expect(200).header("traceparent"), None);
    // A repeat of the order, from another trace, is part of that; the order stays where it is.
    let other =
        [("Idempotency-Key", key.as_str()), ("traceparent", "00-11111111111111111111111111111111-2222222222222222-01")];
    server.send("POST", "/v1/orders", &other, &body).expect(201);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    let spans = collector.spans();
    let first = spans.iter().find(|span| span.name == "POST /v1/orders" && span.trace.starts_with("0af7")).unwrap();
    let joined = spans.iter().find(|span| span.name == "POST /v1/orders/{order}/refunds").unwrap();
    assert_eq!((&joined.trace, &joined.parent), (&first.trace, &first.id));
    let repeated: Vec<_> = spans.iter().filter(|span| span.trace.starts_with("1111")).collect();
    assert_eq!(repeated.len(), 1, "{repeated:#?}");
    assert_eq!(repeated[0].says("stampede.outcome"), "replayed");
}

#[test]
fn a_dead_collector_changes_nothing_for_buyers() {
    // Nobody listens; somebody listens and says nothing.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for at in [nobody, silent.local_addr().unwrap()] {
        let mut server = Server::with(&["--tracing-otlp", &format!("http://{at}"), "--tracing-sample", "1"]);
        server.stock("tee", 40);
        buys(&server, 40);
        assert_eq!(server.available("tee"), 0);
        assert_eq!(counted(&server, "exported"), 0);
        if at == nobody {
            eventually(|| match counted(&server, "failed") {
                0 => Err("nothing is counted as lost".to_owned()),
                _ => Ok(()),
            });
        }
        server.terminate();
        assert!(server.wait(Duration::from_secs(20)).success());
    }
}

#[test]
fn off_is_off() {
    let server = Server::start();
    server.stock("tee", 2);
    let key = format!("\"{}\"", unique());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("Idempotency-Key", key.as_str()), ("traceparent", parent)];
    let body = crate::server::order("b", "tok_ok", "tee", 1);
    assert_eq!(server.send("POST", "/v1/orders", &headers, &body).expect(201).header("traceparent"), None);
    for outcome in ["exported", "dropped", "failed"] {
        assert_eq!(counted(&server, outcome), 0, "{outcome}");
    }
}
