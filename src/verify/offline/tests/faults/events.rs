//! Faults of what records say, in files whose checksums, chain and roots are all right.

use super::*;
use crate::feed::projection::tests::shop::eur;
use stampede_actors::codec::decode_record;
use stampede_actors::ids::{OpId, OrderId};
use stampede_actors::order::{Answer, Event as OrderEvent, LineUnits, Step};
use stampede_actors::sku::{End, Units};

/// A shop with ten mugs, of which order 1 has two: paid, and one of them shipped.
fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    shop.frame();
    assert!(shop.buy(1, "alice", "mug", 2));
    shop.work(OrderId(1));
    assert!(shop.ship(OrderId(1), 5, 1));
    shop.work(OrderId(1));
    shop.frame();
    shop
}

fn mug() -> EntityId {
    EntityId::Sku(sku("mug"))
}

/// The event is forged into the third frame, and another one follows. What is found first points to it.
#[track_caller]
fn found_at(mut shop: Shop, entity: EntityId, event: Event, invariant: Invariant) {
    shop.forge(vec![(entity, event.clone())]);
    shop.frame();
    shop.stocked("later", 1, None);
    shop.frame();
    let (dir, path) = open_log(&shop);
    let report = check(dir.path());
    let finding = report.findings.iter().find(|finding| finding.violation.invariant == invariant);
    let finding = finding.unwrap_or_else(|| panic!("{:?}", report.findings));
    assert_eq!((finding.file.as_ref(), finding.seq), (Some(&path), Some(3)), "{finding:?}");
    assert_eq!(record_at(finding).entries[0].event, event, "the offset is that of the record");
    let first = &report.findings[0];
    assert_eq!((first.seq, first.offset), (finding.seq, finding.offset), "{first:?}");
}

fn held(shop: &Shop, hold: u128, units: Units) -> SkuEvent {
    let (at, expires_at) = (shop.now, shop.now.plus(Span::minutes(1)));
    let parts = vec![Part { location: depot(), units }];
    SkuEvent::Held { hold: HoldId(hold), buyer: buyer("bob"), order: None, parts, at, expires_at, tentative: false }
}

fn shipped(shop: &Shop, units: Units) -> Event {
    let parts = vec![Part { location: depot(), units }];
    Event::Sku(SkuEvent::Shipped { hold: OrderId(1).hold(0), shipment: OpId(6), parts, at: shop.now })
}

#[test]
fn more_units_claimed_than_there_are() {
    let shop = shop();
    let event = Event::Sku(held(&shop, 7, 9));
    found_at(shop, mug(), event, Invariant::Oversell);
}

#[test]
fn a_claim_that_ends_without_having_begun() {
    let shop = shop();
    let event = Event::Sku(SkuEvent::Ended { hold: HoldId(7), how: End::Released, at: shop.now });
    found_at(shop, mug(), event, Invariant::HoldLifecycle);
}

#[test]
fn a_hold_that_ends_twice() {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    shop.frame();
    let held = held(&shop, 7, 2);
    let ended = Event::Sku(SkuEvent::Ended { hold: HoldId(7), how: End::Released, at: shop.now });
    shop.forge(vec![(mug(), Event::Sku(held)), (mug(), ended.clone())]);
    shop.frame();
    found_at(shop, mug(), ended, Invariant::HoldLifecycle);
}

#[test]
fn a_hold_that_is_granted_twice() {
    let shop = shop();
    let mut event = held(&shop, 0, 1);
    if let SkuEvent::Held { hold, order, .. } = &mut event {
        (*hold, *order) = (OrderId(1).hold(0), Some(OrderId(1)));
    }
    found_at(shop, mug(), Event::Sku(event), Invariant::HoldLifecycle);
}

#[test]
fn more_units_than_a_buyer_may_have() {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, Some(2));
    shop.frame();
    assert!(shop.buy(1, "bob", "mug", 2));
    shop.frame();
    let event = Event::Sku(held(&shop, 7, 1));
    found_at(shop, mug(), event, Invariant::BuyerLimit);
}

#[test]
fn units_that_leave_twice() {
    let shop = shop();
    let event = shipped(&shop, 2);
    found_at(shop, mug(), event, Invariant::ShippedWithinOrder);
}

#[test]
fn units_that_leave_and_their_order_does_not_say_so() {
    let mut shop = shop();
    let event = shipped(&shop, 1);
    shop.forge(vec![(mug(), event)]);
    shop.frame();
    let (dir, path) = open_log(&shop);
    let report = check(dir.path());
    let finding = &report.findings[0];
    assert_eq!(finding.violation.invariant, Invariant::ShippedWithinOrder, "{:?}", report.findings);
    assert_eq!(finding.file.as_ref(), Some(&path));
    let place = record_at(finding);
    assert_eq!(place.entries[0].entity, EntityId::Order(OrderId(1)), "the order's last record is the place to look");
}

