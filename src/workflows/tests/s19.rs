//! Answers late, twice and never, against cancellation, expiry and a crash (S19).

use super::world::World;
use crate::workflows::End;
use stampede_actors::ids::OrderId;
use stampede_actors::order::{self, State, Step};
use stampede_actors::sku::Units;
use stampede_actors::time::Span;

const ORDER: OrderId = OrderId(1);

/// One order of two units out of ten.
fn buying(token: &str, faults: &[&str]) -> World {
    let mut world = World::new(1, faults);
    let sku = world.stock("shirt", 10);
    world.place(ORDER, token, &[(&sku, 2)]).unwrap();
    world
}

fn on_hand(world: &World) -> Units {
    world.skus.values().map(|sku| sku.availability().on_hand).sum()
}

fn ends_as(mut world: World, state: State) -> World {
    world.settle();
    assert_eq!(world.state(ORDER), state);
    world.check();
    assert_eq!(on_hand(&world), if state == State::Fulfilled { 8 } else { 10 });
    world
}

#[test]
fn a_purchase_is_paid_once_and_shipped_from_wherever_the_units_are() {
    let mut world = World::new(1, &[]);
    let (shirt, mug) = (world.stock("shirt", 10), world.stock("mug", 3));
    // Seven of ten come from both locations.
    world.place(ORDER, "tok_ok", &[(&shirt, 7), (&mug, 1)]).unwrap();
    world.settle();
    world.check();
    assert_eq!(world.state(ORDER), State::Fulfilled);
    assert_eq!(world.orders[&ORDER].shipments().len(), 2);
    assert_eq!(world.ends.keys().collect::<Vec<_>>(), [&End::Reported]);
}

#[test]
fn s19_a_time_out_that_happened_is_found_out_and_not_repeated() {
    let world = ends_as(buying("tok_timeout_30s", &[]), State::Fulfilled);
    assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].authorisations, 1);
}

#[test]
fn s19_a_time_out_that_was_lost_is_asked_again() {
    ends_as(buying("tok_timeout_lost", &[]), State::Fulfilled);
    ends_as(buying("tok_ok_after_2_retries", &[]), State::Fulfilled);
}

#[test]
fn s19_an_answer_twice_counts_once() {
    ends_as(buying("tok_duplicate_callback", &[]), State::Fulfilled);
    ends_as(buying("tok_ok", &["payment=duplicate:100%"]), State::Fulfilled);
}

#[test]
fn s19_a_late_answer_is_the_answer_with_and_without_callback() {
    for callbacks in [true, false] {
        let mut world = buying("tok_late_answer", &[]);
        world.callbacks = callbacks;
        let world = ends_as(world, State::Fulfilled);
        assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].authorisations, 1);
    }
}

#[test]
fn s19_cancelled_while_authorising_is_voided_when_it_is_known() {
    for token in ["tok_ok", "tok_timeout_30s", "tok_timeout_lost", "tok_late_answer", "tok_forgets_key"] {
        for callbacks in [true, false] {
            let mut world = buying(token, &[]);
            world.callbacks = callbacks;
            world.cancel(ORDER).unwrap();
            assert_eq!(world.state(ORDER), State::Cancelling, "a wish, as long as the provider may have done it");
            let world = ends_as(world, State::Cancelled);
            let money = world.desk.books().by_order().unwrap()[&ORDER];
            assert_eq!((money.authorisations, money.captures, money.voids), (1, 0, 1), "{token}");
        }
    }
}

#[test]
fn s19_cancelled_before_the_call_is_never_authorised() {
    let mut world = World::new(1, &[]);
    let sku = world.stock("shirt", 10);
    // The worker cannot read the order at first.
    world.entity_faults = 1_000;
    world.place(ORDER, "tok_ok", &[(&sku, 2)]).unwrap();
    world.cancel(ORDER).unwrap();
    assert_eq!(world.state(ORDER), State::Cancelling);
    world.entity_faults = 0;
    let world = ends_as(world, State::Cancelled);
    let books = world.desk.books().by_order().unwrap();
    assert_eq!(books.get(&ORDER).map_or(0, |money| money.authorisations), 0);
}

#[test]
fn s19_capture_times_out_and_the_buyer_cancels_the_money_goes_back_before_the_units() {
    let mut world = buying("tok_capture_timeout", &[]);
    world
        .run_until(|world| world.desk.books().by_order().unwrap().get(&ORDER).is_some_and(|money| money.captures == 1));
    world.cancel(ORDER).unwrap();
    assert_eq!(world.state(ORDER), State::Cancelling);
    let allocated: Units = world.skus.values().map(|sku| sku.availability().allocated).sum();
    assert_eq!(allocated, 2, "nobody else gets the units");
    let world = ends_as(world, State::Cancelled);
    let money = world.desk.books().by_order().unwrap()[&ORDER];
    assert_eq!((money.captures, money.refunds, money.captured), (1, 1, money.refunded));
}

