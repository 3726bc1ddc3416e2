//! The shells around the aggregates: rules S1, S9 to S13, S15, S18 and S21, on one paused thread.
#![allow(clippy::unwrap_used, reason = "tests")]

mod dying;
mod releasing;
mod reloading;
mod support;

use stampede_actors::cart;
use stampede_actors::ids::{CartId, EntityId, HoldId, LocationId, OpId, OrderId, Reference, Slot, with_slot};
use stampede_actors::journal::NoRoom;
use stampede_actors::order;
use stampede_actors::record::{Event, Position};
use stampede_actors::shell::message::CheckOut;
use stampede_actors::shell::{Failure, Question, View, lane};
use stampede_actors::sku::{self, Part, Refusal};
use stampede_actors::time::Span;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::*;

pub fn hold(n: u128, units: u32) -> sku::Command {
    sku::Command::Hold {
        hold: HoldId(n),
        units,
        buyer: buyer("b"),
        order: None,
        ttl: Span::seconds(10),
        tentative: false,
    }
}

#[test]
fn s01_a_crashed_entity_reloads_only_after_its_last_grant_is_committed() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("two", 2).await;
        world.pause_log();
        let ask_hold = |n, units| lane::ask(sku_entity("two"), Question::Sku(hold(n, units)), Duration::from_secs(60));
        let granted = ask_hold(1, 1);
        world.settle(10).await;
        // The next one panics, with the grant still waiting for its flush.
        world.rule.0.store(true, Ordering::SeqCst);
        assert_eq!(ask_hold(2, 1).await.unwrap_err(), Failure::Crashed);
        world.rule.0.store(false, Ordering::SeqCst);
        let (too_many, last) = (ask_hold(3, 2), ask_hold(4, 1));
        world.settle(200).await;
        assert_eq!(world.fabric.stats.crashes[0].load(Ordering::Relaxed), 1);
        assert_eq!(world.log.records().len(), 3, "nothing is decided before the grant is committed");
        world.resume_log();
        assert!(granted.await.is_ok());
        assert!(
            matches!(too_many.await, Err(Failure::Sku(Refusal::SoldOut { available: 1, .. }))),
            "one unit was granted before the crash"
        );
        assert!(last.await.is_ok());
        check_log(&world.log.records());
    });
}

#[test]
fn s01_an_entity_that_crashes_again_and_again_is_quarantined_and_its_neighbours_work_on() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("bad", 10).await;
        world.stock("good", 10).await;
        world.rule.0.store(true, Ordering::SeqCst);
        for n in 0..3 {
            assert_eq!(world.sku("bad", hold(n, 1)).await.unwrap_err(), Failure::Crashed);
        }
        world.rule.0.store(false, Ordering::SeqCst);
        assert_eq!(world.sku("bad", hold(9, 1)).await.unwrap_err(), Failure::Quarantined);
        assert_eq!(world.fabric.stats.quarantined.load(Ordering::Relaxed), 1);
        assert!(world.sku("good", hold(9, 1)).await.is_ok());
        world.settle(62_000).await;
        assert!(world.sku("bad", hold(9, 1)).await.is_ok(), "quarantine is lifted after a minute");
    });
}

