//! Rate limits, over several servers and without Redis.

use super::{Services, metric, start};
use crate::client::Answer;
use crate::server::{Server, order, unique};
use serde_json::json;

fn buy(server: &Server, buyer: &str) -> Answer {
    server.post("/v1/orders", &unique(), &order(buyer, "tok_ok", "hoodie", 1))
}

fn bought(servers: &[&Server], buyer: &str, tries: usize) -> usize {
    (0..tries).filter(|n| buy(servers[n % servers.len()], buyer).status == 201).count()
}

#[test]
fn limits_hold_across_two_servers() {
    let redis = Services::redis();
    let more = ["--limits-buyer", "10/1h"];
    let (one, two) = (start(redis, "two", &more), start(redis, "two", &more));
    one.stock("hoodie", 1_000);
    two.stock("hoodie", 1_000);
    assert_eq!(bought(&[&one, &two], "ada", 30), 10);
    assert_eq!(bought(&[&two, &one], "bob", 30), 10, "each buyer has a count of one's own");

    let other = start(redis, "another-shop", &more);
    other.stock("hoodie", 1_000);
    assert_eq!(bought(&[&other], "ada", 30), 10, "another namespace counts apart");
    for server in [&one, &two, &other] {
        assert_eq!(metric(server, "stampede_rate_limit_fallbacks_total"), 0);
    }
}

#[test]
fn without_redis_each_server_counts_for_itself() {
    let more = ["--limits-buyer", "10/1h"];
    let (one, two) = (Server::with(&more), Server::with(&more));
    one.stock("hoodie", 1_000);
    two.stock("hoodie", 1_000);
    assert_eq!(bought(&[&one, &two], "ada", 60), 20);
    assert_eq!(metric(&one, "stampede_rate_limit_decisions_total{policy=\"buyer\",decision=\"allow\"}"), 10);
    assert_eq!(metric(&one, "stampede_rate_limit_decisions_total{policy=\"buyer\",decision=\"deny\"}"), 20);
    assert_eq!(metric(&one, "stampede_checkout_requests_total{outcome=\"rate_limited\"}"), 20);
}

/// With and without Redis an answer says the same.
#[test]
fn answers_say_what_is_left_and_when_to_come_again() {
    let redis = Services::redis();
    let more = ["--limits-buyer", "2/10m", "--limits-address", "100/1h"];
    for server in [start(redis, "headers", &more), Server::with(&more)] {
        server.stock("hoodie", 10);
        let first = buy(&server, "ada").expect(201);
        assert_eq!(first.header("ratelimit-policy"), Some("\"buyer\";q=2;w=600, \"address\";q=100;w=3600"));
        let left = first.header("ratelimit").unwrap();
        assert!(left.starts_with("\"buyer\";r=1;t=300, \"address\";r=9"), "{left}");

        buy(&server, "ada").expect(201);
        let refused = buy(&server, "ada");
        assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
        let problem = refused.json();
        assert_eq!((problem["retryable"].as_bool(), problem["safe_new_key"].as_bool()), (Some(true), Some(false)));
        let (wait, after) = (problem["retry_after_ms"].as_u64().unwrap(), refused.header("retry-after").unwrap());
        assert!((290_000..=450_000).contains(&wait), "five minutes until there is room for one more: {wait}");
        assert_eq!(after.parse::<u64>().unwrap(), wait.div_ceil(1000));
        assert!(refused.header("ratelimit").unwrap().starts_with("\"buyer\";r=0;t=600"));

        // A read counts for its address alone.
        let read = server.get("/v1/skus/hoodie/availability").expect(200);
        assert_eq!(read.header("ratelimit-policy"), Some("\"address\";q=100;w=3600"));
        assert!(server.get("/openapi.json").header("ratelimit").is_none());
    }
}

#[test]
fn a_key_is_limited_on_the_routes_that_need_one() {
    let redis = Services::redis();
    let server = start(redis, "api-key", &["--limits-api-key", "5/1h", "--limits-headers=false"]);
    let answers: Vec<Answer> = (0..8).map(|_| server.get_as_seller("/v1/orders")).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert!(answers.iter().all(|answer| answer.header("ratelimit").is_none()), "as configured");
    assert!(answers[7].header("retry-after").is_some());
    server.get("/v1/skus/none").expect(404);
}

#[test]
fn a_trusted_proxy_says_who_asks() {
    let more = ["--limits-address", "3/1h", "--limits-trusted-proxies", "127.0.0.0/8"];
    let (behind, alone) = (Server::with(&more), Server::with(&more[..2]));
    let statuses = |server: &Server, client: &str| -> Vec<u16> {
        let from = [("X-Forwarded-For", client)];
        (0..4).map(|_| server.send("GET", "/v1/skus/none", &from, &json!({})).status).collect()
    };
    assert_eq!(statuses(&behind, "198.51.100.1"), [404, 404, 404, 429]);
    assert_eq!(statuses(&behind, "198.51.100.1, 198.51.100.2"), [404, 404, 404, 429]);
    assert_eq!(statuses(&behind, "6.6.6.6, 198.51.100.2"), [429; 4], "what stands farther off is anybody's word");
    assert_eq!(statuses(&alone, "198.51.100.1"), [404, 404, 404, 429]);
    assert_eq!(statuses(&alone, "198.51.100.2"), [429; 4]);
}
