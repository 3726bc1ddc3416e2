//! What the projection shares with those who ask: warm entities, rows not written yet, and how far things are.
//!
//! Only the projection's own thread changes anything here, so an entity that is not in memory is in the store.

use super::claims::{self, ClaimRows};
use super::entity::EntityState;
use super::known::Known;
use super::rows::{self, Derived, SnapshotRow, Stored};
use super::{Error, Mark, keys};
use crate::store::{Read, Store, Table};
use crate::verify::{Share, Totals};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::{Position, Version};
use stampede_actors::sku::codec::decode_remembered;
use stampede_actors::sku::{Remembered, RememberedKey};
use stampede_actors::time::Timestamp;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An entity in memory.
#[derive(Debug)]
pub struct Cell {
    pub state: EntityState,
    pub version: Version,
    pub position: Position,
    /// The rows of it that are in the store.
    pub stored: Derived,
    /// Of a SKU: the rows of its claims that are in the store.
    pub claims: ClaimRows,
    /// What it adds to the sums.
    pub counted: Share,
    /// Changed since it was written.
    pub dirty: bool,
    used: bool,
}

const SHARDS: usize = 16;

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<EntityId, Cell, FixedState>,
    /// Every cell once, in the order in which it is looked at for eviction.
    clock: VecDeque<EntityId>,
}

type Noted = HashMap<(SkuId, RememberedKey), Remembered, FixedState>;

/// How far things are, and whether they still move.
#[derive(Debug, Default)]
pub struct Progress {
    pub taken_in: Mark,
    pub written: Mark,
    /// The sums as of what is written.
    pub totals: Totals,
    /// Why the projection stopped.
    pub stopped: Option<String>,
}

/// See the module.
pub struct Shared {
    pub store: Arc<dyn Store>,
    pub known: Known,
    shards: [Mutex<Shard>; SHARDS],
    /// Operations of entities that are not written yet.
    noted: Mutex<Noted>,
    pub progress: Mutex<Progress>,
    /// Told whenever `progress` moves.
    pub moved: Condvar,
    taken_in: AtomicU64,
    changed: AtomicU64,
}

impl Shared {
    pub fn new(store: Arc<dyn Store>, at: Mark, totals: Totals) -> Shared {
        Shared {
            store,
            known: Known::default(),
            shards: std::array::from_fn(|_| Mutex::default()),
            noted: Mutex::default(),
            progress: Mutex::new(Progress { taken_in: at, written: at, totals, stopped: None }),
            moved: Condvar::new(),
            taken_in: AtomicU64::new(at.position.0),
            changed: AtomicU64::new(0),
        }
    }

    /// The entity as far as it was taken in; `None` when nothing ever happened to it.
    pub fn current(&self, entity: &EntityId) -> Result<Option<(EntityState, Version)>, Error> {
        if let Some(cell) = self.shard(entity).lock().cells.get_mut(entity) {
            cell.used = true;
            return Ok((cell.version > 0).then(|| (cell.state.clone(), cell.version)));
        }
        // Evicted only after it was written, and written only forwards: what the store has now is not older.
        Ok(self.read(entity)?.map(|stored| (stored.state, stored.row.version)))
    }

    /// When it next wants to be woken, as far as it was taken in. Of a SKU that is not in memory as it was written: its
    /// claims need not be read for it.
    pub fn deadline(&self, entity: &EntityId) -> Result<Option<Timestamp>, Error> {
        if let Some(cell) = self.shard(entity).lock().cells.get(entity) {
            return Ok(cell.state.deadline());
        }
        let Some(bytes) = self.store.get(Table::Snapshot, &entity.key())? else { return Ok(None) };
        Ok(SnapshotRow::header(entity, &bytes)?.0.due)
    }

    /// Is there nothing of it, in memory or in the store? In doubt there may be something.
    pub fn absent(&self, entity: &EntityId) -> Result<bool, Error> {
        if let Some(lacks) = self.known.lacks(entity) {
            return Ok(lacks);
        }
        if let Some(cell) = self.shard(entity).lock().cells.get(entity) {
            return Ok(cell.version == 0);
        }
        Ok(!self.store.contains(Table::Snapshot, &entity.key())?)
    }

    /// The version of its rows in the store, which are what was written; 0 when there are none.
    ///
    /// # Errors
    /// [`Error::Lost`] when they are not what was written; [`Error::Store`].
    pub fn stored_version(&self, entity: &EntityId) -> Result<Version, Error> {
        let Some(bytes) = self.store.get(Table::Snapshot, &entity.key())? else { return Ok(0) };
        let (row, _) = SnapshotRow::header(entity, &bytes)?;
        if let EntityId::Sku(sku) = entity {
            // They are rows of their own.
            claims::confirm(&*self.store, sku, row.claims)?;
        }
        Ok(row.version)
    }

    /// Works on the entity in memory, reading it from the store first if need be.
    pub fn with_cell<T>(&self, entity: &EntityId, work: impl FnOnce(&mut Cell) -> T) -> Result<T, Error> {
        if let Some(cell) = self.shard(entity).lock().cells.get_mut(entity) {
            cell.used = true;
            return Ok(work(cell));
        }
        // Not under the lock: those who ask for its neighbours need not wait for the disk.
        let stored = if self.known.lacks(entity) == Some(true) { None } else { self.read(entity)? };
        let mut cell = match stored {
            Some(stored) => Cell::of(entity, stored),
            None => Cell::new(entity),
        };
        let done = work(&mut cell);
        let shard = &mut *self.shard(entity).lock();
        shard.cells.insert(entity.clone(), cell);
        shard.clock.push_back(entity.clone());
        Ok(done)
    }

