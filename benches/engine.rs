//! A whole durable order without HTTP: the engine on a directory of its own, asked by the thread that its shards live on,
//! one order at a time and many at once. `TMPDIR` decides which disk: `TMPDIR=/data cargo bench --bench engine`.
//! Payment is held back, as in `stampede bench`.
#![allow(clippy::unwrap_used)] // a benchmark may fail by panicking

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use iso_currency::Currency;
use stampede::config::{Config, Flags};
use stampede::engine::Engine;
use stampede_actors::ids::{BuyerRef, EntityId, LocationId, OpId, Reference, SellerId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::order::placing::{PlaceRequest, Wanted};
use stampede_actors::shell::{Lane, Question, lane};
use stampede_actors::sku;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

const SKUS: u64 = 1_000;
const BATCHES: [u64; 4] = [1, 16, 256, 1_024];

/// The engine, and the thread that is its only worker.
struct World {
    runtime: Runtime,
    local: LocalSet,
    engine: Engine,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let flags = Flags::default()
            .with("data-dir", directory.path().to_str().unwrap())
            .with("workers", "1")
            .with("holds.ttl", "29m")
            .with("payment.latency", "1h")
            .with("payment.ask-again", "1h");
        let engine = Engine::start(Config::load(&flags).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = World { runtime, local: LocalSet::new(), engine, _directory: directory };
        world.run(async { world.engine.attach_worker() });
        world.run(join_all((0..SKUS).map(stock)));
        world
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, work)
    }

    /// Places an order under a key that is never used again.
    async fn place(&self, number: u64) {
        let order = self.engine.ids().order("bench", &number.to_string());
        let wanted = Wanted { sku: sku(number % SKUS), units: 1, expected_price: None, cart_price: None, hold: None };
        let request = PlaceRequest {
            cart: None,
            buyer: Some(BuyerRef::new(&format!("buyer-{number}")).unwrap()),
            delivery: None,
            token: Reference::new("tok_ok").unwrap(),
            fingerprint: number,
            currency: None,
            wanted: vec![wanted],
            trace: None,
        };
        ask(EntityId::Order(order), Question::Place(Box::new(request))).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let engine = self.engine.clone();
        self.run(async {
            let _ = tokio::task::spawn_blocking(move || engine.stop_workflows()).await;
        });
        self.engine.shut_down();
        Lane::forget();
    }
}

fn sku(number: u64) -> SkuId {
    SkuId::new(&format!("sku-{number:04}")).unwrap()
}

async fn ask(to: EntityId, question: Question) {
    lane::ask(to, question, Duration::from_secs(60)).await.unwrap();
}

async fn stock(number: u64) {
    let price = Money { minor: 1_999, currency: Currency::EUR };
    let listing = sku::Listing { seller: SellerId::new("acme").unwrap(), price, buyer_limit: None };
    let location = LocationId::new("berlin").unwrap();
    let receive = sku::Command::Receive { receipt: OpId(1), fingerprint: 1, location, units: 1_000_000_000 };
    for command in [sku::Command::List(listing), receive] {
        ask(EntityId::Sku(sku(number)), Question::Sku(command)).await;
    }
}

fn orders(criterion: &mut Criterion) {
    let world = World::new();
    let mut group = criterion.benchmark_group("engine");
    let mut number = 0;
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(
            BenchmarkId::new("place orders and wait until they are durable, at once", batch),
            |bencher| {
                bencher.iter(|| {
                    number += batch;
                    world.run(join_all((0..batch).map(|index| world.place(number + index))))
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, orders);
criterion_main!(benches);
