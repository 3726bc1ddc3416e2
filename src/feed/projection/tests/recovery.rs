//! The store is checked against the log, and made afresh when it does not fit (S4).

mod durable;

use super::*;
use crate::feed::projection::recovery::{Recovered, Rows, Start, recover};
use crate::store::{DiskStore, Range, Read, Row};
use proptest::prelude::*;
use std::cell::RefCell;

const LIMITS: Limits = Limits { entities: 32, changed: 50 };

struct Disk {
    store: RefCell<Arc<MemoryStore>>,
}

impl Disk {
    fn new() -> Disk {
        Disk { store: RefCell::default() }
    }

    fn open(&self, afresh: bool) -> Arc<dyn Store> {
        if afresh {
            self.store.take();
        }
        Arc::clone(&self.store.borrow()) as Arc<dyn Store>
    }
}

fn start_from(
    disk: &Disk,
    log: &shop::Log,
    checkpoint: Option<Mark>,
    full: &dyn Fn() -> Result<Option<Rows>, Error>,
) -> Result<(Projection, Recovered), Error> {
    let last = log.0.last().unwrap();
    let head = Head { seq: last.seq, hash: last.hash, position: last.last(), at: last.at, epoch: 1 };
    let start = Start { log: LOG, head, frames: log, checkpoint, full, limits: LIMITS };
    recover(&start, &|afresh| Ok(disk.open(afresh)))
}

/// Started, and with time to write once more what follows from the entities.
fn start(disk: &Disk, shop: &Shop, checkpoint: Option<Mark>) -> (Projection, Recovered) {
    let (mut projection, recovered) = start_from(disk, &shop.log(0), checkpoint, &|| Ok(None)).unwrap();
    projection.restate(usize::MAX).unwrap();
    (projection, recovered)
}

fn rows(store: &dyn Read) -> Vec<(Table, Vec<crate::store::Row>)> {
    let all = Range { from: &[], to: None, reverse: false, limit: usize::MAX };
    let shown = Table::ALL.into_iter().filter(|table| !matches!(table, Table::Meta | Table::Movements));
    shown.map(|table| (table, store.range(table, all).unwrap())).collect()
}

/// The store after the whole log, never restarted.
fn undisturbed(shop: &Shop) -> Disk {
    let disk = Disk::new();
    start(&disk, shop, None);
    disk
}

fn moved(reader: &Reader) -> Vec<(Version, Movement)> {
    ["mug", "pen"].iter().flat_map(|code| reader.movements(&sku(code), None, 10_000).unwrap().unwrap().rows).collect()
}

fn assert_whole(projection: &Projection, disk: &Disk, shop: &Shop) {
    let expected = undisturbed(shop);
    assert_eq!(rows(&**disk.store.borrow()), rows(&**expected.store.borrow()));
    assert_shows(&projection.reader(), shop);
    let other = super::projection(&expected.store.borrow());
    assert_eq!(moved(&projection.reader()), moved(&other.reader()));
    let (audit, other) = (projection.reader().audit(), other.reader().audit());
    let rules = other.rules.clone();
    assert_eq!(crate::verify::AuditSummary { evaluated: other.evaluated, rules, ..audit }, other);
}

/// Takes in the first `frames`, with a checkpoint after `synced` of them.
fn run(disk: &Disk, shop: &Shop, synced: usize, frames: usize) -> Option<Mark> {
    let mut projection = super::projection(&disk.store.borrow());
    let mut mark = None;
    for (number, frame) in shop.frames[..frames].iter().enumerate() {
        if number == synced && number > 0 {
            mark = Some(projection.checkpoint().unwrap());
        }
        projection.ingest(frame).unwrap();
        if number % 3 == 2 {
            projection.flush().unwrap();
        }
    }
    mark
}

#[test]
fn a_store_that_fits_goes_on_from_its_last_checkpoint() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mark = run(&disk, &shop, 4, shop.frames.len() - 3);
    let (projection, recovered) = start(&disk, &shop, mark);
    assert_eq!(recovered.rebuilt, None);
    assert_eq!(recovered.frames, shop.frames.len() as u64 - 4);
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_deleted_store_is_rebuilt_from_the_log() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mark = run(&disk, &shop, 4, shop.frames.len());
    disk.store.take();
    let (projection, recovered) = start(&disk, &shop, mark);
    assert_eq!(recovered.rebuilt.as_deref(), Some("the store lost everything"));
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_store_beyond_the_head_of_the_log_is_rebuilt() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    run(&disk, &shop, 4, shop.frames.len());
    let mut shorter = Shop::new();
    shorter.stocked("cup", 5, None);
    shorter.frame();
    let (projection, recovered) = start(&disk, &shorter, None);
    assert!(recovered.rebuilt.unwrap().contains("the log ends with 1"));
    assert_whole(&projection, &disk, &shorter);
}

