//! Makes an export from a log. Reads the log three times: for what there is, for what is before the range, and to write.
//!
//! Memory: 64 bytes for each entity of the log, 200 for each one exported, and one frame. It does not grow with the
//! length of the log.

use super::format::{END, FRAME, MAGIC, Sink, VERSION};
use super::versions::{Versions, bucket_of};
use super::{Error, MAX_ORDERS, MAX_SKUS, Selection, Side, digest, hex, order_of};
use crate::disk::{RealDisk, SharedDisk};
use crate::feed::projection;
use crate::journal::frame::{self, HEADER};
use crate::journal::{self, Corrupt, Hash, Log, RawFrame, Reader, Seq, merkle};
use crate::verify::ledger::{Map, entry_of};
use stampede_actors::ids::{EntityId, OrderId, SkuId};
use stampede_actors::record::{Position, Record, Version};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Orders that the SKUs' records in the range name.
    pub orders: usize,
    /// Records, with those at the borders of the range.
    pub records: u64,
    /// Bytes of the export.
    pub bytes: u64,
    /// The frame as of which it is.
    pub head: Seq,
    /// The root that it can be checked against.
    pub root: String,
}

/// Exports what was selected from the data directory `dir`, which no server may be using. `progress` is told how many of
/// how many records.
///
/// # Errors
/// [`Error`]: what cannot be proven is not exported.
pub fn write(
    dir: &Path,
    selection: &Selection,
    into: impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written, Error> {
    let refused = |what: String| Err(Error::Refused(what));
    if selection.skus.is_empty() || selection.skus.len() > MAX_SKUS {
        return refused(format!("an export is of 1 to {MAX_SKUS} SKUs"));
    }
    if selection.range.from >= selection.range.to {
        return refused("the range ends before it begins".to_owned());
    }
    let disk: SharedDisk = Arc::new(RealDisk);
    let log = Log::inspect(&disk, dir)?.log;
    let newest = log.head().seq;
    let head = selection.head.unwrap_or(newest);
    if head == 0 || head > newest {
        return refused(format!("there is no frame {head}: the log ends with frame {newest}"));
    }
    let survey = Survey::of(&log, selection, head, progress)?;
    let before = survey.before(&log, selection)?;
    survey.write(&log, selection, &before, into)
}

/// What there is in the log, up to the head.
struct Survey {
    /// The first record that is still kept.
    first: Position,
    /// Versions that deleted history left.
    deleted: Map<EntityId, Version>,
    versions: Map<EntityId, Version>,
    orders: BTreeSet<OrderId>,
    head: (Seq, Hash),
}

/// Where a record is: its frame's number, and its index in it.
type Place = (Seq, usize);

impl Survey {
    fn of(
        log: &Arc<Log>,
        selection: &Selection,
        head: Seq,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Survey, Error> {
        let (mut reader, first, deleted) = begin(log)?;
        let mut survey =
            Survey { first, versions: deleted.clone(), deleted, orders: BTreeSet::new(), head: (0, [0; 32]) };
        let all = log.head().position.0;
        while survey.head.0 < head {
            if !reader.step()? {
                break;
            }
            let RawFrame { header, hash, .. } = reader.frame();
            let side = selection.range.side(header.at);
            survey.head = (header.seq, hash);
            progress(header.last().0, all);
            for record in records(&reader)? {
                if let Err(what) = survey.take_in(&record, side, selection) {
                    return Err(corrupt(&reader, header.seq, what));
                }
            }
            if survey.orders.len() > MAX_ORDERS {
                return Err(Error::Refused(format!("more than {MAX_ORDERS} orders: choose a shorter range")));
            }
        }
        if survey.head.0 < head {
            return Err(Error::Refused(format!("frame {head} is no longer kept: its history was deleted")));
        }
        let unknown = |sku: &&SkuId| !survey.versions.contains_key(&EntityId::Sku((*sku).clone()));
        match selection.skus.iter().find(unknown) {
            Some(sku) => Err(Error::Refused(format!("there is no SKU {sku} in this log"))),
            None => Ok(survey),
        }
    }

    fn take_in(&mut self, record: &Record, side: Side, selection: &Selection) -> Result<(), String> {
        for entry in &record.entries {
            let last = entry_of(&mut self.versions, &entry.entity);
            if entry.version != *last + 1 {
                return Err(format!("version {} of {} follows version {last}", entry.version, entry.entity));
            }
            *last = entry.version;
            if let EntityId::Sku(sku) = &entry.entity
                && side == Side::Within
                && selection.skus.contains(sku)
            {
                self.orders.extend(order_of(&entry.event));
            }
        }
        Ok(())
    }

    /// Is this one of those exported?
    fn wants(&self, entity: &EntityId, selection: &Selection) -> bool {
        match entity {
            EntityId::Sku(sku) => selection.skus.contains(sku),
            EntityId::Order(order) => self.orders.contains(order),
            EntityId::Cart(_) | EntityId::Shop => false,
        }
    }

    fn wanted(&self, selection: &Selection) -> impl Iterator<Item = EntityId> {
        let skus = selection.skus.iter().cloned().map(EntityId::Sku);
        skus.chain(self.orders.iter().copied().map(EntityId::Order))
    }

    /// The last record before the range of each entity that has one.
    fn before(&self, log: &Arc<Log>, selection: &Selection) -> Result<BTreeSet<Place>, Error> {
        let (mut last, mut reader): (Map<EntityId, Place>, _) = (Map::default(), log.read_from(self.first)?);
        let mut seq = 0;
        while seq < self.head.0 {
            if !reader.step()? || selection.range.side(reader.frame().header.at) != Side::Before {
                break;
            }
            seq = reader.frame().header.seq;
            for (index, record) in records(&reader)?.into_iter().enumerate() {
                for entry in record.entries.into_iter().filter(|entry| self.wants(&entry.entity, selection)) {
                    last.insert(entry.entity, (seq, index));
                }
            }
        }
        for entity in self.wanted(selection) {
            if self.deleted.contains_key(&entity) && !last.contains_key(&entity) {
                return Err(Error::Refused(format!(
                    "nothing can be proven of {entity} in this range: its history before record {} was deleted, and no \
                     record of it is left before the range; choose a later beginning",
                    self.first.0
                )));
            }
        }
        Ok(last.into_values().collect())
    }

    fn write(
        &self,
        log: &Arc<Log>,
        selection: &Selection,
        before: &BTreeSet<Place>,
        into: impl Write,
    ) -> Result<Written, Error> {
        let mut sink = Sink::new(into);
        self.preamble(log, selection, &mut sink)?;
        let (mut reader, mut closed, mut shown) = (log.read_from(self.first)?, BTreeSet::new(), 0);
        let mut seq = 0;
        while seq < self.head.0 {
            if !reader.step()? {
                break;
            }
            let header = reader.frame().header;
            seq = header.seq;
            let side = selection.range.side(header.at);
            let mut chosen = Vec::new();
            for (index, record) in records(&reader)?.into_iter().enumerate() {
                let ours = record.entries.into_iter().map(|entry| entry.entity);
                let ours = ours.filter(|entity| self.wants(entity, selection));
                let needed = match side {
                    Side::Before => before.contains(&(seq, index)),
                    Side::Within => ours.count() > 0,
                    Side::After => ours.filter(|entity| closed.insert(entity.clone())).count() > 0,
                };
                if needed {
                    chosen.push(index);
                }
            }
            shown += chosen.len() as u64;
            if shown > 0 {
                put_frame(&mut sink, &reader, &chosen)?;
            }
        }
        sink.bytes(&[END])?;
        let root = self.put_versions(selection, &mut sink)?;
        let bytes = sink.written + 32;
        sink.finish()?;
        Ok(Written { orders: self.orders.len(), records: shown, bytes, head: self.head.0, root: hex(&root) })
    }

    fn preamble(&self, log: &Log, selection: &Selection, sink: &mut Sink<impl Write>) -> Result<(), Error> {
        sink.bytes(&MAGIC.to_le_bytes())?;
        sink.bytes(&VERSION.to_le_bytes())?;
        sink.bytes(&[0; 2])?;
        sink.bytes(&log.id().0)?;
        sink.bytes(&selection.range.from.0.to_le_bytes())?;
        sink.bytes(&selection.range.to.0.to_le_bytes())?;
        sink.u32(selection.skus.len())?;
        sink.u32(self.orders.len())?;
        for sku in &selection.skus {
            let code = sku.as_str().as_bytes();
            sink.bytes(&[code.len() as u8])?;
            sink.bytes(code)?;
        }
        for order in &self.orders {
            sink.bytes(&order.0.to_be_bytes())?;
        }
        Ok(())
    }

    /// The buckets that hold what was wanted; the root.
    fn put_versions(&self, selection: &Selection, sink: &mut Sink<impl Write>) -> Result<Hash, Error> {
        let versions = Versions::of(self.versions.iter().map(|(entity, version)| (entity, *version)));
        let buckets: BTreeSet<usize> = self.wanted(selection).map(|entity| bucket_of(&digest(&entity))).collect();
        sink.u32(buckets.len())?;
        for &number in &buckets {
            let entries = versions.bucket(number);
            sink.u32(number)?;
            sink.u32(entries.len())?;
            for (digest, version) in entries {
                sink.bytes(digest)?;
                sink.bytes(&version.to_le_bytes())?;
            }
        }
        let (beside, tree) = versions.beside(&Vec::from_iter(buckets));
        sink.hashes(&beside)?;
        Ok(super::versions::root(&self.head.1, &tree))
    }
}

/// Where the log begins, and what deleted history left.
fn begin(log: &Arc<Log>) -> Result<(Reader, Position, Map<EntityId, Version>), Error> {
    match log.read_from(Position(1)) {
        Ok(reader) => return Ok((reader.with_roots(), Position(1), Map::default())),
        Err(journal::Error::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let (mark, entities) = projection::full::entities(log)?;
    let first = Position(mark.position.0 + 1);
    let deleted = entities.into_iter().map(|(entity, _, version)| (entity, version)).collect();
    Ok((log.read_from(first)?.with_roots(), first, deleted))
}

/// The records of the frame that was read last.
fn records(reader: &Reader) -> Result<Vec<Record>, Error> {
    let frame = reader.frame();
    frame::records(&frame.header, frame.bytes).map_err(|what| corrupt(reader, frame.header.seq, what))
}

fn corrupt(reader: &Reader, seq: Seq, what: String) -> Error {
    let (file, offset) = reader.place();
    journal::Error::from(Corrupt { file: file.to_owned(), offset, seq, what }).into()
}

/// The header of the frame that was read last, and what is shown of it.
fn put_frame(sink: &mut Sink<impl Write>, reader: &Reader, chosen: &[usize]) -> Result<(), Error> {
    let frame = reader.frame();
    sink.bytes(&[FRAME])?;
    sink.bytes(&frame.bytes[..HEADER])?;
    sink.u32(chosen.len())?;
    if chosen.is_empty() {
        return Ok(());
    }
    let bytes = frame::record_bytes(&frame.header, frame.bytes);
    let bytes = bytes.map_err(|what| corrupt(reader, frame.header.seq, what.to_owned()))?;
    for &index in chosen {
        sink.u32(index)?;
        sink.u32(bytes[index].len())?;
        sink.bytes(bytes[index])?;
    }
    let leaves: Vec<Hash> = bytes.iter().map(|bytes| merkle::leaf(bytes)).collect();
    sink.hashes(&merkle::beside(leaves, chosen))?;
    Ok(())
}
