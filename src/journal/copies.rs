//! Copies of segments outside of a log's directory, in the form of its archives: what [`super::Living`] takes out of a log,
//! a backup keeps, and a directory is laid out from again.

use super::archive::{self, Archive};
use super::segment::{self, FIRST_FRAME, Start};
use super::superblock::{Mark, Superblock, Superblocks};
use super::{Corrupt, Error, Head, LogId};
use crate::disk::{Access, SharedDisk};
use std::path::{Path, PathBuf};

pub use super::archive::Summary;

/// What is needed to begin where a copied log ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// Which log.
    pub log: LogId,
    /// Its last segment.
    pub segment: u64,
    /// The frame before its first.
    pub before: Head,
    /// The last frame.
    pub head: Head,
}

/// What a copy says about itself, by its first block.
///
/// # Errors
/// [`Error::Corrupt`] when the file is missing or its first block is damaged or of something else; what the disk says.
pub fn summary(disk: &SharedDisk, path: &Path, log: LogId, number: u64) -> Result<Summary, Error> {
    open(disk, path, log, number).map(|archive| archive.summary)
}

/// Checks all of a copy: checksums, the chain of its frames, its end. `each` is told how the log ended with each frame.
///
/// # Errors
/// As [`summary`], with the offset that the damage has in the segment.
pub fn check(
    disk: &SharedDisk,
    path: &Path,
    log: LogId,
    number: u64,
    each: &mut dyn FnMut(&Head),
) -> Result<Summary, Error> {
    read_all(disk, path, log, number, &mut |head, _| {
        each(head);
        Ok(())
    })
}

/// Lays the copy of a log's last segment out as a segment in `DIR/wal`, where frames can follow. It is durable when this
/// returns.
///
/// # Errors
/// As [`check`]; what the disk says.
pub fn unpack(disk: &SharedDisk, path: &Path, log: LogId, number: u64, dir: &Path) -> Result<(), Error> {
    let Start { size, before, .. } = summary(disk, path, log, number)?.start;
    let folder = super::log::wal(dir);
    let target = folder.join(segment::file_name(number));
    disk.preallocate(&target, size).map_err(Error::io("preallocate", &target))?;
    let file = disk.open(&target, Access::Buffered).map_err(Error::io("open", &target))?;
    let start = Start { log, number, size, before };
    file.write_at(0, &start.write()).map_err(Error::io("write", &target))?;
    let mut offset = FIRST_FRAME;
    read_all(disk, path, log, number, &mut |_, frame| {
        file.write_at(offset, frame).map_err(Error::io("write", &target))?;
        offset += frame.len() as u64;
        Ok(())
    })?;
    file.sync().map_err(Error::io("sync", &target))?;
    disk.sync_dir(&folder).map_err(Error::io("sync", &folder))
}

/// Makes the superblock of a log whose archives and last segment are in `dir` already, as a clean stop leaves it: the next
/// start demands exactly this end. Without it, a start refuses what is there.
///
/// # Errors
/// What the disk says.
pub fn finish(disk: &SharedDisk, dir: &Path, ending: &Ending) -> Result<(), Error> {
    let Ending { log, segment, before, head } = *ending;
    let mark = |head: Head| Mark { seq: head.seq, hash: head.hash };
    let mut superblocks = Superblocks::open(disk, dir, log, false)?;
    // Both copies, so that one damaged block changes nothing.
    for _ in 0..2 {
        superblocks.update(|facts| {
            *facts = Superblock {
                log,
                epoch: head.epoch,
                first_live: segment,
                newest: segment,
                checkpoint: mark(before),
                clean: Some(mark(head)),
                ..*facts
            };
        })?;
    }
    Ok(())
}

fn open(disk: &SharedDisk, path: &Path, log: LogId, number: u64) -> Result<Archive, Error> {
    archive::open_at(disk, path.to_owned(), log, number)?.ok_or_else(|| {
        let what = format!("segment {number} is missing");
        Corrupt { file: path.to_owned(), offset: 0, seq: 0, what }.into()
    })
}

/// Takes a frame of an archive: the head that it makes, and its bytes.
pub(super) type Each<'a> = &'a mut dyn FnMut(&Head, &[u8]) -> Result<(), Error>;

pub(super) fn read_all(
    disk: &SharedDisk,
    path: &Path,
    log: LogId,
    number: u64,
    each: Each<'_>,
) -> Result<Summary, Error> {
    let archive = open(disk, path, log, number)?;
    let (mut offset, mut seq) = (FIRST_FRAME, archive.summary.start.before.seq + 1);
    let read = archive::read_all(archive, |head, frame| {
        offset += frame.len() as u64;
        seq = head.seq + 1;
        each(head, frame)
    });
    match read {
        // Not the disk, but the decompression, or a file that ends too early.
        Err(Error::Io { source, file, .. }) if source.raw_os_error().is_none() && file == path => {
            let what = format!("the frames cannot be unpacked: {source}");
            Err(Corrupt { file, offset, seq, what }.into())
        }
        other => other,
    }
}

/// Where a copy of this segment is in a directory that has archives.
#[must_use]
pub fn path(dir: &Path, number: u64) -> PathBuf {
    archive::path(dir, number)
}
