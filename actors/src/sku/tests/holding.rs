//! Holds: granted, repeated, extended, given back, run out; the buyer's limit.

use super::*;

#[test]
fn the_last_unit_goes_to_one_cart() {
    check(&[received(1)], hold(A, 1), Ok(vec![held(A, 1)]));
    check(&[received(1), held(A, 1)], hold(B, 1), Err(sold_out(1, 0)));
}

#[test]
fn the_same_hold_again_changes_nothing_and_another_is_refused() {
    let given = [received(5), held(A, 2)];
    check(&given, hold(A, 2), Ok(vec![]));
    check(&given, hold(A, 3), Err(Refusal::HoldDiffers));
    let somebody = held_by("bob", A, 2, None);
    check(&[received(5), somebody], hold(A, 2), Err(Refusal::HoldDiffers));
}

#[test]
fn an_order_takes_over_its_buyers_hold() {
    let given = [received(5), held(A, 2)];
    check(&given, hold_for(A, 2, ORDER), Ok(vec![Event::Adopted { hold: A, order: ORDER }]));
    let adopted = [received(5), held(A, 2), Event::Adopted { hold: A, order: ORDER }];
    check(&adopted, hold_for(A, 2, ORDER), Ok(vec![]));
    check(&adopted, hold_for(A, 2, OTHER), Err(Refusal::HoldDiffers));
    check(&adopted, hold(A, 2), Ok(vec![])); // the client repeats the request that made it
    check(&[received(5), held_for(A, 2, ORDER)], hold(A, 2), Err(Refusal::HoldDiffers));
}

#[test]
fn overdue_holds_end_before_a_new_one_is_granted() {
    let late = after(601);
    let expired = Event::Ended { hold: A, how: End::Expired, at: late };
    let granted = held_at(late, held(B, 1));
    check_at(late, &[received(1), held(A, 1)], hold(B, 1), Ok(vec![expired, granted]));
    check_at(after(599), &[received(1), held(A, 1)], hold(B, 1), Err(sold_out(1, 0)));
}

#[test]
fn s18_nothing_expires_before_waiting_results_are_in() {
    let given = sku(&[received(1), held(A, 1)]);
    let starting = Moment { now: after(900), overdue: after(10) };
    let decide = |command| given.decide(&command, starting, &Terms::default(), None);
    assert_eq!(decide(Command::Tick), Ok(None));
    assert_eq!(decide(hold(B, 1)), Err(sold_out(1, 0)));
}

#[test]
fn a_tick_expires_a_bounded_number_and_asks_for_another() {
    let mut given = vec![received(200)];
    given.extend((0..100).map(|i| held(HoldId(i), 1)));
    let late = after(601);
    let events = decide_at(late, &given, &Command::Tick).unwrap().unwrap();
    assert_eq!(events.len(), EXPIRIES_AT_ONCE);
    given.extend(events);
    assert!(sku(&given).deadline().unwrap() <= late);
    let events = decide_at(late, &given, &Command::Tick).unwrap().unwrap();
    assert_eq!(events.len(), 100 - EXPIRIES_AT_ONCE);
    given.extend(events);
    assert_eq!(sku(&given).deadline(), None);
    check_at(late, &given, Command::Tick, Ok(vec![]));
}

#[test]
fn more_overdue_holds_than_one_command_ends_are_contention_and_not_sold_out() {
    let mut given = vec![received(100)];
    given.extend((0..100).map(|i| held(HoldId(i), 1)));
    let refusal = Refusal::SoldOut { requested: 70, available: 64, contended: true };
    check_at(after(601), &given, hold(HoldId(500), 70), Err(refusal));
}

#[test]
fn an_extension_never_passes_the_cap_and_never_goes_back() {
    let given = [received(1), held(A, 1)];
    let extend = |until| Command::Extend { hold: A, until };
    check(&given, extend(after(900)), Ok(vec![Event::Extended { hold: A, expires_at: after(900) }]));
    check(&given, extend(after(36_000)), Ok(vec![Event::Extended { hold: A, expires_at: after(1800) }]));
    check(&given, extend(after(600)), Ok(vec![]));
    check(&given, extend(after(1)), Ok(vec![]));
    check(&[received(1)], extend(after(900)), Err(Refusal::HoldEnded));
    check_at(after(600), &given, extend(after(900)), Err(Refusal::HoldEnded));
    let long =
        Command::Hold { hold: A, units: 1, buyer: buyer("ann"), order: None, ttl: Span::hours(9), tentative: false };
    let events = decide_at(NOW, &[received(1)], &long).unwrap().unwrap();
    assert!(matches!(events[0], Event::Held { expires_at, .. } if expires_at == after(1800)));
}

