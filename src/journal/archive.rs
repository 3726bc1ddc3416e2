//! Full segments, compressed, for good: the log's history. A segment is reused only after its archive was synced and read
//! back (S6).
//!
//! ```text
//!   0 magic u32      4 version u16         6 zero u16        8 log id 16      24 number u64   32 segment size u64
//!  40 head before its first frame 72     112 head at its last frame 72
//! 184 content u64 192 compressed u64     200 content crc u32  204 crc u32
//! ```
//! and from 4 KiB on a zstd stream of the segment's frames, then zeros to a whole block.

use super::blocks::Blocks;
use super::chain::{Chain, Found};
use super::frame::{Fields, crc};
use super::log::Log;
use super::segment::{self, FIRST_FRAME, Start, read_head, write_head};
use super::{Corrupt, Error, Head, LogId};
use crate::disk::{Access, AlignedBuf, BLOCK, File, SharedDisk, whole_blocks};
use crc_fast::{CrcAlgorithm, Digest};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: u32 = u32::from_le_bytes(*b"SPAR");
const VERSION: u16 = 1;
/// Bytes written or read at once.
const PIECE: usize = 256 << 10;

/// What an archive says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How its segment began.
    pub start: Start,
    /// Its last frame.
    pub end: Head,
    content: u64,
    compressed: u64,
    content_crc: u32,
}

/// An open archive.
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// What it says about itself.
    pub summary: Summary,
    /// Its frames.
    pub blocks: Blocks,
}

impl Summary {
    fn write(&self) -> AlignedBuf {
        let mut block = AlignedBuf::with_capacity(BLOCK);
        block.extend(&MAGIC.to_le_bytes());
        block.extend(&VERSION.to_le_bytes());
        block.extend(&[0; 2]);
        block.extend(&self.start.log.0);
        block.extend(&self.start.number.to_le_bytes());
        block.extend(&self.start.size.to_le_bytes());
        write_head(&self.start.before, &mut block);
        write_head(&self.end, &mut block);
        block.extend(&self.content.to_le_bytes());
        block.extend(&self.compressed.to_le_bytes());
        block.extend(&self.content_crc.to_le_bytes());
        let crc = crc(&block);
        block.extend(&crc.to_le_bytes());
        block.resize(BLOCK);
        block
    }

    fn read(block: &[u8]) -> Option<Summary> {
        let mut fields = Fields(block);
        if fields.u32()? != MAGIC || fields.u16()? != VERSION || fields.u16()? != 0 {
            return None;
        }
        let log = LogId(fields.array()?);
        let (number, size) = (fields.u64()?, fields.u64()?);
        let start = Start { log, number, size, before: read_head(&mut fields)? };
        let end = read_head(&mut fields)?;
        let summary =
            Summary { start, end, content: fields.u64()?, compressed: fields.u64()?, content_crc: fields.u32()? };
        let checked = block.len() - fields.0.len();
        (fields.u32()? == crc(&block[..checked])).then_some(summary)
    }
}

/// Where archives are.
#[must_use]
pub fn folder(dir: &Path) -> PathBuf {
    dir.join("archive")
}

/// Where the archive of a segment is.
#[must_use]
pub fn path(dir: &Path, number: u64) -> PathBuf {
    folder(dir).join(format!("{}.zst", segment::file_name(number)))
}

/// The numbers of the archived segments, in order.
///
/// # Errors
/// What the disk says.
pub fn numbers(disk: &SharedDisk, dir: &Path) -> Result<Vec<u64>, Error> {
    let folder = folder(dir);
    let names = disk.list(&folder).map_err(Error::io("list", &folder))?;
    Ok(names.iter().filter_map(|name| segment::number_of(name.strip_suffix(".zst")?)).collect())
}

/// Opens the archive of a segment; `None` when there is none.
///
/// # Errors
/// Damage of its first block; what the disk says.
pub fn open(disk: &SharedDisk, dir: &Path, log: LogId, number: u64) -> Result<Option<Archive>, Error> {
    open_at(disk, path(dir, number), log, number)
}

