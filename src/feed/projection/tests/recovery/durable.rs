//! A store of which some batches are durable without a sync: a start believes what they cover, and nothing more (S4).

use super::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Every so many-th write is durable by itself.
struct SyncsItself {
    store: Arc<MemoryStore>,
    every: u64,
    writes: AtomicU64,
}

fn syncs_itself(disk: &Disk, every: u64) -> Arc<dyn Store> {
    Arc::new(SyncsItself { store: Arc::clone(&disk.store.borrow()), every, writes: AtomicU64::new(0) })
}

impl Read for SyncsItself {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, crate::store::Error> {
        self.store.get(table, key)
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, crate::store::Error> {
        self.store.contains(table, key)
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, crate::store::Error> {
        self.store.range(table, range)
    }
}

impl Store for SyncsItself {
    fn write(&self, batch: &Batch) -> Result<(), crate::store::Error> {
        self.store.write(batch)
    }

    fn write_durably(&self, batch: &Batch) -> Result<bool, crate::store::Error> {
        if !(self.writes.fetch_add(1, Relaxed) + 1).is_multiple_of(self.every) {
            return Ok(false);
        }
        self.store.write(batch)?;
        self.store.sync()?;
        Ok(true)
    }

    fn flush(&self) -> Result<(), crate::store::Error> {
        self.store.flush()
    }

    fn sync(&self) -> Result<(), crate::store::Error> {
        self.store.sync()
    }

    fn view(&self) -> Box<dyn Read> {
        self.store.view()
    }
}

/// A store of which every other write was durable by itself: those of frames 6, 8, and if there are so many 10.
fn synced_by_itself(shop: &Shop, frames: usize) -> (Disk, Option<Mark>) {
    let disk = Disk::new();
    let mark = run(&disk, shop, 4, 5);
    let mut projection = Projection::new(syncs_itself(&disk, 2), LOG, LIMITS).unwrap();
    for frame in &shop.frames[4..frames] {
        projection.ingest(frame).unwrap();
        projection.flush().unwrap();
    }
    (disk, mark)
}

#[test]
fn what_was_durable_by_itself_is_not_looked_up_again() {
    let shop = busy_shop(60);
    for (frames, synced) in [(9, 8), (10, 10)] {
        let (disk, mark) = synced_by_itself(&shop, frames);
        let applied = rows::read_applied(&**disk.store.borrow()).unwrap().unwrap();
        assert_eq!((applied.mark.seq, applied.synced.map(|mark| mark.seq)), (frames as u64, Some(synced)));
        let (projection, recovered) = start(&disk, &shop, mark);
        assert_eq!((recovered.rebuilt, recovered.frames), (None, shop.frames.len() as u64 - synced));
        assert_whole(&projection, &disk, &shop);
    }
}

#[test]
fn s04_what_came_after_the_last_durable_batch_is_looked_up() {
    let shop = busy_shop(60);
    let (disk, mark) = synced_by_itself(&shop, 9);
    let entries = shop.frames[8].records.iter().flat_map(|record| &record.entries);
    let mut batch = Batch::default();
    entries.for_each(|entry| batch.delete(Table::Snapshot, &entry.entity.key()));
    disk.store.borrow().write(&batch).unwrap();
    let (projection, recovered) = start(&disk, &shop, mark);
    assert!(recovered.rebuilt.is_some(), "rows were lost, and nobody has seen it");
    assert_whole(&projection, &disk, &shop);
}

#[test]
fn s04_a_durable_batch_of_another_log_is_not_believed() {
    let (shop, mut other) = (busy_shop(60), busy_shop(60));
    let (disk, mark) = synced_by_itself(&shop, 10);
    Arc::make_mut(&mut other.frames[9]).hash[0] ^= 1;
    let (projection, recovered) = start(&disk, &other, mark);
    assert!(recovered.rebuilt.unwrap().contains("frame 10 is another one"));
    assert_whole(&projection, &disk, &other);
}

#[test]
fn a_durable_batch_says_nothing_while_rows_are_left_for_later() {
    let shop = busy_shop(60);
    let (disk, mark) = synced_by_itself(&shop, 9);
    let (log, store, last) = (shop.log(0), syncs_itself(&disk, 1), &shop.frames[8]);
    let head = Head { seq: 9, hash: last.hash, position: last.last(), at: last.at, epoch: 1 };
    let start = Start { log: LOG, head, frames: &log, checkpoint: mark, full: &|| Ok(None), limits: LIMITS };
    let (mut projection, recovered) = recover(&start, &|_| Ok(Arc::clone(&store))).unwrap();
    assert_eq!((recovered.rebuilt, recovered.frames), (None, 1));
    let synced = |projection: &mut Projection, frame: usize| {
        projection.ingest(&shop.frames[frame]).unwrap();
        projection.flush().unwrap();
        projection.synced.map(|mark| mark.seq)
    };
    assert_eq!(synced(&mut projection, 9), Some(8), "the lists of what frame 9 says may be lost");
    projection.restate(usize::MAX).unwrap();
    assert_eq!(synced(&mut projection, 10), Some(11));
}
