//! Reads committed frames in order, through archive and live segments, while the log goes on.

use super::archive::{self, Archive};
use super::blocks::Blocks;
use super::chain::{Chain, Found};
use super::frame::{self, Header};
use super::log::Log;
use super::segment::{FIRST_FRAME, Start};
use super::{Committed, Corrupt, Error, Hash, Seq};
use crate::disk::{Access, AlignedBuf, BLOCK};
use stampede_actors::record::Position;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in the log. At the head there is nothing to read, and later there may be.
pub struct Reader {
    log: Arc<Log>,
    id: u64,
    chain: Chain,
    run: Run,
    from: Position,
    with_roots: bool,
    /// Where the last frame begins in the run's file.
    last_at: u64,
    /// Its header.
    last: Header,
}

/// A frame as it was written.
#[derive(Debug, Clone, Copy)]
pub struct RawFrame<'a> {
    /// Its header.
    pub header: Header,
    /// Its hash.
    pub hash: Hash,
    /// All of it.
    pub bytes: &'a [u8],
}

/// A segment that is being read, live or archived.
struct Run {
    path: PathBuf,
    start: Start,
    blocks: Blocks,
    archived: bool,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, from: Position) -> Result<Reader, Error> {
        let id = log.reader_in(0);
        let run = match find(&log, from) {
            Ok(run) => run,
            Err(error) => {
                log.reader_moved(id, None);
                return Err(error);
            }
        };
        log.reader_moved(id, Some(run.start.number));
        Ok(Reader {
            log,
            id,
            chain: Chain::at(&run.start),
            run,
            from,
            with_roots: false,
            last_at: 0,
            last: Header::default(),
        })
    }

    /// Checks the Merkle root of every frame as well: what `verify` wants, and a replay need not.
    #[must_use]
    pub fn with_roots(mut self) -> Reader {
        self.with_roots = true;
        self
    }

    /// The next frame; `None` at the head. In a server that runs, call it again after the next commit.
    ///
    /// # Errors
    /// Damage, with file and offset; what the disk says.
    #[allow(clippy::should_implement_trait)] // no iterator: it does not end, and fails
    pub fn next(&mut self) -> Result<Option<Committed>, Error> {
        let Some(header) = self.next_header()? else { return Ok(None) };
        let records = frame::records(&header, self.run.blocks.peeked(header.frame_len()));
        let records = records.map_err(|what| self.corrupt(header.seq, &what))?;
        self.run.blocks.advance(header.frame_len());
        let hash = self.chain.head.hash;
        Ok(Some(Committed { seq: header.seq, hash, at: header.at, first: header.first, records }))
    }

    /// Moves on to the next frame and does not decode it; `false` at the head.
    ///
    /// # Errors
    /// As [`Reader::next`], but for records that cannot be decoded.
    pub fn step(&mut self) -> Result<bool, Error> {
        let Some(header) = self.next_header()? else { return Ok(false) };
        self.run.blocks.advance(header.frame_len());
        Ok(true)
    }

    /// The frame that was read last.
    #[must_use]
    pub fn frame(&self) -> RawFrame<'_> {
        let bytes = self.run.blocks.passed(self.last.frame_len());
        RawFrame { header: self.last, hash: self.chain.head.hash, bytes }
    }

    /// Where the frame is that was read last: file, and offset in it. In an archive, the offset is that of the
    /// unpacked segment.
    #[must_use]
    pub fn place(&self) -> (&Path, u64) {
        (&self.run.path, self.last_at)
    }

    /// Where a record of the frame is that was read last: file, and the offset of its length in it, as with
    /// [`Reader::place`].
    #[must_use]
    pub fn place_of(&self, record: usize) -> (&Path, u64) {
        (&self.run.path, self.last_at + frame::offset_of(self.frame().bytes, record) as u64)
    }

    /// Leaves the blocks in front of the next frame that is wanted.
    fn next_header(&mut self) -> Result<Option<Header>, Error> {
        while let Some(header) = self.advance()? {
            let len = header.frame_len();
            if header.last() < self.from && header.first < self.from {
                self.run.blocks.advance(len);
                continue;
            }
            (self.last_at, self.last) = (self.run.blocks.offset(), header);
            if self.with_roots {
                let checked = frame::check_root(&header, self.run.blocks.peeked(len));
                checked.map_err(|what| self.corrupt(header.seq, what))?;
            }
            return Ok(Some(header));
        }
        Ok(None)
    }

    /// Moves the chain to the next frame and leaves the blocks in front of its bytes.
    fn advance(&mut self) -> Result<Option<Header>, Error> {
        let mut fresh = false;
        while self.chain.head.seq < self.log.head().seq {
            let (segment, wanted) = (self.run.start.number, self.chain.head.seq + 1);
            let found = match self.chain.next(&mut self.run.blocks, segment) {
                Ok(found) => found,
                // Not the disk, but the decompression of an archive.
                Err(error) if self.run.archived && error.raw_os_error().is_none() => {
                    return Err(self.corrupt(wanted, &format!("the archive cannot be unpacked: {error}")));
                }
                Err(error) => return Err(Error::io("read", &self.run.path)(error)),
            };
            match found {
                Found::Next(header) => return Ok(Some(header)),
                // What was read ahead may have been written since.
                _ if !fresh => {
                    self.run.blocks.refresh();
                    fresh = true;
                }
                Found::Torn(what) | Found::Foreign(what) => return Err(self.corrupt(wanted, what)),
                Found::Nothing => {
                    let next = open(&self.log, segment + 1)?;
                    let Some(next) = next.filter(|next| self.chain.continues_in(&next.start)) else {
                        return Err(self.corrupt(wanted, "a frame is missing"));
                    };
                    self.run = next;
                    self.log.reader_moved(self.id, Some(segment + 1));
                    fresh = false;
                }
            }
        }
        Ok(None)
    }

    fn corrupt(&self, seq: Seq, what: &str) -> Error {
        Corrupt { file: self.run.path.clone(), offset: self.run.blocks.offset(), seq, what: what.to_owned() }.into()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.log.reader_moved(self.id, None);
    }
}

