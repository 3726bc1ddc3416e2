//! What the warehouse ships, and what it does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::workflows::warehouse::RequestLine;
use stampede_actors::ids::SkuId;
use stampede_actors::order::LinePart;

const ORDER: OrderId = OrderId(7);

fn here() -> LocationId {
    LocationId::new("here").unwrap()
}

fn request() -> Request {
    let line = |line, units| RequestLine { line, sku: SkuId::new("sku").unwrap(), units };
    Request { order: ORDER, location: here(), lines: vec![line(0, 3), line(1, 1)], delivery: None }
}

fn call_off(refund: u128, line: u32, units: Units) -> CallOff {
    CallOff { order: ORDER, refund: OpId(refund), parts: vec![LinePart { line, location: here(), units }] }
}

fn shipped(depot: &mut Depot) -> Option<Vec<(u32, Units)>> {
    let dispatched = depot.ship(ORDER, &here()).unwrap()?;
    Some(dispatched.lines.iter().map(|line| (line.line, line.units)).collect())
}

#[test]
fn a_request_is_shipped_once_however_often_it_is_made() {
    let mut depot = Depot::default();
    assert!(depot.request(&request()).unwrap());
    assert!(!depot.request(&request()).unwrap());
    assert_eq!(shipped(&mut depot), Some(vec![(0, 3), (1, 1)]));
    assert_eq!(shipped(&mut depot), None);
    assert!(!depot.request(&request()).unwrap());
    assert_eq!(shipped(&mut depot), None);
}

#[test]
fn s19_what_was_called_off_is_not_shipped_even_when_it_is_requested_later() {
    let mut depot = Depot::default();
    let agreed = Answer::Done { reference: None };
    assert_eq!(depot.call_off(&call_off(1, 0, 2)).unwrap(), agreed);
    assert_eq!(depot.call_off(&call_off(1, 0, 2)).unwrap(), agreed, "a repeat calls nothing more off");
    depot.request(&request()).unwrap();
    assert_eq!(depot.call_off(&call_off(2, 1, 1)).unwrap(), agreed);
    assert_eq!(shipped(&mut depot), Some(vec![(0, 1)]));
}

#[test]
fn s19_what_has_left_is_not_called_off_and_the_answer_stays() {
    let mut depot = Depot::default();
    depot.request(&request()).unwrap();
    assert_eq!(depot.call_off(&call_off(1, 0, 3)).unwrap(), Answer::Done { reference: None });
    shipped(&mut depot);
    let refused = Answer::Refused { code: "already_shipped".to_owned() };
    assert_eq!(depot.call_off(&call_off(2, 1, 1)).unwrap(), refused);
    assert_eq!(depot.call_off(&call_off(1, 0, 3)).unwrap(), Answer::Done { reference: None });
}

#[test]
fn a_wholly_called_off_request_is_never_shipped() {
    let mut depot = Depot::default();
    depot.request(&request()).unwrap();
    depot.call_off(&call_off(1, 0, 3)).unwrap();
    depot.call_off(&call_off(2, 1, 1)).unwrap();
    assert_eq!(shipped(&mut depot), None);
}

#[test]
fn the_account_survives_the_process_and_unconfirmed_shipments_are_reported_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::super::WAREHOUSE_FILE);
    let mut depot = Depot::open(&path).unwrap();
    depot.request(&request()).unwrap();
    depot.call_off(&call_off(1, 0, 3)).unwrap();

    let mut depot = Depot::open(&path).unwrap();
    assert_eq!(depot.to_ship().count(), 1);
    let first = depot.ship(ORDER, &here()).unwrap().unwrap();

    let mut depot = Depot::open(&path).unwrap();
    assert_eq!(depot.to_ship().count(), 0);
    assert_eq!(depot.unconfirmed(), std::slice::from_ref(&first));
    depot.confirm(first.shipment).unwrap();
    assert_eq!(Depot::open(&path).unwrap().unconfirmed(), []);
}