/// The same under any name.
pub(super) fn open_at(disk: &SharedDisk, path: PathBuf, log: LogId, number: u64) -> Result<Option<Archive>, Error> {
    let file = match disk.open(&path, Access::Direct) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    let mut block = AlignedBuf::zeroed(BLOCK);
    let summary = match file.read_at(0, &mut block) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
        other => other.map(|()| Summary::read(&block)).map_err(Error::io("read", &path))?,
    };
    let summary = summary.filter(|summary| summary.start.number == number && summary.start.log == log);
    let Some(summary) = summary else {
        let what = "the archive's first block is damaged".to_owned();
        return Err(Corrupt { file: path, offset: 0, seq: 0, what }.into());
    };
    let compressed = Compressed::new(file, summary.compressed);
    let content = zstd::Decoder::with_buffer(compressed).map_err(Error::io("read", &path))?.single_frame();
    Ok(Some(Archive { path, summary, blocks: Blocks::of_archive(Box::new(content)) }))
}

/// Compresses the full segment that is `live`, syncs the archive and reads it back.
///
/// # Errors
/// Damage of the segment, or of the archive just written; what the disk says.
pub(super) fn write(log: &Log, start: &Start, end: &Head) -> Result<(), Error> {
    let dir = &log.dir;
    let target = path(dir, start.number);
    let draft = target.with_extension("tmp");
    remove_if_there(&log.disk, &draft)?;
    if let Err(error) = compress(log, start, end, &draft) {
        // What was written of it takes space that somebody else could use.
        let _ = log.disk.remove(&draft);
        return Err(error);
    }
    name(log, &draft, &target)
}

/// Makes the name of an archive durable that somebody else has made, or we before: a failed sync of the directory is not
/// made good by another one, but a new name is.
///
/// # Errors
/// What the disk says.
pub(super) fn name_anew(log: &Log, number: u64) -> Result<(), Error> {
    let target = path(&log.dir, number);
    let draft = target.with_extension("tmp");
    log.disk.rename(&target, &draft).map_err(Error::io("rename", &target))?;
    name(log, &draft, &target)
}

fn name(log: &Log, draft: &Path, target: &Path) -> Result<(), Error> {
    log.disk.rename(draft, target).map_err(Error::io("rename", draft))?;
    let folder = folder(&log.dir);
    log.disk.sync_dir(&folder).map_err(Error::io("sync", &folder))
}

/// Writes the archive, durably but for its name.
fn compress(log: &Log, start: &Start, end: &Head, draft: &Path) -> Result<(), Error> {
    let file = log.disk.create(draft).map_err(Error::io("create", draft))?;
    let mut sink = Compressing::new(file, log.config.archive_level).map_err(Error::io("write", draft))?;

    let source = log.segment_path(start.number);
    let live = log.disk.open(&source, Access::Direct).map_err(Error::io("open", &source))?;
    let blocks = Blocks::of_segment(live, FIRST_FRAME).map_err(Error::io("read", &source))?;
    follow(start, end, blocks, &source, |_, frame| sink.write(frame).map_err(Error::io("write", draft)))?;

    sink.finish(start, end).map_err(Error::io("write", draft))
}

/// Is there an archive of this segment, whole and right? Reads all of it.
///
/// # Errors
/// Damage of the archive; what the disk says.
pub(super) fn verify(log: &Log, start: &Start, end: &Head) -> Result<bool, Error> {
    let Some(archive) = open(&log.disk, &log.dir, log.id(), start.number)? else { return Ok(false) };
    if archive.summary.start != *start || archive.summary.end != *end {
        let what = "the archive is of other frames than the segment".to_owned();
        return Err(Corrupt { file: archive.path, offset: 0, seq: end.seq, what }.into());
    }
    read_all(archive, |_, _| Ok(())).map(|_| true)
}

/// Reads an archive from end to end: each frame is checked, the chain, and the checksum of it all. `each` gets every frame,
/// and how the log ended with it.
///
/// # Errors
/// Damage of the archive; what the disk or `each` says.
pub(super) fn read_all(
    archive: Archive,
    mut each: impl FnMut(&Head, &[u8]) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let Archive { path, summary, blocks } = archive;
    let (mut digest, mut content) = (Digest::new(CrcAlgorithm::Crc32Iscsi), 0);
    follow(&summary.start, &summary.end, blocks, &path, |head, frame| {
        digest.update(frame);
        content += frame.len() as u64;
        each(head, frame)
    })?;
    if (content, digest.finalize() as u32) != (summary.content, summary.content_crc) {
        let what = "the archive's content does not match its checksum".to_owned();
        return Err(Corrupt { file: path, offset: 0, seq: summary.end.seq, what }.into());
    }
    Ok(summary)
}

