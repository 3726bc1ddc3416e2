//! Opening a log: find its end, cut off what a crash left, refuse what no crash leaves (S2, S3).

use super::chain::Chain;
use super::checkpoint::{self, Checkpoint};
use super::log::{Live, Log, Shelf, wal};
use super::segment::{self, Start};
use super::superblock::{Mark, Superblock, Superblocks};
use super::tail::{self, Survey};
use super::{Config, Corrupt, Cut, Error, Head, LogId, Queue, Upkeep, Wal, archive};
use crate::clock::{Clock, Resumed};
use crate::disk::{Access, AlignedBuf, BLOCK, SharedDisk};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// An open log, and what opening it showed. The directory stays locked while there is a handle on it.
pub struct Opened<L = Wal> {
    /// The handle for readers, cursors, checkpoints and health.
    pub log: Arc<Log>,
    /// Writes frames. For [`super::GroupCommit`].
    pub wal: L,
    /// Next segments, archive, reuse. For [`super::LogThread`], or to be stepped.
    pub upkeep: Upkeep,
    /// Takes records. The actors' `Journal`.
    pub queue: Arc<Queue>,
    /// Where the log ended.
    pub head: Head,
    /// What was cut off, if anything (S3).
    pub cut: Option<Cut>,
    /// The newest checkpoint; its cursors are kept already.
    pub checkpoint: Option<Checkpoint>,
    /// Checkpoint files that are damaged; an older one or the whole log stands in.
    pub damaged_checkpoints: Vec<PathBuf>,
    /// The log was closed cleanly last time.
    pub was_clean: bool,
    /// How the wall clock compared with the log.
    pub clock: Resumed,
}

impl<L> Opened<L> {
    /// The same log with another writer, which goes on from what is the head by now.
    #[must_use]
    pub fn with_writer<W>(self, writer: impl FnOnce(L) -> W) -> Opened<W> {
        let head = self.log.head();
        let queue = match head == self.head {
            true => self.queue,
            false => Arc::new(Queue::new(head.position, &self.log.config, self.log.vitals.clone())),
        };
        Opened {
            wal: writer(self.wal),
            upkeep: self.upkeep,
            queue,
            head,
            cut: self.cut,
            checkpoint: self.checkpoint,
            damaged_checkpoints: self.damaged_checkpoints,
            was_clean: self.was_clean,
            clock: self.clock,
            log: self.log,
        }
    }
}

/// A log that is read and not written, for `verify`. It stays locked while there is a handle on it.
pub struct Inspected {
    /// The handle for readers.
    pub log: Arc<Log>,
    /// What the next start will cut off.
    pub cut: Option<Cut>,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Checkpoint files that are damaged.
    pub damaged_checkpoints: Vec<PathBuf>,
    /// The log was closed cleanly last time.
    pub was_clean: bool,
}

impl Wal {
    /// Opens the log in `dir`, or begins one. Engine time resumes after the last logged time.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Corrupt`] when it is damaged, or what the disk says.
    pub fn open(disk: &SharedDisk, dir: &Path, config: Config, clock: &dyn Clock) -> Result<Opened, Error> {
        check(&config)?;
        for folder in [dir.to_owned(), wal(dir), archive::folder(dir), dir.join("checkpoint")] {
            disk.create_dir(&folder).map_err(Error::io("create", &folder))?;
        }
        disk.refuse_network(dir).map_err(Error::io("use", dir))?;
        disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        sync_parent(disk, dir)?;
        let mut found = examine(disk, dir, config.log_id)?;
        set_aside(disk, dir, &mut found.shelf)?;
        if let Some(dirt) = &found.survey.dirt {
            tail::clean(disk, &dirt.cut.file, dirt.cut.offset, dirt.end)?;
        }
        let was_clean = found.superblocks.now().clean.is_some();
        let epoch = 1 + found.superblocks.highest_epoch().max(found.survey.head.epoch);
        let newest = found.shelf.live.last_key_value().map_or(0, |(&number, _)| number);
        let first_live = found.shelf.live.first_key_value().map_or(1, |(&number, _)| number);
        let checkpoint = found.shelf.checkpoint;
        let head = found.survey.head;
        let log = Arc::new(Log::new(disk.clone(), dir.to_owned(), config, found.superblocks, head, found.shelf));
        log.update(|superblock| {
            *superblock = Superblock { epoch, first_live, newest, checkpoint, clean: None, ..*superblock };
        })?;
        log.vitals.epoch.store(epoch, Relaxed);
        log.vitals.cuts.store(u64::from(found.survey.dirt.is_some()), Relaxed);
        log.shelf.lock().publish(&log.vitals);
        let mut wal = Wal::new(Arc::clone(&log), epoch, found.survey.offset, was_clean)?;
        if newest == 0 && !wal.roll()? {
            return Err(Error::io("begin a log in", dir)(ErrorKind::StorageFull.into()));
        }
        let queue = Arc::new(Queue::new(head.position, &log.config, log.vitals.clone()));
        Ok(Opened {
            wal,
            upkeep: Upkeep::new(log.clone()),
            queue,
            head,
            cut: found.survey.dirt.map(|dirt| dirt.cut),
            checkpoint: found.checkpoints.newest,
            damaged_checkpoints: found.checkpoints.damaged,
            was_clean,
            clock: clock.resume(head.at),
            log,
        })
    }
}

