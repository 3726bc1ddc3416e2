//! The thread: takes in, flushes on demand, catches up from the log, and says when it stops.

use super::*;
use crate::feed::projection::worker::{Loading, Pace, Worker};
use shop::Log;
use stampede_actors::shell::{Loaded, Loader};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// A thread that flushes only when it is asked to.
fn worker(store: &Arc<MemoryStore>, log: Log) -> Worker {
    let pace = Pace { flush_every: Duration::from_secs(3_600), ..Pace::default() };
    Worker::start(projection(store), Arc::new(log), pace).unwrap()
}

#[test]
fn lists_show_everything_committed_when_they_are_asked_to() {
    let (shop, store) = (busy_shop(60), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let handle = worker.handle();
    let listener = handle.listener();
    for frame in &shop.frames {
        listener.on_commit(frame);
        handle.written(frame.last(), LONG).unwrap();
        assert_eq!(handle.reader().written().seq, frame.seq);
    }
    let listed = handle.reader().orders(&Filter::default(), None, 1_000).unwrap().unwrap().rows.len();
    assert_eq!(listed, shop.orders.len());
    assert_eq!(handle.reader().lag(shop.head().position), Lag::default());
    assert_eq!(handle.checkpoint().unwrap(), Mark::from(shop.head()));
    let full = handle.full_checkpoint().unwrap();
    assert!(full.mark == Mark::from(shop.head()) && full.count() > shop.orders.len());
}

#[test]
fn what_the_inbox_left_out_is_read_from_the_log() {
    let (shop, store) = (busy_shop(60), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let handle = worker.handle();
    let last = shop.frames.len() - 1;
    for number in [2, 5, last] {
        handle.listener().on_commit(&shop.frames[number]);
    }
    handle.taken_in(shop.head().position, LONG).unwrap();
    assert_shows(handle.reader(), &shop);
}

#[test]
fn the_end_of_the_thread_writes_what_was_taken_in() {
    let (shop, store) = (busy_shop(30), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let handle = worker.handle();
    shop.frames.iter().for_each(|frame| handle.listener().on_commit(frame));
    worker.stop();
    assert_eq!(handle.reader().written(), Mark::from(shop.head()));
    assert!(matches!(handle.checkpoint(), Err(Error::Stopped(_))));
    assert!(matches!(handle.written(Position(u64::MAX), LONG), Err(Error::Stopped(_))));
}

#[test]
fn s04_whoever_waits_is_told_why_the_projection_stopped() {
    let (shop, store) = (busy_shop(30), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let handle = worker.handle();
    let mut frame = (*shop.frames[0]).clone();
    frame.records[0].entries[0].version = 9;
    handle.listener().on_commit(&Arc::new(frame));
    let error = handle.taken_in(shop.frames[0].last(), LONG).unwrap_err();
    assert!(
        error.to_string().contains("sku mug is at version 0, but its next event in the log is version 9"),
        "{error}"
    );
    assert!(matches!(handle.full_checkpoint().map(|full| full.mark), Err(Error::Stopped(_))));
    worker.stop();
}

#[test]
fn a_panic_is_noticed_as_well() {
    struct Panics;
    impl crate::feed::FrameSource for Panics {
        fn read(&self, _: Position, _: usize) -> Result<Vec<Arc<Committed>>, crate::journal::Error> {
            panic!("a log that panics")
        }
    }
    let (shop, store) = (busy_shop(30), Arc::new(MemoryStore::default()));
    let worker = Worker::start(projection(&store), Arc::new(Panics), Pace::default()).unwrap();
    let handle = worker.handle();
    // The first frame did not come: the thread wants to read it.
    handle.listener().on_commit(&shop.frames[1]);
    assert!(
        matches!(handle.taken_in(shop.frames[1].last(), LONG), Err(Error::Stopped(why)) if why == "it has panicked")
    );
    assert_eq!(handle.reader().stopped().as_deref(), Some("it has panicked"));
}

#[test]
fn a_load_that_waits_for_its_position_holds_up_no_other() {
    let (shop, store) = (busy_shop(30), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let handle = worker.handle();
    let loading = Loading::start(handle.clone(), 2).unwrap();
    let (answer, answered) = mpsc::channel();
    let load = |entity: EntityId, at_least: Position| {
        let answer = answer.clone();
        loading.load(entity, at_least, Box::new(move |outcome| answer.send(outcome).unwrap()));
    };
    let (first, rest) = shop.frames.split_at(shop.frames.len() / 2);
    first.iter().for_each(|frame| handle.listener().on_commit(frame));
    handle.taken_in(first.last().unwrap().last(), LONG).unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        load(EntityId::Sku(sku("mug")), shop.head().position);
    }
    load(EntityId::Order(OrderId(9_999)), Position(0));
    assert!(matches!(answered.recv_timeout(LONG).unwrap(), Ok(Loaded::Absent)), "the cold one first");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    rest.iter().for_each(|frame| handle.listener().on_commit(frame));
    for _ in 0..3 {
        let Ok(Loaded::Sku(_, version)) = answered.recv_timeout(LONG).unwrap() else { panic!("no SKU") };
        assert_eq!(version, shop.versions[&EntityId::Sku(sku("mug"))]);
    }
    assert!(began.elapsed() < Duration::from_secs(4), "as soon as it is there: {:?}", began.elapsed());
}

#[test]
fn loads_do_not_wait_for_what_never_comes_and_not_without_bound() {
    let (shop, store) = (busy_shop(30), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let loading = Loading::start(worker.handle(), 2).unwrap();
    let (answer, answered) = mpsc::channel();
    let load = || {
        let answer = answer.clone();
        let mug = EntityId::Sku(sku("mug"));
        loading.load(mug, Position(1_000_000), Box::new(move |outcome| answer.send(outcome.unwrap_err()).unwrap()));
    };
    (0..4_096).for_each(|_| load());
    assert!(answered.try_recv().is_err());
    load();
    assert_eq!(answered.try_recv().unwrap(), "the projection is behind", "one too many");
    let began = Instant::now();
    worker.stop();
    for _ in 0..4_096 {
        let error = answered.recv_timeout(LONG).unwrap();
        assert!(error.starts_with("the projection has stopped"), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn s11_an_entity_is_loaded_with_everything_up_to_where_its_last_actor_was() {
    let (shop, store) = (busy_shop(30), Arc::new(MemoryStore::default()));
    let worker = worker(&store, shop.log(0));
    let handle = worker.handle();
    let loading = Loading::start(handle.clone(), 2).unwrap();
    let (answer, answered) = mpsc::channel();
    let load = |entity: EntityId, at_least: Position| {
        let answer = answer.clone();
        loading.load(entity, at_least, Box::new(move |outcome| answer.send(outcome).unwrap()));
    };
    let (first, rest) = shop.frames.split_at(shop.frames.len() / 2);
    first.iter().for_each(|frame| handle.listener().on_commit(frame));
    // Its last events were not even committed when it is asked for.
    load(EntityId::Sku(sku("mug")), shop.head().position);
    assert!(answered.recv_timeout(Duration::from_millis(50)).is_err());
    assert!(loading.readable() < shop.head().position);
    rest.iter().for_each(|frame| handle.listener().on_commit(frame));
    let Ok(Loaded::Sku(mug, version)) = answered.recv_timeout(LONG).unwrap() else { panic!("no SKU") };
    assert_eq!((&*mug, version), (&shop.skus[&sku("mug")], shop.versions[&EntityId::Sku(sku("mug"))]));
    assert_eq!(loading.readable(), shop.head().position);

    load(EntityId::Order(OrderId(9_999)), Position(0));
    assert!(matches!(answered.recv_timeout(LONG).unwrap(), Ok(Loaded::Absent)));
    assert!(loading.absent(&EntityId::Order(OrderId(9_999))));
    assert!(!loading.absent(&EntityId::Sku(sku("mug"))));
    let receipt = RememberedKey::Receipt(OpId(1_750_000_000_000_001));
    assert!(loading.remembered(&sku("mug"), receipt).is_some());
}