#[test]
fn s19_a_declined_capture_voids_and_gives_back() {
    let world = ends_as(buying("tok_capture_declined", &[]), State::Cancelled);
    assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].voids, 1);
}

#[test]
fn s19_unpaid_holds_run_out_and_the_units_come_back() {
    let world = ends_as(buying("tok_declined_funds", &[]), State::Expired);
    assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].authorisations, 0);
}

#[test]
fn s19_pay_again_waits_for_the_first_attempt_and_then_counts_once() {
    let pay = |payment| order::Command::Pay {
        payment: stampede_actors::ids::OpId(payment),
        fingerprint: 0,
        token: stampede_actors::ids::Reference::new("tok_ok").unwrap(),
    };
    let mut world = buying("tok_timeout_30s", &[]);
    world.run_until(|world| world.ends.contains_key(&End::Unknown));
    assert!(world.order(ORDER, &pay(1 << 80)).is_err(), "the first attempt may have reserved the money");

    let mut world = buying("tok_declined_funds", &[]);
    world.run_until(|world| !world.orders[&ORDER].is_open(Step::Authorize { attempt: 1 }));
    world.order(ORDER, &pay(1 << 80)).unwrap();
    let world = ends_as(world, State::Fulfilled);
    assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].authorisations, 1);
}

#[test]
fn s19_holds_outlive_the_providers_time_out() {
    let mut world = buying("tok_timeout_30s", &[]);
    world.run_until(|world| world.ends.contains_key(&End::Unknown));
    let held: Units = world.skus.values().map(|sku| sku.availability().held).sum();
    assert_eq!(held, 2, "five seconds of hold, and a call that took five seconds");
}

#[test]
fn s19_no_money_is_reserved_for_units_that_are_gone() {
    let mut world = buying("tok_ok", &[]);
    let sku = world.skus.keys().next().unwrap().clone();
    let release = stampede_actors::sku::Command::Release { hold: ORDER.hold(0), order: Some(ORDER) };
    world.sku(&sku, &release).unwrap();
    let world = ends_as(world, State::Expired);
    assert!(world.desk.books().entries().next().is_none(), "the provider was never called");
}

#[test]
fn s19_an_allocation_that_comes_too_late_voids_the_authorisation() {
    let mut world = buying("tok_timeout_lost", &[]);
    // Nobody extends the holds while the process is down; the units are sold to somebody else meanwhile.
    world.run_until(|world| world.ends.contains_key(&End::Unknown));
    let sku = world.skus.keys().next().unwrap().clone();
    let hold = ORDER.hold(0);
    world.sku(&sku, &stampede_actors::sku::Command::Release { hold, order: Some(ORDER) }).unwrap();
    let world = ends_as(world, State::Expired);
    let money = world.desk.books().by_order().unwrap()[&ORDER];
    assert_eq!((money.authorisations, money.voids, money.captures), (1, 1, 0));
}

#[test]
fn s19_cancelling_does_not_restock_what_the_warehouse_ships() {
    // Cancelled at every moment of its life: units and money always agree.
    let mut outcomes = std::collections::BTreeSet::new();
    for steps in 0..60 {
        let mut world = buying("tok_ok", &[]);
        for _ in 0..steps {
            world.step();
        }
        let cancelled = world.cancel(ORDER).is_ok();
        world.settle();
        world.check();
        outcomes.insert((cancelled, world.state(ORDER)));
    }
    let expected = [(false, State::Fulfilled), (true, State::Fulfilled), (true, State::Cancelled)];
    assert_eq!(outcomes, expected.into_iter().collect());
}

#[test]
fn s19_a_crash_at_each_step_changes_nothing_in_the_end() {
    for token in super::chaos::SETTLING {
        for steps in 0..45 {
            let mut world = buying(token, &[]);
            for _ in 0..steps {
                world.step();
            }
            // Longer than the holds, shorter than anybody's patience; the cursor is old, so all is done twice.
            world.crash(if steps % 2 == 0 { 0 } else { 100 }, Span::seconds(steps % 3 * 4));
            world.settle();
            world.check();
            let state = world.state(ORDER);
            let paid = world.desk.books().by_order().unwrap().get(&ORDER).is_some_and(|money| money.captures == 1);
            assert_eq!(paid, state == State::Fulfilled, "{token} after {steps} steps: {state:?}");
        }
    }
}
