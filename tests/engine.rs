//! The engine on a real directory, without HTTP: what is committed is there after a restart, settlement runs to its end.
#![allow(clippy::unwrap_used, reason = "tests")]

use stampede::config::{Config, Flags};
use stampede::engine::Engine;
use stampede_actors::ids::{BuyerRef, EntityId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::{Money, currency};
use stampede_actors::order::State;
use stampede_actors::order::placing::{PlaceRequest, Wanted};
use stampede_actors::shell::{Done, Failure, Question, View, lane};
use stampede_actors::sku::{self, Units};
use std::path::Path;
use std::time::Duration;

fn config(dir: &Path, more: &[(&'static str, &str)]) -> Config {
    let mut flags = Flags::default()
        .with("data-dir", dir.to_str().unwrap())
        .with("log.segment-bytes", "8MiB")
        .with("workers", "1")
        .with("payment.latency", "1ms")
        .with("fulfilment.latency", "10ms");
    for (name, value) in more {
        flags = flags.with(name, *value);
    }
    Config::load(&flags).unwrap()
}

/// Runs `test` on a thread that is the engine's only worker, then shuts down.
fn with_engine<T>(config: Config, test: impl AsyncFnOnce(Engine) -> T) -> T {
    let engine = Engine::start(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let asked = engine.clone();
    let result = local.block_on(&runtime, async move {
        asked.attach_worker();
        let result = test(asked.clone()).await;
        tokio::task::spawn_blocking(move || asked.stop_workflows()).await.unwrap();
        result
    });
    engine.shut_down();
    stampede_actors::shell::Lane::forget();
    result
}

async fn ask(to: EntityId, question: Question) -> Result<Done, Failure> {
    lane::ask(to, question, Duration::from_secs(10)).await
}

fn sku_entity(code: &str) -> EntityId {
    EntityId::Sku(SkuId::new(code).unwrap())
}

async fn stock(code: &str, units: Units) {
    let price = Money { minor: 1999, currency: currency("EUR").unwrap() };
    let listing = sku::Listing { seller: SellerId::new("s").unwrap(), price, buyer_limit: None };
    ask(sku_entity(code), Question::Sku(sku::Command::List(listing))).await.unwrap();
    let location = LocationId::new("a").unwrap();
    let receive = sku::Command::Receive { receipt: OpId(1), fingerprint: 1, location, units };
    ask(sku_entity(code), Question::Sku(receive)).await.unwrap();
}

async fn place(order: OrderId, code: &str, token: &str) -> Result<Done, Failure> {
    let wanted =
        Wanted { sku: SkuId::new(code).unwrap(), units: 1, expected_price: None, cart_price: None, hold: None };
    let request = PlaceRequest {
        cart: None,
        buyer: Some(BuyerRef::new("b").unwrap()),
        delivery: None,
        token: Reference::new(token).unwrap(),
        fingerprint: 7,
        currency: None,
        wanted: vec![wanted],
        trace: None,
    };
    ask(EntityId::Order(order), Question::Place(Box::new(request))).await
}

async fn state(order: OrderId) -> State {
    match ask(EntityId::Order(order), Question::ReadOrder).await.unwrap().view {
        View::Order(order) => order.state().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn wait_for(order: OrderId, wanted: State) {
    for _ in 0..1_000 {
        if state(order).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{order} is {:?}, not {wanted:?}", state(order).await);
}

async fn available(code: &str) -> Units {
    match ask(sku_entity(code), Question::ReadSku).await.unwrap().view {
        View::Sku(view) => view.availability.available,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_order_is_paid_shipped_and_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let order = with_engine(config(dir.path(), &[]), async |engine| {
        stock("x", 2).await;
        let order = engine.ids().order("test", "key");
        assert!(!place(order, "x", "tok_ok").await.unwrap().replayed);
        assert!(place(order, "x", "tok_ok").await.unwrap().replayed);
        wait_for(order, State::Fulfilled).await;
        assert_eq!(available("x").await, 1);
        order
    });
    with_engine(config(dir.path(), &[]), async |engine| {
        assert!(engine.recovered().was_clean);
        assert_eq!(engine.recovered().rebuilt, None);
        assert_eq!(engine.ids().order("test", "key"), order);
        assert_eq!(state(order).await, State::Fulfilled);
        assert!(place(order, "x", "tok_ok").await.unwrap().replayed, "its key is remembered");
        assert_eq!(available("x").await, 1);
    });
}

#[test]
fn the_store_is_rebuilt_from_the_log_when_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let order = OrderId(77);
    with_engine(config(dir.path(), &[]), async |_| {
        stock("x", 2).await;
        place(order, "x", "tok_ok").await.unwrap();
        wait_for(order, State::Fulfilled).await;
    });
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    with_engine(config(dir.path(), &[]), async |engine| {
        assert!(engine.recovered().rebuilt.is_some());
        assert_eq!(state(order).await, State::Fulfilled);
        assert_eq!(available("x").await, 1);
    });
}

#[test]
fn a_declined_order_gives_its_unit_back_when_its_hold_runs_out() {
    let dir = tempfile::tempdir().unwrap();
    with_engine(config(dir.path(), &[("holds.ttl", "1s")]), async |_| {
        stock("x", 1).await;
        let order = OrderId(5);
        place(order, "x", "tok_declined_funds").await.unwrap();
        wait_for(order, State::Expired).await;
        for _ in 0..500 {
            if available("x").await == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the unit did not come back");
    });
}

#[test]
fn s18_a_hold_that_ran_out_while_the_server_was_down_is_released_after_the_start() {
    let dir = tempfile::tempdir().unwrap();
    with_engine(config(dir.path(), &[("holds.ttl", "1s")]), async |_| {
        stock("x", 1).await;
        let hold = sku::Command::Hold {
            hold: stampede_actors::ids::HoldId(9),
            units: 1,
            buyer: BuyerRef::new("b").unwrap(),
            order: None,
            ttl: stampede_actors::time::Span::seconds(1),
            tentative: false,
        };
        ask(sku_entity("x"), Question::Sku(hold)).await.unwrap();
    });
    std::thread::sleep(Duration::from_millis(1_100));
    with_engine(config(dir.path(), &[]), async |engine| {
        for _ in 0..500 {
            let audit = engine.reader().audit();
            if audit.held == 0 && available("x").await == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still held: {:?}", engine.reader().audit());
    });
}

#[test]
fn a_lane_that_hangs_is_not_ready_until_it_turns_again() {
    let dir = tempfile::tempdir().unwrap();
    with_engine(config(dir.path(), &[]), async |engine| {
        let lanes = |engine: &Engine| {
            let health = engine.health();
            health.checks.into_iter().find(|check| check.check == "lanes").unwrap()
        };
        stock("x", 1).await;
        assert!(lanes(&engine).ok);
        let watching = engine.clone();
        let watcher = std::thread::spawn(move || {
            for _ in 0..3_000 {
                let seen = lanes(&watching);
                if !seen.ok {
                    return seen.detail;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            "nobody noticed".to_owned()
        });
        // The lane does nothing but wait for the watcher.
        assert_eq!(watcher.join().unwrap(), "lanes that hang: [0]");
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if lanes(&engine).ok {
                return;
            }
        }
        panic!("{:?}", lanes(&engine));
    });
}

#[test]
fn a_second_engine_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    with_engine(config(dir.path(), &[]), async |_| {
        let error = Engine::start(config(dir.path(), &[])).err().unwrap();
        assert!(error.to_string().contains("in use"), "{error}");
    });
}