#[test]
fn s04_a_store_of_another_log_is_rebuilt() {
    let (shop, disk) = (busy_shop(30), Disk::new());
    let mut other = Projection::new(disk.open(false), LogId([9; 16]), Limits::default()).unwrap();
    other.ingest(&shop.frames[0]).unwrap();
    other.flush().unwrap();
    let (projection, recovered) = start(&disk, &shop, None);
    assert!(recovered.rebuilt.unwrap().contains("another one"));
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_store_of_the_same_length_with_another_history_is_rebuilt() {
    let (shop, disk) = (busy_shop(30), Disk::new());
    run(&disk, &shop, 0, 3);
    let mut log = shop.log(0);
    for frame in &mut log.0[..3] {
        Arc::make_mut(frame).hash[31] = 1;
    }
    let (_, recovered) = start_from(&disk, &log, None, &|| Ok(None)).unwrap();
    assert!(recovered.rebuilt.unwrap().contains("is another one there"));
}

#[test]
fn s04_a_damaged_snapshot_means_a_rebuild() {
    let (shop, disk) = (busy_shop(30), Disk::new());
    let mark = run(&disk, &shop, 2, shop.frames.len() - 1);
    let key = EntityId::Sku(sku("mug")).key();
    let mut row = disk.store.borrow().get(Table::Snapshot, &key).unwrap().unwrap();
    row[40] ^= 1;
    let mut batch = Batch::default();
    batch.put(Table::Snapshot, &key, row);
    disk.store.borrow().write(&batch).unwrap();
    let (projection, recovered) = start(&disk, &shop, mark);
    assert!(recovered.rebuilt.unwrap().contains("its checksum is wrong"));
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_store_that_was_being_made_afresh_is_begun_anew() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mut projection = super::projection(&disk.store.borrow());
    shop.frames.iter().for_each(|frame| projection.ingest(frame).unwrap());
    let full = projection.full_checkpoint().unwrap();
    let (mark, kept): (_, Vec<_>) = (full.mark, full.map(Result::unwrap).collect());
    let rows = |cut: usize| {
        let broken = || Err(Error::Lost("the rest of the file".to_owned()));
        let rows = kept.clone().into_iter().map(Ok).take(cut).chain((cut < kept.len()).then(broken));
        Ok(Some(Box::new(rows) as Rows))
    };
    // The first rows say already that the store has everything; the process ends there.
    disk.store.take();
    start_from(&disk, &shop.log(8), Some(mark), &|| rows(1_030.min(kept.len() - 1))).map(|_| ()).unwrap_err();
    let (mut projection, recovered) = start_from(&disk, &shop.log(8), Some(mark), &|| rows(usize::MAX)).unwrap();
    assert!(recovered.rebuilt.unwrap().contains("cut short"));
    projection.restate(usize::MAX).unwrap();
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_store_that_was_made_afresh_is_durable_before_it_is_believed() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mark = run(&disk, &shop, 4, shop.frames.len());
    disk.store.take();
    assert!(start(&disk, &shop, mark).1.rebuilt.is_some());
    // Nobody took a checkpoint since: the one in the log is of the store before.
    disk.store.borrow().crash(|_| false);
    let (projection, _) = start(&disk, &shop, mark);
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_damaged_row_that_a_checkpoint_covers_is_found_once_and_the_next_start_makes_the_store_afresh() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let (mut projection, _) = start(&disk, &shop, None);
    let mark = projection.checkpoint().unwrap();
    let key = EntityId::Order(OrderId(41)).key();
    let mut row = disk.store.borrow().get(Table::Snapshot, &key).unwrap().unwrap();
    row[30] ^= 1;
    let mut batch = Batch::default();
    batch.put(Table::Snapshot, &key, row);
    disk.store.borrow().write(&batch).unwrap();
    disk.store.borrow().sync().unwrap();
    let (mut projection, recovered) = start(&disk, &shop, Some(mark));
    assert_eq!(recovered.rebuilt, None, "it is older than what a start looks at");
    let error = loop {
        match projection.sweep(100) {
            Ok(swept) => assert!(!swept.wrapped, "the sweep sees every row"),
            Err(error) => break error,
        }
    };
    projection.doubt(&error);
    let (projection, recovered) = start(&disk, &shop, Some(mark));
    assert!(recovered.rebuilt.unwrap().contains("its checksum is wrong"));
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s17_what_skus_remember_is_whole_again_after_a_start() {
    let shop = busy_shop(60);
    let remembered = |disk: &Disk| {
        let all = Range { from: &[], to: None, reverse: false, limit: usize::MAX };
        disk.store.borrow().range(Table::Remembered, all).unwrap()
    };
    let expected = remembered(&undisturbed(&shop));
    for (key, _) in &expected {
        let disk = Disk::new();
        run(&disk, &shop, 0, shop.frames.len());
        let mut batch = Batch::default();
        batch.delete(Table::Remembered, key);
        disk.store.borrow().write(&batch).unwrap();
        start(&disk, &shop, None);
        assert!(remembered(&disk) == expected, "{key:?}");
    }
}

/// One SKU with a row of movements for each of many flushes, none of them synced.
fn many_rows() -> (Shop, Disk) {
    let (mut shop, disk) = (Shop::new(), Disk::new());
    shop.stocked("mug", 1_000, None);
    for number in 1..=600 {
        shop.buy(number, "someone", "mug", 1);
        shop.frame();
    }
    let mut projection = super::projection(&disk.store.borrow());
    for frame in &shop.frames {
        projection.ingest(frame).unwrap();
        projection.flush().unwrap();
    }
    (shop, disk)
}

#[test]
fn s04_movements_of_many_pages_are_all_looked_for() {
    let (shop, disk) = many_rows();
    assert_eq!(start(&disk, &shop, None).1.rebuilt, None);
    // The first row, some in the middle of a page and at its ends, and the last one.
    let all = Range { from: &[], to: None, reverse: false, limit: usize::MAX };
    let keys: Vec<_> = disk.store.borrow().range(Table::Movements, all).unwrap().into_iter().map(|row| row.0).collect();
    assert!(keys.len() >= 600);
    for lost in [0, 1, 87, 343, 344, 345, 400, keys.len() - 1] {
        let (shop, disk) = many_rows();
        let mut batch = Batch::default();
        batch.delete(Table::Movements, &keys[lost]);
        disk.store.borrow().write(&batch).unwrap();
        let (projection, recovered) = start(&disk, &shop, None);
        assert!(recovered.rebuilt.unwrap().starts_with("the store lost movement"), "row {lost}");
        assert_whole(&projection, &disk, &shop);
    }
}

#[test]
fn s04_lists_and_due_times_are_whole_before_a_checkpoint_covers_them() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mark = run(&disk, &shop, 4, shop.frames.len());
    let kept = |disk: &Disk| rows(&**disk.store.borrow());
    let expected = kept(&undisturbed(&shop));
    let order = EntityId::Order(OrderId(41));
    let mut batch = Batch::default();
    for (table, rows) in kept(&disk) {
        let of_order = |key: &[u8]| key.ends_with(&41_u128.to_be_bytes()) || key.ends_with(&order.key());
        let lost = rows.iter().filter(|(key, _)| !matches!(table, Table::Snapshot | Table::Claims) && of_order(key));
        lost.for_each(|(key, _)| batch.delete(table, key));
    }
    disk.store.borrow().write(&batch).unwrap();
    let (mut projection, recovered) = start_from(&disk, &shop.log(0), mark, &|| Ok(None)).unwrap();
    assert_eq!(recovered.rebuilt, None);
    assert!(kept(&disk) != expected, "a start does not wait for them");
    projection.checkpoint().unwrap();
    assert!(kept(&disk) == expected);
}

#[test]
fn s04_deleted_history_is_made_up_for_by_a_full_checkpoint() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mut projection = super::projection(&disk.store.borrow());
    shop.frames[..8].iter().for_each(|frame| projection.ingest(frame).unwrap());
    let full = projection.full_checkpoint().unwrap();
    let mark = full.mark;
    // The store goes on; the checkpoint does not see it.
    shop.frames[8..].iter().for_each(|frame| projection.ingest(frame).unwrap());
    projection.flush().unwrap();
    let kept: Vec<_> = full.map(Result::unwrap).collect();
    let of = |kept: Vec<Row>| move || Ok(Some(Box::new(kept.clone().into_iter().map(Ok)) as Rows));
    // One that an earlier build wrote has rows that nobody wants any more; what nobody ever wrote is none.
    let with = |table: u8| [&kept[..], &[(vec![table, 1], Vec::new())]].concat();
    for kept in [kept.clone(), with(Table::GIVEN_UP)] {
        disk.store.take();
        let (projection, recovered) = start_from(&disk, &shop.log(8), Some(mark), &of(kept)).unwrap();
        assert!(recovered.rebuilt.is_some());
        assert_whole(&projection, &disk, &shop);
    }
    disk.store.take();
    let senseless = start_from(&disk, &shop.log(8), Some(mark), &of(with(200))).map(|_| ()).unwrap_err();
    assert!(matches!(senseless, Error::Lost(_)), "{senseless}");

    disk.store.take();
    let nothing = start_from(&disk, &shop.log(8), Some(mark), &|| Ok(None)).map(|_| ()).unwrap_err();
    assert!(matches!(nothing, Error::Journal(crate::journal::Error::Gone { .. })), "{nothing}");
}

