//! Reloads, quarantine, refused timers and broken order in the log: what the shells must not forget (S1, S5, S10).

use super::hold;
use super::support::*;
use stampede_actors::ids::{LocationId, OpId};
use stampede_actors::journal::NoRoom;
use stampede_actors::record::{Event, Position};
use stampede_actors::shell::message::{Envelope, ReplyTo};
use stampede_actors::shell::{Failure, Question, lane};
use stampede_actors::sku::{self, Refusal};
use stampede_actors::time::Span;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Crashes the SKU `times` times.
async fn crash(world: &World, code: &str, times: u128) {
    world.rule.0.store(true, Ordering::SeqCst);
    for n in 0..times {
        assert_eq!(world.sku(code, hold(900 + n, 1)).await.unwrap_err(), Failure::Crashed);
    }
    world.rule.0.store(false, Ordering::SeqCst);
}

#[test]
fn s01_a_reload_that_failed_forgets_no_uncommitted_grant() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("two", 2).await;
        world.pause_log();
        let granted = lane::ask(sku_entity("two"), Question::Sku(hold(1, 1)), Duration::from_secs(60));
        world.settle(50).await;
        // The reload gives up, as it does when the commit takes longer than anybody waits.
        world.loader.fails.store(true, Ordering::SeqCst);
        crash(&world, "two", 1).await;
        assert_eq!(world.sku("two", hold(2, 1)).await.unwrap_err(), Failure::NotLoaded);
        world.loader.fails.store(false, Ordering::SeqCst);
        // The next one who asks must wait for the grant as well, though everything committed can be read.
        let second = lane::ask(sku_entity("two"), Question::Sku(hold(3, 2)), Duration::from_secs(60));
        world.settle(200).await;
        world.resume_log();
        assert!(granted.await.is_ok());
        assert!(matches!(second.await, Err(Failure::Sku(Refusal::SoldOut { available: 1, .. }))));
        check_log(&world.log.records());
    });
}

#[test]
fn s01_lifted_quarantine_forgets_no_uncommitted_grant() {
    run(async || {
        let world = World::new(|settings| settings.crashes_until_quarantine = 1);
        world.stock("two", 2).await;
        world.pause_log();
        let granted = lane::ask(sku_entity("two"), Question::Sku(hold(1, 1)), Duration::from_secs(600));
        world.settle(50).await;
        crash(&world, "two", 1).await;
        assert_eq!(world.sku("two", hold(2, 1)).await.unwrap_err(), Failure::Quarantined);
        world.settle(62_000).await;
        assert_eq!(world.fabric.stats.quarantined.load(Ordering::Relaxed), 0, "lifted");
        let second = lane::ask(sku_entity("two"), Question::Sku(hold(3, 2)), Duration::from_secs(60));
        world.settle(200).await;
        world.resume_log();
        assert!(granted.await.is_ok());
        assert!(matches!(second.await, Err(Failure::Sku(Refusal::SoldOut { available: 1, .. }))));
        check_log(&world.log.records());
    });
}

#[test]
fn s17_a_repeat_is_known_also_before_the_store_has_heard_of_it() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 5).await;
        let receive = |receipt: u128| {
            let location = LocationId::new("a").unwrap();
            let receive = sku::Command::Receive { receipt: OpId(receipt), fingerprint: 1, location, units: 1 };
            lane::ask(sku_entity("x"), Question::Sku(receive), Duration::from_secs(60))
        };
        // More than a SKU has memory for, and the store reads none of it.
        world.pause_log();
        let receipts: Vec<_> = (0..=sku::REMEMBERED_IN_MEMORY as u128).map(|n| receive(100 + n)).collect();
        let units = 5 + receipts.len() as u32;
        world.settle(50).await;
        let repeat = receive(100);
        world.settle(50).await;
        world.resume_log();
        assert!(repeat.await.unwrap().replayed, "units that came in once would be sold twice");
        for receipt in receipts {
            assert!(!receipt.await.unwrap().replayed);
        }
        assert_eq!(world.available("x").await, units);
        assert!(receive(100).await.unwrap().replayed, "the store knows it now");
        assert_eq!(world.available("x").await, units);
        check_log(&world.log.records());
    });
}

fn expired(world: &World) -> bool {
    let ended = |event: &Event| matches!(event, Event::Sku(sku::Event::Ended { .. }));
    world.log.records().iter().flat_map(|record| &record.entries).any(|entry| ended(&entry.event))
}

#[test]
fn s05_a_timer_comes_back_that_found_no_room_in_the_log() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.sku("x", hold(1, 1)).await.unwrap();
        world.log.set_shut(true);
        world.clock.advance(Span::seconds(11));
        world.settle(500).await;
        assert_eq!(world.sku("x", hold(2, 1)).await.unwrap_err(), Failure::NoRoom(NoRoom::Busy));
        assert!(world.fabric.stats.timers_fired.load(Ordering::Relaxed) > 0 && !expired(&world));
        world.log.set_shut(false);
        world.settle(200).await;
        assert!(expired(&world));
    });
}

#[test]
fn s05_a_timer_comes_back_whose_entity_was_quarantined_or_could_not_be_loaded() {
    run(async || {
        let world = World::new(|settings| settings.crashes_until_quarantine = 1);
        world.stock("x", 2).await;
        world.sku("x", hold(1, 1)).await.unwrap();
        crash(&world, "x", 1).await;
        world.loader.fails.store(true, Ordering::SeqCst);
        let fired = || world.fabric.stats.timers_fired.load(Ordering::Relaxed);
        // Due while it is quarantined, and then again and again while nobody can load it.
        for _ in 0..65 {
            world.clock.advance(Span::seconds(1));
            world.settle(1_000).await;
        }
        assert!(fired() > 10 && !expired(&world), "{}", fired());
        world.loader.fails.store(false, Ordering::SeqCst);
        world.clock.advance(Span::seconds(2));
        world.settle(200).await;
        assert!(expired(&world), "{}", fired());
    });
}

#[test]
fn s10_an_entity_that_follows_what_the_log_does_not_have_is_stopped_alone() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.stock("y", 1).await;
        let before = world.log.records().len();
        let question = Question::Sku(hold(1, 1));
        lane::send(Envelope::new(sku_entity("x"), question, ReplyTo::nobody(), Position(1_000)));
        world.settle(100).await;
        assert_eq!(world.fabric.stats.crashes[0].load(Ordering::Relaxed), 1);
        assert_eq!(world.log.records().len(), before, "nothing of it reached the log");
        assert!(world.sku("y", hold(2, 1)).await.is_ok());
        assert!(world.sku("x", hold(3, 1)).await.is_ok(), "reloaded as if nothing had been decided");
        check_log(&world.log.records());
    });
}
