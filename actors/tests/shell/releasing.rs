//! A refused order gives its holds back, and does not forget it when the log has no room just then (S11, S13).

use super::support::*;
use stampede_actors::record::Event;
use stampede_actors::shell::{Done, Failure, Question, lane};
use stampede_actors::sku;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Order 5 has its hold on `x`; its other SKU is answered, and refused, when the log has no room for anybody.
async fn refused_while_the_log_is_shut(world: &World) -> Result<Done, Failure> {
    world.stock("x", 1).await;
    world.settle(100).await;
    world.loader.pause(true);
    let place = Question::Place(request("b", &["x", "unknown"]));
    let placed = lane::ask(order_entity(5), place, Duration::from_secs(60));
    world.settle(50).await;
    assert_eq!(world.available("x").await, 0, "held");
    world.log.set_shut(true);
    world.loader.pause(false);
    placed.await
}

fn ends(world: &World) -> usize {
    let ended = |event: &Event| matches!(event, Event::Sku(sku::Event::Ended { .. }));
    world.log.records().iter().flat_map(|record| &record.entries).filter(|entry| ended(&entry.event)).count()
}

#[test]
fn s13_a_release_that_found_no_room_is_sent_again() {
    run(async || {
        let world = World::new(|_| {});
        assert!(refused_while_the_log_is_shut(&world).await.is_err());
        world.settle(1_000).await;
        assert_eq!(ends(&world), 0);
        world.log.set_shut(false);
        world.settle(2_000).await;
        // The clock of deadlines stands still: nothing but the release can have ended the hold.
        assert_eq!((ends(&world), world.available("x").await), (1, 1));
        assert_eq!(world.fabric.stats.warm[2].load(Ordering::Relaxed), 0, "and nobody waits for it any more (S11)");
    });
}

#[test]
fn a_release_is_not_tried_for_ever() {
    run(async || {
        let world = World::new(|_| {});
        assert!(refused_while_the_log_is_shut(&world).await.is_err());
        world.settle(20_000).await;
        assert_eq!(world.fabric.stats.warm[2].load(Ordering::Relaxed), 1, "still trying");
        world.settle(10_000).await;
        assert_eq!(world.fabric.stats.warm[2].load(Ordering::Relaxed), 0, "given up");
        world.log.set_shut(false);
        world.settle(1_000).await;
        assert_eq!(ends(&world), 0);
        world.clock.advance(stampede_actors::time::Span::seconds(11));
        world.settle(100).await;
        assert_eq!(ends(&world), 1, "the deadline ends it");
    });
}

#[test]
fn s15_a_release_that_waits_does_not_take_the_hold_from_the_repeat_that_got_it() {
    run(async || {
        let world = World::new(|_| {});
        assert!(refused_while_the_log_is_shut(&world).await.is_err());
        world.settle(300).await;
        world.log.set_shut(false);
        // Refusals are not kept: the key may come back with what can be had.
        assert!(place(5, "b", &["x"]).await.is_ok());
        world.settle(30_000).await;
        let records = world.log.records();
        let of = |wanted: fn(&Event) -> bool| records.iter().rposition(|r| r.entries.iter().any(|e| wanted(&e.event)));
        let ended = of(|event| matches!(event, Event::Sku(sku::Event::Ended { .. })));
        let held = of(|event| matches!(event, Event::Sku(sku::Event::Held { .. })));
        assert!(ended < held, "released and held again, or not released at all: {ended:?}, {held:?}");
        assert_eq!(world.available("x").await, 0);
    });
}