#[test]
fn s09_a_checkout_is_one_record_and_the_cart_answers_with_its_order_for_ever() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 5).await;
        let slot = Slot(77);
        let (cart, order) = (CartId(with_slot(1, slot)), OrderId(with_slot(2, slot)));
        let entity = EntityId::Cart(cart);
        let open = cart::Command::Open { buyer: buyer("b"), ttl: Span::hours(1) };
        ask(entity.clone(), Question::Cart(open)).await.unwrap();
        let line = cart::Line {
            sku: stampede_actors::ids::SkuId::new("x").unwrap(),
            seller: stampede_actors::ids::SellerId::new("seller").unwrap(),
            units: 2,
            unit_price: eur(900),
        };
        ask(entity.clone(), Question::Cart(cart::Command::SetLine(line))).await.unwrap();
        let check_out = || {
            Question::CheckOut(Box::new(CheckOut {
                order,
                token: Reference::new("tok_ok").unwrap(),
                delivery: None,
                fingerprint: 3,
                trace: None,
            }))
        };
        let done = ask(entity.clone(), check_out()).await.unwrap();
        assert!(!done.replayed);
        let View::Order(placed) = done.view else { panic!("an order") };
        assert_eq!(placed.total().unwrap().minor, 1800, "the cart's price, not today's");
        let records = world.log.records();
        let of_cart = records.iter().find(|r| r.entries.iter().any(|e| matches!(e.event, Event::Order(_)))).unwrap();
        assert!(of_cart.entries.iter().any(|e| matches!(e.event, Event::Cart(cart::Event::CheckedOut { .. }))));
        let again = ask(entity.clone(), check_out()).await.unwrap();
        assert!(again.replayed);
        assert_eq!(world.log.records().len(), records.len(), "a repeat writes nothing");
        assert_eq!(world.available("x").await, 3);
        check_log(&world.log.records());
    });
}

#[test]
fn s10_an_order_follows_its_holds_in_the_log_and_nothing_is_answered_before_its_commit() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 5).await;
        world.stock("y", 5).await;
        world.pause_log();
        let placed = lane::ask(order_entity(1), Question::Place(request("b", &["x", "y"])), Duration::from_secs(60));
        let read = lane::ask(sku_entity("x"), Question::ReadSku, Duration::from_secs(60));
        tokio::pin!(placed);
        world.settle(100).await;
        assert!(futures_util::poll!(&mut placed).is_pending(), "not committed, so not answered");
        let records = world.log.records();
        let position = |of: fn(&Event) -> bool| records.iter().position(|r| r.entries.iter().any(|e| of(&e.event)));
        let held = records.iter().rposition(|r| matches!(r.entries[0].event, Event::Sku(sku::Event::Held { .. })));
        assert!(position(|event| matches!(event, Event::Order(_))) > held);
        world.resume_log();
        assert!(placed.await.is_ok());
        assert!(read.await.is_ok());
    });
}

#[test]
fn s10_a_refusal_leaves_at_once() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.pause_log();
        let _held = lane::ask(sku_entity("x"), Question::Sku(hold(1, 1)), Duration::from_secs(60));
        let refused = world.sku("x", hold(2, 1)).await;
        assert!(matches!(refused, Err(Failure::Sku(Refusal::SoldOut { available: 0, .. }))));
    });
}

#[test]
fn s11_passivation_at_every_step_with_a_slow_store_changes_nothing() {
    run(async || {
        let world = World::new(|settings| settings.passivate_after = Duration::ZERO);
        world.stock("x", 50).await;
        for n in 0..50u128 {
            world.loader.pause(n % 3 == 0);
            let held = lane::ask(sku_entity("x"), Question::Sku(hold(n, 1)), Duration::from_secs(60));
            world.settle(40).await;
            world.loader.pause(false);
            assert!(held.await.is_ok(), "hold {n}");
            world.settle(if n % 2 == 0 { 60 } else { 0 }).await;
        }
        assert!(matches!(world.sku("x", hold(50, 1)).await, Err(Failure::Sku(Refusal::SoldOut { .. }))));
        assert!(world.fabric.stats.passivations[0].load(Ordering::Relaxed) > 10, "it did leave");
        check_log(&world.log.records());
    });
}

#[test]
fn s11_an_entity_with_something_uncommitted_does_not_leave() {
    run(async || {
        let world = World::new(|settings| settings.passivate_after = Duration::ZERO);
        world.stock("x", 1).await;
        world.settle(100).await;
        let before = world.fabric.stats.passivations[0].load(Ordering::Relaxed);
        world.pause_log();
        let held = lane::ask(sku_entity("x"), Question::Sku(hold(1, 1)), Duration::from_secs(60));
        world.settle(500).await;
        assert_eq!(world.fabric.stats.passivations[0].load(Ordering::Relaxed), before);
        world.resume_log();
        assert!(held.await.is_ok());
        world.settle(100).await;
        assert!(world.fabric.stats.passivations[0].load(Ordering::Relaxed) > before);
    });
}

