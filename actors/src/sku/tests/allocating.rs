//! Allocations: made firm, shipped in parts, reduced, cancelled, returned.

use super::*;

fn firm(units: Units) -> Vec<Event> {
    vec![received(9), held_for(A, units, ORDER), allocated(A, ORDER)]
}

fn give_back(units: Units, restock: bool) -> Command {
    Command::Return { hold: A, buyer: buyer("ann"), return_id: OpId(3), location: at_location("main"), units, restock }
}

fn returned(units: Units, restock: bool) -> Event {
    Event::Returned {
        hold: A,
        buyer: buyer("ann"),
        return_id: OpId(3),
        location: at_location("main"),
        units,
        restock,
        at: NOW,
    }
}

#[test]
fn a_hold_becomes_firm_for_its_order_only() {
    let given = [received(5), held_for(A, 2, ORDER)];
    let allocate = |order| allocate(A, 2, order);
    check(&given, allocate(ORDER), Ok(vec![allocated(A, ORDER)]));
    check(&given, allocate(OTHER), Err(Refusal::HoldDiffers));
    check(&firm(2), allocate(ORDER), Ok(vec![]));
    check(&firm(2), allocate(OTHER), Err(Refusal::HoldDiffers));
    check(&[received(5)], allocate(ORDER), Err(Refusal::HoldEnded));
    let adopted = Event::Adopted { hold: A, order: ORDER };
    check(&[received(5), held(A, 2)], allocate(ORDER), Ok(vec![adopted, allocated(A, ORDER)]));
}

#[test]
fn a_hold_that_was_granted_afresh_elsewhere_does_not_become_firm() {
    // Its order was told of the first grant, and would ship from there.
    let east = Event::Held {
        hold: A,
        buyer: buyer("ann"),
        order: Some(ORDER),
        parts: vec![part("east", 1), part("main", 1)],
        at: NOW,
        expires_at: NOW.plus(TTL),
        tentative: false,
    };
    let given = [received(1), received_at("east", 1), east];
    check(&given, allocate(A, 2, ORDER), Err(Refusal::HoldDiffers));
    let parts = vec![part("main", 1), part("east", 1)];
    check(&given, Command::Allocate { hold: A, order: ORDER, parts }, Ok(vec![allocated(A, ORDER)]));
}

#[test]
fn s19_a_hold_past_its_deadline_can_become_firm_until_it_has_ended() {
    let given = [received(5), held_for(A, 2, ORDER)];
    let late = after(900);
    let allocate = allocate(A, 2, ORDER);
    check_at(late, &given, allocate.clone(), Ok(vec![Event::Allocated { hold: A, order: ORDER, at: late }]));
    let ended = [received(5), held_for(A, 2, ORDER), ended(A, End::Expired)];
    check_at(late, &ended, allocate, Err(Refusal::HoldEnded));
}

#[test]
fn an_allocation_never_runs_out() {
    let late = after(86_400);
    assert_eq!(sku(&firm(2)).deadline(), None);
    check_at(late, &firm(2), Command::Tick, Ok(vec![]));
    check(&firm(2), Command::Extend { hold: A, until: late }, Ok(vec![]));
}

#[test]
fn units_leave_from_where_they_are_allocated() {
    check(&firm(3), ship(A, 1, 2), Ok(vec![shipped(A, 1, 2)]));
    check(&firm(3), ship(A, 1, 4), Err(Refusal::WrongParts));
    let elsewhere = Command::Ship { hold: A, shipment: OpId(1), parts: vec![part("east", 1)] };
    check(&firm(3), elsewhere, Err(Refusal::WrongParts));
    let twice = Command::Ship { hold: A, shipment: OpId(1), parts: vec![part("main", 2), part("main", 2)] };
    check(&firm(3), twice, Err(Refusal::WrongParts));
    check(&firm(3), Command::Ship { hold: A, shipment: OpId(1), parts: vec![] }, Err(Refusal::WrongParts));
    check(&[received(9), held(A, 3)], ship(A, 1, 1), Err(Refusal::NotAllocated));
    check(&[received(9)], ship(A, 1, 1), Err(Refusal::HoldEnded));
}

#[test]
fn a_shipment_in_two_parts_ends_the_allocation_with_the_last_unit() {
    let mut given = [firm(3), vec![shipped(A, 1, 2)]].concat();
    assert_eq!(sku(&given).hold(A).unwrap().parts, [part("main", 1)]);
    check(&given, ship(A, 2, 2), Err(Refusal::WrongParts));
    given.push(shipped(A, 2, 1));
    let sku = sku(&given);
    assert_eq!(sku.hold(A), None);
    let stock = sku.availability();
    assert_eq!((stock.on_hand, stock.held, stock.allocated, stock.available), (6, 0, 0, 6));
}

#[test]
fn a_cancelled_allocation_gives_back_what_is_left() {
    let cancel = Command::CancelAllocation { hold: A };
    let cancelled = Event::AllocationCancelled { hold: A, at: NOW };
    let given = [firm(3), vec![shipped(A, 1, 2)]].concat();
    check(&given, cancel.clone(), Ok(vec![cancelled.clone()]));
    let after_it = [given, vec![cancelled]].concat();
    assert_eq!(sku(&after_it).available(), 7);
    check(&after_it, cancel.clone(), Ok(vec![]));
    check(&[received(9), held(A, 3)], cancel, Err(Refusal::NotAllocated));
}

#[test]
fn refunded_units_leave_the_allocation_for_available_or_for_good() {
    let reduce =
        |restock| Command::ReduceAllocation { hold: A, reduction: OpId(5), parts: vec![part("main", 1)], restock };
    let reduced = |restock| Event::AllocationReduced {
        hold: A,
        reduction: OpId(5),
        parts: vec![part("main", 1)],
        restock,
        at: NOW,
    };
    check(&firm(3), reduce(true), Ok(vec![reduced(true)]));
    let restocked = [firm(3), vec![reduced(true)]].concat();
    let stock = sku(&restocked).availability();
    assert_eq!((stock.on_hand, stock.allocated, stock.available), (9, 2, 7));
    check(&restocked, reduce(true), Ok(vec![]));
    check(&restocked, reduce(false), Err(Refusal::Reused));
    let written_off = sku(&[firm(3), vec![reduced(false)]].concat());
    let stock = written_off.availability();
    assert_eq!((stock.on_hand, stock.allocated, stock.available), (8, 2, 6));
    assert_eq!(written_off.totals().written_off, 1);
    check(&[received(9), held(A, 3)], reduce(true), Err(Refusal::NotAllocated));
}

#[test]
fn units_come_back_once_and_never_more_than_left() {
    let given = [firm(3), vec![shipped(A, 1, 3)]].concat();
    check(&given, give_back(2, true), Ok(vec![returned(2, true)]));
    check(&given, give_back(4, true), Err(Refusal::WrongParts));
    check(&firm(3), give_back(1, true), Err(Refusal::WrongParts));
    let back = [given.clone(), vec![returned(2, true)]].concat();
    check(&back, give_back(2, true), Ok(vec![]));
    check(&back, give_back(1, true), Err(Refusal::Reused));
    assert_eq!(sku(&back).available(), 8);
    assert_eq!(sku(&[given, vec![returned(2, false)]].concat()).available(), 6);
}
