//! `kill -9` in the middle of the load, again and again. What a client saw acknowledged is there afterwards, with the
//! same bytes; a request that was cut off, sent again, becomes the same order; no unit is lost or made.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use serde_json::{Value, json};
use stampede::client::{Answer, Pool, Request};
use stampede::demo::books::Books;
use stampede::demo::crowd::Crowd;
use stampede::demo::rush::Rush;
use stampede::demo::shop::Shop;
use stampede::demo::verdict::{Run, Word};
use stampede::demo::{Server, Setup, shelf, stage};
use stampede::import;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

const KILLS: u32 = 10;
const START: Duration = Duration::from_secs(30);
const FLAGS: &[&str] =
    &["--holds-ttl=1s", "--payment-timeout=500ms", "--payment-ask-again=100ms", "--start-grace=500ms"];

#[test]
fn what_was_acknowledged_survives_ten_kills() {
    on_one_thread(async {
        let directory = tempfile::tempdir().unwrap();
        let stock = import::file::parse(shelf::made_up(400, 20).as_bytes()).unwrap();
        let (mut server, setup, key) = start(directory.path(), &stock).await;
        let crowd = Crowd::new(3, stock.skus.len(), true);
        let shop = Rc::new(Shop::new(setup.api, 32, crowd, shelf::shelves(&stock)));
        let seconds = f64::from(KILLS) * 1.2;
        let rush = Rush::new(shop.clone(), 1_200, seconds);

        let settled = tokio::task::spawn_local({
            let rush = rush.clone();
            async move { rush.run(Duration::from_secs(60)).await }
        });
        for kill in 0..KILLS {
            // At another place of its work each time.
            sleep(Duration::from_millis(500 + 70 * u64::from(kill))).await;
            server.kill().unwrap();
            let acknowledged = shop.ledger.borrow().orders().len();
            let books = Books::read(&setup.data, &setup.data).unwrap();
            assert_eq!(books.violations(), &[] as &[String], "after kill {kill}");
            for order in &shop.ledger.borrow().orders()[..acknowledged] {
                let wants = order.wants.iter().map(|want| (shop.shelves[want.sku].sku.clone(), want.units)).collect();
                assert_eq!(
                    books.has(&order.order, &order.visit.name(), wants),
                    Ok(()),
                    "after kill {kill}: {}",
                    order.order
                );
            }
            shop.forget_idle();
            server.restart().unwrap();
            server.ready(START).await.unwrap();
            replay(&shop, acknowledged).await;
            let audit = get(&shop.pool, "/v1/audit", Some(&key)).await;
            assert_eq!((&audit["violated"], &audit["oversold"]), (&json!(0), &json!(0)), "after kill {kill}: {audit}");
        }
        assert!(settled.await.unwrap(), "not settled");
        server.stop(Duration::from_secs(30)).await.unwrap();

        let books = Books::read(&setup.data, &setup.data).unwrap();
        let (ledger, stats) = (shop.ledger.borrow(), shop.stats.borrow());
        assert!(ledger.orders().len() > 200 && stats.sent_again > 0, "there was something to lose: {stats:?}");
        let in_line = rush.in_line();
        let run = Run {
            shelves: &shop.shelves,
            ledger: &ledger,
            stats: &stats,
            in_line: &in_line,
            seconds,
            settled: true,
            generator_cpu_percent: 0,
            outage_ms: None,
            seed: 3,
        };
        let verdict = run.judge(&books);
        // While the log is read back here, on the buyers' own thread, arrivals may be late: void is no failure.
        assert_ne!(verdict.verdict, Word::Fail, "{}", verdict.text());
    });
}

#[test]
fn holds_that_ran_out_while_it_was_down_are_released_after_the_start() {
    on_one_thread(async {
        let directory = tempfile::tempdir().unwrap();
        let csv = "sku,seller,location,units,price,currency\ntee,seller,south,5,9.99,EUR\n";
        let stock = import::file::parse(csv.as_bytes()).unwrap();
        let (mut server, setup, _) = start(directory.path(), &stock).await;
        let pool = Pool::new(setup.api, 4);
        let hold = "/v1/skus/tee/holds/hld_00000000000000000000000001";
        let held = send(&pool, &Request::put(hold, r#"{"units":3,"buyer":"buyer-1"}"#)).await;
        assert_eq!(held.status(), 201, "{held:?}");
        let held = get(&pool, "/v1/skus/tee/availability", None).await;
        assert_eq!((&held["available"], &held["held"]), (&json!(2), &json!(3)));

        server.kill().unwrap();
        sleep(Duration::from_millis(1_300)).await;
        pool.forget_idle();
        server.restart().unwrap();
        server.ready(START).await.unwrap();

        for _ in 0..100 {
            let now = get(&pool, "/v1/skus/tee/availability", None).await;
            if now["held"] == 0 {
                assert_eq!(now["available"], 5);
                assert_eq!(send(&pool, &Request::get(hold)).await.status(), 404);
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the hold is still there, five seconds after the start");
    });
}

/// A server with this stock, where it runs, and an API key.
async fn start(directory: &Path, stock: &import::Stock) -> (Server, Setup, String) {
    let setup = Setup::new(Path::new(env!("CARGO_BIN_EXE_stampede")), directory, FLAGS).unwrap();
    let key = stampede::keys::create(&setup.data, "test").unwrap().secret;
    let mut server = Server::start(setup.clone()).unwrap();
    server.ready(START).await.unwrap();
    stage::fill(stock, setup.api, &key).await.unwrap();
    (server, setup, key)
}

/// Sends the first requests that were acknowledged once more: each gets the same bytes.
async fn replay(shop: &Rc<Shop>, count: usize) {
    for index in 0..count {
        let request = shop.ledger.borrow().orders()[index].request.clone();
        let answer = send(&shop.pool, &request).await;
        assert!(answer.head.replayed, "{answer:?}");
        shop.ledger.borrow_mut().replayed(index, answer.status(), &answer.body);
    }
    assert_eq!(shop.ledger.borrow().contradictions, &[] as &[String]);
}

async fn get(pool: &Pool, path: &str, key: Option<&str>) -> Value {
    let authorization = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    let answer = send(pool, &Request::new("GET", path, &headers, None)).await;
    assert_eq!(answer.status(), 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    answer.json().unwrap()
}

/// A definite answer: the same request again while the server is busy or a connection is left from before a kill.
async fn send(pool: &Pool, request: &Request) -> Answer {
    for _ in 0..100 {
        match pool.send(request, Duration::from_secs(10)).await {
            Ok(answer) if answer.status() != 503 => return answer,
            Ok(_) | Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no definite answer to {}", String::from_utf8_lossy(request.bytes()));
}

/// The child is tied to the thread that started it, and everything of the rush lives on one thread.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
