//! What the warehouse ships, and what it does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::super::tests::Counting;
use super::*;
use crate::store::tests::copy_files;
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
    let mut depot = Depot::open(dir.path()).unwrap();
    depot.request(&request()).unwrap();
    depot.call_off(&call_off(1, 0, 3)).unwrap();
    drop(depot);

    let mut depot = Depot::open(dir.path()).unwrap();
    assert_eq!(to_ship(&depot), [(ORDER, here())]);
    let first = depot.ship(ORDER, &here()).unwrap().unwrap();
    drop(depot);

    let mut depot = Depot::open(dir.path()).unwrap();
    assert_eq!(to_ship(&depot), []);
    assert_eq!(unconfirmed(&depot), std::slice::from_ref(&first));
    depot.confirm(first.shipment).unwrap();
    drop(depot);
    assert_eq!(unconfirmed(&Depot::open(dir.path()).unwrap()), []);
}

#[test]
fn the_account_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (running, killed) = (dir.path().join("running"), dir.path().join("killed"));
    let mut depot = Depot::open(&running).unwrap();
    depot.request(&request()).unwrap();
    let first = depot.ship(ORDER, &here()).unwrap().unwrap();

    // What the system can copy now is what a killed process leaves behind.
    copy_files(&running, &killed);
    let mut depot = Depot::open(&killed).unwrap();
    assert!(!depot.request(&request()).unwrap());
    assert_eq!(depot.call_off(&call_off(1, 0, 3)).unwrap(), Answer::Refused { code: "already_shipped".to_owned() });
    assert_eq!(unconfirmed(&depot), [first]);
}

#[test]
fn what_is_wholly_called_off_waits_for_nothing() {
    let mut depot = Depot::default();
    depot.request(&request()).unwrap();
    depot.call_off(&call_off(1, 0, 3)).unwrap();
    assert_eq!(to_ship(&depot).len(), 1);
    depot.call_off(&call_off(2, 1, 1)).unwrap();
    assert_eq!(to_ship(&depot), []);
}

#[test]
fn however_much_was_shipped_only_what_is_left_to_do_is_read_at_the_start() {
    let store = Counting::default();
    let mut depot = Depot::kept_in(Arc::new(store.clone()));
    for order in (0..50_000).map(OrderId) {
        depot.request(&Request { order, ..request() }).unwrap();
        if order.0 >= 3 {
            let shipment = depot.ship(order, &here()).unwrap().unwrap().shipment;
            if order.0 >= 5 {
                depot.confirm(shipment).unwrap();
            }
        }
    }
    store.rows_read();

    let depot = Depot::kept_in(Arc::new(store.clone()));
    assert_eq!(store.rows_read(), 0);
    assert_eq!(to_ship(&depot), [0, 1, 2].map(|order| (OrderId(order), here())));
    let mut orders: Vec<_> = unconfirmed(&depot).into_iter().map(|dispatched| dispatched.order).collect();
    orders.sort_unstable();
    assert_eq!(orders, [OrderId(3), OrderId(4)]);
    assert_eq!(store.rows_read(), 3 + 2 + 2, "two rows for each shipment");
}

fn to_ship(depot: &Depot) -> Vec<Place> {
    depot.to_ship().map(Result::unwrap).collect()
}

fn unconfirmed(depot: &Depot) -> Vec<Dispatched> {
    depot.unconfirmed().map(Result::unwrap).collect()
}
