//! What the engine must notice, and what it must not forget: with parts of it taken out by hand.
#![allow(clippy::unwrap_used)] // a step that fails fails the test

use super::*;
use crate::config::Flags;
use crate::feed::{Cursor, FrameSource};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::{Entry, Event, Record};
use stampede_actors::sku;
use std::path::Path;
use std::time::{Duration, Instant};

fn engine(dir: &Path) -> Engine {
    let flags = Flags::default()
        .with("data-dir", dir.to_str().unwrap())
        .with("log.segment-bytes", "1MiB")
        .with("log.frame-bytes", "64KiB")
        .with("workers", "1");
    Engine::start(Config::load(&flags).unwrap()).unwrap()
}

fn eventually<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(why) => assert!(began.elapsed() < Duration::from_secs(20), "{why}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Why the engine says that the process must stop.
fn stop_reason(engine: &Engine) -> String {
    eventually(|| match &*engine.0.stopped.borrow() {
        Some(Stopped::Failed(why)) => Ok(why.clone()),
        other => Err(format!("{other:?}")),
    })
}

/// Hands records of many events to the log, all of one SKU, and waits until they are committed.
struct Pile {
    version: u64,
}

impl Pile {
    fn up(&mut self, engine: &Engine, records: u64, events: u64) -> Position {
        let entity = EntityId::Sku(SkuId::new("pile").unwrap());
        let mut last = Position(0);
        for _ in 0..records {
            let entries = (0..events).map(|_| {
                self.version += 1;
                let event =
                    Event::Sku(if self.version.is_multiple_of(2) { sku::Event::Resumed } else { sku::Event::Paused });
                Entry { entity: entity.clone(), version: self.version, event }
            });
            last = engine
                .0
                .queue
                .append(Record { at: engine.now(), entries: entries.collect(), trace: None }, Position(0));
            engine.0.queue.kick();
        }
        eventually(|| if engine.committed() >= last { Ok(()) } else { Err("not committed".to_owned()) });
        last
    }
}

#[test]
fn the_engine_stops_when_its_projection_has_died() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    assert_eq!(*engine.0.stopped.borrow(), None);
    engine.0.projection_worker.lock().take().unwrap().stop();
    assert_eq!(stop_reason(&engine), "the projection has stopped: it was closed");
    assert!(!engine.health().ready());
    engine.shut_down();
}

#[test]
fn the_engine_stops_when_its_workflows_have_died() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.0.workflows.stop();
    assert_eq!(stop_reason(&engine), "the workflow thread has ended");
    engine.shut_down();
}

#[test]
fn the_engine_stops_when_a_lane_with_shards_has_died() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let worker = engine.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            worker.attach_worker();
            tokio::time::sleep(Duration::from_millis(50)).await;
        });
    });
    thread.join().unwrap();
    let why = stop_reason(&engine);
    assert!(why.contains(" of lane 0 has "), "{why}");
    let checks = engine.health().checks;
    let lanes = checks.iter().find(|check| check.check == "lanes").unwrap();
    assert_eq!(lanes.detail, format!("{why}; the process is going down"));
    engine.shut_down();
}

#[test]
fn no_purchase_is_admitted_while_the_projection_is_too_far_behind() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let slot = EntityId::Sku(SkuId::new("pile").unwrap()).slot();
    engine.0.projection_worker.lock().take().unwrap().stop();
    let behind = |position: Position| position.0 - engine.reader().readable().0;
    let mut pile = Pile { version: 0 };
    let last = pile.up(&engine, MAX_BEHIND, 1);
    assert_eq!(behind(last), MAX_BEHIND);
    assert!(engine.permit(slot).is_some());
    pile.up(&engine, 1, 1);
    assert!(engine.permit(slot).is_none(), "its memory would grow without bound");
    engine.shut_down();
}

#[test]
fn s06_the_cursor_is_kept_only_where_a_checkpoint_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let kept = |engine: &Engine| engine.log().cursors().get(Cursor::NAME).copied();
    let moved_to = |position: Position| {
        eventually(|| match engine.workflows().cursor().position() {
            at if at >= position => Ok(()),
            at => Err(format!("{at:?}")),
        });
    };
    let mut pile = Pile { version: 0 };
    let first = pile.up(&engine, 10, 1);
    moved_to(first);
    assert_eq!(kept(&engine), None);
    engine.checkpoint();
    assert_eq!(kept(&engine), Some(first));

    let second = pile.up(&engine, 10, 1);
    moved_to(second);
    assert_eq!(kept(&engine), Some(first), "a restart would begin there");
    // No checkpoint can be made any more: the cursor must not run ahead of it.
    engine.0.projection_worker.lock().take().unwrap().stop();
    engine.checkpoint();
    assert_eq!(kept(&engine), Some(first));
    engine.shut_down();
    drop(engine);

    let engine = self::engine(dir.path());
    assert_eq!(kept(&engine), Some(first));
    engine.shut_down();
}

#[test]
fn s04_a_checkpoint_of_the_same_frame_leaves_the_full_one_full() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    Pile { version: 0 }.up(&engine, 10, 1);
    // The seal of an idle log is a frame of its own.
    let sealed = || if engine.log().health().seals > 0 { Ok(()) } else { Err("not sealed".to_owned()) };
    eventually(sealed);
    eventually(|| match engine.reader().written().seq == engine.log().head().seq {
        true => Ok(()),
        false => Err("not written".to_owned()),
    });
    engine.0.full_checkpoint();
    engine.checkpoint();
    assert!(engine.log().newest_entities().unwrap().is_some(), "history that was deleted rests on it");
    engine.shut_down();
    assert!(engine.log().newest_entities().unwrap().is_some(), "nor does a clean stop take it away");
}

#[test]
fn s06_a_reader_that_nobody_comes_back_to_pins_no_segment() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let mut pile = Pile { version: 0 };
    let last = pile.up(&engine, 400, 500);
    assert!(engine.log().health().live > 3, "{:?}", engine.log().health());
    // A follower that had fallen behind reads a little, and never again.
    let read = engine.0.frames.read(Position(1), 1).unwrap();
    assert!(read.last().unwrap().last() < last);
    eventually(|| match engine.workflows().cursor().position() {
        at if at >= last => Ok(()),
        at => Err(format!("{at:?}")),
    });
    engine.checkpoint();
    eventually(|| match engine.log().health().live {
        1 => Ok(()),
        live => Err(format!("{live} segments are still pinned")),
    });
    // It may come back all the same, through the archive.
    assert_eq!(engine.0.frames.read(Position(1), 1).unwrap().first().unwrap().first, Position(1));
    engine.shut_down();
}
