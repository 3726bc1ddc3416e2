//! The end of a log: the last valid frame. What follows it is a torn tail only if nothing valid comes after (S2).

use super::chain::Found;
use super::frame::{self, Header};
use super::open::{first_chain, read_start};
use super::segment::{self, FIRST_FRAME, Start};
use super::superblock::{Mark, Superblock};
use super::{Corrupt, Cut, Error, Head, LogId, Seq};
use crate::disk::{Access, AlignedBuf, BLOCK, SharedDisk};
use crate::journal::blocks::Blocks;
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes read at once while looking beyond the end.
const PIECE: usize = 1 << 20;
/// What a drive writes as one, in bytes.
const SECTOR: usize = 512;

/// What the segments showed.
pub struct Survey {
    /// The last valid frame.
    pub head: Head,
    /// Where the next frame goes in the newest segment.
    pub offset: u64,
    /// What lies there, if it is not zero.
    pub dirt: Option<Dirt>,
}

/// Something beyond the last valid frame.
pub struct Dirt {
    /// Where it begins, and which frame it would have been.
    pub cut: Cut,
    /// Where the last of it ends; all is zero from there on.
    pub end: u64,
}

/// Follows the chain from the checkpoint to the end. A segment beyond the newest that the superblock knows is taken into
/// `live` when it has a frame that continues the chain: the copy of the superblock that named it was lost.
pub fn survey(
    disk: &SharedDisk,
    folder: &Path,
    facts: &Superblock,
    live: &mut BTreeMap<u64, Start>,
) -> Result<Survey, Error> {
    if facts.newest == 0
        && let Some(first) = unknown_next(disk, folder, facts, 1)?.filter(|first| first.before == Head::default())
    {
        live.insert(1, first);
    }
    let Some((mut number, mut chain)) = first_chain(facts, live) else {
        return match live.first_key_value() {
            None => Ok(Survey { head: Head::default(), offset: FIRST_FRAME, dirt: None }),
            Some((&number, start)) => {
                let what = "the segments begin after the checkpoint".to_owned();
                let file = folder.join(segment::file_name(number));
                Err(Corrupt { file, offset: 0, seq: start.before.seq + 1, what }.into())
            }
        };
    };
    loop {
        let path = folder.join(segment::file_name(number));
        let file = disk.open(&path, Access::Direct).map_err(Error::io("open", &path))?;
        // What an earlier process wrote is on disk from here on, or we do not start.
        file.sync().map_err(Error::io("sync", &path))?;
        let mut blocks = Blocks::of_segment(file, FIRST_FRAME).map_err(Error::io("read", &path))?;
        let corrupt = |offset: u64, seq: Seq, what: &str| -> Error {
            Corrupt { file: path.clone(), offset, seq, what: what.to_owned() }.into()
        };
        let found = loop {
            if chain.head.seq == facts.checkpoint.seq && chain.head.hash != facts.checkpoint.hash {
                return Err(corrupt(blocks.offset(), chain.head.seq, "the frame is not the one of the checkpoint"));
            }
            match chain.next(&mut blocks, number).map_err(Error::io("read", &path))? {
                Found::Next(header) => blocks.advance(header.frame_len()),
                other => break other,
            }
        };
        let (offset, seq) = (blocks.offset(), chain.head.seq + 1);
        if let Found::Foreign(what) = found {
            return Err(corrupt(offset, seq, what));
        }
        let what = if let Found::Torn(what) = found { what } else { "a frame is missing" };
        match live.get(&(number + 1)) {
            Some(next) if chain.continues_in(next) => number += 1,
            Some(_) => return Err(corrupt(offset, seq, what)),
            None => match unknown_next(disk, folder, facts, number + 1)? {
                Some(next) if chain.continues_in(&next) => {
                    live.insert(number + 1, next);
                    number += 1;
                }
                Some(_) => return Err(corrupt(offset, seq, what)),
                None => {
                    let dirt = end(&mut blocks, facts, number, &chain.head, &path)?;
                    return Ok(Survey { head: chain.head, offset, dirt });
                }
            },
        }
    }
}

