//! Keeps the store: a state machine that takes in committed frames and writes what follows from them.
//!
//! It applies every event to its own copy of the entity, gathers what changed, and writes it in one batch together
//! with how far it has come, so that the store is always exactly what a prefix of the log adds up to. A version that
//! does not follow the one before stops it (S4). [`Projection`] is stepped by hand in tests (S14) and by
//! [`worker::Worker`] in production; [`Reader`] answers questions from any thread.

mod cells;
mod claims;
mod entity;
pub mod full;
mod keys;
mod known;
pub mod lists;
mod movements;
mod reader;
pub mod recovery;
mod rows;
mod sweep;
pub mod worker;

pub use entity::EntityState;
pub use lists::{BadCursor, Filter, ListedOrder, Page};
pub use reader::{Lag, Reader};
pub use rows::{Snapshot, SnapshotReader, applied};
pub use sweep::Swept;

use crate::journal::{Committed, Hash, Head, LogId, Seq};
use crate::metrics::HoldEnd;
use crate::store::{self, Batch, Range, Store, Table};
use crate::verify::{Share, Totals};
use cells::Shared;
use claims::Seal;
use entity::Followed;
use rows::{Applied, Derived, SnapshotRow};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::mutant::Mutant;
use stampede_actors::record::{Entry, Event, Position, Version};
use stampede_actors::sku::codec::encode_remembered;
use stampede_actors::sku::{Movement, Remembered, RememberedKey};
use stampede_actors::time::{Span, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Why the projection stopped. The store is not to be trusted any more then; the log is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The log could not be read.
    #[error(transparent)]
    Journal(#[from] crate::journal::Error),
    /// An event does not follow the entity's last one (S4).
    #[error("{entity} is at version {has}, but its next event in the log is version {next}")]
    Gap {
        /// Whose.
        entity: EntityId,
        /// The version of our copy.
        has: Version,
        /// The version of the event.
        next: Version,
    },
    /// Frames came out of order.
    #[error("a frame that begins with record {got} came after record {}", last.0)]
    FrameGap {
        /// The last record taken in.
        last: Position,
        /// The first of the frame that came.
        got: u64,
    },
    /// The store is older than what it was synced to, or its rows do not say what they must.
    #[error("the store lost {0}")]
    Lost(String),
    /// Not taken in or written in time.
    #[error("the projection is behind")]
    Behind,
    /// The projection has stopped, for this reason.
    #[error("the projection has stopped: {0}")]
    Stopped(String),
    /// An aggregate could not take an event in: a bug, or a log that was tampered with.
    #[error("{entity} does not take in its event {version}: {what}")]
    Broken {
        /// Whose.
        entity: EntityId,
        /// The version of the event.
        version: Version,
        /// The invariant that it broke.
        what: String,
    },
}

/// How much the projection may keep.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entities kept decoded in memory. Those changed since the last flush are kept in any case.
    pub entities: usize,
    /// So many changed entities are written without waiting for the time of the next flush.
    pub changed: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entities: 32_768, changed: 16_384 }
    }
}

/// How far the store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The last frame.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
    /// The last record.
    pub position: Position,
    /// Engine time of the last frame.
    pub at: Timestamp,
}

impl From<Head> for Mark {
    fn from(head: Head) -> Mark {
        Mark { seq: head.seq, hash: head.hash, position: head.position, at: head.at }
    }
}

/// Memory for rows that is kept from one flush to the next.
const BATCH_BYTES: usize = 64 << 20;

/// See the module.
pub struct Projection {
    shared: Arc<Shared>,
    log: LogId,
    taken_in: Mark,
    /// Up to where the store is known to be durable.
    synced: Option<Mark>,
    limits: Limits,
    /// Entities whose cell is dirty, in the order in which they became so.
    changed: Vec<EntityId>,
    movements: BTreeMap<SkuId, Vec<(Version, Movement)>>,
    /// What the next flush writes; empty between two of them, with room for as much as the last one.
    batch: Batch,
    totals: Totals,
    sweep: sweep::Cursors,
    /// Where reading the names of all entities has come to; `None`: all are known.
    unknown_from: Option<Vec<u8>>,
    /// Entities whose lists and due times are to be written once more after a start.
    unstated: VecDeque<EntityId>,
    /// Told of holds that end.
    on_hold_end: Option<fn(HoldEnd, Span)>,
}

