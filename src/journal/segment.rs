//! A segment: a preallocated file that begins with one block saying what it is, followed by frames.
//!
//! ```text
//!  0 magic u32    4 version u16         6 zero u16          8 log id 16
//! 24 number u64   32 size u64           then the frame before its first:
//! 40 seq u64      48 last position u64  56 engine time i64  64 epoch u64  72 hash 32  104 crc u32
//! ```

use super::frame::{Fields, crc};
use super::{Head, LogId};
use crate::disk::{AlignedBuf, BLOCK};
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;

/// Where the first frame is.
pub const FIRST_FRAME: u64 = BLOCK as u64;
const MAGIC: u32 = u32::from_le_bytes(*b"SPSG");
const VERSION: u16 = 1;
const CHECKED: usize = 104;

/// How a segment begins, and so how the one before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Of which log.
    pub log: LogId,
    /// Its number; from 1, never used again.
    pub number: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// The frame before its first; all zero in the first segment.
    pub before: Head,
}

impl Start {
    /// The block.
    #[must_use]
    pub fn write(&self) -> AlignedBuf {
        let mut block = AlignedBuf::with_capacity(BLOCK);
        block.extend(&MAGIC.to_le_bytes());
        block.extend(&VERSION.to_le_bytes());
        block.extend(&[0; 2]);
        block.extend(&self.log.0);
        for number in [self.number, self.size] {
            block.extend(&number.to_le_bytes());
        }
        write_head(&self.before, &mut block);
        let crc = crc(&block);
        block.extend(&crc.to_le_bytes());
        block.resize(BLOCK);
        block
    }

    /// Reads the block. `None` when it is none, or damaged.
    #[must_use]
    pub fn read(block: &[u8]) -> Option<Start> {
        let mut fields = Fields(block);
        if fields.u32()? != MAGIC || fields.u16()? != VERSION || fields.u16()? != 0 {
            return None;
        }
        let start = Start {
            log: LogId(fields.array()?),
            number: fields.u64()?,
            size: fields.u64()?,
            before: read_head(&mut fields)?,
        };
        (fields.u32()? == crc(&block[..CHECKED])).then_some(start)
    }
}

/// 64 bytes that say where a log ends or ended.
pub(super) fn write_head(head: &Head, into: &mut AlignedBuf) {
    into.extend(&head.seq.to_le_bytes());
    into.extend(&head.position.0.to_le_bytes());
    into.extend(&head.at.0.to_le_bytes());
    into.extend(&head.epoch.to_le_bytes());
    into.extend(&head.hash);
}

/// Reads what [`write_head`] wrote.
pub(super) fn read_head(fields: &mut Fields) -> Option<Head> {
    Some(Head {
        seq: fields.u64()?,
        position: Position(fields.u64()?),
        at: Timestamp(i64::from_le_bytes(fields.array()?)),
        epoch: fields.u64()?,
        hash: fields.array()?,
    })
}

/// `000000000001.seg`.
#[must_use]
pub fn file_name(number: u64) -> String {
    format!("{number:012}.seg")
}

/// The number in a segment's file name.
#[must_use]
pub fn number_of(file_name: &str) -> Option<u64> {
    let number = file_name.strip_suffix(".seg")?.parse().ok()?;
    (self::file_name(number) == file_name).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panicking
    use super::*;

    #[test]
    fn a_start_reads_back_and_no_flipped_bit_goes_unseen() {
        let before = Head { seq: 9, hash: [5; 32], position: Position(90), at: Timestamp(-1), epoch: 4 };
        let start = Start { log: LogId([7; 16]), number: 3, size: 1 << 20, before };
        let mut block = start.write();
        assert_eq!(Start::read(&block), Some(start));
        for bit in 0..(CHECKED + 4) * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Start::read(&block), None, "bit {bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn only_our_own_names_are_segments() {
        assert_eq!(number_of("000000000012.seg"), Some(12));
        assert_eq!(number_of("12.seg"), None);
        assert_eq!(number_of("spare.1"), None);
    }
}
