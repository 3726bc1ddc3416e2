//! Late repeats (S17): what is remembered, for how long, and what is looked up in the store.

use super::*;

#[test]
fn s17_a_receipt_counts_once_and_its_id_is_not_reused() {
    let given =
        [Event::Received { receipt: OpId(5), fingerprint: 1, location: at_location("main"), units: 5, at: NOW }];
    check(&given, receive(5, 1, 5), Ok(vec![]));
    check(&given, receive(5, 2, 6), Err(Refusal::Reused));
    let a_day_later = after(86_400);
    assert!(matches!(decide_at(a_day_later, &given, &receive(5, 1, 5)), Ok(Some(_))), "forgotten on purpose");
}

#[test]
fn s17_a_shipment_counts_once_even_after_the_allocation_ended() {
    let given = [received(9), held_for(A, 3, ORDER), allocated(A, ORDER), shipped(A, 1, 3)];
    check(&given, ship(A, 1, 3), Ok(vec![]));
    check(&given, ship(A, 1, 2), Err(Refusal::Reused));
    check(&given, ship(A, 2, 1), Err(Refusal::HoldEnded));
}

#[test]
fn s17_what_was_sold_is_never_granted_or_allocated_again() {
    let sold = [received(9), held_for(A, 3, ORDER), allocated(A, ORDER), shipped(A, 1, 3)];
    check(&sold, hold_for(A, 3, ORDER), Err(Refusal::HoldEnded));
    check(&sold, hold(A, 3), Err(Refusal::HoldEnded));
    check(&sold, allocate(A, 3, ORDER), Ok(vec![]));
    check(&sold, allocate(A, 3, OTHER), Err(Refusal::HoldEnded));
    let [stock, held, firm, _] = sold;
    let cancelled = [stock, held, firm, Event::AllocationCancelled { hold: A, at: NOW }];
    check(&cancelled, hold_for(A, 3, ORDER), Err(Refusal::HoldEnded));
    check(&cancelled, allocate(A, 3, ORDER), Err(Refusal::HoldEnded));
}

#[test]
fn s17_a_clients_hold_that_ended_is_not_granted_again() {
    for how in [End::Released, End::Expired] {
        let given = [received(9), held(A, 1), ended(A, how)];
        check(&given, hold(A, 1), Err(Refusal::HoldEnded));
        check_at(after(86_399), &given, hold(A, 1), Err(Refusal::HoldEnded));
    }
    // Overdue and not ended yet is no different.
    check_at(after(600), &[received(9), held(A, 1)], hold(A, 1), Err(Refusal::HoldEnded));
}

#[test]
fn s15_an_orders_hold_that_lapsed_is_granted_afresh() {
    for how in [End::Released, End::Expired] {
        let given = [received(1), held_for(A, 1, ORDER), ended(A, how)];
        check(&given, hold_for(A, 1, ORDER), Ok(vec![held_for(A, 1, ORDER)]));
    }
    // Its own overdue hold does not stand in its way, even for the last unit.
    let late = after(601);
    let expired = Event::Ended { hold: A, how: End::Expired, at: late };
    let granted = held_at(late, held_for(A, 1, ORDER));
    check_at(late, &[received(1), held_for(A, 1, ORDER)], hold_for(A, 1, ORDER), Ok(vec![expired, granted]));
}

/// More ids than memory has room for; the first is the client's hold `A`.
fn forgetful() -> Sku {
    let mut sku = sku(&[received(9), held(A, 1), ended(A, End::Released)]);
    for id in 0..REMEMBERED_IN_MEMORY as u128 {
        let named = HoldId(1_000 + id);
        sku.apply(&held(named, 1));
        sku.apply(&ended(named, End::Released));
    }
    sku
}

#[test]
fn s17_what_memory_dropped_is_looked_up_in_the_store() {
    let (sku, at, terms) = (forgetful(), Moment::at(NOW), Terms::default());
    let key = RememberedKey::Hold(A);
    assert_eq!(sku.unsure_of(&hold(A, 1), at, &terms), Some(key));
    let known = Remembered { at: NOW, what: What::Hold { closed: Closed::Lapsed, order: None } };
    assert_eq!(sku.decide(&hold(A, 1), at, &terms, Some(&known)), Err(Refusal::HoldEnded));
    assert_eq!(sku.decide(&hold(A, 1), at, &terms, None), Ok(Some(vec![held(A, 1)])), "the store knows nothing");
    let old = Remembered { at: Timestamp(NOW.0 - Span::hours(24).0), ..known };
    assert_eq!(sku.decide(&hold(A, 1), at, &terms, Some(&old)), Ok(Some(vec![held(A, 1)])));
}