/// Hands each frame from the beginning of `blocks` to `end` on; all of them must be there.
fn follow(
    start: &Start,
    end: &Head,
    mut blocks: Blocks,
    path: &Path,
    mut each: impl FnMut(&Head, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut chain = Chain::at(start);
    while chain.head.seq < end.seq {
        let seq = chain.head.seq + 1;
        let corrupt = |offset, what: &str| Corrupt { file: path.to_owned(), offset, seq, what: what.to_owned() };
        match chain.next(&mut blocks, start.number).map_err(Error::io("read", path))? {
            Found::Next(header) => {
                each(&chain.head, blocks.peeked(header.frame_len()))?;
                blocks.advance(header.frame_len());
            }
            Found::Torn(what) | Found::Foreign(what) => return Err(corrupt(blocks.offset(), what).into()),
            Found::Nothing => return Err(corrupt(blocks.offset(), "a frame is missing").into()),
        }
    }
    if chain.head == *end {
        return Ok(());
    }
    let what = "the last frame is not the one that the next segment names".to_owned();
    Err(Corrupt { file: path.to_owned(), offset: blocks.offset(), seq: end.seq, what }.into())
}

/// Deletes an archive.
pub(super) fn remove(disk: &SharedDisk, dir: &Path, number: u64) -> Result<(), Error> {
    let path = path(dir, number);
    disk.remove(&path).map_err(Error::io("remove", &path))?;
    let folder = folder(dir);
    disk.sync_dir(&folder).map_err(Error::io("sync", &folder))
}

pub(super) fn remove_if_there(disk: &SharedDisk, path: &Path) -> Result<(), Error> {
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The compressed bytes of an archive, read in large pieces past the page cache.
struct Compressed {
    file: Box<dyn File>,
    next: u64,
    left: u64,
    piece: AlignedBuf,
    used: usize,
}

impl Compressed {
    fn new(file: Box<dyn File>, len: u64) -> Compressed {
        Compressed {
            file,
            next: FIRST_FRAME,
            left: len,
            piece: AlignedBuf::with_capacity(PIECE.min(len as usize)),
            used: 0,
        }
    }
}

impl io::BufRead for Compressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.piece.len() && self.left > 0 {
            let bytes = PIECE.min(usize::try_from(self.left).unwrap_or(PIECE));
            self.piece.resize(whole_blocks(bytes));
            self.file.read_at(self.next, &mut self.piece)?;
            self.piece.resize(bytes);
            self.used = 0;
            self.next += bytes as u64;
            self.left -= bytes as u64;
        }
        Ok(&self.piece[self.used..])
    }

    fn consume(&mut self, bytes: usize) {
        self.used += bytes;
    }
}

impl Read for Compressed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = io::BufRead::fill_buf(self)?;
        let bytes = ready.len().min(into.len());
        into[..bytes].copy_from_slice(&ready[..bytes]);
        io::BufRead::consume(self, bytes);
        Ok(bytes)
    }
}

/// An archive that is being written.
pub(super) struct Compressing {
    encoder: zstd::Encoder<'static, Sink>,
    digest: Digest,
    content: u64,
}

/// Writes what comes in one after the other.
struct Sink {
    file: Box<dyn File>,
    next: u64,
    piece: Vec<u8>,
}

impl Compressing {
    pub fn new(file: Box<dyn File>, level: i32) -> io::Result<Compressing> {
        let sink = Sink { file, next: FIRST_FRAME, piece: Vec::with_capacity(PIECE * 2) };
        let digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        Ok(Compressing { encoder: zstd::Encoder::new(sink, level)?, digest, content: 0 })
    }

    pub fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.digest.update(frame);
        self.content += frame.len() as u64;
        self.encoder.write_all(frame)
    }

    pub fn finish(self, start: &Start, end: &Head) -> io::Result<()> {
        let mut sink = self.encoder.finish()?;
        let compressed = sink.next + sink.piece.len() as u64 - FIRST_FRAME;
        sink.piece.resize(whole_blocks(sink.piece.len()), 0);
        sink.put_out()?;
        let content_crc = self.digest.finalize() as u32;
        let summary = Summary { start: *start, end: *end, content: self.content, compressed, content_crc };
        sink.file.write_at(0, &summary.write())?;
        sink.file.sync()
    }
}

impl Sink {
    /// Writes the whole blocks of what waits; the rest waits on, so that every write begins and ends with a block, and the
    /// file too. Synced at once: what waits in the cache until the end holds up the log's own syncs for as long.
    fn put_out(&mut self) -> io::Result<()> {
        let whole = self.piece.len() / BLOCK * BLOCK;
        self.file.write_at(self.next, &self.piece[..whole])?;
        self.file.sync()?;
        self.next += whole as u64;
        self.piece.drain(..whole);
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.put_out()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
