//! Reads committed frames in order, through archive and live segments, while the log goes on.

use super::archive;
use super::blocks::Blocks;
use super::chain::{Chain, Found};
use super::frame::{self, Header};
use super::log::Log;
use super::segment::{FIRST_FRAME, Start};
use super::{Committed, Corrupt, Error, Seq};
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
}

/// A segment that is being read, live or archived.
struct Run {
    path: PathBuf,
    start: Start,
    blocks: Blocks,
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
        Ok(Reader { log, id, chain: Chain::at(&run.start), run, from, with_roots: false, last_at: 0 })
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
        while let Some(header) = self.advance()? {
            if header.last() < self.from && header.first < self.from {
                self.run.blocks.advance(header.frame_len());
                continue;
            }
            self.last_at = self.run.blocks.offset();
            let bytes = self.run.blocks.peeked(header.frame_len());
            let records = frame::records(&header, bytes).map_err(|what| self.corrupt(header.seq, &what))?;
            if self.with_roots {
                frame::check_root(&header, bytes).map_err(|what| self.corrupt(header.seq, what))?;
            }
            self.run.blocks.advance(header.frame_len());
            let hash = self.chain.head.hash;
            return Ok(Some(Committed { seq: header.seq, hash, at: header.at, first: header.first, records }));
        }
        Ok(None)
    }

    /// Where the frame is that was read last: file, and offset in it. In an archive, the offset is that of the
    /// unpacked segment.
    #[must_use]
    pub fn place(&self) -> (&Path, u64) {
        (&self.run.path, self.last_at)
    }

    /// Moves the chain to the next frame and leaves the blocks in front of its bytes.
    fn advance(&mut self) -> Result<Option<Header>, Error> {
        let mut fresh = false;
        while self.chain.head.seq < self.log.head().seq {
            let (segment, wanted) = (self.run.start.number, self.chain.head.seq + 1);
            let found = self.chain.next(&mut self.run.blocks, segment).map_err(Error::io("read", &self.run.path))?;
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
    let live = {
        let shelf = log.shelf.lock();
        shelf.live.iter().rev().find(|(_, live)| begins_before(&live.start)).map(|(&number, _)| number)
    };
    if let Some(number) = live {
        return open_live(log, number);
    }
    let numbers = archive::numbers(&log.disk, &log.dir)?;
    let mut first = None;
    for &number in numbers.iter().rev() {
        let Some(run) = open(log, number)? else { continue };
        if begins_before(&run.start) {
            return Ok(run);
        }
        first = Some(run.start.before.position.0 + 1);
    }
    let first = first.unwrap_or_else(|| log.head().position.0 + 1);
    Err(Error::Gone { wanted: from.0, first })
}

fn open(log: &Log, number: u64) -> Result<Option<Run>, Error> {
    if log.shelf.lock().live.contains_key(&number) {
        return open_live(log, number).map(Some);
    }
    let Some(archive) = archive::open(&log.disk, &log.dir, log.id(), number)? else { return Ok(None) };
    Ok(Some(Run { path: archive.path, start: archive.summary.start, blocks: archive.blocks }))
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
    Ok(Run { path, start, blocks })
}