impl Log {
    /// Opens the log in `dir` for reading only. It must not be in use.
    ///
    /// # Errors
    /// As [`Wal::open`]; also when there is no log.
    pub fn inspect(disk: &SharedDisk, dir: &Path) -> Result<Inspected, Error> {
        let superblock = dir.join("superblock.0");
        disk.inode(&superblock).map_err(Error::io("open", &superblock))?;
        let found = examine(disk, dir, None)?;
        let was_clean = found.superblocks.now().clean.is_some();
        let head = found.survey.head;
        let log = Log::new(disk.clone(), dir.to_owned(), Config::default(), found.superblocks, head, found.shelf);
        Ok(Inspected {
            log: Arc::new(log),
            cut: found.survey.dirt.map(|dirt| dirt.cut),
            checkpoint: found.checkpoints.newest,
            damaged_checkpoints: found.checkpoints.damaged,
            was_clean,
        })
    }
}

/// The directory's own name must be as durable as what is acknowledged in it.
fn sync_parent(disk: &SharedDisk, dir: &Path) -> Result<(), Error> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    let parent = if parent == Path::new("") { Path::new(".") } else { parent };
    match disk.sync_dir(parent) {
        // Who may not read it has not made our directory either: it was there before.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        other => other.map_err(Error::io("sync", parent)),
    }
}

fn check(config: &Config) -> Result<(), Error> {
    let block = BLOCK as u64;
    if !config.segment_bytes.is_multiple_of(block)
        || config.segment_bytes < block + 4 * config.frame_bytes.max(BLOCK) as u64
    {
        return Err(Error::Config("a segment must be whole blocks of 4 KiB and hold four frames"));
    }
    if config.frame_bytes == 0 {
        return Err(Error::Config("a frame must be allowed some bytes"));
    }
    if config.queue_records == 0 || config.queue_events == 0 {
        return Err(Error::Config("the queue in front of the log must hold something"));
    }
    Ok(())
}

/// A roll that was not finished leaves a file of the name that the next roll will give. Under that name it must not wait
/// to be zeroed and used again: the next segment would be zeroed in its place.
fn set_aside(disk: &SharedDisk, dir: &Path, shelf: &mut Shelf) -> Result<(), Error> {
    let newest = shelf.live.last_key_value().map_or(0, |(&number, _)| number);
    let is_next = |path: &PathBuf| {
        let number = path.file_name().and_then(|name| segment::number_of(name.to_str()?));
        number.is_some_and(|number| number > newest)
    };
    let (unfinished, mut scrap): (Vec<_>, Vec<_>) = std::mem::take(&mut shelf.scrap).into_iter().partition(is_next);
    for path in unfinished {
        let aside = shelf.spare_path(dir);
        disk.rename(&path, &aside).map_err(Error::io("rename", &path))?;
        scrap.push(aside);
    }
    shelf.scrap = scrap;
    Ok(())
}

/// A log as it lies there.
struct Examined {
    superblocks: Superblocks,
    shelf: Shelf,
    survey: Survey,
    checkpoints: checkpoint::Loaded,
}

