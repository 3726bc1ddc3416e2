//! Writes frames into segments, one after the other: the embedded [`CommitLog`].

use super::log::{Live, Log, wal};
use super::segment::{FIRST_FRAME, Start, file_name};
use super::{CommitLog, Error, FrameBody, Head, LogId, Outcome, frame};
use crate::disk::{Access, BLOCK, File};
use stampede_actors::mutant::Mutant;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The writing end of an open log. There is one.
pub struct Wal {
    pub(super) log: Arc<Log>,
    epoch: u64,
    /// The segment being written; `None` in a log without any.
    pub(super) segment: Option<Segment>,
    /// The log was closed cleanly before this opening.
    was_clean: bool,
    /// No frame may be written any more.
    ended: bool,
}

pub(super) struct Segment {
    pub number: u64,
    pub size: u64,
    pub file: Box<dyn File>,
    pub path: PathBuf,
    /// Where the next frame goes.
    pub offset: u64,
}

impl Wal {
    /// The writer of `log`, whose newest segment is written up to `offset`.
    pub(super) fn new(log: Arc<Log>, epoch: u64, offset: u64, was_clean: bool) -> Result<Wal, Error> {
        let newest = log.shelf.lock().live.last_key_value().map(|(_, live)| live.start);
        let segment = match newest {
            Some(start) => {
                let path = log.segment_path(start.number);
                let file = lock(&log, &path)?;
                Some(Segment { number: start.number, size: start.size, file, path, offset })
            }
            None => None,
        };
        Ok(Wal { log, epoch, segment, was_clean, ended: false })
    }

    /// Begins the next segment. `false`: there is no room for one now.
    pub(super) fn roll(&mut self) -> Result<bool, Error> {
        let Some(spare) = self.spare()? else { return Ok(false) };
        let number = self.segment.as_ref().map_or(1, |segment| segment.number + 1);
        let file = lock(&self.log, &spare)?;
        let size = file.len().map_err(Error::io("look at", &spare))?;
        let start = Start { log: self.log.id(), number, size, before: self.log.head() };
        file.write_synced(0, &start.write()).map_err(Error::io("write", &spare))?;
        let (folder, path) = (wal(&self.log.dir), self.log.segment_path(number));
        debug_assert!(path.ends_with(file_name(number)));
        self.log.disk.rename(&spare, &path).map_err(Error::io("rename", &spare))?;
        self.log.disk.sync_dir(&folder).map_err(Error::io("sync", &folder))?;
        // From here on a start demands this segment (S3). Also looks whether the log is still ours (S8).
        self.log.update(|superblock| superblock.newest = number)?;
        {
            let mut shelf = self.log.shelf.lock();
            shelf.live.insert(number, Live { start, archived: false });
            shelf.publish(&self.log.vitals);
        }
        self.segment = Some(Segment { number, size, file, path, offset: FIRST_FRAME });
        self.log.vitals.rolls.fetch_add(1, Relaxed);
        self.log.ring();
        Ok(true)
    }

    /// A preallocated file; made here when upkeep has not come round to it.
    fn spare(&self) -> Result<Option<PathBuf>, Error> {
        let path = {
            let mut shelf = self.log.shelf.lock();
            if let Some(spare) = shelf.spares.pop() {
                shelf.publish(&self.log.vitals);
                return Ok(Some(spare));
            }
            shelf.spare_path(&self.log.dir)
        };
        match self.log.disk.preallocate(&path, self.log.config.segment_bytes) {
            Ok(()) => Ok(Some(path)),
            Err(error) if is_full(&error) => {
                // What was made of it takes space that somebody else could use.
                let _ = self.log.disk.remove(&path);
                let mut shelf = self.log.shelf.lock();
                shelf.no_space = true;
                shelf.publish(&self.log.vitals);
                Ok(None)
            }
            Err(error) => Err(Error::io("preallocate", &path)(error)),
        }
    }

    pub(super) fn stop(&mut self, error: Error) -> Outcome {
        self.ended = true;
        let outcome = match error {
            Error::Fenced(why) => Outcome::Fenced(why),
            other => Outcome::Unknown(other.to_string()),
        };
        self.log.fail(outcome.clone());
        outcome
    }
}

/// Opens a segment for writing. Its lock keeps out a second process even where somebody deleted the superblocks (S8).
fn lock(log: &Log, path: &Path) -> Result<Box<dyn File>, Error> {
    let file = log.disk.open(path, Access::Direct).map_err(Error::io("open", path))?;
    match file.try_lock().map_err(Error::io("lock", path))? {
        true => Ok(file),
        false => Err(Error::Locked(path.to_owned())),
    }
}

/// Is this "no space left"?
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl CommitLog for Wal {
    fn log_id(&self) -> LogId {
        self.log.id()
    }

    fn head(&self) -> Head {
        self.log.head()
    }

    fn sealed(&self) -> bool {
        self.was_clean || self.log.head().seq == 0
    }

    fn make_room(&mut self, bytes: usize) -> Result<bool, Outcome> {
        let bytes = bytes as u64;
        if self.segment.as_ref().is_some_and(|segment| segment.offset + bytes <= segment.size) {
            return Ok(true);
        }
        if FIRST_FRAME + bytes > self.log.config.segment_bytes {
            return Err(self.stop(Error::Config("a record is larger than a segment")));
        }
        self.roll().map_err(|error| self.stop(error))
    }

    fn commit(&mut self, body: &mut FrameBody) -> Outcome {
        assert!(!self.ended, "a frame after the log has stopped");
        if let Some(outcome) = self.log.failure() {
            self.ended = true;
            return outcome;
        }
        let head = self.log.head();
        let segment = self.segment.as_mut().expect("make_room has begun a segment");
        assert!(segment.offset + body.frame_len() as u64 <= segment.size, "make_room was not asked");
        let (seq, at, position) = (head.seq + 1, body.at(), body.last());
        let place =
            frame::Place { log: self.log.id(), segment: segment.number, epoch: self.epoch, seq, prev: head.hash };
        let (bytes, hash) = body.seal(place);
        debug_assert!(bytes.len().is_multiple_of(BLOCK));
        let written = bytes.len() as u64;
        let delay = Duration::from_micros(u64::try_from(self.log.sync_delay().0).unwrap_or(0));
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let outcome = match Mutant::Sync.is_off() {
            false => segment.file.write_synced(segment.offset, bytes),
            true => segment.file.write_at(segment.offset, bytes),
        };
        if let Err(error) = outcome {
            let error = Error::io("write", &segment.path)(error);
            return self.stop(error);
        }
        segment.offset += written;
        self.log.vitals.bytes.fetch_add(written, Relaxed);
        self.log.moved_to(Head { seq, hash, position, at, epoch: self.epoch });
        Outcome::Committed { seq, hash }
    }

    fn close(&mut self) -> Result<(), Outcome> {
        assert!(!self.ended, "the log has stopped already");
        self.ended = true;
        if let Some(outcome) = self.log.failure() {
            return Err(outcome);
        }
        let head = self.log.head();
        let mark = super::superblock::Mark { seq: head.seq, hash: head.hash };
        // Both copies, so that one damaged block does not turn a clean stop into a crash.
        for _ in 0..2 {
            self.log.update(|superblock| superblock.clean = Some(mark)).map_err(|error| self.stop(error))?;
        }
        Ok(())
    }
}