#[test]
fn an_order_that_rests_on_no_hold() {
    let shop = shop();
    let (placement, at) = (shop.placement(OrderId(2), "bob", "mug", 1), shop.now);
    let event = OrderEvent::Placed { placement, total: eur(1_000), at, ask_at: at };
    found_at(shop, EntityId::Order(OrderId(2)), Event::Order(event), Invariant::OrderBacked);
}

#[test]
fn money_that_is_taken_before_the_units_are_firm() {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    shop.frame();
    assert!(shop.buy(1, "bob", "mug", 1));
    shop.frame();
    let (step, at) = (Step::Capture { attempt: 1 }, shop.now);
    let event = OrderEvent::Opened { step, at, ask_at: at, due: None };
    found_at(shop, EntityId::Order(OrderId(1)), Event::Order(event), Invariant::CaptureAllocated);
}

#[test]
fn an_order_that_is_charged_and_whose_units_never_were_firm() {
    let mut shop = Shop::new();
    shop.stocked("mug", 10, None);
    shop.frame();
    assert!(shop.buy(1, "bob", "mug", 1));
    shop.frame();
    let (step, at) = (Step::Capture { attempt: 1 }, shop.now);
    let event = OrderEvent::Answered { step, answer: Answer::Done { reference: None }, at };
    found_at(shop, EntityId::Order(OrderId(1)), Event::Order(event), Invariant::CaptureAllocated);
}

#[test]
fn money_that_is_taken_twice() {
    let shop = shop();
    let (step, at) = (Step::Capture { attempt: 2 }, shop.now);
    let event = OrderEvent::Answered { step, answer: Answer::Done { reference: None }, at };
    found_at(shop, EntityId::Order(OrderId(1)), Event::Order(event), Invariant::CapturedOnce);
}

#[test]
fn more_money_back_than_was_taken() {
    let shop = shop();
    let event = OrderEvent::RefundRequested {
        refund: OpId(9),
        fingerprint: 1,
        lines: vec![],
        amount: eur(2_001),
        restock: false,
        withheld: vec![],
        at: shop.now,
    };
    found_at(shop, EntityId::Order(OrderId(1)), Event::Order(event), Invariant::RefundWithinCapture);
}

#[test]
fn an_order_that_ships_more_than_it_bought() {
    let shop = shop();
    let event = OrderEvent::Shipped {
        shipment: OpId(6),
        fingerprint: 1,
        location: depot(),
        lines: vec![LineUnits { line: 0, units: 2 }],
        tracking: None,
        at: shop.now,
        ask_at: shop.now,
    };
    found_at(shop, EntityId::Order(OrderId(1)), Event::Order(event), Invariant::ShippedWithinOrder);
}

#[test]
fn units_that_stay_firm_for_no_order() {
    let mut shop = shop();
    let mut held = held(&shop, 7, 1);
    if let SkuEvent::Held { order, .. } = &mut held {
        *order = Some(OrderId(99));
    }
    shop.forge(vec![(mug(), Event::Sku(held))]);
    let event = Event::Sku(SkuEvent::Allocated { hold: HoldId(7), order: OrderId(99), at: shop.now });
    shop.forge(vec![(mug(), event.clone())]);
    shop.frame();
    let (dir, path) = open_log(&shop);
    let report = check(dir.path());
    let finding = &report.findings[0];
    assert_eq!(finding.violation.invariant, Invariant::Stranded, "{:?}", report.findings);
    assert_eq!((finding.file.as_ref(), record_at(finding).entries[0].event == event), (Some(&path), true));
}

#[test]
fn a_version_that_was_left_out() {
    let mut shop = shop();
    *shop.versions.get_mut(&mug()).unwrap() += 1;
    found_at(shop, mug(), Event::Sku(SkuEvent::Paused), Invariant::VersionGap);
}

#[test]
fn an_event_that_its_aggregate_does_not_take_in() {
    let shop = shop();
    let event = Event::Sku(SkuEvent::AllocationCancelled { hold: HoldId(7), at: shop.now });
    found_at(shop, mug(), event, Invariant::Replay);
}

/// Somebody takes a record out of the file, and makes checksums, root and chain right again.
#[test]
fn a_record_that_was_taken_out_of_the_file_leaves_a_gap() {
    let (dir, path) = open_log(&busy_shop(60));
    let mut segment = Segment::read(&path);
    let frame = (1..segment.frames.len()).find(|&frame| segment.records(frame).len() > 2).unwrap();
    let mut records = segment.records(frame);
    let taken = decode_record(&records.remove(0)).unwrap();
    segment.put_records(frame, &records, true);
    segment.chain_after(frame);
    segment.write();
    let report = check(dir.path());
    assert_eq!(report.root, None);
    let first = report.findings.iter().find(|finding| finding.violation.invariant == Invariant::VersionGap).unwrap();
    let entry = &taken.entries[0];
    let next = record_at(first).entries.into_iter().find(|next| next.entity == entry.entity).unwrap();
    assert_eq!((first.file.as_ref(), next.version), (Some(&path), entry.version + 1), "{first:?}");
}