#[test]
fn a_rush_of_orders_does_not_stay_in_memory_and_each_is_there_when_asked() {
    run(async || {
        let world = World::new(|settings| settings.warm_per_shard = 10);
        world.stock("x", 400).await;
        for n in 1..=400 {
            assert!(place(n, "b", &["x"]).await.is_ok());
        }
        world.settle(1_500).await;
        let warm = world.fabric.stats.warm[2].load(Ordering::Relaxed);
        assert!(warm <= 40, "{warm} of 400 orders stay, with room for 10 on each of 4 shards");
        for n in 1..=400 {
            assert!(ask(order_entity(n), Question::ReadOrder).await.is_ok(), "order {n}");
        }
        check_log(&world.log.records());
    });
}

#[test]
fn s16_a_flag_refuses_new_keys_only_and_goes_when_units_come() {
    run(async || {
        let world = World::new(|_| {});
        let sold_out = |answer| matches!(answer, Err(Failure::NotPlaced(refusal)) if refusal.code() == "sold_out");
        let started = || world.fabric.stats.activations[2].load(Ordering::Relaxed);
        world.stock("x", 1).await;
        assert!(place(1, "b", &["x"]).await.is_ok());
        // The unit is in a hold, which may end: nobody is refused unasked.
        assert!(sold_out(place(2, "b", &["x"]).await) && sold_out(place(3, "b", &["x"]).await));
        assert_eq!(started(), 3);
        let hold = OrderId(1).hold(0);
        let parts = vec![Part { location: LocationId::new("a").unwrap(), units: 1 }];
        world.sku("x", sku::Command::Allocate { hold, order: OrderId(1), parts }).await.unwrap();
        assert!(sold_out(place(4, "b", &["x"]).await));
        assert_eq!(started(), 4, "its SKU was asked, and has said so");
        for n in 5..100 {
            assert!(sold_out(place(n, "b", &["x"]).await));
        }
        assert_eq!(started(), 4, "nobody was started for these");
        assert!(place(1, "b", &["x"]).await.unwrap().replayed, "a known key has its order, flag or not");
        assert!(sold_out(place(100, "b", &["x", "x"]).await) && started() == 5, "more than one line goes all the way");
        world.clock.advance(Span::millis(10));
        assert!(sold_out(place(101, "b", &["x"]).await) && started() == 6, "a flag is not believed for long");
        let (receipt, location) = (OpId(2), LocationId::new("a").unwrap());
        let more = sku::Command::Receive { receipt, fingerprint: 1, location, units: 1 };
        assert!(sold_out(place(103, "b", &["x"]).await), "the flag is up again");
        world.sku("x", more).await.unwrap();
        assert!(place(102, "b", &["x"]).await.is_ok(), "units came: the flag is down at once");
        check_log(&world.log.records());
    });
}

#[test]
fn an_entity_that_nothing_ever_happened_to_does_not_stay() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        assert!(place(1, "b", &["x"]).await.is_ok());
        for n in 2..500 {
            assert!(matches!(place(n, "b", &["x"]).await, Err(Failure::NotPlaced(_))));
            assert!(ask(order_entity(n), Question::ReadOrder).await.is_err());
        }
        world.settle(20).await;
        assert_eq!(world.fabric.stats.warm[2].load(Ordering::Relaxed), 1, "a rush of refusals fills no memory");
    });
}

#[test]
fn s12_a_late_answer_is_dropped_and_never_reaches_the_next_asker() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 5).await;
        world.loader.pause(true);
        let late = lane::ask(sku_entity("y"), Question::ReadSku, Duration::from_millis(100)).await;
        assert_eq!(late.unwrap_err(), Failure::OutcomeUnknown);
        // The slot is free again; the next asker takes it while the answer of the first is still on its way.
        let next = lane::ask(sku_entity("x"), Question::ReadSku, Duration::from_secs(5));
        world.loader.pause(false);
        world.settle(50).await;
        let View::Sku(view) = next.await.unwrap().view else { panic!("a SKU") };
        assert_eq!(view.availability.available, 5);
        assert_eq!(world.fabric.stats.stale_replies.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn s12_an_answer_beyond_a_stopped_log_is_unknown() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 5).await;
        world.pause_log();
        let held = lane::ask(sku_entity("x"), Question::Sku(hold(1, 1)), Duration::from_secs(600));
        world.settle(50).await;
        world.stop_log();
        assert_eq!(held.await.unwrap_err(), Failure::OutcomeUnknown);
    });
}

