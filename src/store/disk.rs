//! The store on disk: fjall, one keyspace for all tables.
//!
//! One keyspace and not one per table, because a memtable then holds whole batches: whatever survives a power loss is
//! a prefix of the batches, over all tables alike, and no idle table pins old journal files. See
//! docs/adr/0006-one-keyspace.md.

use super::{Batch, Error, Failure, Range, Read, Row, Store, Table};
use fjall::compaction::Leveled;
use fjall::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use xxhash_rust::xxh3::xxh3_128;

/// So many rows go to a table file at once: sorted as they are, they need neither a journal nor a tree in memory. A file costs
/// two syncs, so fewer rows are gathered in memory first.
pub(super) const BULK_ROWS: usize = 2_048;

/// So many table files are merged at once. Merging goes through much of what is there already: half as often is half the work,
/// and a filter in memory tells of nearly each file that it has not what is looked for.
const MERGED_FILES: u8 = 8;

/// With so many table files that wait for being merged, rows take the way that the library slows down.
const BULK_FILES: usize = 16;

/// What the store may take. It keeps at most about `cache_bytes + 5 × memtable_bytes` in memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Blocks kept in memory, in bytes.
    pub cache_bytes: u64,
    /// Writes kept in memory before they become a table file, in bytes.
    pub memtable_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { cache_bytes: 64 << 20, memtable_bytes: 16 << 20 }
    }
}

/// See the module.
pub struct DiskStore {
    database: Database,
    rows: Keyspace,
    failure: Failure,
    /// There may be rows in the memtable.
    in_memory: AtomicBool,
}

impl DiskStore {
    /// Opens the store in `directory`; an empty one when there is none.
    ///
    /// # Errors
    /// [`Error`] when the files cannot be opened: delete the directory, and the store is rebuilt.
    pub fn open(directory: &Path, limits: Limits) -> Result<DiskStore, Error> {
        check_versions(directory)?;
        let database = Database::builder(directory)
            .cache_size(limits.cache_bytes)
            .max_journaling_size((limits.memtable_bytes * 5).max(64 << 20))
            .manual_journal_persist(true)
            .worker_threads(1)
            .open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .manual_journal_persist(true)
                .max_memtable_size(limits.memtable_bytes)
                .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(MERGED_FILES)))
                // Most questions are "is there nothing of this new order?": ten bits a key on every level answer it.
                .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0))))
                .expect_point_read_hits(false)
        };
        let rows = database.keyspace("rows", options)?;
        // Rows that were read back from the library's journal.
        let in_memory = AtomicBool::new(database.write_buffer_size() > 0);
        Ok(DiskStore { database, rows, failure: Failure::default(), in_memory })
    }

    /// Deletes whatever is in `directory` and opens an empty store there.
    ///
    /// # Errors
    /// [`Error`] when the files cannot be deleted or made.
    pub fn create(directory: &Path, limits: Limits) -> Result<DiskStore, Error> {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Failed(error.to_string())),
            _ => DiskStore::open(directory, limits),
        }
    }
}

/// Does the list of each keyspace's table files match the checksum that is kept beside it? lsm-tree writes it and does not
/// look at it, and what it then believes of a damaged list can cost the process: a count of tables is room for them.
fn check_versions(directory: &Path) -> Result<(), Error> {
    let Ok(keyspaces) = std::fs::read_dir(directory.join("keyspaces")) else { return Ok(()) };
    for keyspace in keyspaces.flatten() {
        // Number of the list, its checksum, and which kind of checksum that is: XXH3.
        let Ok(current) = std::fs::read(keyspace.path().join("current")) else { continue };
        let path = |number: &[u8; 8]| keyspace.path().join(format!("v{}", u64::from_le_bytes(*number)));
        let Some((number, sum)) = current.split_first_chunk::<8>() else { continue };
        let Ok(list) = std::fs::read(path(number)) else { continue };
        if sum.split_last() != Some((&0, &xxh3_128(&list).to_le_bytes()[..])) {
            return Err(Error::Failed(format!("{} does not match its checksum", path(number).display())));
        }
    }
    Ok(())
}

