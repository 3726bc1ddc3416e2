//! Room: queue bounds, a full disk and its reserve (S7, S10, S13).

use super::*;
use stampede_actors::journal::NoRoom;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn s07_when_the_disk_is_full_settlement_goes_on_from_the_reserve() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.tend().unwrap();
    assert_eq!((rig.log.health().spares, rig.queue.room(Class::Intake)), (3, Ok(())));
    disk.set_capacity(disk.used());
    while rig.log.health().rolls < 2 {
        rig.frame(1);
    }
    assert!(rig.tend().is_err());
    assert_eq!(rig.queue.room(Class::Intake), Err(NoRoom::DiskFull));
    assert_eq!(rig.queue.room(Class::Settle), Ok(()));
    assert!(rig.log.health().disk_full && !rig.log.health().reserve_used_up);

    // Settlement writes through the whole reserve, and the log never stops.
    while rig.queue.room(Class::Settle).is_ok() {
        rig.frame(1);
        let _ = rig.tend();
    }
    assert_eq!((rig.log.health().rolls, rig.log.health().spares), (4, 0));
    let mut last = Turn::Committed;
    for _ in 0..40 {
        last = rig.frame(1);
    }
    assert!(matches!(last, Turn::Wait { .. }), "it waits for space");
    assert!(rig.log.health().waiting > 0 && !rig.log.health().stopped);

    // There is space again: what waited is committed, and intake is open.
    disk.set_capacity(u64::MAX);
    rig.tend().unwrap();
    rig.clock.advance(Span::millis(50));
    rig.flush();
    assert_eq!(rig.log.health().waiting, 0);
    assert_eq!(rig.queue.room(Class::Intake), Ok(()));
    disk.kill();
    let read = Rig::open(&disk, small()).unwrap().read_back(1).unwrap();
    assert_eq!(read.len() as u64, rig.log.head().position.0);
}

#[test]
fn s07_the_reserve_is_still_there_after_a_restart() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.tend().unwrap();
    disk.set_capacity(disk.used());
    while rig.log.health().rolls < 2 {
        rig.frame(1);
    }
    disk.kill();
    let mut rig = Rig::open(&disk, small()).unwrap();
    assert!(rig.tend().is_err());
    assert_eq!(rig.log.health().spares, 2);
    assert_eq!((rig.queue.room(Class::Intake), rig.queue.room(Class::Settle)), (Err(NoRoom::DiskFull), Ok(())));
}

#[test]
fn s07_reuse_makes_room_on_a_full_disk() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.tend().unwrap();
    disk.set_capacity(disk.used() + (64 << 10));
    while rig.log.health().rolls < 2 {
        rig.frame(1);
    }
    rig.checkpoint().unwrap();
    rig.tend().unwrap();
    assert_eq!((rig.log.health().live, rig.log.health().spares), (1, 3));
    assert_eq!(rig.queue.room(Class::Intake), Ok(()));
}

#[test]
fn s07_the_space_that_the_store_needs_is_left_to_it() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, Config { keep_free: 256 << 10, ..small() }).unwrap();
    disk.set_capacity(disk.used() + (4 << 20));
    rig.tend().unwrap();
    assert_eq!((rig.log.health().spares, rig.queue.room(Class::Intake)), (3, Ok(())));

    // There is room for one more segment, but not beside what is to be left free.
    disk.set_capacity(disk.used() + (300 << 10));
    rig.tend().unwrap();
    assert_eq!(rig.queue.room(Class::Intake), Ok(()));
    while rig.log.health().rolls < 2 {
        rig.frame(1);
    }
    assert!(rig.tend().is_err());
    assert_eq!((rig.log.health().spares, rig.queue.room(Class::Intake)), (2, Err(NoRoom::DiskFull)));

    // Somebody else takes more of it: intake is shut though the log itself lacks nothing.
    disk.set_capacity(u64::MAX);
    rig.tend().unwrap();
    assert_eq!((rig.log.health().spares, rig.queue.room(Class::Intake)), (3, Ok(())));
    disk.set_capacity(disk.used() + (200 << 10));
    rig.tend().unwrap();
    assert_eq!((rig.queue.room(Class::Intake), rig.queue.room(Class::Settle)), (Err(NoRoom::DiskFull), Ok(())));
    assert!(rig.log.health().disk_full && !rig.log.health().reserve_used_up);

    disk.set_capacity(u64::MAX);
    rig.tend().unwrap();
    assert_eq!(rig.queue.room(Class::Intake), Ok(()));
}

#[test]
fn s07_a_disk_too_full_to_begin_says_so() {
    let disk = SimDisk::new(1);
    disk.set_capacity(20 << 10);
    assert!(
        matches!(Rig::open(&disk, small()), Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull)
    );
    disk.set_capacity(u64::MAX);
    disk.kill();
    assert!(Rig::open(&disk, small()).is_ok());
}

#[test]
fn s13_a_full_queue_refuses_intake_before_settlement() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, Config { queue_records: 8, ..small() }).unwrap();
    let fill = |rig: &Rig, class| {
        while rig.queue.room(class).is_ok() {
            rig.append(1);
        }
        rig.log.health().waiting
    };
    assert_eq!(fill(&rig, Class::Intake), 8);
    assert_eq!(fill(&rig, Class::Settle), 10);
    assert_eq!(rig.queue.room(Class::Intake), Err(NoRoom::Busy));
    rig.flush();
    assert_eq!((rig.queue.room(Class::Intake), rig.queue.committed()), (Ok(()), Position(10)));
}

#[test]
fn s13_events_are_bounded_as_well_as_records() {
    let disk = SimDisk::new(1);
    let rig = Rig::open(&disk, Config { queue_events: 100, ..small() }).unwrap();
    rig.append(100);
    assert_eq!((rig.queue.room(Class::Intake), rig.queue.room(Class::Settle)), (Err(NoRoom::Busy), Ok(())));
}

#[test]
fn s10_no_record_stands_before_what_it_rests_on() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    let first = rig.append(1);
    let early = catch_unwind(AssertUnwindSafe(|| rig.queue.append(record(2, 1), Position(first.0 + 1))));
    assert!(early.is_err());
    assert_eq!(rig.log.health().waiting, 1, "nothing was taken");
    assert_eq!(rig.queue.append(record(2, 1), first), Position(2), "and nothing is broken");
    rig.flush();
    assert_eq!(rig.read_back(1).unwrap(), vec![1, 2]);
}

#[test]
fn s10_positions_are_gap_free_whoever_hands_over() {
    let disk = SimDisk::new(1);
    let rig = Rig::open(&disk, small()).unwrap();
    let mut positions: Vec<u64> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..250).map(|i| rig.queue.append(record(i, 1), Position(0)).0).collect::<Vec<_>>())
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    });
    positions.sort_unstable();
    assert_eq!(positions, (1..=1_000).collect::<Vec<_>>());
}
