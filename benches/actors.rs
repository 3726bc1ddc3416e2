//! What an actor costs: one SKU actor on a lane, asked through its shard's directory, with a log in memory that commits
//! what it gets as soon as it is woken.
#![allow(clippy::unwrap_used)] // a benchmark may fail by panicking

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use iso_currency::Currency;
use parking_lot::Mutex;
use stampede_actors::ids::{BuyerRef, EntityId, HoldId, LocationId, OpId, SellerId, SkuId};
use stampede_actors::journal::{Class, Journal, NoRoom};
use stampede_actors::money::Money;
use stampede_actors::order;
use stampede_actors::record::{Position, Record};
use stampede_actors::shell::loader::OnLoaded;
use stampede_actors::shell::{Clock, Fabric, Lane, LaneId, Loaded, Loader, Question, Settings, lane};
use stampede_actors::sku::{self, Remembered, RememberedKey};
use stampede_actors::time::{Moment, Span, Timestamp};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// Counts records, keeps none, and commits them when it is woken.
#[derive(Default)]
struct Memory {
    appended: AtomicU64,
    committed: AtomicU64,
    last: Mutex<Option<Record>>,
    fabric: OnceLock<Weak<Fabric>>,
}

impl Journal for Memory {
    fn room(&self, _: Class) -> Result<(), NoRoom> {
        Ok(())
    }

    fn append(&self, record: Record, _: Position) -> Position {
        *self.last.lock() = Some(record);
        Position(self.appended.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn committed(&self) -> Position {
        Position(self.committed.load(Ordering::Acquire))
    }

    fn stopped(&self) -> bool {
        false
    }

    fn kick(&self) {
        self.committed.store(self.appended.load(Ordering::Relaxed), Ordering::Release);
        if let Some(fabric) = self.fabric.get().and_then(Weak::upgrade) {
            fabric.on_commit();
        }
    }
}

/// Nothing was there before.
struct Nothing;

impl Loader for Nothing {
    fn load(&self, _: EntityId, _: Position, on_loaded: OnLoaded) {
        on_loaded(Ok(Loaded::Absent));
    }

    fn readable(&self) -> Position {
        Position(u64::MAX)
    }

    fn absent(&self, _: &EntityId) -> bool {
        true
    }

    fn remembered(&self, _: &SkuId, _: RememberedKey) -> Option<Remembered> {
        None
    }
}

struct Still;

impl Clock for Still {
    fn moment(&self) -> Moment {
        Moment::at(Timestamp(1_750_000_000_000_000))
    }
}

/// A thread that is a lane, with its shards.
struct World {
    runtime: Runtime,
    local: LocalSet,
    fabric: Arc<Fabric>,
    lane: Rc<Lane>,
}

impl World {
    fn new() -> World {
        let settings = Settings {
            sku: Arc::new(sku::Terms::default()),
            order: order::Terms {
                ask_again: Span::seconds(5),
                ask_stock_again: Span::seconds(1),
                attention_after: 8,
                fulfil_within: Span::hours(72),
                payment_attempts: 5,
            },
            hold_ttl: Span::minutes(10),
            passivate_after: Duration::from_secs(3_600),
            warm_per_shard: usize::MAX,
            passivate_per_tick: 100,
            timers_per_tick: 100,
            parked_per_entity: 4_096,
            loads_per_shard: 4_096,
            permits_per_shard: 4_096,
            crashes_until_quarantine: 3,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (local, log) = (LocalSet::new(), Arc::new(Memory::default()));
        let fabric = Fabric::new(settings, log.clone(), Arc::new(Still), Arc::new(Nothing), vec![LaneId(0); 2], 1);
        log.fabric.set(Arc::downgrade(&fabric)).unwrap();
        let lane = local.block_on(&runtime, async { Lane::start(&fabric, LaneId(0)) });
        let world = World { runtime, local, fabric, lane };
        world.stock();
        world
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, work)
    }

    fn stock(&self) {
        let price = Money { minor: 1_999, currency: Currency::EUR };
        let listing = sku::Listing { seller: SellerId::new("acme").unwrap(), price, buyer_limit: None };
        let location = LocationId::new("berlin").unwrap();
        let receive = sku::Command::Receive { receipt: OpId(1), fingerprint: 1, location, units: 1_000_000_000 };
        self.run(async {
            for command in [sku::Command::List(listing), receive] {
                ask(Question::Sku(command)).await;
            }
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(Rc::strong_count(&self.lane) >= 1 && Arc::strong_count(&self.fabric) >= 1);
        Lane::forget();
    }
}

async fn ask(question: Question) {
    let sku = EntityId::Sku(SkuId::new("hoodie-m").unwrap());
    lane::ask(sku, question, Duration::from_secs(60)).await.unwrap();
}

/// A hold and its release, so that the SKU stays as it was; two asks.
async fn hold_and_release(number: u128) {
    let (hold, buyer) = (HoldId(number), BuyerRef::new("buyer-17").unwrap());
    let ttl = Span::minutes(10);
    ask(Question::Sku(sku::Command::Hold { hold, units: 1, buyer, order: None, ttl, tentative: false })).await;
    ask(Question::Sku(sku::Command::Release { hold, order: None })).await;
}

fn asks(criterion: &mut Criterion) {
    let world = World::new();
    let mut group = criterion.benchmark_group("actor");
    for at_once in [1, 16, 256] {
        group.throughput(Throughput::Elements(at_once));
        group.bench_function(BenchmarkId::new("read a SKU, at once", at_once), |bencher| {
            bencher.iter(|| world.run(join_all((0..at_once).map(|_| ask(Question::ReadSku)))));
        });
        let mut number = 0;
        group.throughput(Throughput::Elements(2 * at_once));
        group.bench_function(BenchmarkId::new("hold and release, at once", at_once), |bencher| {
            bencher.iter(|| {
                number += u128::from(at_once);
                world.run(join_all((0..at_once).map(|index| hold_and_release(number + u128::from(index)))))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, asks);
criterion_main!(benches);
