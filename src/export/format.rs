//! What an export looks like. Little-endian; ids in their own order of bytes.
//!
//! ```text
//!  0 magic u32    4 version u16    6 zero u16    8 log id 16    24 from i64    32 to i64
//! 40 count of SKUs u32, count of orders u32; each SKU's length u8 and code; each order's 16 bytes; both ascending
//! then frames, without a gap from the first that shows a record to the head; each a 1, and
//!    header 144, shown u32, each shown record: index u32, length u32, bytes; and if any is shown
//!    count u32 of the nodes beside them in the frame's Merkle tree, and those, 32 each
//! then a 0, and the buckets of last versions that hold these SKUs and orders: count u32, each
//!    number u32, entries u32, each entry: hash of the entity's key 32, version u64
//!    then count u32 of the nodes beside them, and those
//! then BLAKE3 of all bytes before
//! ```

use super::Flaw;
use crate::journal::Hash;
use std::io::{self, Read, Write};

/// `SPEX`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"SPEX");
/// The version written.
pub const VERSION: u16 = 1;
/// Before a frame.
pub const FRAME: u8 = 1;
/// After the last frame.
pub const END: u8 = 0;
/// A record is never longer, in bytes.
pub const MAX_RECORD: usize = 64 << 20;

/// Writes an export, and hashes what it writes.
pub struct Sink<W> {
    into: W,
    hasher: blake3::Hasher,
    /// Bytes written.
    pub written: u64,
}

impl<W: Write> Sink<W> {
    /// Begins one.
    pub fn new(into: W) -> Sink<W> {
        Sink { into, hasher: blake3::Hasher::new(), written: 0 }
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        self.into.write_all(bytes)
    }

    /// A number.
    pub fn u32(&mut self, number: usize) -> io::Result<()> {
        let number = u32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.bytes(&number.to_le_bytes())
    }

    /// Hashes, after their count.
    pub fn hashes(&mut self, hashes: &[Hash]) -> io::Result<()> {
        self.u32(hashes.len())?;
        hashes.iter().try_for_each(|hash| self.bytes(hash))
    }

    /// Ends it; what it was written into.
    pub fn finish(mut self) -> io::Result<W> {
        let seal = *self.hasher.finalize().as_bytes();
        self.bytes(&seal)?;
        self.into.flush()?;
        Ok(self.into)
    }
}

/// Reads an export, and hashes what it reads.
pub struct Source<R> {
    from: R,
    hasher: blake3::Hasher,
    /// Bytes read.
    pub read: u64,
}

impl<R: Read> Source<R> {
    /// From the beginning.
    pub fn new(from: R) -> Source<R> {
        Source { from, hasher: blake3::Hasher::new(), read: 0 }
    }

    /// Something is wrong with what begins at `offset`.
    pub fn flaw<T>(&self, offset: u64, what: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw::Refuted { offset, what: what.into() })
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), Flaw> {
        match self.from.read_exact(into) {
            Ok(()) => {
                self.read += into.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.flaw(self.read, "the export is cut short")
            }
            Err(error) => Err(Flaw::Io(error)),
        }
    }

    /// So many bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// A number.
    pub fn u32(&mut self) -> Result<usize, Flaw> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// A number that is at most `most`.
    pub fn count(&mut self, most: usize, what: &str) -> Result<usize, Flaw> {
        let (at, count) = (self.read, self.u32()?);
        if count > most { self.flaw(at, format!("{count} {what}, of at most {most}")) } else { Ok(count) }
    }

    /// So many bytes. Memory is taken only for those that are there.
    pub fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Flaw> {
        let mut bytes = Vec::new();
        let got = self.from.by_ref().take(count as u64).read_to_end(&mut bytes).map_err(Flaw::Io)?;
        self.read += got as u64;
        if got < count {
            return self.flaw(self.read, "the export is cut short");
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// Hashes, after their count.
    pub fn hashes(&mut self, most: usize) -> Result<Vec<Hash>, Flaw> {
        let count = self.count(most, "nodes")?;
        (0..count).map(|_| self.array()).collect()
    }

    /// The end: nothing was changed on the way, and nothing follows.
    pub fn finish(mut self) -> Result<(), Flaw> {
        let (at, seal) = (self.read, *self.hasher.finalize().as_bytes());
        let mut bytes = [0; 32];
        self.fill(&mut bytes)?;
        if bytes != seal {
            return self.flaw(at, "the export does not match its checksum");
        }
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => self.flaw(self.read, "something follows the end of the export"),
            Err(error) => Err(Flaw::Io(error)),
        }
    }
}
