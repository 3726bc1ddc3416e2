//! A store that counts what is read from it.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use crate::store::{Batch, Error, MemoryStore, Range, Read, Row, Store, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// In memory. Its clones are the same store.
#[derive(Clone, Default)]
pub(super) struct Counting {
    store: Arc<MemoryStore>,
    rows: Arc<AtomicUsize>,
}

impl Counting {
    /// Rows read or looked for since this was asked last.
    pub fn rows_read(&self) -> usize {
        self.rows.swap(0, Ordering::Relaxed)
    }
}

impl Read for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.store.get(table, key)
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.store.contains(table, key)
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
        let rows = self.store.range(table, range)?;
        self.rows.fetch_add(rows.len(), Ordering::Relaxed);
        Ok(rows)
    }
}

impl Store for Counting {
    fn write(&self, batch: &Batch) -> Result<(), Error> {
        self.store.write(batch)
    }

    fn flush(&self) -> Result<(), Error> {
        self.store.flush()
    }

    fn sync(&self) -> Result<(), Error> {
        self.store.sync()
    }

    fn view(&self) -> Box<dyn Read> {
        // Good enough while nobody writes.
        Box::new(self.clone())
    }
}

#[test]
fn books_that_were_left_half_made_are_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("provider");
    // As an error while they were made leaves them: a journal, and no word that it is whole.
    std::fs::create_dir_all(directory.with_extension("new")).unwrap();
    std::fs::write(directory.with_extension("new").join("0.jnl"), b"half").unwrap();
    drop(super::Books::open(&directory).unwrap());
    assert!(super::Books::read(&directory).unwrap().entries().next().is_none());
    assert!(!directory.with_extension("new").exists());
}
