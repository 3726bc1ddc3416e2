//! Somebody who has the whole log and wants an export to say something else: every count, Merkle path and checksum that he
//! can make himself is right.

use super::super::format::{END, FRAME, Sink};
use super::super::versions::{Versions, bucket_of};
use super::*;
use crate::disk::{RealDisk, SharedDisk};
use crate::journal::frame::{self, HEADER};
use crate::journal::{Log, merkle};
use stampede_actors::record::Position;

/// A genuine export, taken apart.
#[derive(Clone)]
pub struct Forger {
    pub log: [u8; 16],
    pub range: Range,
    pub skus: Vec<String>,
    pub orders: Vec<u128>,
    pub frames: Vec<Frame>,
    /// Those before the first that shows a record.
    pub earlier: Vec<Frame>,
    versions: Arc<Versions>,
    /// Bytes of the table for the orders of the genuine export: making them takes a while.
    table: (Vec<u128>, Vec<u8>),
}

/// One frame of the log.
#[derive(Clone)]
pub struct Frame {
    pub header: Vec<u8>,
    pub records: Vec<Vec<u8>>,
    pub shown: BTreeSet<usize>,
}

impl Forger {
    /// Takes a genuine export apart, with the log that it was made from.
    pub fn of(kept: &Kept, selection: &Selection) -> (Forger, Hash) {
        let (bytes, written) = kept.export(selection).unwrap();
        let root = root_of(&written);
        let mut shown: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut note = |record: Shown| shown.entry(record.seq).or_default().extend([record.position.0]);
        check(&bytes[..], &root, &mut note).unwrap();
        let disk: SharedDisk = Arc::new(RealDisk);
        let log = Log::inspect(&disk, kept.dir.path()).unwrap().log;
        let (mut reader, mut frames) = (log.read_from(Position(1)).unwrap(), Vec::new());
        let first = *shown.first_key_value().unwrap().0;
        let mut versions: BTreeMap<EntityId, u64> = BTreeMap::new();
        while reader.step().unwrap() {
            let frame = reader.frame();
            for entry in
                frame::records(&frame.header, frame.bytes).unwrap().into_iter().flat_map(|record| record.entries)
            {
                versions.insert(entry.entity, entry.version);
            }
            let records = frame::record_bytes(&frame.header, frame.bytes).unwrap();
            let records: Vec<Vec<u8>> = records.into_iter().map(<[u8]>::to_vec).collect();
            let shown = shown.remove(&frame.header.seq).unwrap_or_default();
            let shown = shown.into_iter().map(|position| (position - frame.header.first.0) as usize).collect();
            frames.push(Frame { header: frame.bytes[..HEADER].to_vec(), records, shown });
        }
        let later = frames.split_off(first as usize - 1);
        let versions = Versions::of(versions.iter().map(|(entity, version)| (entity, *version)));
        let mut forger = Forger {
            log: log.id().0,
            range: selection.range,
            skus: selection.skus.iter().map(ToString::to_string).collect(),
            orders: Vec::new(),
            frames: later,
            earlier: frames,
            versions: Arc::new(versions),
            table: Default::default(),
        };
        let orders = forger.preamble().len();
        for number in 0..written.orders {
            let id = &bytes[orders + 16 * number..][..16];
            forger.orders.push(u128::from_be_bytes(id.try_into().unwrap()));
        }
        forger.table = (forger.orders.clone(), forger.table_of());
        assert!(forger.encode() == bytes, "the forger can write what he has read");
        (forger, root)
    }

    fn preamble(&self) -> Vec<u8> {
        let mut bytes = b"SPEX\x01\0\0\0".to_vec();
        bytes.extend(self.log);
        bytes.extend(self.range.from.0.to_le_bytes());
        bytes.extend(self.range.to.0.to_le_bytes());
        bytes.extend((self.skus.len() as u32).to_le_bytes());
        bytes.extend((self.orders.len() as u32).to_le_bytes());
        for code in &self.skus {
            bytes.push(code.len() as u8);
            bytes.extend(code.as_bytes());
        }
        self.orders.iter().for_each(|order| bytes.extend(order.to_be_bytes()));
        bytes
    }

    /// The export that he wants, checksum and all.
    pub fn encode(&self) -> Vec<u8> {
        let mut sink = Sink::new(Vec::new());
        sink.bytes(&self.preamble()).unwrap();
        for frame in &self.frames {
            sink.bytes(&[FRAME]).unwrap();
            sink.bytes(&frame.header).unwrap();
            sink.u32(frame.shown.len()).unwrap();
            for &index in &frame.shown {
                sink.u32(index).unwrap();
                sink.u32(frame.records[index].len()).unwrap();
                sink.bytes(&frame.records[index]).unwrap();
            }
            if !frame.shown.is_empty() {
                let leaves = frame.records.iter().map(|record| merkle::leaf(record)).collect();
                sink.hashes(&merkle::beside(leaves, &Vec::from_iter(frame.shown.iter().copied()))).unwrap();
            }
        }
        sink.bytes(&[END]).unwrap();
        let (orders, table) = &self.table;
        if *orders == self.orders {
            sink.bytes(table).unwrap()
        } else {
            sink.bytes(&self.table_of()).unwrap()
        }
        sink.finish().unwrap()
    }

    /// The buckets of his SKUs and orders, and what is beside them.
    fn table_of(&self) -> Vec<u8> {
        let mut sink = Sink::new(Vec::new());
        let skus = self.skus.iter().map(|code| EntityId::Sku(sku(code)));
        let wanted = skus.chain(self.orders.iter().map(|order| EntityId::Order(OrderId(*order))));
        let buckets: BTreeSet<usize> = wanted.map(|entity| bucket_of(&digest(&entity))).collect();
        sink.u32(buckets.len()).unwrap();
        for &number in &buckets {
            let entries = self.versions.bucket(number);
            sink.u32(number).unwrap();
            sink.u32(entries.len()).unwrap();
            for (digest, version) in entries {
                sink.bytes(digest).unwrap();
                sink.bytes(&version.to_le_bytes()).unwrap();
            }
        }
        sink.hashes(&self.versions.beside(&Vec::from_iter(buckets)).0).unwrap();
        let mut bytes = sink.finish().unwrap();
        // Not at the end yet: no checksum.
        bytes.truncate(bytes.len() - 32);
        bytes
    }

    /// All records of these frames: frame, index, and whether it is shown.
    pub fn records(&self) -> Vec<(usize, usize, bool)> {
        let of = |(number, frame): (usize, &Frame)| {
            let shown = frame.shown.clone();
            (0..frame.records.len()).map(move |index| (number, index, shown.contains(&index))).collect::<Vec<_>>()
        };
        self.frames.iter().enumerate().flat_map(of).collect()
    }

    /// Why this forgery is none that passes.
    #[track_caller]
    pub fn fails(&self, root: &Hash, what: &str) -> String {
        fails(&self.encode(), root, what)
    }
}

#[track_caller]
pub fn fails(bytes: &[u8], root: &Hash, what: &str) -> String {
    match check(bytes, root, &mut |_| {}) {
        Err(flaw) => flaw.to_string(),
        Ok(verdict) => panic!("{what}: nobody saw it: {verdict:?}"),
    }
}
