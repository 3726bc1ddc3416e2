//! One order is one trace: from its buyer's request over the log and RabbitMQ to the workers and back, also over a
//! crash.

use crate::collector::{Collector, Span};
use crate::server::{Server, eventually};
use crate::services::Services;
use crate::workers::Worker;
use crate::{start, wait_for};
use serde_json::json;
use std::collections::BTreeSet;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn parent(sampled: bool) -> String {
    format!("00-{TRACE}-{CALLER}-{:02x}", u8::from(sampled))
}

/// Places an order whose caller sends this header; its id, and the header of the answer.
fn place(server: &Server, key: &str, traceparent: Option<&str>) -> (String, Option<String>) {
    let quoted = format!("\"{key}\"");
    let mut headers = vec![("Idempotency-Key", quoted.as_str())];
    headers.extend(traceparent.map(|value| ("traceparent", value)));
    let body = json!({
        "buyer": "ada-lovelace", "delivery": "address-of-ada", "payment_token": "tok_ok",
        "lines": [{ "sku": "hoodie", "units": 1 }, { "sku": "tee", "units": 2 }]
    });
    let answer = server.send("POST", "/v1/orders", &headers, &body).expect(201);
    let told = answer.header("traceparent").map(str::to_owned);
    (answer.json()["order"].as_str().unwrap().to_owned(), told)
}

fn names(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// The spans of the one order of [`TRACE`], once it is shipped: all of them, each below another or the caller's.
#[track_caller]
fn whole(spans: Vec<Span>, order: &str) -> Vec<Span> {
    let spans: Vec<_> = spans.into_iter().filter(|span| span.trace == TRACE).collect();
    let expected = [
        "POST /v1/orders",
        "reserve",
        "hold",
        "commit",
        "publish payment",
        "consume payment",
        "PUT /v1/orders/{order}/work",
        "provider authorize",
        "provider capture",
        "result",
        "PUT /v1/orders/{order}/work/answer",
        "consume stock",
        "publish fulfilment",
        "consume fulfilment",
        "warehouse fulfil",
        "PUT /v1/orders/{order}/work/shipments/{shipment}",
    ];
    let there = names(&spans);
    let missing: Vec<_> = expected.iter().filter(|name| !there.contains(*name)).collect();
    assert!(missing.is_empty(), "no {missing:?} in {there:?}");
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "an id is of one span");
    for span in &spans {
        assert!(span.parent == CALLER || ids.contains(span.parent.as_str()), "an orphan: {span:#?}");
        assert_ne!(span.id, CALLER);
        assert!(span.says("stampede.order").is_empty() || span.says("stampede.order") == order, "{span:#?}");
    }
    let of_caller: Vec<_> = spans.iter().filter(|span| span.parent == CALLER).collect();
    let [first] = of_caller[..] else { panic!("the caller called once: {of_caller:#?}") };
    assert_eq!((first.name.as_str(), first.says("http.response.status_code")), ("POST /v1/orders", "201"));
    assert_eq!((first.says("stampede.order"), first.says("http.route")), (order, "/v1/orders"));
    spans
}

/// Is this span below one of that name, over however many?
fn is_below(span: &Span, name: &str, spans: &[Span]) -> bool {
    let above = spans.iter().find(|above| above.id == span.parent);
    above.is_some_and(|above| above.name == name || is_below(above, name, spans))
}

