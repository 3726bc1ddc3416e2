//! Redis is killed, frozen, made slow and emptied under load. No order is lost, doubled or oversold; nobody waits long.

use super::{Hand, Services, metric, reads, start, wait_for_circuit};
use crate::server::{Server, eventually, order};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Units for sale; the load wants more.
const UNITS: u32 = 3_000;
/// No answer may take longer: the machine has two cores and much to do, but never the seconds that Redis is away.
const NO_LONGER: Duration = Duration::from_millis(900);

/// What buyers saw.
struct Seen {
    orders: BTreeSet<String>,
    sold: usize,
    sold_out: usize,
    limited: usize,
    longest: Duration,
}

/// Four buyers at a time, each with a request in flight, while `trouble` happens; then until all is sold.
fn rush(server: &Server, trouble: impl FnOnce()) -> Seen {
    let (over, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let buyers = || {
        let mut seen = Seen { orders: BTreeSet::new(), sold: 0, sold_out: 0, limited: 0, longest: Duration::ZERO };
        let mut refused = 0;
        while !over.load(Ordering::SeqCst) || refused < 10 {
            let n = next.fetch_add(1, Ordering::SeqCst);
            let began = Instant::now();
            let body = order(&format!("buyer-{}", n % 500), "tok_ok", "hoodie", 1);
            let answer = server.post("/v1/orders", &format!("rush-{n}"), &body);
            seen.longest = seen.longest.max(began.elapsed());
            match answer.status {
                201 => {
                    seen.sold += 1;
                    assert!(
                        seen.orders.insert(answer.json()["order"].as_str().unwrap().to_owned()),
                        "a new order each"
                    );
                }
                409 if answer.code() == "sold_out" => (seen.sold_out, refused) = (seen.sold_out + 1, refused + 1),
                409 => assert_eq!(answer.code(), "contended"),
                429 => seen.limited += 1,
                _ => panic!("{}", answer.text()),
            }
            let shown = server.available("hoodie");
            assert!((0..=i64::from(UNITS)).contains(&shown), "{shown}");
        }
        seen
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(buyers)).collect();
        trouble();
        over.store(true, Ordering::SeqCst);
        let mut all = Seen { orders: BTreeSet::new(), sold: 0, sold_out: 0, limited: 0, longest: Duration::ZERO };
        for seen in threads.into_iter().map(|thread| thread.join().unwrap()) {
            all.orders.extend(seen.orders);
            all.sold += seen.sold;
            all.sold_out += seen.sold_out;
            all.limited += seen.limited;
            all.longest = all.longest.max(seen.longest);
        }
        all
    })
}

fn check(server: &Server, seen: &Seen) {
    assert_eq!((seen.sold, seen.orders.len()), (UNITS as usize, UNITS as usize), "each unit once");
    assert!(seen.sold_out > 0);
    assert!(seen.longest < NO_LONGER, "{:?}", seen.longest);
    eventually(|| match server.available("hoodie") {
        0 => Ok(()),
        left => Err(format!("{left} left")),
    });
    assert_eq!(metric(server, "stampede_oversold_units_total"), 0);
    let order = seen.orders.first().unwrap();
    assert_eq!(server.read_order(order)["order"], **order);
}

/// Generous, so that the rush is never limited, and counted all the same.
const MORE: [&str; 2] = ["--limits-buyer", "5000/1s"];

#[test]
fn killed_under_load_and_started_again() {
    let redis = Services::start(&["redis"]);
    let server = start(&redis, "killed", &MORE);
    server.stock("hoodie", UNITS);
    let seen = rush(&server, || {
        std::thread::sleep(Duration::from_millis(300));
        redis.kill("REDIS_PID");
        wait_for_circuit(&server, "open");
        std::thread::sleep(Duration::from_millis(300));
        redis.start_again();
        wait_for_circuit(&server, "closed");
        let decided = "stampede_store_operations_total{backend=\"redis\",op=\"decide\",outcome=\"done\"}";
        let before = metric(&server, decided);
        eventually(|| if metric(&server, decided) > before { Ok(()) } else { Err("Redis is not asked again".into()) });
    });
    check(&server, &seen);
    assert!(metric(&server, "stampede_rate_limit_fallbacks_total") > 0, "limits fell back");
    assert!(reads(&server, "unavailable") > 0, "reads asked the SKU");
}

#[test]
fn slow_under_load() {
    for how in [&["CLIENT", "PAUSE", "2000", "ALL"][..], &["DEBUG", "SLEEP", "2"]] {
        let redis = Services::start(&["redis"]);
        let server = start(&redis, "slow", &[&MORE[..], &["--redis-timeout", "20ms"]].concat());
        server.stock("hoodie", UNITS);
        let seen = rush(&server, || {
            std::thread::sleep(Duration::from_millis(200));
            std::thread::scope(|scope| {
                scope.spawn(|| Hand::on(&redis).tell(how));
                eventually(|| {
                    let fallbacks = metric(&server, "stampede_rate_limit_fallbacks_total");
                    if fallbacks > 20 { Ok(()) } else { Err(format!("{fallbacks} fallbacks")) }
                });
            });
            wait_for_circuit(&server, "closed");
        });
        check(&server, &seen);
    }
}

