#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::feed::projection::tests::shop::{Shop, buyer, depot, sku};
use stampede_actors::ids::{HoldId, OpId};
use stampede_actors::order::{self, Answer, Step};
use stampede_actors::sku::{self, End, Event as SkuEvent, Part, Units};
use stampede_actors::time::Span;

/// What the ledger says of a shop's history, closed at the end.
fn found(shop: &mut Shop) -> Vec<Invariant> {
    shop.frame();
    let mut ledger = Ledger::default();
    let records = shop.frames.iter().flat_map(|frame| &frame.records);
    let mut found: Vec<_> = records.flat_map(|record| ledger.record(record)).collect();
    found.extend(ledger.close());
    assert_eq!(ledger.totals().violated, found.len() as u64);
    found.into_iter().map(|violation| violation.invariant).collect()
}

/// A shop with ten mugs, of which the order 1 has two.
fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    assert!(shop.buy(1, "alice", "mug", 2));
    shop
}

fn forge_sku(shop: &mut Shop, event: SkuEvent) {
    shop.forge(vec![(EntityId::Sku(sku("mug")), Event::Sku(event))]);
}

fn forge_order(shop: &mut Shop, order: u128, event: order::Event) {
    shop.forge(vec![(EntityId::Order(OrderId(order)), Event::Order(event))]);
}

fn held(shop: &Shop, hold: HoldId, who: &str, units: Units) -> SkuEvent {
    let parts = vec![Part { location: depot(), units }];
    let (at, expires_at) = (shop.now, shop.now.plus(Span::minutes(1)));
    SkuEvent::Held { hold, buyer: buyer(who), order: None, parts, at, expires_at, tentative: false }
}

fn done() -> Answer {
    Answer::Done { reference: None }
}

#[test]
fn a_right_history_breaks_nothing() {
    let mut shop = shop();
    shop.work(OrderId(1));
    assert!(shop.ship(OrderId(1), 5, 1));
    shop.work(OrderId(1));
    assert_eq!(found(&mut shop), []);
}

#[test]
fn a_hold_that_two_orders_had_one_after_the_other_is_each_ones_own() {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    let hold = HoldId(7);
    for number in [1, 2] {
        // The buyer's own at first; when it has ended, only an order gets it afresh.
        let for_whom = [None, Some(OrderId(number))];
        for order in for_whom.into_iter().skip(usize::from(number == 2)) {
            let (buyer, ttl) = (buyer("alice"), Span::minutes(10));
            assert!(shop.sku("mug", sku::Command::Hold { hold, units: 2, buyer, order, ttl, tentative: false }));
        }
        let mut placement = shop.placement(OrderId(number), "alice", "mug", 2);
        placement.lines[0].hold = hold;
        assert!(shop.order(OrderId(number), order::Command::Place(placement)));
        if number == 1 {
            let (cancel, reason) = (OpId(1), "changed my mind".to_owned());
            assert!(shop.order(OrderId(1), order::Command::Cancel { cancel, fingerprint: 1, reason }));
        }
        shop.work(OrderId(number));
    }
    assert!(shop.ship(OrderId(2), 5, 2));
    shop.work(OrderId(2));
    assert_eq!(found(&mut shop), []);
}

#[test]
fn more_held_than_there_is() {
    let mut shop = shop();
    let event = held(&shop, HoldId(7), "bob", 9);
    forge_sku(&mut shop, event);
    assert_eq!(found(&mut shop), [Invariant::Oversell]);
}

#[test]
fn a_hold_granted_twice() {
    let mut shop = shop();
    let event = held(&shop, HoldId(7), "bob", 1);
    forge_sku(&mut shop, event.clone());
    forge_sku(&mut shop, event);
    assert_eq!(found(&mut shop), [Invariant::HoldLifecycle]);
}

#[test]
fn a_shipped_hold_granted_again() {
    let mut shop = shop();
    shop.work(OrderId(1));
    assert!(shop.ship(OrderId(1), 5, 2));
    shop.work(OrderId(1));
    let event = held(&shop, OrderId(1).hold(0), "alice", 2);
    forge_sku(&mut shop, event);
    // The units that it stood for before are gone from the books.
    assert_eq!(found(&mut shop), [Invariant::HoldLifecycle, Invariant::CaptureAllocated]);
}