#[test]
fn one_order_is_one_trace_over_all_processes() {
    let rabbitmq = Services::rabbitmq();
    let collector = Collector::start();
    let url = collector.url();
    let tracing = ["--tracing-otlp", url.as_str(), "--tracing-sample", "0"];
    let mut server = start(rabbitmq, "traced", &[&["--rabbitmq-works", "none"], &tracing[..]].concat());
    server.stock("hoodie", 10);
    server.stock("tee", 10);
    let (payment, fulfilment) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut pays = Worker::with(rabbitmq, "traced", "payment", &server, payment.path(), &tracing);
    let mut ships = Worker::with(rabbitmq, "traced", "fulfilment", &server, fulfilment.path(), &tracing);
    let (order, told) = place(&server, "secret-key-1", Some(&parent(true)));
    // Callers who decided against it, did not decide while nothing is chosen, or sent what is no header at all.
    let malformed = parent(true).to_uppercase();
    let others = [Some(parent(false)), None, Some(malformed)];
    let mut untraced = Vec::new();
    for (n, header) in others.iter().enumerate() {
        let (order, told) = place(&server, &format!("other-{n}"), header.as_deref());
        assert_eq!(told, None);
        untraced.push(order);
    }
    for order in untraced.iter().chain([&order]) {
        server.wait_for_state(order, "fulfilled");
    }
    let (pids, key) = ([server.pid(), pays.pid(), ships.pid()], server.key.clone());
    pays.end();
    ships.end();
    server.terminate();
    assert!(server.wait(std::time::Duration::from_secs(20)).success());

    let all = collector.spans();
    assert!(all.iter().all(|span| span.trace == TRACE), "{:?}", names(&all));
    let spans = whole(all, &order);
    let first = spans.iter().find(|span| span.parent == CALLER).unwrap();
    assert_eq!(told, Some(format!("00-{TRACE}-{}-01", first.id)), "the answer names the span that gave it");
    // Three processes, each with a name of its own.
    for (pid, span) in pids.iter().zip(["POST /v1/orders", "provider capture", "warehouse fulfil"]) {
        assert_eq!(spans.iter().find(|other| other.name == span).unwrap().pid(), *pid, "{span}");
    }
    let instances: BTreeSet<_> = spans.iter().map(|span| &span.resource["service.instance.id"]).collect();
    assert_eq!(instances.len(), 3);
    assert!(spans.iter().all(|span| span.resource["service.name"] == "stampede"));
    // What follows from what.
    let holds: Vec<_> = spans.iter().filter(|span| span.name == "hold").collect();
    assert_eq!(holds.len(), 2);
    assert!(holds.iter().all(|hold| hold.says("stampede.outcome") == "granted" && is_below(hold, "reserve", &spans)));
    for (span, above) in [
        ("consume payment", "publish payment"),
        ("provider authorize", "consume payment"),
        ("provider capture", "consume payment"),
        ("PUT /v1/orders/{order}/work", "consume payment"),
        ("warehouse fulfil", "consume fulfilment"),
        ("consume fulfilment", "publish fulfilment"),
        ("PUT /v1/orders/{order}/work/answer", "result"),
    ] {
        let below = |other: &&Span| other.name == span && is_below(other, above, &spans);
        assert!(spans.iter().any(|other| below(&other)), "no {span} below a {above}");
    }
    assert!(spans.iter().filter(|span| span.name != first.name).all(|span| is_below(span, &first.name, &spans)));
    // No personal data, and no secret.
    let bytes = collector.bytes();
    let amqp = rabbitmq.get("AMQP_URL");
    let credentials = amqp.split("//").nth(1).unwrap().split('@').next().unwrap();
    for secret in ["ada", "tok_ok", "address", "secret-key", "Bearer", credentials, key.as_str()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} was exported");
    }
}

#[test]
fn an_order_remembers_its_trace_over_a_crash() {
    let rabbitmq = Services::rabbitmq();
    let collector = Collector::start();
    let url = collector.url();
    let tracing = ["--tracing-otlp", url.as_str(), "--tracing-sample", "0"];
    let mut server = start(rabbitmq, "remembered", &[&["--rabbitmq-works", "none"], &tracing[..]].concat());
    server.stock("hoodie", 10);
    server.stock("tee", 10);
    let (order, _) = place(&server, "once", Some(&parent(true)));
    // What the killed process has not sent is lost: wait for the span that the others hang under.
    eventually(|| match names(&collector.spans()).contains("POST /v1/orders") {
        true => Ok(()),
        false => Err("no span of the request".to_owned()),
    });
    server.crash_and_restart();
    wait_for(&server, "stampede_broker_up", |up| up == 1);
    let (payment, fulfilment) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut pays = Worker::with(rabbitmq, "remembered", "payment", &server, payment.path(), &tracing);
    let mut ships = Worker::with(rabbitmq, "remembered", "fulfilment", &server, fulfilment.path(), &tracing);
    server.wait_for_state(&order, "fulfilled");
    pays.end();
    ships.end();
    server.terminate();
    assert!(server.wait(std::time::Duration::from_secs(20)).success());
    let spans = collector.spans();
    for name in ["provider authorize", "provider capture", "warehouse fulfil", "consume stock"] {
        assert!(spans.iter().any(|span| span.name == name && span.trace == TRACE), "no {name}: {:?}", names(&spans));
    }
    assert!(spans.iter().all(|span| span.trace == TRACE));
}
