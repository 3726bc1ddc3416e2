//! Looks at an export, from front to back and once: is every record of it in the log with this root, and is none missing?

use super::format::{END, FRAME, MAGIC, MAX_RECORD, Source, VERSION};
use super::trail::{Trail, Trails};
use super::versions::{self, BUCKETS};
use super::{Flaw, MAX_ORDERS, MAX_SKUS, Range, Side, digest, hex};
use crate::journal::frame::{self, HEADER, Header};
use crate::journal::{Chain, Hash, Head, LogId, Seq, merkle};
use serde::Serialize;
use stampede_actors::codec;
use stampede_actors::ids::{EntityId, OrderId, SkuId};
use stampede_actors::record::{Position, Record, Version};
use stampede_actors::time::Timestamp;
use std::io::Read;

/// What an export proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The SKUs, with how many records each has in the range.
    pub skus: Vec<(String, u64)>,
    /// How many orders these records name.
    pub orders: usize,
    /// From when, in microseconds; `None`: from the beginning.
    pub from: Option<Timestamp>,
    /// Until when, in microseconds; `None`: until the end.
    pub to: Option<Timestamp>,
    /// Records in the range.
    pub records: u64,
    /// Records before and after it, which prove that it is complete.
    pub borders: u64,
    /// Headers of frames in the export.
    pub frames: u64,
    /// The log's last frame.
    pub head: Seq,
    /// Its hash.
    pub hash: String,
    /// The root.
    pub root: String,
}

/// A record of the export, with its place in the log.
#[derive(Debug)]
pub struct Shown {
    /// Where it is.
    pub side: Side,
    /// The frame's number.
    pub seq: Seq,
    /// The frame's time.
    pub at: Timestamp,
    /// The record's number.
    pub position: Position,
    /// What it says.
    pub record: Record,
}

/// Checks an export against the root that was noted down. `show` is called with each record, before it is known whether
/// all is right. Memory: what is exported of SKUs and orders, and one frame's records.
///
/// # Errors
/// [`Flaw`]: what is wrong with it, and where.
pub fn check(export: impl Read, root: &Hash, show: &mut dyn FnMut(Shown)) -> Result<Verdict, Flaw> {
    let mut check = Check { source: Source::new(export), trails: Trails::default(), range: Range::ALL };
    let log = check.preamble()?;
    let wanted = check.wanted()?;
    let (head, frames) = check.frames(log, show)?;
    let offset = check.source.read;
    if let Some(what) = check.trails.flaw() {
        return check.source.flaw(offset, what);
    }
    let found = versions::root(&head.hash, &check.versions(&wanted)?);
    if found != *root {
        let what = format!(
            "the root of this export is {}, and not {}: it was changed, or is of another log or another time",
            hex(&found),
            hex(root)
        );
        return check.source.flaw(offset, what);
    }
    let Check { source, trails, range } = check;
    source.finish()?;
    let skus = wanted.iter().filter_map(|entity| match entity {
        EntityId::Sku(sku) => Some((sku.to_string(), trails.of.get(entity).map_or(0, |trail| trail.records))),
        _ => None,
    });
    let skus: Vec<_> = skus.collect();
    let [before, records, after] = trails.records;
    Ok(Verdict {
        orders: wanted.len() - skus.len(),
        skus,
        from: (range.from != Range::ALL.from).then_some(range.from),
        to: (range.to != Range::ALL.to).then_some(range.to),
        records,
        borders: before + after,
        frames,
        head: head.seq,
        hash: hex(&head.hash),
        root: hex(root),
    })
}

struct Check<R> {
    source: Source<R>,
    trails: Trails,
    range: Range,
}

impl<R: Read> Check<R> {
    fn preamble(&mut self) -> Result<LogId, Flaw> {
        let not_ours = |flaw| if let Flaw::Refuted { .. } = flaw { Flaw::NotAnExport } else { flaw };
        if self.source.u32().map_err(not_ours)? != MAGIC as usize {
            return Err(Flaw::NotAnExport);
        }
        match u16::from_le_bytes(self.source.array()?) {
            VERSION => {}
            other => return Err(Flaw::Version(other)),
        }
        if self.source.array()? != [0; 2] {
            return self.source.flaw(6, "there is something where nothing may be");
        }
        let log = LogId(self.source.array()?);
        let from = Timestamp(i64::from_le_bytes(self.source.array()?));
        let to = Timestamp(i64::from_le_bytes(self.source.array()?));
        self.range = Range { from, to };
        Ok(log)
    }

    /// The SKUs and orders that it is about.
    fn wanted(&mut self) -> Result<Vec<EntityId>, Flaw> {
        let skus = self.source.count(MAX_SKUS, "SKUs")?;
        let orders = self.source.count(MAX_ORDERS, "orders")?;
        let mut wanted: Vec<EntityId> = Vec::new();
        for number in 0..skus + orders {
            let at = self.source.read;
            let entity = if number < skus {
                let [len] = self.source.array()?;
                let code = self.source.bytes(usize::from(len))?;
                std::str::from_utf8(&code).ok().and_then(|code| SkuId::new(code).ok()).map(EntityId::Sku)
            } else {
                Some(EntityId::Order(OrderId(u128::from_be_bytes(self.source.array()?))))
            };
            // SKUs come before orders in the order of entities, too.
            match entity.filter(|entity| wanted.last().is_none_or(|last| last < entity)) {
                Some(entity) => wanted.push(entity),
                None => return self.source.flaw(at, "this cannot be the next SKU or order"),
            }
        }
        if skus == 0 {
            return self.source.flaw(40, "the export is of no SKU");
        }
        self.trails.of = wanted.iter().map(|entity| (entity.clone(), Trail::default())).collect();
        Ok(wanted)
    }