#[test]
fn a_hold_that_ends_twice() {
    let mut shop = shop();
    let at = shop.now;
    let event = held(&shop, HoldId(7), "bob", 1);
    forge_sku(&mut shop, event);
    for _ in 0..2 {
        forge_sku(&mut shop, SkuEvent::Ended { hold: HoldId(7), how: End::Released, at });
    }
    assert_eq!(found(&mut shop), [Invariant::HoldLifecycle]);
}

#[test]
fn a_released_hold_may_be_granted_again() {
    let mut shop = shop();
    let at = shop.now;
    let event = held(&shop, HoldId(7), "bob", 1);
    forge_sku(&mut shop, event.clone());
    forge_sku(&mut shop, SkuEvent::Ended { hold: HoldId(7), how: End::Released, at });
    forge_sku(&mut shop, event);
    assert_eq!(found(&mut shop), []);
}

#[test]
fn s17_more_than_a_buyer_may_have() {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, Some(2));
    assert!(shop.buy(1, "alice", "mug", 2));
    shop.work(OrderId(1));
    assert!(shop.ship(OrderId(1), 5, 2));
    shop.work(OrderId(1));
    let event = held(&shop, HoldId(7), "alice", 1);
    forge_sku(&mut shop, event);
    assert_eq!(found(&mut shop), [Invariant::BuyerLimit]);
}

#[test]
fn an_order_without_a_hold() {
    let mut shop = shop();
    for (number, who, units) in [(2, "alice", 2), (1, "alice", 2)] {
        let placement = shop.placement(OrderId(1), who, "mug", units);
        let (total, at) = (crate::feed::projection::tests::shop::eur(2_000), shop.now);
        forge_order(&mut shop, number, order::Event::Placed { placement, total, at, ask_at: at });
    }
    // The second is backed, but it is placed twice.
    assert_eq!(found(&mut shop), [Invariant::OrderBacked, Invariant::OrderBacked]);
}

#[test]
fn a_capture_without_an_allocation() {
    let mut shop = shop();
    let (step, at) = (Step::Capture { attempt: 1 }, shop.now);
    forge_order(&mut shop, 1, order::Event::Opened { step, at, ask_at: at, due: None });
    assert_eq!(found(&mut shop), [Invariant::CaptureAllocated]);
}

#[test]
fn money_taken_twice() {
    let mut shop = shop();
    shop.work(OrderId(1));
    let (step, at) = (Step::Capture { attempt: 2 }, shop.now);
    forge_order(&mut shop, 1, order::Event::Answered { step, answer: done(), at });
    assert_eq!(found(&mut shop), [Invariant::CapturedOnce]);
}

#[test]
fn more_money_back_than_was_taken() {
    let mut shop = shop();
    shop.work(OrderId(1));
    let (at, amount) = (shop.now, crate::feed::projection::tests::shop::eur(2_001));
    let refund = OpId(9);
    let (lines, withheld) = (vec![], vec![]);
    let asked = order::Event::RefundRequested { refund, fingerprint: 1, lines, amount, restock: false, withheld, at };
    forge_order(&mut shop, 1, asked);
    assert_eq!(found(&mut shop), [Invariant::RefundWithinCapture]);
}

#[test]
fn money_kept_for_an_order_that_ended_and_units_that_are_stranded() {
    let mut shop = shop();
    shop.work(OrderId(1));
    let at = shop.now;
    forge_order(&mut shop, 1, order::Event::Cancelled { reason: "x".to_owned(), at });
    assert_eq!(found(&mut shop), [Invariant::RefundWithinCapture, Invariant::Stranded]);
}

#[test]
fn a_version_that_is_left_out() {
    let mut shop = shop();
    *shop.versions.get_mut(&EntityId::Sku(sku("mug"))).unwrap() += 1;
    forge_sku(&mut shop, SkuEvent::Paused);
    assert_eq!(found(&mut shop), [Invariant::VersionGap]);
}

#[test]
fn money_for_units_that_went_to_somebody_else() {
    let mut shop = shop();
    shop.work(OrderId(1));
    let (hold, at) = (OrderId(1).hold(0), shop.now);
    forge_sku(&mut shop, SkuEvent::AllocationCancelled { hold, at });
    assert_eq!(found(&mut shop), [Invariant::CaptureAllocated]);
}
