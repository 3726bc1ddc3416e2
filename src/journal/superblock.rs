//! Two copies of the few facts that the log itself cannot prove: who opens it (epoch), up to where it must reach (newest
//! segment, checkpoint, head of a clean stop), and from where on it is kept. Written alternately, so that one is always
//! whole; locked for as long as the log is open (S8).

use super::frame::{Fields, crc};
use super::{Corrupt, Error, Hash, LogId, Seq};
use crate::disk::{Access, AlignedBuf, BLOCK, File, SharedDisk};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const MAGIC: u32 = u32::from_le_bytes(*b"SPSB");
const VERSION: u16 = 1;
const NAMES: [&str; 2] = ["superblock.0", "superblock.1"];

/// A frame, by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mark {
    /// Its number.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
}

/// The facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Superblock {
    /// Which log.
    pub log: LogId,
    /// Counts the writes: the copy with the higher number holds.
    pub generation: u64,
    /// Of the last opening.
    pub epoch: u64,
    /// First segment that is in `wal/` and not reused yet.
    pub first_live: u64,
    /// Last segment begun; 0: none.
    pub newest: u64,
    /// Last frame that the store and a checkpoint file cover.
    pub checkpoint: Mark,
    /// The head at the last clean stop; `None` while the log is open, and after a crash.
    pub clean: Option<Mark>,
}

impl Superblock {
    fn write(&self) -> AlignedBuf {
        let mut block = AlignedBuf::with_capacity(BLOCK);
        block.extend(&MAGIC.to_le_bytes());
        block.extend(&VERSION.to_le_bytes());
        block.extend(&u16::from(self.clean.is_some()).to_le_bytes());
        block.extend(&self.log.0);
        for number in [self.generation, self.epoch, self.first_live, self.newest] {
            block.extend(&number.to_le_bytes());
        }
        for mark in [self.checkpoint, self.clean.unwrap_or_default()] {
            block.extend(&mark.seq.to_le_bytes());
            block.extend(&mark.hash);
        }
        let crc = crc(&block);
        block.extend(&crc.to_le_bytes());
        block.resize(BLOCK);
        block
    }

    fn read(block: &[u8]) -> Option<Superblock> {
        let mut fields = Fields(block);
        if fields.u32()? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let is_clean = fields.u16()? == 1;
        let log = LogId(fields.array()?);
        let [generation, epoch, first_live, newest] = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
        let mut mark = || Some(Mark { seq: fields.u64()?, hash: fields.array()? });
        let (checkpoint, clean) = (mark()?, mark()?);
        let checked = block.len() - fields.0.len();
        let clean = is_clean.then_some(clean);
        (fields.u32()? == crc(&block[..checked])).then_some(Superblock {
            log,
            generation,
            epoch,
            first_live,
            newest,
            checkpoint,
            clean,
        })
    }
}

/// The facts as they are in `dir` by now, while somebody else may be changing them: nothing is locked. `None`: there is no
/// superblock.
///
/// # Errors
/// [`Error::Corrupt`] when no copy is whole, or what the disk says.
pub fn peek(disk: &SharedDisk, dir: &Path) -> Result<Option<Superblock>, Error> {
    let mut found: Option<Superblock> = None;
    let mut there = false;
    // One copy is written at a time, and the other one is whole meanwhile; so it takes two changes to find none.
    for name in NAMES.iter().cycle().take(3 * NAMES.len()) {
        let path = dir.join(name);
        let file = match disk.open(&path, Access::Direct) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other.map_err(Error::io("open", &path))?,
        };
        there = true;
        let mut block = AlignedBuf::zeroed(BLOCK);
        match file.read_at(0, &mut block) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => continue,
            other => other.map_err(Error::io("read", &path))?,
        }
        let newer = |copy: &Superblock| found.is_none_or(|known| known.generation < copy.generation);
        found = Superblock::read(&block).filter(newer).or(found);
    }
    if there && found.is_none() {
        let what = "neither copy of the superblock is whole".to_owned();
        return Err(Corrupt { file: dir.join(NAMES[0]), offset: 0, seq: 0, what }.into());
    }
    Ok(found)
}

/// Both copies, open and locked.
pub struct Superblocks {
    disk: SharedDisk,
    copies: [Copy; 2],
    now: Superblock,
    highest_epoch: u64,
    /// The copy to write next: the older one, or the damaged one.
    next: usize,
}

