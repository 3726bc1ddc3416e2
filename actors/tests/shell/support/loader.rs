//! Where cold entities come from in these tests: what was committed, replayed.

use super::TestLog;
use parking_lot::Mutex;
use stampede_actors::cart::Cart;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::journal::Journal;
use stampede_actors::order::Order;
use stampede_actors::record::{Event, Position, Record};
use stampede_actors::shell::loader::OnLoaded;
use stampede_actors::shell::{Loaded, Loader};
use stampede_actors::shop::Shop;
use stampede_actors::sku::{Remembered, RememberedKey, Sku};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Reads entities back by replaying what was committed; holds loads back while told to, or until enough is committed.
pub struct TestLoader {
    log: Arc<TestLog>,
    waiting: Mutex<Vec<(EntityId, Position, OnLoaded)>>,
    paused: AtomicBool,
    /// Loads fail.
    pub fails: AtomicBool,
    /// Whoever asks whether there is something of an entity, which is its directory, panics.
    pub panics: AtomicBool,
}

impl TestLoader {
    pub fn new(log: &Arc<TestLog>) -> TestLoader {
        TestLoader {
            log: Arc::clone(log),
            waiting: Mutex::default(),
            paused: AtomicBool::new(false),
            fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        }
    }

    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
        self.serve();
    }

    pub fn serve(&self) {
        if self.paused.load(Ordering::SeqCst) {
            return;
        }
        let committed = self.log.committed();
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *self.waiting.lock()).into_iter().partition(|(_, at_least, _)| *at_least <= committed);
        *self.waiting.lock() = waiting;
        for (entity, _, on_loaded) in ready {
            on_loaded(Ok(replay(&self.log.committed_records(), &entity)));
        }
    }
}

impl Loader for TestLoader {
    fn load(&self, entity: EntityId, at_least: Position, on_loaded: OnLoaded) {
        if self.fails.load(Ordering::SeqCst) {
            return on_loaded(Err("the projection is behind".to_owned()));
        }
        self.waiting.lock().push((entity, at_least, on_loaded));
        self.serve();
    }

    fn readable(&self) -> Position {
        self.log.committed()
    }

    fn absent(&self, entity: &EntityId) -> bool {
        assert!(!self.panics.load(Ordering::SeqCst), "a directory that panics");
        matches!(replay(&self.log.committed_records(), entity), Loaded::Absent)
    }

    fn remembered(&self, sku: &SkuId, key: RememberedKey) -> Option<Remembered> {
        let (mut state, mut found) = (Sku::default(), None);
        for entry in self.log.committed_records().iter().flat_map(|record| &record.entries) {
            if let (EntityId::Sku(of), Event::Sku(event)) = (&entry.entity, &entry.event)
                && of == sku
            {
                let remembered = state.remembers(event);
                found = remembered.into_iter().find(|(known, _)| *known == key).map(|(_, what)| what).or(found);
                state.apply(event);
            }
        }
        found
    }
}

/// The state of `entity` after these records; checks that its versions are gap-free (S4).
pub fn replay(records: &[Record], entity: &EntityId) -> Loaded {
    let (mut sku, mut cart, mut order) = (Sku::default(), Cart::default(), Order::default());
    let (mut shop, mut version) = (Shop::default(), 0);
    for entry in records.iter().flat_map(|record| &record.entries).filter(|entry| entry.entity == *entity) {
        assert_eq!(entry.version, version + 1, "a gap in the versions of {entity}");
        version = entry.version;
        match &entry.event {
            Event::Sku(event) => sku.apply(event),
            Event::Cart(event) => cart.apply(event),
            Event::Order(event) => order.apply(event),
            Event::Shop(event) => shop.apply(event),
        }
    }
    match entity {
        _ if version == 0 => Loaded::Absent,
        EntityId::Sku(_) => Loaded::Sku(Box::new(sku), version),
        EntityId::Cart(_) => Loaded::Cart(Box::new(cart), version),
        EntityId::Order(_) => Loaded::Order(Box::new(order), version),
        EntityId::Shop => Loaded::Shop(Box::new(shop), version),
    }
}
