//! Beside the writer: preallocates the next segments, archives full ones, reuses them, lets old archives go. Failures here
//! stop nothing by themselves; they are counted and tried again.

use super::log::{Live, Log, RESERVE, Shelf, wal};
use super::wal::is_full;
use super::{Error, Head, archive, checkpoint};
use stampede_actors::time::Timestamp;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Segments to have ready: one to roll into, and the reserve (S7).
const READY: usize = 1 + RESERVE;

/// Does one chore at a time: stepped by a thread, or by a test.
pub struct Upkeep {
    log: Arc<Log>,
}

impl Upkeep {
    pub(super) fn new(log: Arc<Log>) -> Upkeep {
        Upkeep { log }
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Does the most urgent chore. `false`: there is none.
    ///
    /// # Errors
    /// What the disk says, or damage of a segment that was to be archived. Trying again later is right in every case; a
    /// log that must stop has been told.
    pub fn step(&mut self, now: Timestamp) -> Result<bool, Error> {
        let done = self.chore(now);
        if done.is_err() {
            self.log.vitals.upkeep_failures.fetch_add(1, Relaxed);
        }
        done
    }

    fn chore(&mut self, now: Timestamp) -> Result<bool, Error> {
        let prepared = self.look_at_space().and_then(|roomy| self.prepare(roomy));
        if matches!(prepared, Ok(true)) {
            return Ok(true);
        }
        // Without space for a new file, what is done with an old one may make some.
        if self.reuse()? || self.archive()? || self.let_go(now)? { Ok(true) } else { prepared }
    }

    /// Shuts intake while there is less space than is to be left to others. Says whether there is a segment's worth on
    /// top of it.
    fn look_at_space(&self) -> Result<bool, Error> {
        let log = &self.log;
        if log.config.keep_free == 0 {
            return Ok(true);
        }
        let free = log.disk.free_space(&log.dir).map_err(Error::io("measure the space of", &log.dir))?;
        let mut shelf = log.shelf.lock();
        shelf.low = free < log.config.keep_free;
        shelf.publish(&log.vitals);
        Ok(free >= log.config.keep_free.saturating_add(log.config.segment_bytes))
    }

    /// Zeroes a file for the next segments, an old one before a new one, which needs a `roomy` disk.
    fn prepare(&self, roomy: bool) -> Result<bool, Error> {
        let log = &self.log;
        let (old, spare) = {
            let mut shelf = log.shelf.lock();
            let enough = shelf.spares.len() >= READY;
            match shelf.scrap.pop() {
                Some(old) if enough => return archive::remove_if_there(&log.disk, &old).map(|()| true),
                None if enough => return Ok(false),
                old => (old, shelf.spare_path(&log.dir)),
            }
        };
        match old {
            Some(old) => log.disk.rename(&old, &spare).map_err(Error::io("rename", &old))?,
            None if !roomy => {
                let mut shelf = log.shelf.lock();
                shelf.no_space = true;
                shelf.publish(&log.vitals);
                return Err(Error::io("preallocate", &spare)(ErrorKind::StorageFull.into()));
            }
            None => {}
        }
        let made = log.disk.preallocate(&spare, log.config.segment_bytes);
        let full = made.as_ref().is_err_and(is_full);
        if made.is_err() {
            // What was made of it takes space that somebody else could use.
            archive::remove_if_there(&log.disk, &spare)?;
        }
        let mut shelf = log.shelf.lock();
        shelf.no_space = full;
        if made.is_ok() {
            shelf.spares.push(spare.clone());
        }
        shelf.publish(&log.vitals);
        made.map(|()| true).map_err(Error::io("preallocate", &spare))
    }

    /// Archives the oldest full segment that is not yet.
    fn archive(&self) -> Result<bool, Error> {
        let oldest = self.log.shelf.lock().full().into_iter().find(|(live, _)| !live.archived);
        let Some((Live { start, .. }, end)) = oldest else { return Ok(false) };
        // One that was made before will do, once its name is durable. A damaged one is made again: the segment is there.
        if matches!(archive::verify(&self.log, &start, &end), Ok(true)) {
            archive::name_anew(&self.log, start.number)?;
        } else {
            archive::write(&self.log, &start, &end)?;
            if !archive::verify(&self.log, &start, &end)? {
                let lost = std::io::Error::other("an archive that was just written is not there");
                return Err(Error::io("archive", &self.log.segment_path(start.number))(lost));
            }
        }
        if let Some(live) = self.log.shelf.lock().live.get_mut(&start.number) {
            live.archived = true;
        }
        self.log.vitals.archived.fetch_add(1, Relaxed);
        Ok(true)
    }

    /// Takes the oldest segment out of use when nobody needs it any more: archived, behind the checkpoint and behind
    /// every cursor (S6).
    fn reuse(&self) -> Result<bool, Error> {
        let number = {
            let shelf = self.log.shelf.lock();
            match shelf.full().first() {
                Some((live, end)) if live.archived && shelf.is_done_with(live.start.number, end) => live.start.number,
                _ => return Ok(false),
            }
        };
        self.log.update(|superblock| superblock.first_live = number + 1)?;
        let mut shelf = self.log.shelf.lock();
        shelf.live.remove(&number);
        shelf.scrap.push(self.log.segment_path(number));
        shelf.publish(&self.log.vitals);
        Ok(true)
    }

    /// Deletes the oldest archive when it is old enough, two full checkpoint files cover it, and no cursor needs it, wherever
    /// it would begin again: the log opens with the newest checkpoint file that is whole (S4, S6).
    fn let_go(&self, now: Timestamp) -> Result<bool, Error> {
        let Some(age) = self.log.config.archive_max_age else { return Ok(false) };
        let Some(&number) = archive::numbers(&self.log.disk, &self.log.dir)?.first() else { return Ok(false) };
        let Some(oldest) = archive::open(&self.log.disk, &self.log.dir, self.log.id(), number)? else {
            return Ok(false);
        };
        let end = oldest.summary.end;
        {
            let shelf = self.log.shelf.lock();
            let covered = checkpoint::fully_covered(&shelf.checkpoints).is_some_and(|seq| end.seq <= seq);
            let needed = shelf.live.contains_key(&number)
                || !shelf.is_done_with(number, &end)
                || shelf.checkpoints.iter().any(|listed| listed.cursors.values().any(|cursor| *cursor < end.position));
            if !covered || needed || now.since(end.at) <= age {
                return Ok(false);
            }
        }
        archive::remove(&self.log.disk, &self.log.dir, number)?;
        Ok(true)
    }
}

impl Shelf {
    /// A name for a new spare.
    pub(super) fn spare_path(&mut self, dir: &Path) -> PathBuf {
        let number = self.next_spare;
        self.next_spare += 1;
        wal(dir).join(format!("spare.{number}"))
    }

    /// Segments that will not be written any more, oldest first, with their last frames.
    fn full(&self) -> Vec<(Live, Head)> {
        self.live.values().zip(self.live.values().skip(1)).map(|(live, next)| (*live, next.start.before)).collect()
    }

    /// Behind the checkpoint, and behind every cursor and reader?
    fn is_done_with(&self, number: u64, end: &Head) -> bool {
        end.seq <= self.checkpoint.seq && self.passed(number, end)
    }
}
