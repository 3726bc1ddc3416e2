#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;

use super::*;
use crate::clock::ManualClock;
use crate::feed::projection::recovery::{Start, recover};
use crate::feed::projection::tests::busy_shop;
use crate::feed::projection::tests::shop::{Shop, buyer, depot, sku};
use crate::feed::projection::{Mark, Projection, full};
use crate::journal::{CommitLog, Committed, Config, FrameBody, Outcome, Wal};
use crate::store::{Batch, DiskStore, Limits, Read, Store, Table};
use crate::verify::Invariant;
use stampede_actors::ids::{EntityId, HoldId};
use stampede_actors::record::Event;
use stampede_actors::sku::{Event as SkuEvent, Part};
use stampede_actors::time::Span;

pub(crate) fn config() -> Config {
    // The same log each time, so that the same history has the same root.
    let log_id = Some(journal::LogId([7; 16]));
    Config { segment_bytes: 64 << 10, frame_bytes: 8 << 10, log_id, ..Config::default() }
}

/// Commits a shop's frames to a log in `dir`, and writes the store when wanted.
pub(crate) fn write_log(dir: &Path, shop: &Shop, with_store: bool) {
    append_log(dir, shop, 0);
    if with_store {
        let disk: SharedDisk = Arc::new(RealDisk);
        write_store(dir, &Log::inspect(&disk, dir).unwrap().log).checkpoint().unwrap();
    }
}

/// Commits the shop's frames from this index on, behind those that are there.
pub(crate) fn append_log(dir: &Path, shop: &Shop, from: usize) {
    let disk: SharedDisk = Arc::new(RealDisk);
    let mut opened = Wal::open(&disk, dir, config(), &ManualClock::new(shop.now)).unwrap();
    let mut body = FrameBody::with_capacity(64 << 10);
    for frame in &shop.frames[from..] {
        body.clear(frame.first, frame.at);
        frame.records.iter().for_each(|record| assert!(body.push(record, 1 << 20)));
        while !opened.wal.make_room(body.frame_len()).unwrap() {
            opened.upkeep.step(shop.now).unwrap();
        }
        assert!(matches!(opened.wal.commit(&mut body), Outcome::Committed { .. }));
        opened.upkeep.step(shop.now).unwrap();
    }
    opened.wal.close().unwrap();
}

/// Lets the log in `dir` reuse its segments: its history is in the archive alone then, but for the newest.
pub(crate) fn archive_all(dir: &Path, shop: &Shop) {
    let disk: SharedDisk = Arc::new(RealDisk);
    let mut opened = Wal::open(&disk, dir, config(), &ManualClock::new(shop.now)).unwrap();
    let journal::Head { seq, hash, position, at, .. } = opened.log.head();
    let cursors = opened.log.cursors();
    opened.log.checkpoint(&journal::Checkpoint { seq, position, hash, at, cursors }, None).unwrap();
    while opened.upkeep.step(shop.now).unwrap() {}
    opened.wal.close().unwrap();
}

fn write_store(dir: &Path, log: &Arc<Log>) -> Projection {
    struct Frames(Arc<Log>);
    impl crate::feed::FrameSource for Frames {
        fn read(&self, from: Position, _: usize) -> Result<Vec<Arc<Committed>>, journal::Error> {
            let mut reader = self.0.read_from(from)?;
            std::iter::from_fn(|| reader.next().transpose()).map(|frame| frame.map(Arc::new)).collect()
        }
    }
    let frames = Frames(Arc::clone(log));
    let limits = crate::feed::projection::Limits::default();
    let (head, checkpoint) = (log.head(), None);
    let start = Start { log: log.id(), head, frames: &frames, checkpoint, full: &|| full::newest(log), limits };
    let open = |afresh| if afresh { DiskStore::create } else { DiskStore::open };
    recover(&start, &|afresh| Ok(Arc::new(open(afresh)(&dir.join("store"), Limits::default())?))).unwrap().0
}

pub(crate) fn check(dir: &Path) -> Report {
    verify(dir, &mut |done, all| assert!(done <= all)).unwrap()
}

#[test]
fn a_right_log_and_its_store_are_found_right() {
    let (shop, dir) = (busy_shop(400), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, true);
    let report = check(dir.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.store, report.was_clean, report.first), (StoreState::Compared, true, 1));
    assert_eq!(report.position, shop.head().position.0);
    assert_eq!(report.records, report.position);
    assert_eq!(report.entities, shop.entities().len());
    assert_eq!((report.audit.oversold, report.audit.violated), (0, 0));
    assert_eq!(report.audit.charges, report.audit.captured_orders);
    assert!(report.audit.evaluated > 2_000);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((json["store"].as_str(), json["audit"]["oversold"].as_i64()), (Some("compared"), Some(0)));
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(check(dir.path()).store, StoreState::Absent);
}

