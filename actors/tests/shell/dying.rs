//! A part of a lane that panics: everybody who waits is told at once, and the process learns that it must stop.

use super::hold;
use super::support::*;
use stampede_actors::shell::{Failure, LaneId, Question, lane};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

#[test]
fn a_directory_that_panics_is_noticed_and_nobody_waits_for_its_shard() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        world.loader.pause(true);
        let waiting = lane::ask(sku_entity("cold"), Question::ReadSku, Duration::from_secs(60));
        world.settle(50).await;
        assert_eq!(world.fabric.dead(), None);
        let (began, beats) = (Instant::now(), world.fabric.beats(LaneId(0)));
        world.loader.panics.store(true, Ordering::SeqCst);
        assert_eq!(place(5, "b", &["x"]).await.unwrap_err(), Failure::OutcomeUnknown);
        assert_eq!(waiting.await.unwrap_err(), Failure::OutcomeUnknown);
        let shard = world.fabric.shard_of(order_entity(5).slot()).0;
        let dead = format!("the directory of shard {shard} of lane 0 has panicked");
        assert_eq!(world.fabric.dead(), Some(dead.as_str()));
        assert_eq!(place(6, "b", &["x"]).await.unwrap_err(), Failure::OutcomeUnknown, "whoever comes now as well");
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        world.settle(100).await;
        assert!(world.fabric.beats(LaneId(0)) > beats, "the lane itself goes on");
    });
}

#[test]
fn a_pump_that_panics_is_noticed_and_its_askers_are_told() {
    run(async || {
        let world = World::new(|_| {});
        world.stock("x", 1).await;
        let began = Instant::now();
        world.log.set_panics();
        assert_eq!(world.sku("x", hold(1, 1)).await.unwrap_err(), Failure::OutcomeUnknown);
        assert_eq!(world.fabric.dead(), Some("the pump of lane 0 has panicked"));
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    });
}