    /// The frames up to the head; how many there are.
    fn frames(&mut self, log: LogId, show: &mut dyn FnMut(Shown)) -> Result<(Head, u64), Flaw> {
        let (mut chain, mut count): (Option<Chain>, u64) = (None, 0);
        loop {
            let at = self.source.read;
            match self.source.array()? {
                [FRAME] => {}
                [END] => break,
                _ => return self.source.flaw(at, "neither a frame nor the end of the frames"),
            }
            let at = self.source.read;
            let bytes: [u8; HEADER] = self.source.array()?;
            let hash = frame::hash(&bytes);
            let Some(header) = Header::read(&bytes).filter(|header| header.log == log) else {
                return self.source.flaw(at, "the frame's header is damaged, or of another log");
            };
            match &mut chain {
                None => chain = Some(Chain::new(log, header.head(hash))),
                Some(chain) => {
                    if let Err(what) = chain.follow(&header, hash) {
                        return self.source.flaw(at, what);
                    }
                }
            }
            let shown = self.shown(&header, show)?;
            if count == 0 && shown == 0 {
                return self.source.flaw(at, "a frame that nothing in this export asks for");
            }
            count += 1;
        }
        match chain {
            Some(chain) => Ok((chain.head, count)),
            None => self.source.flaw(self.source.read, "the export has no frames"),
        }
    }

    /// The records shown of a frame: are they in it, and do they belong here? How many there are.
    fn shown(&mut self, header: &Header, show: &mut dyn FnMut(Shown)) -> Result<usize, Flaw> {
        let count = self.source.count(header.records as usize, "records of the frame")?;
        if count == 0 {
            return Ok(0);
        }
        let began = self.source.read;
        let mut leaves: Vec<(usize, Hash)> = Vec::new();
        let mut records: Vec<(u64, Record)> = Vec::new();
        let mut left = MAX_RECORD.min(header.payload as usize);
        for _ in 0..count {
            let at = self.source.read;
            let index = self.source.u32()?;
            let len = self.source.count(left, "bytes of the record")?;
            let bytes = self.source.bytes(len)?;
            left -= len;
            leaves.push((index, merkle::leaf(&bytes)));
            match codec::decode_record(&bytes) {
                Ok(record) => records.push((at, record)),
                Err(error) => return self.source.flaw(at, format!("a record cannot be decoded: {error}")),
            }
        }
        // At most one node for each shown record on each of at most 32 levels.
        let beside = self.source.hashes(count.saturating_mul(32))?;
        if merkle::root_of(header.records as usize, &leaves, &beside) != Some(header.root) {
            return self.source.flaw(began, format!("these records are not in frame {}", header.seq));
        }
        let side = self.range.side(header.at);
        for ((at, record), (index, _)) in records.into_iter().zip(leaves) {
            if let Err(what) = self.trails.take_in(&record, side) {
                return self.source.flaw(at, what);
            }
            let position = Position(header.first.0.saturating_add(index as u64));
            show(Shown { side, seq: header.seq, at: header.at, position, record });
        }
        Ok(count)
    }

    /// The last versions of all entities: does each trail reach its end? The root of the buckets' tree.
    fn versions(&mut self, wanted: &[EntityId]) -> Result<Hash, Flaw> {
        let mut digests: Vec<(Hash, &EntityId)> = wanted.iter().map(|entity| (digest(entity), entity)).collect();
        digests.sort_unstable();
        let (mut digests, mut leaves) = (digests.into_iter().peekable(), Vec::new());
        let count = self.source.count(BUCKETS, "buckets")?;
        for _ in 0..count {
            let at = self.source.read;
            let number = self.source.u32()?;
            if digests.peek().is_none_or(|(digest, _)| versions::bucket_of(digest) != number) {
                return self.source.flaw(at, "this is not the next bucket of versions that is needed");
            }
            let (mut hasher, mut last) = (versions::hasher(), None);
            for _ in 0..self.source.u32()? {
                let at = self.source.read;
                let entry = (self.source.array()?, u64::from_le_bytes(self.source.array()?));
                if last >= Some(entry.0) || versions::bucket_of(&entry.0) != number {
                    return self.source.flaw(at, "this cannot be the next version in its bucket");
                }
                while let Some((_, absent)) = digests.next_if(|(digest, _)| *digest < entry.0) {
                    self.reaches(absent, 0, at)?;
                }
                if let Some((_, entity)) = digests.next_if(|(digest, _)| *digest == entry.0) {
                    self.reaches(entity, entry.1, at)?;
                }
                versions::add(&mut hasher, &entry);
                last = Some(entry.0);
            }
            while let Some((_, absent)) = digests.next_if(|(digest, _)| versions::bucket_of(digest) == number) {
                self.reaches(absent, 0, at)?;
            }
            leaves.push((number, *hasher.finalize().as_bytes()));
        }
        let at = self.source.read;
        if let Some((_, entity)) = digests.peek() {
            return self.source.flaw(at, format!("the last version of {entity} is missing"));
        }
        let beside = self.source.hashes(BUCKETS)?;
        match merkle::root_of(BUCKETS, &leaves, &beside) {
            Some(root) => Ok(root),
            None => self.source.flaw(at, "these are not the nodes beside the buckets"),
        }
    }

    fn reaches(&self, entity: &EntityId, newest: Version, at: u64) -> Result<(), Flaw> {
        let trail = self.trails.of.get(entity).copied().unwrap_or_default();
        if trail.reaches(newest) {
            return Ok(());
        }
        let what = format!(
            "the last version of {entity} is {newest}, and version {} is the last shown: a record is missing",
            trail.last
        );
        self.source.flaw(at, what)
    }
}
