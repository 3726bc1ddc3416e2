//! What the log's parts share, and the handle for everybody else: readers, cursors, checkpoints, health.

use super::checkpoint::{self, Checkpoint, Entities};
use super::reader::Reader;
use super::segment::{self, Start};
use super::superblock::{Mark, Superblock, Superblocks};
use super::{Config, Error, Head, Health, LogId, Outcome, Vitals};
use crate::disk::SharedDisk;
use parking_lot::{Condvar, Mutex};
use stampede_actors::record::Position;
use stampede_actors::time::Span;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Preallocated segments that only settlement may use up (S7).
pub const RESERVE: usize = 2;

/// The handle on an open log.
pub struct Log {
    pub(super) disk: SharedDisk,
    pub(super) dir: PathBuf,
    pub(super) config: Config,
    pub(super) vitals: Arc<Vitals>,
    id: LogId,
    tip: Mutex<Head>,
    superblocks: Mutex<Superblocks>,
    pub(super) shelf: Mutex<Shelf>,
    failed: OnceLock<Outcome>,
    /// Microseconds that every sync is slower on purpose.
    sync_delay: AtomicI64,
    /// Rung when there may be something to do for upkeep.
    chores: (Mutex<bool>, Condvar),
}

/// Which segments there are, and who still needs them.
#[derive(Default)]
pub(super) struct Shelf {
    /// Segments in `wal/` that are not reused yet, by number; the last is being written.
    pub live: BTreeMap<u64, Live>,
    /// Zeroed and synced, ready to be the next.
    pub spares: Vec<PathBuf>,
    /// Files of earlier uses, to be zeroed.
    pub scrap: Vec<PathBuf>,
    /// Number of the next spare's name.
    pub next_spare: u64,
    /// The last try to preallocate failed.
    pub no_space: bool,
    /// Others on this disk have less space than is to be left to them.
    pub low: bool,
    /// Last frame that the newest checkpoint covers.
    pub checkpoint: Mark,
    /// Checkpoint files, oldest first.
    pub checkpoints: Vec<checkpoint::Listed>,
    /// Durable cursors by name: the last position that each has dealt with.
    pub cursors: BTreeMap<String, Position>,
    /// Segment that each reader is in.
    pub readers: BTreeMap<u64, u64>,
    pub next_reader: u64,
}

/// A segment in `wal/`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    pub start: Start,
    /// Its archive is synced and was read back.
    pub archived: bool,
}

impl Log {
    pub(super) fn new(
        disk: SharedDisk,
        dir: PathBuf,
        config: Config,
        superblocks: Superblocks,
        head: Head,
        shelf: Shelf,
    ) -> Log {
        let id = superblocks.now().log;
        let (tip, superblocks) = (Mutex::new(head), Mutex::new(superblocks));
        let vitals = Arc::new(Vitals::default());
        let (failed, chores) = (OnceLock::new(), (Mutex::new(true), Condvar::new()));
        let sync_delay = AtomicI64::new(config.sync_delay.0);
        Log { disk, dir, config, vitals, id, tip, superblocks, shelf: Mutex::new(shelf), failed, sync_delay, chores }
    }

    /// How much slower every sync is made on purpose.
    #[must_use]
    pub fn sync_delay(&self) -> Span {
        Span(self.sync_delay.load(Relaxed))
    }

    /// Makes every sync so much slower from now on. For tests and drills.
    pub fn set_sync_delay(&self, delay: Span) {
        self.sync_delay.store(delay.0, Relaxed);
    }

