#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lists;
mod recovery;
pub mod shop;
mod timers;
mod working;

use super::*;
use crate::store::{MemoryStore, Range, Read};
use shop::{LOG, Shop, buyer, sku};
use stampede_actors::ids::{CartId, HoldId, OrderId};
use stampede_actors::sku::{Command, RememberedKey};
use stampede_actors::time::Span;
use stampede_actors::{cart, order};

fn projection(store: &Arc<MemoryStore>) -> Projection {
    Projection::new(Arc::clone(store) as Arc<dyn Store>, LOG, Limits { entities: 64, changed: 1_000 }).unwrap()
}

/// A shop with a history of every kind, a frame every few commands.
pub fn busy_shop(orders: u128) -> Shop {
    let mut shop = Shop::new();
    shop.stocked("mug", 500, None);
    shop.stocked("pen", 40, Some(3));
    shop.frame();
    for number in 1..=orders {
        let (code, units) = if number % 3 == 0 { ("pen", 1) } else { ("mug", 2) };
        let order = OrderId(number);
        shop.pass(Span::seconds(1));
        if !shop.buy(number, &format!("buyer-{}", number % 5), code, units) {
            continue;
        }
        match number % 7 {
            0 => shop.frame(),
            1 => {
                let reason = "changed my mind".to_owned();
                let cancel = OpId(number);
                shop.order(order, order::Command::Cancel { cancel, fingerprint: 1, reason });
                shop.work(order);
            }
            2 => shop.work(order),
            3 => {
                shop.work(order);
                shop.ship(order, number * 10, units);
                shop.work(order);
            }
            4 => {
                shop.work(order);
                let refund = OpId(number * 10);
                shop.order(order, order::Command::Refund { refund, fingerprint: 1, lines: vec![], restock: true });
                shop.frame();
                shop.work(order);
            }
            _ => {
                let open = cart::Command::Open { buyer: buyer("someone"), ttl: Span::hours(1) };
                shop.cart(CartId(number), open);
            }
        }
    }
    shop.frame();
    shop
}

use stampede_actors::ids::OpId;

fn assert_shows(reader: &Reader, shop: &Shop) {
    for (entity, state, version) in shop.entities() {
        assert_eq!(reader.current(&entity).unwrap(), Some((state, version)), "{entity}");
    }
}

#[test]
fn an_entity_is_its_snapshot_and_what_came_after() {
    let (shop, store) = (busy_shop(60), Arc::new(MemoryStore::default()));
    let mut projection = projection(&store);
    let reader = projection.reader();
    for (number, frame) in shop.frames.iter().enumerate() {
        projection.ingest(frame).unwrap();
        if number % 4 == 0 {
            projection.flush().unwrap();
        }
    }
    assert_eq!(reader.readable(), shop.head().position);
    assert_shows(&reader, &shop);
    projection.flush().unwrap();
    assert_eq!(reader.written(), Mark::from(shop.head()));
    assert_shows(&reader, &shop);
    let mut again = self::projection(&store);
    assert_eq!(again.taken_in(), Mark::from(shop.head()));
    assert_shows(&again.reader(), &shop);
    assert!(again.reader().absent(&EntityId::Order(OrderId(9_999))));
    assert!(!again.reader().absent(&EntityId::Order(OrderId(1))));
    again.flush().unwrap();
}

fn hold(number: u128) -> Command {
    let (hold, ttl) = (HoldId(number), Span::minutes(10));
    Command::Hold { hold, units: 1, buyer: buyer("somebody"), order: None, ttl, tentative: false }
}

#[test]
fn a_claim_is_written_by_itself_however_many_there_are() {
    let (mut shop, store) = (Shop::new(), Arc::new(MemoryStore::default()));
    let mut projection = projection(&store);
    let written = |code: &str| {
        let snapshot = store.get(Table::Snapshot, &EntityId::Sku(sku(code)).key()).unwrap().unwrap().len();
        let range = Range { from: &[], to: None, reverse: false, limit: 10_000 };
        (snapshot, store.range(Table::Claims, range).unwrap().len())
    };
    shop.stocked("mug", 5_000, None);
    let mut sizes = Vec::new();
    for number in 1..=5_000 {
        assert!(shop.sku("mug", hold(number)));
        if number == 1 || number == 5_000 {
            shop.frame();
            let taken_in = shop.frames.len() - 1;
            projection.ingest(&shop.frames[taken_in]).unwrap();
            projection.flush().unwrap();
            sizes.push(written("mug"));
        }
    }
    let [(first, 1), (last, 5_000)] = sizes[..] else { panic!("{sizes:?}") };
    assert!(last < first + 16, "a snapshot does not grow with its claims: {first} and {last} bytes");
    // Claims beyond one page of them are read back too.
    let again = self::projection(&store);
    assert_shows(&again.reader(), &shop);
}

