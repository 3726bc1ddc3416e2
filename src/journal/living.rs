//! Copies segments out of a log's directory while somebody else may be writing there: without locks, without changing
//! anything, and without trusting what is half written.
//!
//! Three things happen meanwhile. Frames are added: what is whole is copied, and what was there when the copy began is.
//! A full segment is archived and its file used again: the file has lost its name by then, and its archive has what it had.
//! Old archives are let go: the caller is told, and begins later in the log.
//!
//! What looks damaged is looked at once more, because it may have been written between two looks. Only what stays so,
//! under a name that stays, is damage.

use super::archive::{self, Compressing};
use super::blocks::Blocks;
use super::chain::{Chain, Found};
use super::log::wal;
use super::segment::{self, FIRST_FRAME, Start};
use super::superblock::{self, Mark, Superblock};
use super::{Config, Corrupt, Error, Head, LogId, copies, tail};
use crate::disk::{Access, AlignedBuf, BLOCK, File, ReadingDisk, SharedDisk};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So often a segment may be archived, or begun, while we look for it. Each time takes the server a whole segment.
const LOOKS: usize = 16;

/// A log in the directory of a server that may run.
pub struct Living {
    disk: SharedDisk,
    dir: PathBuf,
    log: LogId,
}

/// What became of a segment that was to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// All of it, and the next one has been begun.
    Full,
    /// Up to what was the last frame of the log.
    Last,
    /// It is no longer there, and older ones are not either: their time was up.
    LetGo,
}

/// A segment that is not archived.
struct Segment {
    path: PathBuf,
    start: Start,
    /// Keeps the file's inode from being given to another one.
    file: Box<dyn File>,
    blocks: Blocks,
}

/// What the end of the frames in a segment means.
enum End {
    Full,
    Last,
    /// No crash leaves that; but somebody may have written between two looks.
    Strange(&'static str),
}

impl Living {
    /// Looks at the log in `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is none; [`Error::Corrupt`] when its superblock is damaged; what the disk says.
    pub fn open(dir: &Path) -> Result<Living, Error> {
        let disk: SharedDisk = Arc::new(ReadingDisk);
        let facts = superblock::peek(&disk, dir)?.filter(|facts| facts.newest > 0);
        let log = facts.ok_or(Error::Config("there is no log in this directory"))?.log;
        Ok(Living { disk, dir: dir.to_owned(), log })
    }

    /// Which log.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.log
    }

