//! What outside parties keep, in a store of their own: nothing of it is loaded when it is opened, and no more of it is
//! in memory than the store's cache.

use crate::store::{Batch, DiskStore, Limits, Range, Read, Row, Store, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// For each party.
const LIMITS: Limits = Limits { cache_bytes: 16 << 20, memtable_bytes: 8 << 20 };

/// Rows that a walk reads at a time.
const PAGE: usize = 1_000;

/// Opens or begins the store in this directory. A new one gets its name when it is whole: one that an error has left half
/// made could never be opened.
pub(super) fn open(directory: &Path) -> io::Result<Arc<dyn Store>> {
    if !directory.is_dir() {
        let draft = directory.with_extension("new");
        drop(DiskStore::create(&draft, LIMITS).map_err(io::Error::other)?);
        std::fs::rename(&draft, directory)?;
    }
    Ok(Arc::new(DiskStore::open(directory, LIMITS).map_err(io::Error::other)?))
}

/// Opens the store that somebody else has left in this directory.
pub(super) fn open_left(directory: &Path) -> io::Result<Arc<dyn Store>> {
    if !directory.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    open(directory)
}

/// Writes all rows or none. The process may be killed as soon as this returns, and they are there.
pub(super) fn keep(store: &dyn Store, batch: &Batch) -> io::Result<()> {
    store.write(batch).and_then(|()| store.flush()).map_err(io::Error::other)
}

/// Adds a row to a batch.
pub(super) fn put(batch: &mut Batch, table: Table, key: &[u8], value: &impl Serialize) -> io::Result<()> {
    batch.put(table, key, serde_json::to_vec(value)?);
    Ok(())
}

/// Reads a row.
pub(super) fn find<T: DeserializeOwned>(rows: &dyn Read, table: Table, key: &[u8]) -> io::Result<Option<T>> {
    match rows.get(table, key).map_err(io::Error::other)? {
        Some(value) => Ok(Some(serde_json::from_slice(&value)?)),
        None => Ok(None),
    }
}

/// All rows of a table in the order of their keys, as they were when the walk began; a page at a time in memory.
pub(super) struct Walk {
    rows: Box<dyn Read>,
    table: Table,
    from: Vec<u8>,
    page: std::vec::IntoIter<Row>,
    is_last: bool,
}

impl Walk {
    pub fn of(store: &dyn Store, table: Table) -> Walk {
        Walk { rows: store.view(), table, from: Vec::new(), page: Vec::new().into_iter(), is_last: false }
    }

    fn turn(&mut self) -> io::Result<()> {
        let range = Range { from: &self.from, to: None, reverse: false, limit: PAGE };
        let page = self.rows.range(self.table, range).map_err(io::Error::other)?;
        self.is_last = page.len() < PAGE;
        if let Some((last, _)) = page.last() {
            self.from = [last, &[0][..]].concat();
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        if self.page.as_slice().is_empty() && !self.is_last {
            // Nothing comes after an error.
            self.is_last = true;
            if let Err(error) = self.turn() {
                return Some(Err(error));
            }
        }
        self.page.next().map(Ok)
    }
}