#[test]
fn s13_buyers_cannot_take_the_room_that_settlement_needs() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 5).await;
        let slot = sku_entity("x").slot();
        let permits: Vec<_> = std::iter::from_fn(|| world.fabric.permit(slot)).take(10).collect();
        assert_eq!(permits.len(), 4, "the bound");
        assert!(world.sku("x", hold(1, 1)).await.is_ok(), "a timer, result or release needs no permit");
        drop(permits);
        assert!(world.fabric.permit(slot).is_some());
        world.log.set_full(true);
        assert_eq!(world.sku("x", hold(2, 1)).await.unwrap_err(), Failure::NoRoom(NoRoom::DiskFull));
        assert!(
            world.sku("x", sku::Command::Release { hold: HoldId(1), order: None }).await.is_ok(),
            "what frees space goes on"
        );
    });
}

#[test]
fn s15_a_hundred_repeats_at_once_are_one_order() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 100).await;
        let asks: Vec<_> = (0..100).map(|_| place(5, "b", &["x"])).collect();
        let answers = futures_util::future::join_all(asks).await;
        assert_eq!(answers.iter().filter(|a| !a.as_ref().unwrap().replayed).count(), 1);
        assert_eq!(world.available("x").await, 99);
        let other = Question::Place({
            let mut other = request("b", &["x"]);
            other.fingerprint = 8;
            other
        });
        assert!(matches!(
            ask(order_entity(5), other).await,
            Err(Failure::Order(stampede_actors::order::Refusal::Reused))
        ));
    });
}

#[test]
fn s15_a_repeat_waits_for_the_first_and_then_says_that_it_is_in_flight() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.stock("y", 1).await;
        world.settle(100).await;
        // The first cannot get its answer from `z`, which is not loaded.
        world.loader.pause(true);
        let first = lane::ask(order_entity(5), Question::Place(request("b", &["x", "z"])), Duration::from_secs(60));
        world.settle(50).await;
        let repeat = lane::ask(order_entity(5), Question::Place(request("b", &["x", "z"])), Duration::from_secs(60));
        assert_eq!(repeat.await.unwrap_err(), Failure::InFlight);
        world.loader.pause(false);
        assert!(matches!(first.await, Err(Failure::NotPlaced(_))), "z is unknown");
        assert_eq!(world.available("x").await, 1, "its hold on x was given back");
    });
}

/// The order is placed, but the disk is slow: a repeat is told so after a second, and whoever has no key waits on.
#[test]
fn s15_a_repeat_does_not_wait_for_a_slow_disk_either() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.pause_log();
        let place = || Question::Place(request("b", &["x"]));
        let first = lane::ask_keyed(order_entity(5), place(), Duration::from_secs(60));
        world.settle(50).await;
        let patient = lane::ask(order_entity(5), place(), Duration::from_secs(60));
        let repeat = lane::ask_keyed(order_entity(5), place(), Duration::from_secs(60));
        let began = tokio::time::Instant::now();
        assert_eq!(repeat.await.unwrap_err(), Failure::InFlight);
        let waited = began.elapsed();
        assert!(waited >= lane::REPEAT_WAITS && waited < lane::REPEAT_WAITS * 2, "{waited:?}");
        world.settle(3_000).await;
        world.resume_log();
        assert!(!first.await.unwrap().replayed, "the first is no repeat: it waits for as long as it was told");
        assert!(patient.await.unwrap().replayed);
        // What happens to the order later is not committed yet; that it was placed is.
        world.pause_log();
        let cancel = order::Command::Cancel { cancel: OpId(1), fingerprint: 1, reason: "no".to_owned() };
        let _cancelled = lane::ask(order_entity(5), Question::Order(Box::new(cancel)), Duration::from_secs(60));
        world.settle(50).await;
        assert!(lane::ask_keyed(order_entity(5), place(), Duration::from_secs(60)).await.unwrap().replayed);
    });
}