fn examine(disk: &SharedDisk, dir: &Path, fresh: Option<LogId>) -> Result<Examined, Error> {
    let folder = wal(dir);
    let names = disk.list(&folder).map_err(Error::io("list", &folder))?;
    let numbers: Vec<u64> = names.iter().filter_map(|name| segment::number_of(name)).collect();
    let used = !numbers.is_empty() || !archive::numbers(disk, dir)?.is_empty();
    let fresh = fresh.unwrap_or_else(|| LogId(rand::random()));
    let superblocks = Superblocks::open(disk, dir, fresh, used)?;
    let mut facts = superblocks.now();
    pass_reused(disk, dir, &mut facts)?;
    let mut live = starts(disk, &folder, &facts)?;
    let survey = tail::survey(disk, &folder, &facts, &mut live)?;
    let checkpoints = checkpoint::load(disk, dir, facts.log)?;
    if let Some(newest) = checkpoints.newest.as_ref().filter(|newest| newest.seq > survey.head.seq) {
        let what = format!("a checkpoint covers frame {}, and the log ends before", newest.seq);
        return Err(Corrupt { file: folder, offset: 0, seq: survey.head.seq + 1, what }.into());
    }
    let newest = live.last_key_value().map_or(0, |(&number, _)| number);
    for number in numbers.into_iter().filter(|&number| number > newest) {
        if tail::unknown_next(disk, &folder, &facts, number)?.is_some() {
            let what = "a segment with frames that the superblock does not know".to_owned();
            let file = folder.join(segment::file_name(number));
            return Err(Corrupt { file, offset: 0, seq: survey.head.seq + 1, what }.into());
        }
    }
    let left_over = names.iter().filter(|name| match segment::number_of(name) {
        Some(number) => !live.contains_key(&number),
        None => name.starts_with("spare."),
    });
    let shelf = Shelf {
        scrap: left_over.map(|name| folder.join(name)).collect(),
        live: live.into_iter().map(|(number, start)| (number, Live { start, archived: false })).collect(),
        checkpoint: facts.checkpoint,
        checkpoints: checkpoints.listed.clone(),
        next_spare: 1 + names.iter().filter_map(|name| name.strip_prefix("spare.")?.parse().ok()).max().unwrap_or(0),
        ..Shelf::new(checkpoints.newest.as_ref().map(|newest| newest.cursors.clone()).unwrap_or_default())
    };
    Ok(Examined { superblocks, shelf, survey, checkpoints })
}

/// When the newer copy of the superblock is lost, the older one may call a segment the first that has been reused since.
/// Its archive then proves that it is not missing, and that a checkpoint covered it.
fn pass_reused(disk: &SharedDisk, dir: &Path, facts: &mut Superblock) -> Result<(), Error> {
    while facts.first_live < facts.newest {
        let path = wal(dir).join(segment::file_name(facts.first_live));
        match disk.inode(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            other => return other.map(drop).map_err(Error::io("look at", &path)),
        }
        let Some(archive) = archive::open(disk, dir, facts.log, facts.first_live)? else { return Ok(()) };
        let end = archive.summary.end;
        facts.first_live += 1;
        if facts.checkpoint.seq < end.seq {
            facts.checkpoint = Mark { seq: end.seq, hash: end.hash };
        }
    }
    Ok(())
}

/// The first blocks of all live segments; each must be there, whole, as long as it says, and follow the one before.
fn starts(disk: &SharedDisk, folder: &Path, facts: &Superblock) -> Result<BTreeMap<u64, Start>, Error> {
    let mut live: BTreeMap<u64, Start> = BTreeMap::new();
    let mut before = Head::default();
    for number in facts.first_live..=facts.newest {
        let path = folder.join(segment::file_name(number));
        let corrupt =
            |what: &str| Corrupt { file: path.clone(), offset: 0, seq: before.seq + 1, what: what.to_owned() };
        let start = read_start(disk, &path, facts.log, number)?.map_err(corrupt)?;
        if start.before.seq < before.seq || start.before.position < before.position {
            return Err(corrupt("the segment does not follow the one before").into());
        }
        before = start.before;
        live.insert(number, start);
    }
    Ok(live)
}

/// A segment's first block, or what is wrong with the segment.
pub(super) fn read_start(
    disk: &SharedDisk,
    path: &Path,
    log: LogId,
    number: u64,
) -> Result<Result<Start, &'static str>, Error> {
    let file = match disk.open(path, Access::Direct) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err("the segment is missing")),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let len = file.len().map_err(Error::io("look at", path))?;
    if len < BLOCK as u64 {
        return Ok(Err("the segment is too short"));
    }
    let mut block = AlignedBuf::zeroed(BLOCK);
    file.read_at(0, &mut block).map_err(Error::io("read", path))?;
    Ok(match Start::read(&block) {
        Some(start) if start.log != log || start.number != number => Err("the segment is another one"),
        Some(start) if start.size != len => Err("the segment is too short"),
        Some(start) => Ok(start),
        None => Err("the segment's first block is damaged"),
    })
}

/// Where the chain of a log begins that has `facts` and these segments: at or before the checkpoint.
pub(super) fn first_chain(facts: &Superblock, live: &BTreeMap<u64, Start>) -> Option<(u64, Chain)> {
    let before_checkpoint = |start: &&Start| start.before.seq <= facts.checkpoint.seq;
    live.values().rev().find(before_checkpoint).map(|start| (start.number, Chain::at(start)))
}