/// A segment that the superblock does not know and that has a frame. Without one it was being prepared when the
/// process died, and is of no use.
pub fn unknown_next(disk: &SharedDisk, folder: &Path, facts: &Superblock, number: u64) -> Result<Option<Start>, Error> {
    let path = folder.join(segment::file_name(number));
    let Ok(start) = read_start(disk, &path, facts.log, number)? else { return Ok(None) };
    let file = disk.open(&path, Access::Direct).map_err(Error::io("open", &path))?;
    let mut block = AlignedBuf::zeroed(BLOCK);
    if start.size < FIRST_FRAME + BLOCK as u64 {
        return Ok(None);
    }
    file.read_at(FIRST_FRAME, &mut block).map_err(Error::io("read", &path))?;
    let first = Header::read(&block).filter(|header| header.log == facts.log && header.segment == number);
    let mut whole = Blocks::of_segment(file, FIRST_FRAME).map_err(Error::io("read", &path))?;
    Ok(match first {
        Some(header) => {
            let bytes = whole.peek(header.frame_len()).map_err(Error::io("read", &path))?;
            frame::fault(&header, bytes).is_none().then_some(start)
        }
        None => None,
    })
}

/// The chain has ended in the last segment. Is that the end of the log?
fn end(blocks: &mut Blocks, facts: &Superblock, number: u64, head: &Head, path: &Path) -> Result<Option<Dirt>, Error> {
    let (offset, seq) = (blocks.offset(), head.seq + 1);
    let corrupt = |offset: u64, what: &str| -> Error {
        Corrupt { file: path.to_owned(), offset, seq, what: what.to_owned() }.into()
    };
    if head.seq < facts.checkpoint.seq {
        return Err(corrupt(offset, "frames are missing that the checkpoint covers"));
    }
    if let Some(clean) = facts.clean {
        // A clean stop leaves zeros behind its head, and everything that was acknowledged before it.
        return match clean == (Mark { seq: head.seq, hash: head.hash }) {
            true => Ok(None),
            false => Err(corrupt(offset, "the log does not end where it was closed")),
        };
    }
    let dirty = beyond(blocks, facts.log, number, seq, path)?;
    Ok(dirty.map(|end| Dirt { cut: Cut { seq, file: path.to_owned(), offset }, end }))
}

/// What is beyond the last valid frame, where frame `seq` would be: where it ends, if there is anything but zeros.
///
/// # Errors
/// [`Error::Corrupt`] when a later frame is there; what the disk says.
pub fn beyond(blocks: &mut Blocks, log: LogId, number: u64, seq: Seq, path: &Path) -> Result<Option<u64>, Error> {
    let offset = blocks.offset();
    let mut dirty = None;
    loop {
        let at = blocks.offset();
        let piece = blocks.peek(PIECE).map_err(Error::io("read", path))?;
        if piece.is_empty() {
            break;
        }
        for (block, from) in piece.chunks(BLOCK).zip((at..).step_by(BLOCK)) {
            if block.iter().all(|&byte| byte == 0) {
                continue;
            }
            // One frame at most is unsynced (S2): a later one, even a torn or misplaced one, proves that this was synced.
            for (sector, place) in block.chunks(SECTOR).zip((from..).step_by(SECTOR)) {
                let header = Header::read(sector).filter(|header| header.log == log && header.segment == number);
                if header.is_some_and(|header| header.seq != seq || place != offset) {
                    let what = "a frame is damaged or missing, and a later one is there".to_owned();
                    return Err(Corrupt { file: path.to_owned(), offset, seq, what }.into());
                }
            }
            dirty = Some(from + BLOCK as u64);
        }
        let bytes = piece.len();
        blocks.advance(bytes);
    }
    Ok(dirty)
}

/// Makes everything from `offset` to `end` zero, durably.
pub fn clean(disk: &SharedDisk, path: &Path, offset: u64, end: u64) -> Result<(), Error> {
    let file = disk.open(path, Access::Direct).map_err(Error::io("open", path))?;
    let zeros = AlignedBuf::zeroed(PIECE);
    let mut at = offset;
    while at < end {
        let bytes = zeros.len().min(usize::try_from(end - at).unwrap_or(PIECE));
        file.write_at(at, &zeros[..bytes]).map_err(Error::io("write", path))?;
        at += bytes as u64;
    }
    file.sync().map_err(Error::io("sync", path))
}