#[test]
fn s15_a_repeat_after_a_crash_between_hold_and_placed_meets_its_own_hold() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        // What a crash leaves: the order's hold, and no order.
        let order = OrderId(5);
        let left = sku::Command::Hold {
            hold: order.hold(0),
            units: 1,
            buyer: buyer("b"),
            order: Some(order),
            ttl: Span::seconds(10),
            tentative: false,
        };
        world.sku("x", left).await.unwrap();
        assert!(place(5, "b", &["x"]).await.is_ok(), "it does not compete with its own hold");
    });
}

#[test]
fn s18_deadlines_run_out_on_time_and_not_while_they_are_frozen() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.sku("x", hold(1, 1)).await.unwrap();
        world.clock.freeze_deadlines();
        world.clock.advance(Span::seconds(11));
        world.settle(200).await;
        assert_eq!(world.available("x").await, 0, "waiting results come first");
        world.clock.thaw_deadlines();
        world.settle(100).await;
        assert_eq!(world.available("x").await, 1);
    });
}

#[test]
fn s05_a_timer_wakes_a_passivated_entity() {
    run(async || {
        let world = World::new(|settings| settings.passivate_after = Duration::ZERO);
        world.stock("x", 1).await;
        world.sku("x", hold(1, 1)).await.unwrap();
        world.settle(200).await;
        assert_eq!(world.fabric.stats.warm[0].load(Ordering::Relaxed), 0, "it has left");
        world.clock.advance(Span::seconds(11));
        world.settle(100).await;
        let expired = world.log.records().iter().any(|record| {
            record.entries.iter().any(|entry| matches!(entry.event, Event::Sku(sku::Event::Ended { .. })))
        });
        assert!(expired);
        assert!(world.log.records().len() as u64 >= Position(4).0);
    });
}

#[test]
fn s05_a_timer_that_finds_nothing_due_comes_back() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        assert!(place(5, "b", &["x"]).await.is_ok());
        // The payment is declined, so that what is due next is the end of the hold, after the time the order was armed
        // for: asking the provider again.
        let declined = stampede_actors::order::Command::Report {
            step: stampede_actors::order::Step::Authorize { attempt: 1 },
            answer: stampede_actors::order::Answer::Refused { code: "insufficient_funds".to_owned() },
        };
        ask(order_entity(5), Question::Order(Box::new(declined))).await.unwrap();
        for _ in 0..12 {
            world.clock.advance(Span::seconds(1));
            world.settle(40).await;
        }
        let View::Order(order) = ask(order_entity(5), Question::ReadOrder).await.unwrap().view else { panic!() };
        assert_eq!(order.state(), Some(stampede_actors::order::State::Expired));
    });
}

#[test]
fn s21_crossing_orders_do_not_both_go_home() {
    run(async || {
        let world = World::new(|_| {});
        for round in 0..20u128 {
            let (a, b) = (format!("a{round}"), format!("b{round}"));
            world.stock(&a, 1).await;
            world.stock(&b, 1).await;
            let (there, back) = ([a.as_str(), b.as_str()], [b.as_str(), a.as_str()]);
            let first = place(round * 2 + 100, "left", &there);
            let second = place(round * 2 + 101, "right", &back);
            let (first, second) = tokio::join!(first, second);
            assert_eq!(u32::from(first.is_ok()) + u32::from(second.is_ok()), 1, "round {round}: {first:?} {second:?}");
        }
    });
}

#[test]
fn an_express_order_takes_over_a_hold_of_the_same_buyer_once() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.sku("x", hold(1, 1)).await.unwrap();
        let with_hold = |id: u128| {
            let mut request = request("b", &["x"]);
            request.wanted[0].hold = Some(HoldId(1));
            ask(order_entity(id), Question::Place(request))
        };
        assert!(with_hold(1).await.is_ok());
        assert!(with_hold(2).await.is_err(), "one hold, one order");
    });
}