/// The last run that begins at or before `from`.
fn find(log: &Log, from: Position) -> Result<Run, Error> {
    let begins_before = |start: &Start| start.before.position < from || start.before.seq == 0;
    let begin = |start: &Start| start.before.position.0 + 1;
    let (live, mut first) = {
        let live = &log.shelf.lock().live;
        let run = live.iter().rev().find(|(_, live)| begins_before(&live.start)).map(|(&number, _)| number);
        (run, live.values().next().map(|oldest| begin(&oldest.start)))
    };
    if let Some(number) = live {
        return open_live(log, number);
    }
    let numbers = archive::numbers(&log.disk, &log.dir)?;
    for &number in numbers.iter().rev() {
        let Some(run) = open(log, number)? else { continue };
        if begins_before(&run.start) {
            return Ok(run);
        }
        first = Some(begin(&run.start));
    }
    let first = first.unwrap_or_else(|| log.head().position.0 + 1);
    Err(Error::Gone { wanted: from.0, first })
}

fn open(log: &Log, number: u64) -> Result<Option<Run>, Error> {
    if log.shelf.lock().live.contains_key(&number) {
        return open_live(log, number).map(Some);
    }
    let Some(archive) = archive::open(&log.disk, &log.dir, log.id(), number)? else { return Ok(None) };
    let Archive { path, summary, blocks } = archive;
    Ok(Some(Run { path, start: summary.start, blocks, archived: true }))
}

fn open_live(log: &Log, number: u64) -> Result<Run, Error> {
    let path = log.segment_path(number);
    let file = log.disk.open(&path, Access::Direct).map_err(Error::io("open", &path))?;
    let mut block = AlignedBuf::zeroed(BLOCK);
    file.read_at(0, &mut block).map_err(Error::io("read", &path))?;
    let start = Start::read(&block).filter(|start| start.number == number && start.log == log.id());
    let Some(start) = start else {
        let what = "the segment's first block is damaged".to_owned();
        return Err(Corrupt { file: path, offset: 0, seq: 0, what }.into());
    };
    let blocks = Blocks::of_segment(file, FIRST_FRAME).map_err(Error::io("read", &path))?;
    Ok(Run { path, start, blocks, archived: false })
}