    /// Works on the entity if it is in memory.
    pub fn with_known_cell(&self, entity: &EntityId, work: impl FnOnce(&mut Cell)) {
        if let Some(cell) = self.shard(entity).lock().cells.get_mut(entity) {
            work(cell);
        }
    }

    /// Drops entities that nobody used lately and that are written, until at most `keep` are left.
    pub fn evict(&self, keep: usize) {
        for shard in &self.shards {
            let Shard { cells, clock } = &mut *shard.lock();
            // Each is looked at twice at most: once to clear its mark, once to drop it.
            let mut looks = clock.len() * 2;
            while cells.len() > keep / SHARDS && looks > 0 {
                looks -= 1;
                let Some(entity) = clock.pop_front() else { break };
                let wanted = cells.get_mut(&entity).is_some_and(|cell| std::mem::take(&mut cell.used) || cell.dirty);
                if wanted {
                    clock.push_back(entity);
                } else {
                    cells.remove(&entity);
                }
            }
        }
    }

    /// Remembers an operation until, and after, it is written.
    pub fn remember(&self, sku: &SkuId, id: RememberedKey, remembered: Remembered) {
        self.noted.lock().insert((sku.clone(), id), remembered);
    }

    /// What is known of an operation of this SKU of the last 24 hours.
    pub fn remembered(&self, sku: &SkuId, id: RememberedKey) -> Result<Option<Remembered>, Error> {
        if let Some(noted) = self.noted.lock().get(&(sku.clone(), id)) {
            return Ok(Some(*noted));
        }
        let today = keys::day(self.progress.lock().taken_in.at);
        for day in [today, today.saturating_sub(1)] {
            if let Some(bytes) = self.store.get(Table::Remembered, &keys::remembered(day, sku, &id))? {
                let lost = |error| Error::Lost(format!("what {sku} remembers: {error}"));
                return decode_remembered(&bytes).map(Some).map_err(lost);
            }
        }
        Ok(None)
    }

    /// Operations that are to be written. They stay readable here until [`Shared::wrote`].
    pub fn noted(&self) -> Vec<(SkuId, RememberedKey, Remembered)> {
        self.noted.lock().iter().map(|((sku, id), remembered)| (sku.clone(), *id, *remembered)).collect()
    }

    /// A frame was taken in.
    pub fn took_in(&self, mark: Mark, changed: usize) {
        self.taken_in.store(mark.position.0, Ordering::Release);
        self.changed.store(changed as u64, Ordering::Relaxed);
        self.progress.lock().taken_in = mark;
        self.moved.notify_all();
    }

    /// Everything up to there is in the store.
    pub fn wrote(&self, mark: Mark, totals: &Totals) {
        self.noted.lock().clear();
        self.changed.store(0, Ordering::Relaxed);
        let mut progress = self.progress.lock();
        progress.written = mark;
        progress.totals.clone_from(totals);
        drop(progress);
        self.moved.notify_all();
    }

    /// The projection stops here.
    pub fn stop(&self, why: String) {
        self.progress.lock().stopped = Some(why);
        self.moved.notify_all();
    }

    /// Up to which position entities can be read without waiting.
    pub fn readable(&self) -> Position {
        Position(self.taken_in.load(Ordering::Acquire))
    }

    /// Entities that changed and are not written yet.
    pub fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// The sums, and as of where they are.
    pub fn totals(&self) -> (Totals, Mark) {
        let progress = self.progress.lock();
        (progress.totals.clone(), progress.written)
    }

    fn shard(&self, entity: &EntityId) -> &Mutex<Shard> {
        &self.shards[FixedState::default().hash_one(entity) as usize % SHARDS]
    }

    fn read(&self, entity: &EntityId) -> Result<Option<Stored>, Error> {
        match read(&*self.store, entity) {
            // A SKU's rows are read one after the other: they may have been written in between. Then from one view.
            Err(Error::Lost(_)) if matches!(entity, EntityId::Sku(_)) => read(&*self.store.view(), entity),
            read => read,
        }
    }
}

fn read(store: &dyn Read, entity: &EntityId) -> Result<Option<Stored>, Error> {
    let bytes = store.get(Table::Snapshot, &entity.key())?;
    bytes.map(|bytes| rows::stored(store, entity, &bytes)).transpose()
}

impl Cell {
    fn new(entity: &EntityId) -> Cell {
        Cell {
            state: EntityState::new(entity),
            version: 0,
            position: Position(0),
            stored: Derived::default(),
            claims: ClaimRows::default(),
            counted: Share::default(),
            dirty: false,
            used: false,
        }
    }

    fn of(entity: &EntityId, Stored { row, state, claims }: Stored) -> Cell {
        let mut stored = Derived::of(entity, &state);
        stored.due = row.due;
        Cell {
            stored,
            claims,
            counted: Share::of(&state),
            version: row.version,
            position: row.position,
            state,
            dirty: false,
            used: false,
        }
    }
}