impl Projection {
    /// Continues where the store is. Whether it fits the log is for [`recovery::recover`] to find out.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub fn new(store: Arc<dyn Store>, log: LogId, limits: Limits) -> Result<Projection, Error> {
        let applied = rows::read_applied(&*store)?.unwrap_or_else(|| Applied::start(log));
        let shared = Arc::new(Shared::new(store, applied.mark, applied.totals.clone()));
        Ok(Projection {
            shared,
            log: applied.log,
            taken_in: applied.mark,
            synced: applied.synced,
            limits,
            changed: Vec::new(),
            movements: BTreeMap::new(),
            batch: Batch::default(),
            totals: applied.totals,
            sweep: sweep::Cursors::default(),
            unknown_from: Some(Vec::new()),
            unstated: VecDeque::new(),
            on_hold_end: None,
        })
    }

    /// From now on this hears how holds end, and how long they had lasted.
    pub fn tell_of_holds(&mut self, on_hold_end: fn(HoldEnd, Span)) {
        self.on_hold_end = Some(on_hold_end);
    }

    /// Answers questions about what was taken in and written, from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Up to where frames were taken in.
    #[must_use]
    pub fn taken_in(&self) -> Mark {
        self.taken_in
    }

    /// Takes in the next frame. Flushes by itself when very much has changed.
    ///
    /// # Errors
    /// [`Error`]; nothing more may be taken in then.
    pub fn ingest(&mut self, frame: &Committed) -> Result<(), Error> {
        if frame.first.0 != self.taken_in.position.0 + 1 {
            return Err(Error::FrameGap { last: self.taken_in.position, got: frame.first.0 });
        }
        for (index, record) in frame.records.iter().enumerate() {
            let position = Position(frame.first.0 + index as u64);
            for entry in &record.entries {
                self.apply(entry, position)?;
            }
        }
        self.taken_in = Mark { seq: frame.seq, hash: frame.hash, position: frame.last(), at: frame.at };
        self.shared.took_in(self.taken_in, self.changed.len());
        if self.changed.len() >= self.limits.changed { self.flush() } else { Ok(()) }
    }

    /// All records up to `head` are taken in, and what frames there are behind the last of them have none: they are too.
    fn reach(&mut self, head: Mark) {
        if self.taken_in.position == head.position && self.taken_in.seq < head.seq {
            self.taken_in = head;
            self.shared.took_in(head, self.changed.len());
        }
    }

    /// Writes everything taken in, in one batch. Not durable before [`Projection::checkpoint`].
    ///
    /// # Errors
    /// [`Error`]; nothing more may be taken in then.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.changed.is_empty() && self.reader().written().seq == self.taken_in.seq {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        for entity in std::mem::take(&mut self.changed) {
            self.put_entity(&entity, &mut batch);
        }
        for (sku, moved) in std::mem::take(&mut self.movements) {
            movements::put(&mut batch, &sku, &moved);
        }
        for (sku, key, remembered) in self.shared.noted() {
            put_remembered(&mut batch, &sku, &key, &remembered);
        }
        self.write(&mut batch)?;
        batch.clear(BATCH_BYTES);
        self.batch = batch;
        self.shared.wrote(self.taken_in, &self.totals);
        self.shared.evict(self.limits.entities);
        Ok(())
    }

    /// Flushes and makes it durable: the log's checkpoint may move to the answer, and no further (S4).
    ///
    /// # Errors
    /// [`Error`]; nothing more may be taken in then.
    pub fn checkpoint(&mut self) -> Result<Mark, Error> {
        self.flush()?;
        // What a checkpoint covers is not confirmed again.
        self.restate(usize::MAX)?;
        if !Mutant::StoreSync.is_off() {
            self.shared.store.sync()?;
        }
        Ok(self.taken_in)
    }

    /// Writes the batch, and in it how far it goes: also of what is durable, which the next start need not look up.
    fn write(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let (log, mark, totals) = (self.log, self.taken_in, self.totals.clone());
        let mut applied = Applied { log, mark, synced: Some(mark), totals };
        rows::put_applied(batch, &applied)?;
        // Not while rows are missing that a start has left for later: the next one would pass them over.
        if self.unstated.is_empty() && self.shared.store.write_durably(batch)? {
            self.synced = Some(mark);
            return Ok(());
        }
        applied.synced = self.synced;
        rows::put_applied(batch, &applied)?;
        Ok(self.shared.store.write(batch)?)
    }

    /// Reads the names of `rows` more entities that the store has, until all are known.
    fn learn(&mut self, rows: usize) -> Result<(), Error> {
        let Some(from) = &mut self.unknown_from else { return Ok(()) };
        let found = self.shared.store.range(Table::Snapshot, Range { from, to: None, reverse: false, limit: rows })?;
        for (key, _) in &found {
            self.shared.known.insert(&rows::entity_of(key)?);
        }
        match found.last() {
            Some((last, _)) if found.len() == rows => *from = [last, &[0][..]].concat(),
            _ => {
                self.unknown_from = None;
                self.shared.known.complete();
            }
        }
        Ok(())
    }

    /// Marks the store when its rows are what is wrong: the next start would believe them, and stop here again. Not when a
    /// write failed, as on a full disk: then the rows are good (S7).
    fn doubt(&self, error: &Error) {
        let rows_are_wrong = matches!(error, Error::Lost(_) | Error::Gap { .. } | Error::Store(_));
        if rows_are_wrong
            && self.shared.store.failure().get().is_none()
            && let Err(error) = rows::doubt(&*self.shared.store, &format!("its rows: {error}"))
        {
            tracing::error!(%error, "the store could not be marked; should the next start end like this, delete it");
        }
    }

    /// Nothing more will be taken in; whoever waits is told why.
    fn stop(&self, why: String) {
        self.shared.stop(why);
    }

    fn apply(&mut self, entry: &Entry, position: Position) -> Result<(), Error> {
        let entity = &entry.entity;
        let (followed, became_dirty) = self.shared.with_cell(entity, |cell| {
            if entry.version != cell.version + 1 && !Mutant::VersionCheck.is_off() {
                return Err(Error::Gap { entity: entity.clone(), has: cell.version, next: entry.version });
            }
            let broken = |what| Error::Broken { entity: entity.clone(), version: entry.version, what };
            let followed = cell.state.follow(&entry.event).map_err(broken)?;
            cell.state.apply(&entry.event).map_err(broken)?;
            cell.version = entry.version;
            cell.position = position;
            if let Event::Sku(event) = &entry.event {
                event.claim().into_iter().for_each(|hold| cell.claims.touch(hold));
            }
            Ok((followed, !std::mem::replace(&mut cell.dirty, true)))
        })??;
        if became_dirty {
            self.changed.push(entity.clone());
        }
        if entry.version == 1 {
            self.shared.known.insert(entity);
        }
        let Followed { movement, remembered, hold_ended } = followed;
        if let (Some((end, lasted)), Some(tell)) = (hold_ended, self.on_hold_end) {
            tell(end, lasted);
        }
        let EntityId::Sku(sku) = entity else { return Ok(()) };
        if let Some(movement) = movement {
            self.movements.entry(sku.clone()).or_default().push((entry.version, movement));
        }
        for (key, remembered) in remembered {
            self.shared.remember(sku, key, remembered);
        }
        Ok(())
    }

    fn put_entity(&mut self, entity: &EntityId, batch: &mut Batch) {
        let totals = &mut self.totals;
        self.shared.with_known_cell(entity, |cell| {
            let derived = Derived::of(entity, &cell.state);
            let key = entity.key();
            derived.replace(&cell.stored, &key, batch);
            let claims = match (entity, &cell.state) {
                (EntityId::Sku(id), EntityState::Sku(sku)) => cell.claims.put(id, sku, batch),
                _ => Seal::default(),
            };
            let row = SnapshotRow { version: cell.version, position: cell.position, due: derived.due, claims };
            batch.put_with(Table::Snapshot, &[&key], |bytes| row.encode(&cell.state, bytes));
            cell.stored = derived;
            let share = Share::of(&cell.state);
            share.check(entity, &cell.state, totals);
            share.replace(&cell.counted, totals);
            cell.counted = share;
            cell.dirty = false;
        });
    }
}

fn put_remembered(batch: &mut Batch, sku: &SkuId, key: &RememberedKey, remembered: &Remembered) {
    let row = keys::remembered(keys::day(remembered.at), sku, key);
    batch.put(Table::Remembered, &row, encode_remembered(remembered));
}

#[cfg(test)]
pub(crate) mod tests;