    /// Number of the oldest segment that is there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn first(&self) -> Result<u64, Error> {
        let live = self.facts()?.first_live;
        Ok(archive::numbers(&self.disk, &self.dir)?.first().map_or(live, |&archived| archived.min(live)))
    }

    /// Number of the segment being written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn newest(&self) -> Result<u64, Error> {
        self.facts().map(|facts| facts.newest)
    }

    /// Copies a segment to the file `to` on the disk `onto`. It is durable but for its name, and was read back, when this
    /// returns; `each` was then told how the log ended with each of its frames.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the segment is damaged; what the disks say. What was made of `to` is left behind.
    pub fn copy(
        &self,
        number: u64,
        onto: &SharedDisk,
        to: &Path,
        each: &mut dyn FnMut(&Head),
    ) -> Result<Copied, Error> {
        for _ in 0..LOOKS {
            archive::remove_if_there(onto, to)?;
            if self.copy_archive(number, onto, to, each)? {
                return Ok(Copied::Full);
            }
            if let Some(segment) = self.segment(number)?
                && let Some(copied) = self.copy_live(segment, onto, to)?
            {
                copies::check(onto, to, self.log, number, each)?;
                return Ok(copied);
            }
            if self.first()? > number {
                return Ok(Copied::LetGo);
            }
        }
        let what = "the segment is neither here nor archived".to_owned();
        Err(Corrupt { file: self.path(number), offset: 0, seq: 0, what }.into())
    }

    /// `false`: there is no archive of it.
    fn copy_archive(
        &self,
        number: u64,
        onto: &SharedDisk,
        to: &Path,
        each: &mut dyn FnMut(&Head),
    ) -> Result<bool, Error> {
        let path = archive::path(&self.dir, number);
        let mut from = match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(Error::io("open", &path))?,
        };
        let mut file = std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .read(true)
            .mode(0o600)
            .open(to)
            .map_err(Error::io("create", to))?;
        io::copy(&mut from, &mut file).map_err(Error::io("copy", &path))?;
        file.sync_all().map_err(Error::io("sync", to))?;
        let copied = copies::check(onto, to, self.log, number, each);
        if let Err(Error::Corrupt(damage)) = copied {
            // The copy is what the archive was, or the disk of the copy is bad: whichever it is, it is told.
            let source = archive::open_at(&self.disk, path.clone(), self.log, number)?;
            if source.is_some() {
                copies::check(&self.disk, &path, self.log, number, &mut |_| ())?;
            }
            return Err(damage.into());
        }
        copied.map(|_| true)
    }

    /// `None`: it is no longer this segment.
    fn copy_live(&self, segment: Segment, onto: &SharedDisk, to: &Path) -> Result<Option<Copied>, Error> {
        let Segment { path, start, file, mut blocks } = segment;
        let draft = onto.create(to).map_err(Error::io("create", to))?;
        let mut sink = Compressing::new(draft, Config::default().archive_level).map_err(Error::io("write", to))?;
        let mut chain = Chain::at(&start);
        let mut looked_again = false;
        loop {
            let found = match chain.next(&mut blocks, start.number) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Found::Nothing,
                other => other.map_err(Error::io("read", &path))?,
            };
            if let Found::Next(header) = found {
                sink.write(blocks.peeked(header.frame_len())).map_err(Error::io("write", to))?;
                blocks.advance(header.frame_len());
                looked_again = false;
                continue;
            }
            let end = self.end(&start, &chain.head, found, blocks.offset());
            if !self.is_still(&path, file.as_ref())? {
                return Ok(None);
            }
            let copied = match end? {
                End::Full => Copied::Full,
                End::Last => Copied::Last,
                End::Strange(what) if looked_again => {
                    let (offset, seq, what) = (blocks.offset(), chain.head.seq + 1, what.to_owned());
                    return Err(Corrupt { file: path, offset, seq, what }.into());
                }
                End::Strange(_) => {
                    looked_again = true;
                    blocks.refresh();
                    continue;
                }
            };
            // Its last frame may be written and not synced. What we have must never be more than what there is after a
            // power cut.
            file.sync().map_err(Error::io("sync", &path))?;
            sink.finish(&start, &chain.head).map_err(Error::io("write", to))?;
            return Ok(Some(copied));
        }
    }

    /// What it means that no frame follows `head` at `offset` in the segment that begins so.
    fn end(&self, start: &Start, head: &Head, found: Found, offset: u64) -> Result<End, Error> {
        let what = match found {
            Found::Foreign(what) => return Ok(End::Strange(what)),
            Found::Torn(what) => what,
            Found::Nothing | Found::Next(_) => "a frame is missing",
        };
        let facts = self.facts()?;
        let next = start.number + 1;
        let next = match facts.newest >= next {
            true => self.start(next)?,
            // Begun, and the copy of the superblock that said so is damaged; or it was never begun.
            false => tail::unknown_next(&self.disk, &wal(&self.dir), &facts, next)?,
        };
        Ok(match next {
            Some(next) if next.before == *head && next.log == self.log => End::Full,
            Some(_) => End::Strange(what),
            None if facts.newest > start.number => End::Strange("the segment after this one is missing"),
            None if head.seq < facts.checkpoint.seq => End::Strange("frames are missing that the checkpoint covers"),
            None if facts.clean.is_some_and(|clean| clean != Mark { seq: head.seq, hash: head.hash }) => {
                End::Strange("the log does not end where it was closed")
            }
            None => self.nothing_follows(start, head, offset)?,
        })
    }

    /// One frame at most is unsynced (S2): behind it there is nothing.
    fn nothing_follows(&self, start: &Start, head: &Head, offset: u64) -> Result<End, Error> {
        let path = self.path(start.number);
        let file = match self.disk.open(&path, Access::Direct) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(End::Strange("the segment is gone")),
            other => other.map_err(Error::io("open", &path))?,
        };
        let mut blocks = Blocks::of_segment(file, offset).map_err(Error::io("read", &path))?;
        match tail::beyond(&mut blocks, self.log, start.number, head.seq + 1, &path) {
            Ok(_) => Ok(End::Last),
            Err(Error::Corrupt(_)) => Ok(End::Strange("a frame is damaged or missing, and a later one is there")),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::UnexpectedEof => {
                Ok(End::Strange("the segment has become shorter"))
            }
            Err(error) => Err(error),
        }
    }

    /// The segment, if it is not archived and its file used again; `None`: look once more.
    fn segment(&self, number: u64) -> Result<Option<Segment>, Error> {
        let path = self.path(number);
        let file = match self.disk.open(&path, Access::Direct) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io("open", &path))?,
        };
        let start = first_block(file.as_ref(), &path)?.filter(|start| start.number == number && start.log == self.log);
        let again = self.disk.open(&path, Access::Direct);
        if !self.is_still(&path, file.as_ref())? {
            return Ok(None);
        }
        let Some(start) = start else {
            let what = "the segment's first block is damaged".to_owned();
            return Err(Corrupt { file: path, offset: 0, seq: 0, what }.into());
        };
        if file.len().map_err(Error::io("look at", &path))? < start.size {
            let what = "the segment is too short".to_owned();
            return Err(Corrupt { file: path, offset: 0, seq: start.before.seq + 1, what }.into());
        }
        let again = again.map_err(Error::io("open", &path))?;
        let blocks = Blocks::of_segment(again, FIRST_FRAME).map_err(Error::io("read", &path))?;
        Ok(Some(Segment { path, start, file, blocks }))
    }

    /// How a segment begins, archived or not.
    fn start(&self, number: u64) -> Result<Option<Start>, Error> {
        let path = self.path(number);
        let live = match self.disk.open(&path, Access::Direct) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            other => first_block(other.map_err(Error::io("open", &path))?.as_ref(), &path)?,
        };
        match live.filter(|start| start.number == number && start.log == self.log) {
            Some(start) => Ok(Some(start)),
            None => Ok(archive::open(&self.disk, &self.dir, self.log, number)?.map(|archive| archive.summary.start)),
        }
    }

    /// Is the file the one of this name? Under another one it may be used again.
    fn is_still(&self, path: &Path, file: &dyn File) -> Result<bool, Error> {
        match self.disk.inode(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            other => {
                let there = other.map_err(Error::io("look at", path))?;
                Ok(there == file.inode().map_err(Error::io("look at", path))?)
            }
        }
    }

    fn facts(&self) -> Result<Superblock, Error> {
        let facts = superblock::peek(&self.disk, &self.dir)?.filter(|facts| facts.log == self.log);
        facts.ok_or(Error::Config("the log in this directory is another one by now"))
    }

    fn path(&self, number: u64) -> PathBuf {
        wal(&self.dir).join(segment::file_name(number))
    }
}

fn first_block(file: &dyn File, path: &Path) -> Result<Option<Start>, Error> {
    let mut block = AlignedBuf::zeroed(BLOCK);
    match file.read_at(0, &mut block) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        other => other.map(|()| Start::read(&block)).map_err(Error::io("read", path)),
    }
}
