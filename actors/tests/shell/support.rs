//! A world for the shells: a log that commits when told to, a loader that reads back what was committed, a clock that
//! is set by hand, and one lane on a paused runtime. Every run is the same.

mod loader;

pub use loader::{TestLoader, replay};
use parking_lot::Mutex;
use stampede_actors::ids::{BuyerRef, EntityId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::journal::{Class, Journal, NoRoom};
use stampede_actors::money::{self, Money};
use stampede_actors::order::placing::{PlaceRequest, Wanted};
use stampede_actors::record::{Position, Record};
use stampede_actors::shell::{Clock, Done, Fabric, Failure, Lane, LaneId, Question, Settings, View, lane};
use stampede_actors::sku::{self, ByPriority, LocationStock, Part, Sourcing, Units};
use stampede_actors::time::{Moment, Span, Timestamp};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// A log in memory that commits up to where it is told.
#[derive(Default)]
pub struct TestLog {
    inner: Mutex<LogInner>,
    fabric: OnceLock<Weak<Fabric>>,
}

#[derive(Default)]
struct LogInner {
    records: Vec<Record>,
    committed: u64,
    stopped: bool,
    full: bool,
    /// Nobody gets room, settlement neither.
    shut: bool,
    automatic: bool,
    panics: bool,
}

impl TestLog {
    pub fn records(&self) -> Vec<Record> {
        self.inner.lock().records.clone()
    }

    pub fn set_full(&self, full: bool) {
        self.inner.lock().full = full;
    }

    pub fn set_shut(&self, shut: bool) {
        self.inner.lock().shut = shut;
    }

    /// The next one who wakes the log, which is a lane's pump, panics.
    pub fn set_panics(&self) {
        self.inner.lock().panics = true;
    }

    fn committed_records(&self) -> Vec<Record> {
        let inner = self.inner.lock();
        inner.records[..inner.committed as usize].to_vec()
    }
}

impl Journal for TestLog {
    fn room(&self, class: Class) -> Result<(), NoRoom> {
        let inner = self.inner.lock();
        match class {
            _ if inner.shut => Err(NoRoom::Busy),
            Class::Intake if inner.full => Err(NoRoom::DiskFull),
            _ => Ok(()),
        }
    }

    fn append(&self, record: Record, rests_on: Position) -> Position {
        let mut inner = self.inner.lock();
        let position = Position(inner.records.len() as u64 + 1);
        assert!(rests_on < position, "S10: the record at {position:?} rests on {rests_on:?}");
        inner.records.push(record);
        position
    }

    fn committed(&self) -> Position {
        Position(self.inner.lock().committed)
    }

    fn stopped(&self) -> bool {
        self.inner.lock().stopped
    }

    fn kick(&self) {
        {
            let mut inner = self.inner.lock();
            assert!(!std::mem::take(&mut inner.panics), "a pump that panics");
            if !inner.automatic {
                return;
            }
            inner.committed = inner.records.len() as u64;
        }
        if let Some(fabric) = self.fabric.get().and_then(Weak::upgrade) {
            fabric.on_commit();
        }
    }
}

/// A clock that is set by hand.
pub struct TestClock {
    now: Mutex<Moment>,
}

impl TestClock {
    pub fn advance(&self, span: Span) {
        let mut now = self.now.lock();
        let overdue = now.overdue == now.now;
        now.now = now.now.plus(span);
        if overdue {
            now.overdue = now.now;
        }
    }

    /// Deadlines stop running out (S18).
    pub fn freeze_deadlines(&self) {
        let mut now = self.now.lock();
        now.overdue = Timestamp(now.now.0 - 1);
    }

    pub fn thaw_deadlines(&self) {
        let mut now = self.now.lock();
        now.overdue = now.now;
    }
}

impl Clock for TestClock {
    fn moment(&self) -> Moment {
        *self.now.lock()
    }
}

/// The default rule, which panics when told to: a broken rule that somebody plugged in.
#[derive(Debug, Default)]
pub struct PanickingRule(pub AtomicBool);

impl Sourcing for PanickingRule {
    fn choose(&self, locations: &[LocationStock], units: Units) -> Vec<Part> {
        assert!(!self.0.load(Ordering::SeqCst), "a rule with a bug");
        ByPriority.choose(locations, units)
    }
}

/// Everything, on one thread.
pub struct World {
    pub log: Arc<TestLog>,
    pub loader: Arc<TestLoader>,
    pub clock: Arc<TestClock>,
    pub rule: Arc<PanickingRule>,
    pub fabric: Arc<Fabric>,
    _lane: Rc<Lane>,
}

impl World {
    /// Commits by itself whatever is handed over, until told otherwise.
    pub fn new(adjust: impl FnOnce(&mut Settings)) -> World {
        let log = Arc::new(TestLog::default());
        log.inner.lock().automatic = true;
        let loader = Arc::new(TestLoader::new(&log));
        let clock = Arc::new(TestClock { now: Mutex::new(Moment::at(Timestamp(1_000_000_000))) });
        let rule = Arc::new(PanickingRule::default());
        let mut settings = Settings {
            sku: Arc::new(sku::Terms { sourcing: rule.clone(), ..sku::Terms::default() }),
            order: stampede_actors::order::Terms {
                ask_again: Span::seconds(5),
                ask_stock_again: Span::seconds(1),
                attention_after: 8,
                fulfil_within: Span::hours(72),
                payment_attempts: 5,
            },
            hold_ttl: Span::seconds(10),
            passivate_after: Duration::from_secs(60),
            passivate_per_tick: 100,
            warm_per_shard: usize::MAX,
            timers_per_tick: 100,
            parked_per_entity: 100,
            loads_per_shard: 100,
            permits_per_shard: 4,
            crashes_until_quarantine: 3,
        };
        adjust(&mut settings);
        let fabric = Fabric::new(settings, log.clone(), clock.clone(), loader.clone(), vec![LaneId(0); 4], 1);
        log.fabric.set(Arc::downgrade(&fabric)).unwrap();
        let lane = Lane::start(&fabric, LaneId(0));
        World { log, loader, clock, rule, fabric, _lane: lane }
    }

    /// Stops committing by itself.
    pub fn pause_log(&self) {
        self.log.inner.lock().automatic = false;
    }

    /// Commits everything handed over so far, and goes on by itself.
    pub fn resume_log(&self) {
        {
            let mut inner = self.log.inner.lock();
            inner.automatic = true;
            inner.committed = inner.records.len() as u64;
        }
        self.committed();
    }

    /// The log stops for good.
    pub fn stop_log(&self) {
        self.pause_log();
        self.log.inner.lock().stopped = true;
        self.committed();
    }

    fn committed(&self) {
        self.loader.serve();
        self.fabric.on_commit();
    }

    /// Lets everything that is ready run, and timers of up to `millis` fire.
    pub async fn settle(&self, millis: u64) {
        for _ in 0..=millis / 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.loader.serve();
            self.fabric.on_commit();
        }
    }

    /// Lists a SKU with these units at location `a`.
    pub async fn stock(&self, code: &str, units: Units) {
        let price = eur(1000);
        let listing = sku::Listing { seller: SellerId::new("seller").unwrap(), price, buyer_limit: None };
        self.sku(code, sku::Command::List(listing)).await.unwrap();
        let location = LocationId::new("a").unwrap();
        let receive = sku::Command::Receive { receipt: OpId(1), fingerprint: 1, location, units };
        self.sku(code, receive).await.unwrap();
    }

    pub async fn sku(&self, code: &str, command: sku::Command) -> Result<Done, Failure> {
        ask(sku_entity(code), Question::Sku(command)).await
    }

    /// Units available of a SKU.
    pub async fn available(&self, code: &str) -> Units {
        match ask(sku_entity(code), Question::ReadSku).await.unwrap().view {
            View::Sku(view) => view.availability.available,
            other => panic!("{other:?}"),
        }
    }
}

