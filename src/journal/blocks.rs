//! Reads a segment or an archive front to back in large pieces, and hands out what frames ask for.

use crate::disk::{AlignedBuf, BLOCK, File, whole_blocks};
use std::io::{self, Read};

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// A position in a run of frames, and what was read beyond it.
pub struct Blocks {
    source: Source,
    buf: AlignedBuf,
    /// Where in `buf` the position is.
    start: usize,
    /// Where in the file it is.
    offset: u64,
}

enum Source {
    /// A segment of this length.
    Segment { file: Box<dyn File>, len: u64 },
    /// The content of an archive, decompressed.
    Archive(Box<dyn Read + Send>),
}

impl Blocks {
    /// From `offset` on, a whole number of blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn of_segment(file: Box<dyn File>, offset: u64) -> io::Result<Blocks> {
        let len = file.len()? / BLOCK as u64 * BLOCK as u64;
        let left = usize::try_from(len.saturating_sub(offset)).unwrap_or(PIECE);
        Ok(Blocks {
            source: Source::Segment { file, len },
            buf: AlignedBuf::with_capacity(PIECE.min(left)),
            start: 0,
            offset,
        })
    }

    /// From the archive's first frame on. Offsets are those that the frames had in their segment.
    #[must_use]
    pub fn of_archive(content: Box<dyn Read + Send>) -> Blocks {
        let (source, offset) = (Source::Archive(content), super::segment::FIRST_FRAME);
        Blocks { source, buf: AlignedBuf::with_capacity(PIECE), start: 0, offset }
    }

    /// Where in the file the position is.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next `bytes` (a whole number of blocks), or fewer at the end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn peek(&mut self, bytes: usize) -> io::Result<&[u8]> {
        while self.buf.len() - self.start < bytes {
            if self.fill(bytes)? == 0 {
                break;
            }
        }
        let end = self.buf.len().min(self.start + bytes);
        Ok(&self.buf[self.start..end])
    }

    /// What `peek` showed last, without looking further.
    #[must_use]
    pub fn peeked(&self, bytes: usize) -> &[u8] {
        &self.buf[self.start..self.buf.len().min(self.start + bytes)]
    }

    /// Moves on.
    pub fn advance(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.buf.len());
        self.offset += bytes as u64;
    }

    /// The `bytes` that were just moved over; only until something further is looked at.
    #[must_use]
    pub fn passed(&self, bytes: usize) -> &[u8] {
        &self.buf[self.start.saturating_sub(bytes)..self.start]
    }

    /// Forgets what was read beyond the position: a writer may have written there since. An archive never changes.
    pub fn refresh(&mut self) {
        if let Source::Segment { .. } = self.source {
            self.buf.resize(0);
            self.start = 0;
        }
    }

    fn fill(&mut self, bytes: usize) -> io::Result<usize> {
        let kept = self.buf.len() - self.start;
        self.buf.copy_within(self.start.., 0);
        self.start = 0;
        let want = whole_blocks(PIECE.max(bytes) - kept);
        self.buf.resize(kept);
        let got = match &mut self.source {
            Source::Segment { file, len } => {
                let from = self.offset + kept as u64;
                let left = usize::try_from(len.saturating_sub(from)).unwrap_or(usize::MAX);
                let got = want.min(left);
                self.buf.resize(kept + got);
                file.read_at(from, &mut self.buf[kept..])?;
                got
            }
            Source::Archive(content) => {
                self.buf.resize(kept + want);
                let got = read_fully(content, &mut self.buf[kept..])?;
                self.buf.resize(kept + got);
                got
            }
        };
        Ok(got)
    }
}

fn read_fully(from: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
