//! A store in memory, for tests and the simulator: deterministic, and it can lose what was not synced.

use super::{Batch, Error, Range, Read, Row, Store, Table};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: Rows,
    /// What undoes each write since the last sync, oldest first: its batch, the key and what it held before.
    unsynced: Vec<(Unsynced, Vec<u8>, Option<Vec<u8>>)>,
    batches: u64,
}

/// One row of a batch that was not synced yet.
#[derive(Debug, Clone, Copy)]
pub struct Unsynced {
    /// Number of the batch.
    pub batch: u64,
    /// The row was taken out.
    pub deletes: bool,
}

impl MemoryStore {
    /// Loses each unsynced write for which `lost` says so, as a disk may that was cut off and wrote in any order.
    /// `lost` is asked of the newest first; of the writes of one key, the newest that is not lost counts.
    pub fn crash(&self, mut lost: impl FnMut(Unsynced) -> bool) {
        let mut inner = self.inner.lock();
        let undo = std::mem::take(&mut inner.unsynced);
        let mut there = BTreeSet::new();
        for (unsynced, key, before) in undo.into_iter().rev() {
            if there.contains(&key) {
                continue;
            }
            if !lost(unsynced) {
                there.insert(key);
                continue;
            }
            match before {
                Some(value) => inner.rows.insert(key, value),
                None => inner.rows.remove(&key),
            };
        }
    }
}

impl Read for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.inner.lock().rows.get(&table.key(key)).cloned())
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error> {
        Ok(self.inner.lock().rows.contains_key(&table.key(key)))
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
        Ok(rows_between(&self.inner.lock().rows, table, range))
    }
}

impl Store for MemoryStore {
    fn write(&self, batch: &Batch) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        inner.batches += 1;
        let batch_number = inner.batches;
        for (key, value) in batch.rows() {
            let before = match value {
                Some(value) => inner.rows.insert(key.to_vec(), value.to_vec()),
                None => inner.rows.remove(key),
            };
            inner.unsynced.push((Unsynced { batch: batch_number, deletes: value.is_none() }, key.to_vec(), before));
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.inner.lock().unsynced.clear();
        Ok(())
    }

    fn view(&self) -> Box<dyn Read> {
        let rows = self.inner.lock().rows.clone();
        Box::new(MemoryStore { inner: Mutex::new(Inner { rows, ..Inner::default() }) })
    }
}

fn rows_between(rows: &Rows, table: Table, range: Range<'_>) -> Vec<Row> {
    let from = table.key(range.from);
    let to = range.to.map_or_else(|| vec![table as u8 + 1], |to| table.key(to));
    if from >= to {
        return Vec::new();
    }
    let row = |(key, value): (&Vec<u8>, &Vec<u8>)| (key[1..].to_vec(), value.clone());
    let found = rows.range((Bound::Included(from), Bound::Excluded(to)));
    match range.reverse {
        false => found.take(range.limit).map(row).collect(),
        true => found.rev().take(range.limit).map(row).collect(),
    }
}
