//! Stock, by example: given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used)] // a test that cannot make its example has failed

mod allocating;
mod holding;
mod remembering;
mod stock;

use super::*;
use crate::ids::{BuyerRef, HoldId, LocationId, OpId, OrderId, Reference, SellerId};
use crate::money::Money;
use crate::time::{Moment, Timestamp};
use iso_currency::Currency;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const TTL: Span = Span::minutes(10);
const A: HoldId = HoldId(0xA);
const B: HoldId = HoldId(0xB);
const ORDER: OrderId = OrderId(1);
const OTHER: OrderId = OrderId(2);

/// The one place that calls the API: signatures may change without touching a test.
#[track_caller]
fn check(given: &[Event], when: Command, then: Result<Vec<Event>, Refusal>) {
    check_at(NOW, given, when, then);
}

#[track_caller]
fn check_at(now: Timestamp, given: &[Event], when: Command, then: Result<Vec<Event>, Refusal>) {
    assert_eq!(decide_at(now, given, &when).map(Option::unwrap_or_default), then);
}

fn decide_at(now: Timestamp, given: &[Event], when: &Command) -> Result<Option<Vec<Event>>, Refusal> {
    sku(given).decide(when, Moment::at(now), &Terms::default(), None)
}

/// A listed SKU after these events.
fn sku(given: &[Event]) -> Sku {
    let mut sku = Sku::default();
    sku.apply(&listed(None));
    given.iter().for_each(|event| sku.apply(event));
    sku
}

fn after(seconds: i64) -> Timestamp {
    NOW.plus(Span::seconds(seconds))
}

fn at_location(code: &str) -> LocationId {
    LocationId::new(code).unwrap()
}

fn buyer(name: &str) -> BuyerRef {
    BuyerRef::new(name).unwrap()
}

fn part(location: &str, units: Units) -> Part {
    Part { location: at_location(location), units }
}

fn listing(buyer_limit: Option<Units>) -> Listing {
    let price = Money::new(1999, Currency::EUR);
    Listing { seller: SellerId::new("acme").unwrap(), price, buyer_limit }
}

fn listed(buyer_limit: Option<Units>) -> Event {
    Event::Listed(listing(buyer_limit))
}

fn received(units: Units) -> Event {
    received_at("main", units)
}

fn received_at(location: &str, units: Units) -> Event {
    let receipt = OpId(u128::from(units));
    Event::Received { receipt, fingerprint: 1, location: at_location(location), units, at: NOW }
}

fn receive(receipt: u128, fingerprint: u64, units: Units) -> Command {
    Command::Receive { receipt: OpId(receipt), fingerprint, location: at_location("main"), units }
}

fn adjust(delta: i64) -> Command {
    let reference = Reference::new("count-7").unwrap();
    Command::Adjust {
        adjustment: OpId(7),
        fingerprint: 1,
        location: at_location("main"),
        delta,
        reason: Reason::Count,
        reference,
    }
}

fn hold(id: HoldId, units: Units) -> Command {
    Command::Hold { hold: id, units, buyer: buyer("ann"), order: None, ttl: TTL, tentative: false }
}

fn hold_for(id: HoldId, units: Units, order: OrderId) -> Command {
    Command::Hold { hold: id, units, buyer: buyer("ann"), order: Some(order), ttl: TTL, tentative: false }
}

fn held(id: HoldId, units: Units) -> Event {
    held_by("ann", id, units, None)
}

fn held_for(id: HoldId, units: Units, order: OrderId) -> Event {
    held_by("ann", id, units, Some(order))
}

fn held_by(who: &str, id: HoldId, units: Units, order: Option<OrderId>) -> Event {
    Event::Held {
        hold: id,
        buyer: buyer(who),
        order,
        parts: vec![part("main", units)],
        at: NOW,
        expires_at: NOW.plus(TTL),
        tentative: false,
    }
}

/// The same event, but at `at`.
fn held_at(at: Timestamp, event: Event) -> Event {
    match event {
        Event::Held { hold, buyer, order, parts, tentative, .. } => {
            Event::Held { hold, buyer, order, parts, at, expires_at: at.plus(TTL), tentative }
        }
        other => other,
    }
}

fn ended(id: HoldId, how: End) -> Event {
    Event::Ended { hold: id, how, at: NOW }
}

fn allocated(id: HoldId, order: OrderId) -> Event {
    Event::Allocated { hold: id, order, at: NOW }
}

fn allocate(hold: HoldId, units: Units, order: OrderId) -> Command {
    Command::Allocate { hold, order, parts: vec![part("main", units)] }
}

fn shipped(id: HoldId, shipment: u128, units: Units) -> Event {
    Event::Shipped { hold: id, shipment: OpId(shipment), parts: vec![part("main", units)], at: NOW }
}

fn ship(id: HoldId, shipment: u128, units: Units) -> Command {
    Command::Ship { hold: id, shipment: OpId(shipment), parts: vec![part("main", units)] }
}

fn sold_out(requested: Units, available: Units) -> Refusal {
    Refusal::SoldOut { requested, available, contended: false }
}