#[test]
fn a_record_that_oversells_is_found_where_it_is() {
    let (mut shop, dir) = (busy_shop(30), tempfile::tempdir().unwrap());
    let (at, expires_at) = (shop.now, shop.now.plus(Span::minutes(1)));
    let parts = vec![Part { location: depot(), units: 1_000 }];
    let (hold, buyer) = (HoldId(5), buyer("b"));
    let event = SkuEvent::Held { hold, buyer, order: None, parts, at, expires_at, tentative: false };
    shop.forge(vec![(EntityId::Sku(sku("mug")), Event::Sku(event))]);
    shop.frame();
    write_log(dir.path(), &shop, false);
    let report = check(dir.path());
    let first = &report.findings[0];
    assert_eq!(first.violation.invariant, Invariant::Oversell);
    assert_eq!((first.seq, first.position), (Some(report.head), Some(report.position)));
    assert!(first.file.as_ref().unwrap().starts_with(dir.path()) && first.offset.unwrap() > 0);
    let second = &report.findings[1].violation;
    assert!(second.invariant == Invariant::Replay && second.detail.contains("oversold"), "{second:?}");
    assert_eq!(report.audit.violated, report.found);
    let json = serde_json::to_value(first).unwrap();
    assert_eq!((json["invariant"].as_str(), json["entity"].as_str()), (Some("oversell"), Some("sku mug")));
}

#[test]
fn a_store_that_says_something_else_is_found() {
    let (shop, dir) = (busy_shop(30), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, true);
    let store = DiskStore::open(&dir.path().join("store"), Limits::default()).unwrap();
    let (mug, pen) = (EntityId::Sku(sku("mug")).key(), EntityId::Sku(sku("pen")).key());
    let mut batch = Batch::default();
    batch.put(Table::Snapshot, &mug, store.get(Table::Snapshot, &pen).unwrap().unwrap());
    store.write(&batch).unwrap();
    store.sync().unwrap();
    drop(store);
    let report = check(dir.path());
    let found: Vec<_> = report.findings.iter().map(|finding| finding.violation.invariant).collect();
    assert_eq!(found, [Invariant::StoreMatchesLog]);
    let violation = &report.findings[0].violation;
    assert!(violation.entity == "sku mug" || violation.detail.contains("mug"), "{violation:?}");
}

/// The live segments, in order. Those that were only prepared begin with zeros.
fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut segments: Vec<_> = std::fs::read_dir(dir.join("wal")).unwrap().map(|file| file.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    segments.sort();
    segments
}

#[test]
fn damage_is_named_with_file_and_offset() {
    let (shop, dir) = (busy_shop(100), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, false);
    let segments = segments(dir.path());
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    bytes[4 * 4096 + 200] ^= 1;
    std::fs::write(&segments[0], bytes).unwrap();
    let error = verify(dir.path(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(&error, Error::Journal(journal::Error::Corrupt(_))), "{error}");
}

#[test]
fn a_directory_without_a_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(verify(dir.path(), &mut |_, _| {}).is_err());
}

/// Writes a full checkpoint at the head, and lets the log reuse its segments.
pub(crate) fn archive_fully(dir: &Path, shop: &Shop) -> Mark {
    let disk: SharedDisk = Arc::new(RealDisk);
    let mut opened = Wal::open(&disk, dir, config(), &ManualClock::new(shop.now)).unwrap();
    let rows = write_store(dir, &opened.log).full_checkpoint().unwrap();
    let mark = full::write(&opened.log, rows, std::collections::BTreeMap::new()).unwrap();
    while opened.upkeep.step(shop.now).unwrap() {}
    opened.wal.close().unwrap();
    mark
}

#[test]
fn s04_deleted_history_stands_as_the_full_checkpoint_says() {
    let (shop, dir) = (busy_shop(300), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, false);
    let mark = archive_fully(dir.path(), &shop);
    // The archive's first segments are deleted, as an age limit would.
    let mut archived: Vec<_> =
        std::fs::read_dir(dir.path().join("archive")).unwrap().map(|file| file.unwrap().path()).collect();
    archived.sort();
    assert!(archived.len() > 2, "{archived:?}");
    std::fs::remove_file(&archived[0]).unwrap();
    let report = check(dir.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.first, mark.position.0 + 1);
    assert_eq!(report.entities, shop.entities().len());
    assert_eq!(report.audit.allocated_supply, 540);
    // And the store can still be made.
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let opened = Wal::open(&disk, dir.path(), config(), &ManualClock::new(shop.now)).unwrap();
    let rebuilt = write_store(dir.path(), &opened.log).reader();
    for (entity, state, version) in shop.entities() {
        assert_eq!(rebuilt.current(&entity).unwrap(), Some((state, version)), "{entity}");
    }
}