#[test]
fn a_release_gives_the_units_back_once() {
    let given = [received(1), held(A, 1)];
    check(&given, Command::Release { hold: A, order: None }, Ok(vec![ended(A, End::Released)]));
    let released = [received(1), held(A, 1), ended(A, End::Released)];
    check(&released, Command::Release { hold: A, order: None }, Ok(vec![]));
    check(&released, hold(B, 1), Ok(vec![held(B, 1)]));
    check(&released, Command::Release { hold: HoldId(99), order: None }, Ok(vec![]));
    let firm = [received(1), held_for(A, 1, ORDER), allocated(A, ORDER)];
    check(&firm, Command::Release { hold: A, order: Some(ORDER) }, Err(Refusal::HoldAllocated));
}

#[test]
fn a_hold_that_an_order_has_is_released_by_that_order_only() {
    let given = [received(1), held_for(A, 1, ORDER)];
    check(&given, Command::Release { hold: A, order: None }, Err(Refusal::HoldAllocated));
    check(&given, Command::Release { hold: A, order: Some(OrderId(99)) }, Ok(vec![]));
    check(&given, Command::Release { hold: A, order: Some(ORDER) }, Ok(vec![ended(A, End::Released)]));
}

#[test]
fn s17_the_limit_counts_holds_allocations_and_shipped_units() {
    let limited = |rest: &[Event]| [&[listed(Some(2)), received(9)], rest].concat();
    let refused = |counted, requested| Err(Refusal::BuyerLimit { limit: 2, counted, requested });
    check(&limited(&[]), hold(A, 3), refused(0, 3));
    check(&limited(&[held(A, 2)]), hold(B, 1), refused(2, 1));
    let mut sold = limited(&[held_for(A, 2, ORDER), allocated(A, ORDER)]);
    check(&sold, hold(B, 1), refused(2, 1));
    sold.push(shipped(A, 1, 2));
    check(&sold, hold(B, 1), refused(2, 1));
    sold.push(Event::Returned {
        hold: A,
        buyer: buyer("ann"),
        return_id: OpId(3),
        location: at_location("main"),
        units: 1,
        restock: false,
        at: NOW,
    });
    check(&sold, hold(B, 2), refused(1, 2));
    check(&sold, hold(B, 1), Ok(vec![held(B, 1)]));
    check(&limited(&[held_by("bob", B, 2, None)]), hold(A, 2), Ok(vec![held(A, 2)]));
}

#[test]
fn s15_a_buyer_is_not_kept_out_by_own_overdue_holds() {
    let mut given = vec![listed(Some(1)), received(500)];
    given.extend((100..200).map(|i| held_by(&format!("b{i}"), HoldId(i), 1, None)));
    given.push(held_by("ann", HoldId(900), 1, None));
    let events = decide_at(after(601), &given, &hold(B, 1)).unwrap().unwrap();
    let ended = |id| events.contains(&Event::Ended { hold: id, how: End::Expired, at: after(601) });
    assert!(ended(HoldId(900)), "her own is ended although a hundred others were before it");
    assert_eq!(events.len(), EXPIRIES_AT_ONCE + 2);
}

#[test]
fn s21_units_of_orders_still_being_placed_are_contended_for_a_second() {
    let tentative = match held_for(A, 1, ORDER) {
        Event::Held { hold, buyer, order, parts, at, expires_at, .. } => {
            Event::Held { hold, buyer, order, parts, at, expires_at, tentative: true }
        }
        other => other,
    };
    let contended = |contended| Err(Refusal::SoldOut { requested: 1, available: 0, contended });
    let given = [received(1), tentative];
    check(&given, hold_for(B, 1, OTHER), contended(true));
    check(&given, hold_for(B, 1, ORDER), contended(false)); // an order does not contend with itself
    check_at(after(1), &given, hold_for(B, 1, OTHER), contended(false));
    let [stock, held] = given.clone();
    let placed = Event::Extended { hold: A, expires_at: after(700) };
    check(&[stock, held, placed], hold_for(B, 1, OTHER), contended(false));
    check(&given, hold_for(B, 2, OTHER), Err(sold_out(2, 0)));
}