    /// Which log.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.id
    }

    /// The last committed frame.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.tip.lock()
    }

    /// How the log is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        self.vitals.health()
    }

    /// The counters behind [`Log::health`], for a [`super::Queue`].
    #[must_use]
    pub fn vitals(&self) -> Arc<Vitals> {
        self.vitals.clone()
    }

    /// Reads committed frames from the one that holds `position` on, from archive and live segments. While the reader
    /// lives, no segment is reused that it has not passed.
    ///
    /// # Errors
    /// [`Error::Gone`] when the archive of `position` was deleted; damage; what the disk says.
    pub fn read_from(self: &Arc<Log>, position: Position) -> Result<Reader, Error> {
        Reader::new(self.clone(), position)
    }

    /// Says that the durable cursor `name` has dealt with everything up to `position`: what comes after it is kept
    /// (S6). A cursor counts from the first time that it is named here or in the checkpoint that the log opened with.
    pub fn keep(&self, name: &str, position: Position) {
        self.shelf.lock().cursors.insert(name.to_owned(), position);
        self.ring();
    }

    /// Takes a cursor away for good: nothing is kept for it any more.
    pub fn forget(&self, name: &str) {
        self.shelf.lock().cursors.remove(name);
        self.ring();
    }

    /// The durable cursors as last told.
    #[must_use]
    pub fn cursors(&self) -> BTreeMap<String, Position> {
        self.shelf.lock().cursors.clone()
    }

    /// Writes a checkpoint file and lets the log start from there next time. Call it after the store's sync (S4). With
    /// `entities` (key and state of every entity at that frame) it is a full one, which archived segments may be
    /// deleted for, and no plain one of the same frame takes its place.
    ///
    /// # Errors
    /// What the disk says; the old checkpoints then hold.
    ///
    /// # Panics
    /// When the checkpoint is of a frame that is not committed.
    pub fn checkpoint(&self, checkpoint: &Checkpoint, entities: Option<Entities<'_>>) -> Result<(), Error> {
        let tip = self.head();
        assert!(checkpoint.seq <= tip.seq, "a checkpoint of a frame that is not committed: {checkpoint:?}, {tip:?}");
        let is_full = |known: &checkpoint::Listed| known.full && known.seq == checkpoint.seq;
        if entities.is_none() && self.shelf.lock().checkpoints.iter().any(is_full) {
            // It says the same and more, and a file of the same frame would take its place.
            self.ring();
            return Ok(());
        }
        let listed = checkpoint::write(&self.disk, &self.dir, self.id, checkpoint, entities)?;
        let mark = Mark { seq: checkpoint.seq, hash: checkpoint.hash };
        // Never back: segments that the newer one covers may be gone.
        let is_newer = mark.seq >= self.shelf.lock().checkpoint.seq;
        if is_newer {
            self.update(|superblock| superblock.checkpoint = mark)?;
        }
        let surplus = {
            let mut shelf = self.shelf.lock();
            shelf.checkpoint = if is_newer { mark } else { shelf.checkpoint };
            shelf.checkpoints.retain(|known| known.seq != listed.seq);
            shelf.checkpoints.push(listed);
            checkpoint::surplus(&mut shelf.checkpoints)
        };
        for old in surplus {
            checkpoint::remove(&self.disk, &self.dir, old)?;
        }
        self.ring();
        Ok(())
    }

    /// The entities of a full checkpoint file; `None` when it has none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn entities(&self, checkpoint: &Checkpoint) -> Result<Option<checkpoint::EntityReader>, Error> {
        checkpoint::entities(&self.disk, &self.dir, self.id, checkpoint.seq)
    }

    /// The entities of the newest full checkpoint file; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn newest_entities(&self) -> Result<Option<checkpoint::EntityReader>, Error> {
        let full = self.shelf.lock().checkpoints.iter().rev().find(|listed| listed.full).map(|listed| listed.seq);
        full.map_or(Ok(None), |seq| checkpoint::entities(&self.disk, &self.dir, self.id, seq))
    }

    /// The epoch of this opening, where it is given by somebody else than the superblock.
    pub fn set_epoch(&self, epoch: u64) {
        self.vitals.epoch.store(epoch, std::sync::atomic::Ordering::Relaxed);
    }

    /// The oldest segment that checkpoint, cursors or readers still need.
    #[must_use]
    pub fn first_live(&self) -> u64 {
        self.shelf.lock().live.first_key_value().map_or(0, |(&number, _)| number)
    }

    /// Changes the superblock. When that fails, no frame will be committed any more.
    pub(super) fn update(&self, change: impl FnOnce(&mut Superblock)) -> Result<(), Error> {
        let done = self.superblocks.lock().update(change);
        if let Err(error) = &done {
            self.fail(match error {
                Error::Fenced(why) => Outcome::Fenced(why.clone()),
                other => Outcome::Unknown(other.to_string()),
            });
        }
        done
    }

    pub(super) fn fail(&self, outcome: Outcome) {
        // The first reason is the one to tell.
        let _ = self.failed.set(outcome);
    }

    /// Why no frame may be committed any more, if so.
    pub(super) fn failure(&self) -> Option<Outcome> {
        self.failed.get().cloned()
    }

    pub(super) fn moved_to(&self, head: Head) {
        *self.tip.lock() = head;
    }

    pub(super) fn segment_path(&self, number: u64) -> PathBuf {
        wal(&self.dir).join(segment::file_name(number))
    }

    pub(super) fn reader_in(&self, segment: u64) -> u64 {
        let mut shelf = self.shelf.lock();
        shelf.next_reader += 1;
        let reader = shelf.next_reader;
        shelf.readers.insert(reader, segment);
        reader
    }

    pub(super) fn reader_moved(&self, reader: u64, segment: Option<u64>) {
        let mut shelf = self.shelf.lock();
        match segment {
            Some(segment) => shelf.readers.insert(reader, segment),
            None => shelf.readers.remove(&reader),
        };
        drop(shelf);
        self.ring();
    }

    /// Wakes upkeep.
    pub fn ring(&self) {
        *self.chores.0.lock() = true;
        self.chores.1.notify_one();
    }

    /// Sleeps until somebody rings, at most `longest`.
    pub(super) fn wait_for_chores(&self, longest: Duration) {
        let mut rung = self.chores.0.lock();
        if !*rung {
            self.chores.1.wait_for(&mut rung, longest);
        }
        *rung = false;
    }
}

impl Shelf {
    pub(super) fn new(cursors: BTreeMap<String, Position>) -> Shelf {
        Shelf { cursors, ..Shelf::default() }
    }

    /// May a segment that ended so be reused or its archive deleted, for all that cursors and readers need (S6)?
    pub(super) fn passed(&self, number: u64, end: &Head) -> bool {
        self.cursors.values().all(|cursor| end.position <= *cursor) && self.readers.values().all(|at| number < *at)
    }

    /// Tells queue and health how much room there is (S7).
    pub(super) fn publish(&self, vitals: &Vitals) {
        vitals.spares.store(self.spares.len() as u64, Relaxed);
        vitals.live.store(self.live.len() as u64, Relaxed);
        vitals.intake_shut.store(self.low || (self.no_space && self.spares.len() <= RESERVE), Relaxed);
        vitals.settle_shut.store(self.no_space && self.spares.is_empty(), Relaxed);
    }
}

/// Where segments are.
pub(super) fn wal(dir: &Path) -> PathBuf {
    dir.join("wal")
}