#[test]
fn s04_a_store_made_afresh_is_durable_before_it_is_believed() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mark = run(&disk, &shop, 8, shop.frames.len());
    disk.store.take();
    start(&disk, &shop, mark);
    // What happened before the checkpoint is not looked up at a start: losing some of it would go unnoticed.
    let mut writes = 0;
    disk.store.borrow().crash(|_| {
        writes += 1;
        writes % 3 == 0
    });
    let (projection, recovered) = start(&disk, &shop, mark);
    assert_eq!(recovered.rebuilt, None);
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_half_of_a_full_checkpoint_is_no_store() {
    let (shop, disk) = (busy_shop(60), Disk::new());
    let mut projection = super::projection(&disk.store.borrow());
    shop.frames[..8].iter().for_each(|frame| projection.ingest(frame).unwrap());
    let full = projection.full_checkpoint().unwrap();
    let (mark, kept) = (full.mark, full.map(Result::unwrap).collect::<Vec<_>>());
    disk.store.take();
    let cut_off = kept[..kept.len() / 2].iter().cloned().map(Ok).chain([Err(Error::Behind)]);
    assert!(full::restore(cut_off, &**disk.store.borrow()).is_err());
    let rows = || Ok(Some(Box::new(kept.clone().into_iter().map(Ok)) as Rows));
    let (projection, recovered) = start_from(&disk, &shop.log(8), Some(mark), &rows).unwrap();
    assert!(recovered.rebuilt.is_some());
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn a_store_made_afresh_stands_at_the_end_of_the_log_though_that_has_no_records() {
    let (shop, disk) = (busy_shop(30), Disk::new());
    let mut log = shop.log(0);
    for _ in 0..2 {
        let last = log.0.last().unwrap();
        let (seq, first) = (last.seq + 1, Position(last.last().0 + 1));
        log.0.push(Arc::new(Committed { seq, hash: [seq as u8; 32], at: last.at, first, records: Vec::new() }));
    }
    let end = log.0.last().unwrap().clone();
    let (mut projection, _) = start_from(&disk, &log, None, &|| Ok(None)).unwrap();
    // The checkpoint before may have named this frame, and segments be gone because of it: the next must not go back.
    assert_eq!(projection.checkpoint().unwrap().seq, end.seq);
    let (projection, recovered) = start_from(&disk, &log, Some(projection.taken_in()), &|| Ok(None)).unwrap();
    assert_eq!((recovered.rebuilt, projection.taken_in().hash), (None, end.hash));
}

#[test]
fn the_store_on_disk_starts_where_it_was() {
    let (shop, directory) = (busy_shop(40), tempfile::tempdir().unwrap());
    let open = |afresh| -> Result<Arc<dyn Store>, crate::store::Error> {
        let open = if afresh { DiskStore::create } else { DiskStore::open };
        Ok(Arc::new(open(directory.path(), crate::store::Limits::default())?))
    };
    let log = shop.log(0);
    let (limits, head) = (Limits::default(), shop.head());
    let from = |checkpoint| Start { log: LOG, head, frames: &log, checkpoint, full: &|| Ok(None), limits };
    let (mut first, recovered) = recover(&from(None), &open).unwrap();
    assert_eq!(recovered.rebuilt, None);
    let mark = first.checkpoint().unwrap();
    drop(first);
    let (second, recovered) = recover(&from(Some(mark)), &open).unwrap();
    assert_eq!((recovered.rebuilt, recovered.frames), (None, 0));
    assert_shows(&second.reader(), &shop);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the disk kept of the writes since the last sync, the store ends as if nothing had happened. But for a row
    /// that was taken out and is there again, while all else of its batch was kept: nobody would look for it.
    #[test]
    fn s04_any_unsynced_writes_may_be_lost(synced in 0..8usize, more in 0..8usize, lost in any::<u64>(), all in any::<bool>()) {
        let (shop, disk) = (busy_shop(60), Disk::new());
        let mark = run(&disk, &shop, synced, (synced + more + 1).min(shop.frames.len()));
        let mut bits = lost;
        disk.store.borrow().crash(|write| {
            bits = bits.rotate_left(1);
            all || (bits & 1 == 1 && !write.deletes)
        });
        let (projection, _) = start(&disk, &shop, mark);
        assert_whole(&projection, &disk, &shop);
    }
}
