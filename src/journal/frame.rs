//! What a frame looks like on disk. Frozen: golden files hold frames of every version.
//!
//! ```text
//!   0 magic u32        4 version u16      6 flags u16        8 log id 16
//!  24 segment u64     32 epoch u64       40 seq u64         48 first position u64
//!  56 records u32     60 payload len u32 64 engine time i64 72 previous hash 32
//! 104 Merkle root 32 136 payload crc u32 140 header crc u32 144 payload, zeros to 4 KiB
//! ```
//! Little-endian; CRC-32C. The payload is each record's length (u32) and bytes. The frame's hash is BLAKE3 of the first
//! 140 bytes: the header without its CRC.

use super::merkle::Merkle;
use super::{Hash, Head, LogId, Seq};
use crate::disk::{AlignedBuf, whole_blocks};
use stampede_actors::codec;
use stampede_actors::mutant::Mutant;
use stampede_actors::record::{Position, Record};
use stampede_actors::time::Timestamp;

/// Bytes before the payload.
pub const HEADER: usize = 144;
/// The version written.
pub const VERSION: u16 = 1;
const MAGIC: u32 = u32::from_le_bytes(*b"SPFR");
const HASHED: usize = 140;
const RECORD_HEAD: usize = 4;

/// Everything before the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Of which log.
    pub log: LogId,
    /// In which segment it was written: what an earlier use of the same file left has a lower number.
    pub segment: u64,
    /// Of the opening that wrote it.
    pub epoch: u64,
    /// Its number.
    pub seq: Seq,
    /// Position of its first record.
    pub first: Position,
    /// How many records.
    pub records: u32,
    /// Bytes of payload.
    pub payload: u32,
    /// Engine time when it was made.
    pub at: Timestamp,
    /// Hash of the frame before.
    pub prev: Hash,
    /// Merkle root of its records.
    pub root: Hash,
    /// CRC-32C of the payload.
    pub payload_crc: u32,
}

impl Header {
    /// Reads a header. `None` when this is none: other magic, version or flags, or a wrong CRC.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let mut fields = Fields(bytes.get(..HEADER)?);
        if fields.u32()? != MAGIC || fields.u16()? != VERSION || fields.u16()? != 0 {
            return None;
        }
        let header = Header {
            log: LogId(fields.array()?),
            segment: fields.u64()?,
            epoch: fields.u64()?,
            seq: fields.u64()?,
            first: Position(fields.u64()?),
            records: fields.u32()?,
            payload: fields.u32()?,
            at: Timestamp(i64::from_le_bytes(fields.array()?)),
            prev: fields.array()?,
            root: fields.array()?,
            payload_crc: fields.u32()?,
        };
        (fields.u32()? == crc(&bytes[..HASHED])).then_some(header)
    }

    /// Writes the header in front of a frame; the frame's hash.
    pub(crate) fn write(&self, bytes: &mut [u8]) -> Hash {
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&[0; 2]);
        bytes[8..24].copy_from_slice(&self.log.0);
        bytes[24..32].copy_from_slice(&self.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.seq.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.records.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.payload.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.at.0.to_le_bytes());
        bytes[72..104].copy_from_slice(&self.prev);
        bytes[104..136].copy_from_slice(&self.root);
        bytes[136..140].copy_from_slice(&self.payload_crc.to_le_bytes());
        let header_crc = crc(&bytes[..HASHED]);
        bytes[140..144].copy_from_slice(&header_crc.to_le_bytes());
        hash(bytes)
    }

    /// Bytes of the whole frame on disk.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        whole_blocks(HEADER + self.payload as usize)
    }

    /// Position of the last record up to and with this frame.
    #[must_use]
    pub fn last(&self) -> Position {
        // Whoever forges a header may begin it anywhere.
        Position(self.first.0.saturating_add(u64::from(self.records)).saturating_sub(1))
    }

    /// The log's end when this is its last frame, with this hash.
    #[must_use]
    pub fn head(&self, hash: Hash) -> Head {
        Head { seq: self.seq, hash, position: self.last(), at: self.at, epoch: self.epoch }
    }
}

/// The frame's hash, from its first bytes.
#[must_use]
pub fn hash(frame: &[u8]) -> Hash {
    *blake3::hash(&frame[..HASHED]).as_bytes()
}

/// CRC-32C.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Where a frame goes: what only the log knows.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Which log.
    pub log: LogId,
    /// Which segment.
    pub segment: u64,
    /// Of this opening.
    pub epoch: u64,
    /// Number of the frame.
    pub seq: Seq,
    /// Hash of the frame before.
    pub prev: Hash,
}

/// A frame before it has a place: records encoded behind room for a header. Its memory is used again and again.
#[derive(Debug)]
pub struct FrameBody {
    bytes: AlignedBuf,
    scratch: Vec<u8>,
    tree: Merkle,
    first: Position,
    at: Timestamp,
    records: u32,
}

impl FrameBody {
    /// Bytes on disk of a frame without records.
    pub const EMPTY_LEN: usize = whole_blocks(HEADER);