/// The connection stands and nothing answers: worse than a refused connection, as every question has to be waited for.
#[test]
fn standing_still_under_load() {
    let redis = Services::start(&["redis"]);
    let server = start(&redis, "still", &[&MORE[..], &["--redis-timeout", "20ms"]].concat());
    server.stock("hoodie", UNITS);
    let seen = rush(&server, || {
        std::thread::sleep(Duration::from_millis(200));
        redis.signal("REDIS_PID", libc::SIGSTOP);
        wait_for_circuit(&server, "open");
        std::thread::sleep(Duration::from_millis(500));
        redis.signal("REDIS_PID", libc::SIGCONT);
        wait_for_circuit(&server, "closed");
    });
    check(&server, &seen);
    assert!(metric(&server, "stampede_rate_limit_fallbacks_total") > 0, "limits fell back");
}

/// It answers each write with an error: limits count in the process, and nothing else is different.
#[test]
fn out_of_memory_under_load() {
    let redis = Services::start(&["redis"]);
    let server = start(&redis, "full", &MORE);
    server.stock("hoodie", UNITS);
    let decided = |outcome: &str| {
        metric(
            &server,
            &format!("stampede_store_operations_total{{backend=\"redis\",op=\"decide\",outcome=\"{outcome}\"}}"),
        )
    };
    let seen = rush(&server, || {
        std::thread::sleep(Duration::from_millis(200));
        let mut hand = Hand::on(&redis);
        hand.tell(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        hand.tell(&["CONFIG", "SET", "maxmemory", "1"]);
        eventually(|| if decided("failed") > 0 { Ok(()) } else { Err("no write has failed".into()) });
        let before = metric(&server, "stampede_rate_limit_fallbacks_total");
        eventually(|| {
            let now = metric(&server, "stampede_rate_limit_fallbacks_total");
            if now > before + 20 { Ok(()) } else { Err(format!("{now} fallbacks")) }
        });
        hand.tell(&["CONFIG", "SET", "maxmemory", "0"]);
        let before = decided("done");
        eventually(|| if decided("done") > before { Ok(()) } else { Err("Redis is not asked again".into()) });
    });
    check(&server, &seen);
}

#[test]
fn emptied_under_load() {
    let redis = Services::start(&["redis"]);
    let server = start(&redis, "emptied", &MORE);
    server.stock("hoodie", UNITS);
    let seen = rush(&server, || {
        let mut hand = Hand::on(&redis);
        for _ in 0..30 {
            hand.tell(&["FLUSHALL"]);
            hand.tell(&["SCRIPT", "FLUSH"]);
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    check(&server, &seen);
}

#[test]
fn without_redis_limits_are_those_of_the_process_and_it_heals() {
    let redis = Services::start(&["redis"]);
    let server = start(&redis, "falls-back", &["--limits-buyer", "6/1h"]);
    server.stock("hoodie", 1_000);
    let buy =
        |buyer: &str| server.post("/v1/orders", &crate::server::unique(), &order(buyer, "tok_ok", "hoodie", 1)).status;
    assert_eq!((0..3).map(|_| buy("ada")).collect::<Vec<_>>(), [201; 3]);
    redis.kill("REDIS_PID");
    // What this process had counted before still counts.
    assert_eq!((0..5).map(|_| buy("ada")).collect::<Vec<_>>(), [201, 201, 201, 429, 429]);
    wait_for_circuit(&server, "open");
    assert_eq!((0..8).filter(|_| buy("bob") == 201).count(), 6);
    let ready = crate::client::send(server.operations, "GET", "/health/ready", &[], None);
    assert_eq!(ready.status, 200, "a server without its Redis takes requests");

    redis.start_again();
    wait_for_circuit(&server, "closed");
    assert_eq!(buy("cid"), 201);
    assert!(!Hand::on(&redis).keys("falls-back:rate:buyer:*").is_empty(), "counted there again");
}

#[test]
fn a_server_starts_without_redis_and_finds_it_later() {
    let redis = Services::start(&["redis"]);
    let flags = super::flags(&redis, "later", &["--limits-buyer", "5/1h"]);
    redis.kill("REDIS_PID");
    let server = Server::with(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    server.stock("hoodie", 10);
    server.buy("k", "ada", "hoodie", 1).expect(201);
    assert_eq!(server.available("hoodie"), 9);
    redis.start_again();
    wait_for_circuit(&server, "closed");
    server.buy("k2", "ada", "hoodie", 1).expect(201);
}