struct Copy {
    path: PathBuf,
    file: Box<dyn File>,
    inode: u64,
}

impl Superblocks {
    /// Opens and locks both copies, making them when they are not there. `fresh`: the log to begin when there is none;
    /// `used`: the directory holds frames already, so that a log without superblocks is damaged and not new.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Corrupt`] when no copy is whole, or what the disk says.
    pub fn open(disk: &SharedDisk, dir: &Path, fresh: LogId, used: bool) -> Result<Superblocks, Error> {
        let copies = [Copy::open(disk, dir, NAMES[0])?, Copy::open(disk, dir, NAMES[1])?];
        disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        let read = [copies[0].read()?, copies[1].read()?];
        let highest_epoch = read.iter().flatten().map(|copy| copy.epoch).max().unwrap_or(0);
        let (now, next) = match read {
            [Some(a), Some(b)] if a.log != b.log => return Err(copies[1].damaged("the two copies name different logs")),
            [Some(a), Some(b)] if a.generation > b.generation => (a, 1),
            [Some(_), Some(b)] => (b, 0),
            [Some(a), None] => (a, 1),
            [None, Some(b)] => (b, 0),
            [None, None] if used => return Err(copies[0].damaged("neither copy of the superblock is whole")),
            [None, None] => (Superblock { log: fresh, first_live: 1, ..Superblock::default() }, 0),
        };
        let mut superblocks = Superblocks { disk: disk.clone(), copies, now, highest_epoch, next };
        if read == [None, None] {
            superblocks.update(|_| ())?;
        }
        Ok(superblocks)
    }

    /// The facts as they are on disk.
    #[must_use]
    pub fn now(&self) -> Superblock {
        self.now
    }

    /// The highest epoch that either copy named when they were opened.
    #[must_use]
    pub fn highest_epoch(&self) -> u64 {
        self.highest_epoch
    }

    /// Changes the facts; they are durable when this returns.
    ///
    /// # Errors
    /// [`Error::Fenced`] when our files were replaced, or what the disk says. The log must stop then.
    pub fn update(&mut self, change: impl FnOnce(&mut Superblock)) -> Result<(), Error> {
        self.still_ours()?;
        let mut changed = self.now;
        change(&mut changed);
        changed.generation += 1;
        let copy = &self.copies[self.next];
        copy.file.write_synced(0, &changed.write()).map_err(Error::io("write", &copy.path))?;
        self.now = changed;
        self.next = 1 - self.next;
        Ok(())
    }

    /// Are the files of our names still the ones that we locked (S8)?
    fn still_ours(&self) -> Result<(), Error> {
        for copy in &self.copies {
            match self.disk.inode(&copy.path) {
                Ok(inode) if inode == copy.inode => (),
                Ok(_) => return Err(Error::Fenced(format!("{} was replaced", copy.path.display()))),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(Error::Fenced(format!("{} was removed", copy.path.display())));
                }
                Err(error) => return Err(Error::io("look at", &copy.path)(error)),
            }
        }
        Ok(())
    }
}

impl Copy {
    fn open(disk: &SharedDisk, dir: &Path, name: &str) -> Result<Copy, Error> {
        let path = dir.join(name);
        // Made by whoever comes first; who gets the lock decides.
        match disk.create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Error::io("create", &path)(error)),
            _ => (),
        }
        let file = disk.open(&path, Access::Direct).map_err(Error::io("open", &path))?;
        if !file.try_lock().map_err(Error::io("lock", &path))? {
            return Err(Error::Locked(path));
        }
        if file.len().map_err(Error::io("look at", &path))? < BLOCK as u64 {
            file.write_at(0, &AlignedBuf::zeroed(BLOCK)).map_err(Error::io("write", &path))?;
        }
        // Whatever an earlier process left in the page cache is on disk from here on, or we do not start.
        file.sync().map_err(Error::io("sync", &path))?;
        let inode = file.inode().map_err(Error::io("look at", &path))?;
        Ok(Copy { path, file, inode })
    }

    fn read(&self) -> Result<Option<Superblock>, Error> {
        let mut block = AlignedBuf::zeroed(BLOCK);
        self.file.read_at(0, &mut block).map_err(Error::io("read", &self.path))?;
        Ok(Superblock::read(&block))
    }

    fn damaged(&self, what: &str) -> Error {
        Corrupt { file: self.path.clone(), offset: 0, seq: 0, what: what.to_owned() }.into()
    }
}