#[test]
fn s04_a_claim_that_is_missing_or_old_is_noticed() {
    for lost in [true, false] {
        let (mut shop, store) = (Shop::new(), Arc::new(MemoryStore::default()));
        let mut projection = projection(&store);
        shop.stocked("mug", 5, None);
        for number in 1..=2 {
            assert!(shop.sku("mug", hold(number)));
        }
        shop.frame();
        shop.frames.iter().for_each(|frame| projection.ingest(frame).unwrap());
        projection.flush().unwrap();
        let range = Range { from: &[], to: None, reverse: false, limit: 1 };
        let (key, mut row) = store.range(Table::Claims, range).unwrap().remove(0);
        let mut batch = Batch::default();
        if lost {
            batch.delete(Table::Claims, &key);
        } else {
            *row.last_mut().unwrap() ^= 1;
            batch.put(Table::Claims, &key, row);
        }
        store.write(&batch).unwrap();
        let again = self::projection(&store);
        let error = again.reader().current(&EntityId::Sku(sku("mug"))).unwrap_err();
        assert!(matches!(&error, Error::Lost(what) if what.contains("mug")), "{error}");
    }
}

#[test]
fn the_sums_are_those_of_the_second_set_of_books() {
    let (shop, store) = (busy_shop(80), Arc::new(MemoryStore::default()));
    let mut projection = projection(&store);
    let mut ledger = crate::verify::Ledger::default();
    for (number, frame) in shop.frames.iter().enumerate() {
        projection.ingest(frame).unwrap();
        for record in &frame.records {
            assert_eq!(ledger.record(record), []);
        }
        // Sums survive a restart in the middle.
        if number % 5 == 0 {
            projection.flush().unwrap();
            projection = self::projection(&store);
        }
    }
    projection.flush().unwrap();
    let audit = projection.reader().audit();
    assert_eq!(ledger.close(), []);
    let books = ledger.totals().summary();
    let comparable = |summary: &crate::verify::AuditSummary| crate::verify::AuditSummary {
        orders: std::collections::BTreeMap::new(),
        evaluated: 0,
        rules: std::collections::BTreeMap::new(),
        ..summary.clone()
    };
    assert_eq!(comparable(&audit), comparable(&books));
    assert_eq!(audit.allocated_supply, 540);
    assert_eq!((audit.oversold, audit.violated), (0, 0));
    let running: std::collections::BTreeSet<_> = crate::verify::Invariant::RUNNING.into();
    assert_eq!(audit.rules.keys().copied().collect::<std::collections::BTreeSet<_>>(), running);
    assert_eq!(audit.rules.values().map(|looks| looks.evaluated).sum::<u64>(), audit.evaluated, "all of them by rule");
    assert!(audit.rules.values().all(|looks| looks.evaluated > 10 && looks.violated == 0), "{:?}", audit.rules);
    assert!(audit.charges > 20 && audit.charges == audit.captured_orders, "{audit:?}");
    assert_eq!(audit.orders.values().sum::<i64>(), shop.orders.len() as i64);
    let json = serde_json::to_value(&audit).unwrap();
    assert_eq!(json["money"]["EUR"]["captured"], audit.money["EUR"].captured);
}

#[test]
fn s04_a_gap_in_the_versions_stops_the_projection() {
    let (shop, store) = (busy_shop(9), Arc::new(MemoryStore::default()));
    let mut frame = (*shop.frames[1]).clone();
    frame.records[0].entries[0].version += 1;
    let mut projection = projection(&store);
    projection.ingest(&shop.frames[0]).unwrap();
    let error = projection.ingest(&frame).unwrap_err();
    assert!(matches!(&error, Error::Gap { .. }), "{error}");
    assert_eq!(error.to_string(), "sku mug is at version 3, but its next event in the log is version 5");
}