#[test]
fn the_store_is_asked_only_when_memory_cannot_know() {
    let (sku, at, terms) = (forgetful(), Moment::at(NOW), Terms::default());
    let newest = 1_000 + REMEMBERED_IN_MEMORY as u128 - 1;
    assert_eq!(sku.unsure_of(&hold(HoldId(newest), 1), at, &terms), None, "still in memory");
    assert_eq!(sku.unsure_of(&hold_for(A, 1, ORDER), at, &terms), None, "an order cares for sold holds only");
    assert_eq!(sku.unsure_of(&allocate(A, 3, ORDER), at, &terms), None);
    let receipt = RememberedKey::Receipt(OpId(1));
    assert_eq!(sku.unsure_of(&receive(1, 1, 1), at, &terms), Some(receipt), "a receipt was dropped too");
    let mut sold = sku.clone();
    [held_for(A, 3, ORDER), allocated(A, ORDER)].iter().for_each(|event| sold.apply(event));
    assert_eq!(sold.unsure_of(&ship(A, 1, 1), at, &terms), None, "nothing has left yet");
    sold.apply(&shipped(A, 1, 1));
    assert_eq!(sold.unsure_of(&ship(A, 1, 1), at, &terms), None, "in memory");
    assert_eq!(sold.unsure_of(&ship(A, 2, 1), at, &terms), Some(RememberedKey::Shipment(A, OpId(2))));
    sold.apply(&shipped(A, 2, 2));
    (0..REMEMBERED_IN_MEMORY as Units).for_each(|n| sold.apply(&received(50 + n)));
    assert_eq!(
        sold.unsure_of(&hold_for(ORDER.hold(0), 1, ORDER), at, &terms),
        None,
        "nobody else can have been sold it"
    );
    assert_eq!(sold.unsure_of(&allocate(A, 3, ORDER), at, &terms), Some(RememberedKey::Hold(A)));
    assert_eq!(sku.unsure_of(&hold(A, 1), Moment::at(after(86_400)), &terms), None, "too long ago");
    assert_eq!(super::sku(&[received(9)]).unsure_of(&hold(A, 1), at, &terms), None, "nothing was dropped");
}

#[test]
fn s17_a_clients_hold_that_one_order_has_bought_is_not_granted_to_another() {
    let mut sku = sku(&[
        received(9),
        held(A, 3),
        Event::Adopted { hold: A, order: ORDER },
        allocated(A, ORDER),
        shipped(A, 1, 3),
    ]);
    (0..REMEMBERED_IN_MEMORY as Units).for_each(|n| sku.apply(&received(50 + n)));
    let (at, terms, again) = (Moment::at(NOW), Terms::default(), hold_for(A, 3, OTHER));
    assert_eq!(sku.unsure_of(&again, at, &terms), Some(RememberedKey::Hold(A)));
    let known = Remembered { at: NOW, what: What::Hold { closed: Closed::Shipped, order: Some(ORDER) } };
    assert_eq!(sku.decide(&again, at, &terms, Some(&known)), Err(Refusal::HoldEnded));
}

#[test]
fn the_store_gets_what_memory_gets() {
    let sku = sku(&[received(9), held_for(A, 2, ORDER), allocated(A, ORDER)]);
    let keys = |event: &Event| sku.remembers(event).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(&shipped(A, 1, 1)), [RememberedKey::Shipment(A, OpId(1))]);
    assert_eq!(keys(&shipped(A, 1, 2)), [RememberedKey::Shipment(A, OpId(1)), RememberedKey::Hold(A)]);
    for (key, value) in sku.remembers(&shipped(A, 1, 2)) {
        assert_eq!(RememberedKey::from_bytes(&key.to_bytes()), Some(key));
        assert_eq!(codec::decode_remembered(&codec::encode_remembered(&value)), Ok(value));
    }
    assert_eq!(RememberedKey::from_bytes(&[6, 1]), None);
}