    /// Empty, with room for `bytes`; grows when a single record is larger.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> FrameBody {
        let mut body = FrameBody {
            bytes: AlignedBuf::with_capacity(bytes.max(HEADER)),
            scratch: Vec::new(),
            tree: Merkle::default(),
            first: Position(1),
            at: Timestamp::ZERO,
            records: 0,
        };
        body.clear(Position(1), Timestamp::ZERO);
        body
    }

    /// Empties it for the records from `first` on, made at `at`.
    pub fn clear(&mut self, first: Position, at: Timestamp) {
        self.bytes.resize(HEADER);
        self.tree.clear();
        self.first = first;
        self.at = at;
        self.records = 0;
    }

    /// Adds a record, unless the frame has records and would pass `cap` bytes. A record is never split (S9).
    pub fn push(&mut self, record: &Record, cap: usize) -> bool {
        self.scratch.clear();
        codec::encode_record(record, &mut self.scratch);
        if self.records > 0 && self.bytes.len() + RECORD_HEAD + self.scratch.len() > cap {
            return false;
        }
        let len = u32::try_from(self.scratch.len()).expect("a record is bounded by the limits of its entities");
        self.bytes.extend(&len.to_le_bytes());
        self.bytes.extend(&self.scratch);
        self.tree.push(&self.scratch);
        self.records += 1;
        true
    }

    /// Records in it.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Position of its first record.
    #[must_use]
    pub fn first(&self) -> Position {
        self.first
    }

    /// Position of its last record, or of the one before when it has none.
    #[must_use]
    pub fn last(&self) -> Position {
        Position(self.first.0 + u64::from(self.records) - 1)
    }

    /// Engine time when it was made.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Bytes that it will take on disk.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        whole_blocks(self.bytes.len())
    }

    /// Gives it a place: fills in the header and pads it. Answers the frame's bytes and hash. Once only.
    pub fn seal(&mut self, place: Place) -> (&[u8], Hash) {
        let payload = &self.bytes[HEADER..];
        let header = Header {
            log: place.log,
            segment: place.segment,
            epoch: place.epoch,
            seq: place.seq,
            first: self.first,
            records: self.records,
            payload: u32::try_from(payload.len()).expect("a frame is smaller than a segment"),
            at: self.at,
            prev: place.prev,
            root: self.tree.root(),
            payload_crc: crc(payload),
        };
        let hash = header.write(&mut self.bytes[..HEADER]);
        let padded = whole_blocks(self.bytes.len());
        self.bytes.resize(padded);
        (&self.bytes, hash)
    }
}

impl FrameBody {
    /// The bytes of a frame that was given its place, padding included.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is wrong with a frame whose header is whole; `None` when nothing is. Header and payload are looked at, not the
/// chain.
#[must_use]
pub fn fault(header: &Header, frame: &[u8]) -> Option<&'static str> {
    let end = HEADER + header.payload as usize;
    if frame.len() < header.frame_len() {
        return Some("the frame is cut short");
    }
    if crc(&frame[HEADER..end]) != header.payload_crc && !Mutant::ChecksumCheck.is_off() {
        return Some("the payload does not match its checksum");
    }
    if frame[end..header.frame_len()].iter().any(|&byte| byte != 0) {
        return Some("the padding is not zero");
    }
    None
}

/// A sealed frame's bytes up to where its padding begins.
#[must_use]
pub fn without_padding(frame: &[u8]) -> &[u8] {
    let payload = frame.get(60..64).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    &frame[..frame.len().min(HEADER + payload as usize)]
}

/// The records' bytes in a payload whose CRC was right. An error is a writer's bug or a forgery.
///
/// # Errors
/// What does not add up.
pub fn record_bytes<'a>(header: &Header, frame: &'a [u8]) -> Result<Vec<&'a [u8]>, &'static str> {
    let mut rest = frame.get(HEADER..HEADER + header.payload as usize).ok_or("the frame is cut short")?;
    let mut records = Vec::with_capacity(header.records.min(header.payload) as usize);
    while let Some((len, tail)) = rest.split_first_chunk::<RECORD_HEAD>() {
        let len = u32::from_le_bytes(*len) as usize;
        records.push(tail.get(..len).ok_or("a record is longer than its frame")?);
        rest = &tail[len..];
    }
    if !rest.is_empty() || records.len() != header.records as usize {
        return Err("the records do not fill their frame");
    }
    Ok(records)
}

/// Decodes a frame's records.
///
/// # Errors
/// What does not add up.
pub fn records(header: &Header, frame: &[u8]) -> Result<Vec<Record>, String> {
    let decode = |(index, bytes)| {
        codec::decode_record(bytes).map_err(|error| format!("record {index} of the frame cannot be decoded: {error}"))
    };
    record_bytes(header, frame)?.into_iter().enumerate().map(decode).collect()
}

/// Where in a frame, whose records were read already, the one with this index begins: at its length.
#[must_use]
pub fn offset_of(frame: &[u8], record: usize) -> usize {
    let mut offset = HEADER;
    for _ in 0..record {
        let Some(len) = frame.get(offset..).and_then(|rest| rest.first_chunk()) else { break };
        offset += RECORD_HEAD + u32::from_le_bytes(*len) as usize;
    }
    offset
}

/// Is the Merkle root that of the records? For the full verification; a replay relies on CRC and chain.
///
/// # Errors
/// What does not add up.
pub fn check_root(header: &Header, frame: &[u8]) -> Result<(), &'static str> {
    let mut tree = Merkle::default();
    record_bytes(header, frame)?.into_iter().for_each(|record| tree.push(record));
    if tree.root() == header.root { Ok(()) } else { Err("the Merkle root is not that of the records") }
}

/// Fixed-size fields, one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