#[test]
fn a_frame_that_does_not_follow_is_not_taken_in() {
    let (shop, store) = (busy_shop(20), Arc::new(MemoryStore::default()));
    let mut projection = projection(&store);
    projection.ingest(&shop.frames[0]).unwrap();
    assert!(matches!(projection.ingest(&shop.frames[2]), Err(Error::FrameGap { .. })));
}

#[test]
fn an_event_that_breaks_an_aggregate_stops_the_projection_with_its_name() {
    let (mut shop, store) = (Shop::new(), Arc::new(MemoryStore::default()));
    shop.stocked("mug", 1, None);
    let at = shop.now;
    let parts = vec![stampede_actors::sku::Part { location: shop::depot(), units: 2 }];
    let held = stampede_actors::sku::Event::Held {
        hold: OrderId(1).hold(0),
        buyer: buyer("b"),
        order: None,
        parts,
        at,
        expires_at: at.plus(Span::minutes(1)),
        tentative: false,
    };
    shop.forge(vec![(EntityId::Sku(sku("mug")), stampede_actors::record::Event::Sku(held))]);
    shop.frame();
    let error = projection(&store).ingest(&shop.frames[0]).unwrap_err();
    assert!(error.to_string().starts_with("sku mug does not take in its event 3: oversold"), "{error}");
}

#[test]
fn s17_what_a_sku_forgot_the_store_remembers_for_a_day() {
    let (mut shop, store) = (Shop::new(), Arc::new(MemoryStore::default()));
    shop.stocked("mug", 10, None);
    shop.frame();
    let key = RememberedKey::Receipt(OpId(shop.now.0 as u128 + 1));
    let mut projection = projection(&store);
    let reader = projection.reader();
    projection.ingest(&shop.frames[0]).unwrap();
    let unwritten = reader.remembered(&sku("mug"), key).unwrap();
    assert!(unwritten.is_some());
    projection.flush().unwrap();
    assert_eq!(reader.remembered(&sku("mug"), key).unwrap(), unwritten);
    for (hours, remembered) in [(24, true), (24, false)] {
        shop.pass(Span::hours(hours));
        assert!(shop.sku("mug", if remembered { Command::Pause } else { Command::Resume }));
        shop.frame();
        projection.ingest(shop.frames.last().unwrap()).unwrap();
        projection.sweep(100).unwrap();
        assert_eq!(reader.remembered(&sku("mug"), key).unwrap().is_some(), remembered);
    }
    assert_eq!(projection.sweep(100).unwrap().forgotten, 0);
}

/// Holds that end are told of, with the time that they lasted, and only once somebody listens.
#[test]
fn how_long_holds_lasted_is_told() {
    thread_local! {
        static ENDED: std::cell::RefCell<Vec<(HoldEnd, Span)>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    let hold = |shop: &mut Shop, n: u128| {
        let hold = OrderId(n).hold(0);
        let (buyer, ttl) = (buyer("b"), Span::minutes(10));
        assert!(shop.sku("mug", Command::Hold { hold, units: 1, buyer, order: None, ttl, tentative: false }));
        hold
    };
    let unheard = hold(&mut shop, 1);
    shop.sku("mug", Command::Release { hold: unheard, order: None });
    shop.frame();
    let released = hold(&mut shop, 2);
    hold(&mut shop, 3);
    assert!(shop.buy(4, "b", "mug", 1));
    shop.pass(Span::seconds(30));
    shop.sku("mug", Command::Release { hold: released, order: None });
    shop.work(OrderId(4));
    shop.frame();
    shop.pass(Span::minutes(10));
    shop.sku("mug", Command::Tick);
    shop.frame();

    let mut projection = projection(&Arc::new(MemoryStore::default()));
    projection.ingest(&shop.frames[0]).unwrap();
    projection.tell_of_holds(|end, lasted| ENDED.with_borrow_mut(|ended| ended.push((end, lasted))));
    shop.frames[1..].iter().for_each(|frame| projection.ingest(frame).unwrap());
    let half_a_minute = Span::seconds(30);
    let then = [
        (HoldEnd::Released, half_a_minute),
        (HoldEnd::Confirmed, half_a_minute),
        (HoldEnd::Expired, Span::seconds(630)),
    ];
    assert_eq!(ENDED.take(), then);
}
