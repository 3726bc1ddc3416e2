//! Availability from Redis: what it shows, and how old it may be.

use super::{Services, reads, start};
use crate::server::{Server, eventually};
use serde_json::Value;

fn availability(server: &Server) -> Value {
    server.get("/v1/skus/hoodie/availability").expect(200).json()
}

#[test]
fn hot_reads_come_from_redis_with_version_and_age() {
    let server = start(Services::redis(), "reads", &["--redis-reads-max-age", "30s"]);
    server.stock("hoodie", 10);
    let own = availability(&server);
    eventually(|| {
        availability(&server);
        if reads(&server, "hit") > 0 { Ok(()) } else { Err("no read was answered from Redis".into()) }
    });
    let cached = availability(&server);
    let fields = |document: &Value| -> Vec<String> { document.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(fields(&cached), fields(&own), "the same document");
    assert_eq!((&cached["available"], &cached["version"]), (&own["available"], &own["version"]));
    // The first one may have come from Redis as well: what has changed is published within milliseconds.
    assert!(matches!(own["max_age_ms"].as_u64(), Some(10_000 | 30_000)), "{own}");
    assert_eq!(cached["max_age_ms"].as_u64(), Some(30_000));
    assert!(cached["age_ms"].as_u64().unwrap() <= 30_000);

    // A change is there soon, although what stood there before would be young enough for long.
    server.buy("k", "ada", "hoodie", 4).expect(201);
    eventually(|| match availability(&server) {
        now if now["available"] == 6 && now["version"].as_u64() > own["version"].as_u64() => Ok(()),
        now => Err(format!("{now}")),
    });
    let hits = reads(&server, "hit");
    eventually(|| {
        assert_eq!(availability(&server)["available"], 6);
        if reads(&server, "hit") > hits { Ok(()) } else { Err("and no longer from Redis".into()) }
    });
}

#[test]
fn nothing_is_shown_that_is_too_old() {
    let server = start(Services::redis(), "old", &["--redis-reads-max-age", "300ms"]);
    server.stock("hoodie", 10);
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(2) {
        let shown = availability(&server);
        assert!(shown["age_ms"].as_u64().unwrap() <= 300, "{shown}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(reads(&server, "hit") > 0, "most came from Redis");
    assert!(reads(&server, "stale") > 0, "some were too old and were read again");
}

#[test]
fn two_shops_on_one_redis_do_not_see_each_others_stock() {
    let redis = Services::redis();
    let (one, two) = (start(redis, "shops", &[]), start(redis, "shops", &[]));
    one.stock("hoodie", 10);
    two.stock("hoodie", 20);
    for (server, units, others) in [(&one, 10, 20), (&two, 20, 10)] {
        eventually(|| {
            let available = availability(server)["available"].as_i64().unwrap();
            assert_ne!(available, others, "the other shop's");
            // None, for as long as what was published before the delivery may be shown.
            if available == units && reads(server, "hit") > 3 { Ok(()) } else { Err(format!("{available}, no hits")) }
        });
    }
}

#[test]
fn reads_can_be_left_to_the_skus() {
    let server = start(Services::redis(), "no-reads", &["--redis-reads-max-age", "0s"]);
    server.stock("hoodie", 10);
    for _ in 0..5 {
        assert_eq!(availability(&server)["available"], 10);
    }
    assert_eq!(reads(&server, "hit") + reads(&server, "miss"), 0);
    server.get("/v1/skus/none/availability").expect(404);
}