impl Read for DiskStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.rows.get(table.key(key))?.map(|value| value.to_vec()))
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error> {
        Ok(self.rows.contains_key(table.key(key))?)
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
        // A range over the keyspace itself would see half of a batch that is just being written.
        range_of(&self.database.snapshot(), &self.rows, table, range)
    }
}

impl DiskStore {
    /// May the next rows go to a file? Only when all older ones are in files: what survives is a prefix of the batches.
    pub(super) fn takes_files(&self) -> bool {
        !self.in_memory.load(Relaxed)
            && self.rows.sealed_memtable_count() == 0
            && self.rows.l0_table_count() < BULK_FILES
    }

    fn write_file<'a>(&self, rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Result<(), fjall::Error> {
        let mut file = self.rows.start_ingestion()?;
        for (key, value) in rows {
            match value {
                Some(value) => file.write(key, value)?,
                None => file.write_tombstone(key)?,
            }
        }
        file.finish()
    }

    fn write_memory<'a>(
        &self,
        rows: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), fjall::Error> {
        let many = rows.len() >= BULK_ROWS;
        let mut writes = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), rows.len());
        for (key, value) in rows {
            match value {
                Some(value) => writes.insert(&self.rows, key, value),
                None => writes.remove(&self.rows, key),
            }
        }
        self.in_memory.store(true, Relaxed);
        writes.commit()?;
        // Where many come, more will: as soon as these are in a file, the next ones go to one at once. Nobody waits for it.
        if many && self.rows.sealed_memtable_count() == 0 {
            self.rows.rotate_memtable()?;
            self.in_memory.store(false, Relaxed);
        }
        Ok(())
    }
}

impl Store for DiskStore {
    fn write(&self, batch: &Batch) -> Result<(), Error> {
        self.failure.noted(self.write_memory(batch.rows()).map_err(Error::from))
    }

    fn write_durably(&self, batch: &Batch) -> Result<bool, Error> {
        if batch.len() < BULK_ROWS || !self.takes_files() {
            return Ok(false);
        }
        self.failure.noted(self.write_file(batch.rows()).map_err(Error::from))?;
        Ok(true)
    }

    fn flush(&self) -> Result<(), Error> {
        // Until then the batch may be in a buffer of this process.
        self.failure.noted(self.database.persist(PersistMode::Buffer).map_err(Error::from))
    }

    fn sync(&self) -> Result<(), Error> {
        self.failure.noted(self.database.persist(PersistMode::SyncAll).map_err(Error::from))
    }

    fn view(&self) -> Box<dyn Read> {
        Box::new(View { snapshot: self.database.snapshot(), rows: self.rows.clone() })
    }

    fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

struct View {
    snapshot: Snapshot,
    rows: Keyspace,
}

impl Read for View {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.snapshot.get(&self.rows, table.key(key))?.map(|value| value.to_vec()))
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error> {
        Ok(self.snapshot.contains_key(&self.rows, table.key(key))?)
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
        range_of(&self.snapshot, &self.rows, table, range)
    }
}

fn range_of(snapshot: &Snapshot, rows: &Keyspace, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
    let from = table.key(range.from);
    let to = range.to.map_or_else(|| vec![table as u8 + 1], |to| table.key(to));
    if from >= to {
        return Ok(Vec::new());
    }
    let row = |guard: Guard| {
        let (key, value) = guard.into_inner()?;
        Ok((key[1..].to_vec(), value.to_vec()))
    };
    let found = snapshot.range(rows, from..to);
    match range.reverse {
        false => found.take(range.limit).map(row).collect(),
        true => found.rev().take(range.limit).map(row).collect(),
    }
}

impl From<fjall::Error> for Error {
    fn from(error: fjall::Error) -> Error {
        Error::Failed(error.to_string())
    }
}