pub async fn ask(to: EntityId, question: Question) -> Result<Done, Failure> {
    lane::ask(to, question, Duration::from_secs(5)).await
}

pub fn sku_entity(code: &str) -> EntityId {
    EntityId::Sku(SkuId::new(code).unwrap())
}

pub fn order_entity(id: u128) -> EntityId {
    EntityId::Order(OrderId(id))
}

pub fn eur(minor: i64) -> Money {
    Money { minor, currency: money::currency("EUR").unwrap() }
}

pub fn buyer(name: &str) -> BuyerRef {
    BuyerRef::new(name).unwrap()
}

/// An express request for one unit each of these SKUs.
pub fn request(buyer_name: &str, codes: &[&str]) -> Box<PlaceRequest> {
    let wanted = codes.iter().map(|code| Wanted {
        sku: SkuId::new(code).unwrap(),
        units: 1,
        expected_price: None,
        cart_price: None,
        hold: None,
    });
    let wanted = wanted.collect();
    Box::new(PlaceRequest {
        cart: None,
        buyer: Some(buyer(buyer_name)),
        delivery: None,
        token: Reference::new("tok_ok").unwrap(),
        fingerprint: 7,
        currency: None,
        wanted,
        trace: None,
    })
}

pub async fn place(id: u128, buyer_name: &str, codes: &[&str]) -> Result<Done, Failure> {
    ask(order_entity(id), Question::Place(request(buyer_name, codes))).await
}

pub fn run(test: impl AsyncFnOnce()) {
    Lane::forget();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test());
    Lane::forget();
}

/// Replays the whole log and checks that no SKU was ever oversold (apply asserts it) and no version is missing.
pub fn check_log(records: &[Record]) {
    let mut entities = BTreeMap::new();
    for entry in records.iter().flat_map(|record| &record.entries) {
        entities.insert(entry.entity.clone(), ());
    }
    for entity in entities.keys() {
        replay(records, entity);
    }
}
