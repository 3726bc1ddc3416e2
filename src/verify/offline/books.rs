//! Everything that the log adds up to, twice: by the events in the ledger, and by the aggregates.

use super::report::{Finding, Report, StoreState};
use crate::export::{Versions, hex};
use crate::feed::projection::{EntityState, Snapshot};
use crate::journal::{Committed, Head, Reader};
use crate::verify::counting::Share;
use crate::verify::invariants::{Invariant, Stock, Violation};
use crate::verify::ledger::{Ledger, Map, entry_or};
use crate::verify::summary::Totals;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::Entry;
use std::path::PathBuf;

/// Findings kept word for word; the rest is only counted.
const KEPT: usize = 100;

/// Everything that the log adds up to so far.
#[derive(Default)]
pub(super) struct Books {
    first: u64,
    /// `None` when the history does not begin at the beginning.
    ledger: Option<Ledger>,
    pub entities: Map<EntityId, Kept>,
    totals: Totals,
    frames: u64,
    records: u64,
    events: u64,
    found: u64,
    findings: Vec<Finding>,
    /// Some versions do not follow each other.
    gaps: bool,
    /// Files that records were in.
    files: Vec<PathBuf>,
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
struct Place {
    seq: u64,
    position: u64,
    /// Number of the file.
    file: usize,
    offset: u64,
}

pub(super) struct Kept {
    pub state: EntityState,
    pub version: u64,
    /// Where its last event is.
    last: Option<Place>,
    /// It did not take in one of its events: nothing more can be said of it.
    pub broken: bool,
}

impl Books {
    /// Before the first record.
    pub fn from_the_beginning() -> Books {
        Books { first: 1, ledger: Some(Ledger::default()), ..Books::default() }
    }

    /// After a history that was deleted.
    pub fn from_entities(first: u64, entities: Vec<Snapshot>) -> Books {
        let kept = |(entity, state, version)| (entity, Kept { state, version, last: None, broken: false });
        Books { first, entities: entities.into_iter().map(kept).collect(), ..Books::default() }
    }

    pub fn frame(&mut self, frame: &Committed, reader: &Reader) {
        self.frames += 1;
        for (index, record) in frame.records.iter().enumerate() {
            self.records += 1;
            let place = self.place(frame, reader, index);
            let mut violations = self.ledger.as_mut().map(|ledger| ledger.record(record)).unwrap_or_default();
            for entry in &record.entries {
                self.events += 1;
                violations.extend(self.apply(entry, place));
            }
            for violation in violations {
                self.gaps |= violation.invariant == Invariant::VersionGap;
                self.find(violation, Some(place));
            }
        }
    }

    fn place(&mut self, frame: &Committed, reader: &Reader, index: usize) -> Place {
        let (file, offset) = reader.place_of(index);
        if self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.to_path_buf());
        }
        Place { seq: frame.seq, position: frame.first.0 + index as u64, file: self.files.len() - 1, offset }
    }

    fn apply(&mut self, entry: &Entry, place: Place) -> Option<Violation> {
        let fresh = || Kept { state: EntityState::new(&entry.entity), version: 0, last: None, broken: false };
        let kept = entry_or(&mut self.entities, &entry.entity, fresh);
        let gap = self.ledger.is_none() && entry.version != kept.version + 1;
        kept.last = Some(place);
        let before = std::mem::replace(&mut kept.version, entry.version);
        if gap {
            let detail = format!("version {} follows version {before}", entry.version);
            return Some(Violation::new(Invariant::VersionGap, &entry.entity, detail));
        }
        if kept.broken {
            return None;
        }
        let what = kept.state.apply(&entry.event).err()?;
        kept.broken = true;
        let detail = format!("it does not take in its event {}: {what}", entry.version);
        Some(Violation::new(Invariant::Replay, &entry.entity, detail))
    }

    fn find(&mut self, violation: Violation, place: Option<Place>) {
        self.found += 1;
        if self.findings.len() < KEPT {
            self.findings.push(Finding {
                violation,
                seq: place.map(|place| place.seq),
                position: place.map(|place| place.position),
                file: place.map(|place| self.files[place.file].clone()),
                offset: place.map(|place| place.offset),
            });
        }
    }

    /// What follows from all records together. Where it is about one entity, its last record is the place to look.
    pub fn find_overall(&mut self, violation: Violation) {
        self.totals.evaluated(Some(violation.clone()));
        let entity = named(&violation.entity).and_then(|entity| self.entities.get(&entity));
        let place = entity.filter(|_| violation.invariant != Invariant::StoreMatchesLog).and_then(|kept| kept.last);
        self.find(violation, place);
    }

    /// What can be said only now: the sums, and whether ledger and aggregates agree.
    pub fn close(&mut self) {
        let mut found = self.ledger.as_mut().map(Ledger::close).unwrap_or_default();
        for (entity, kept) in self.entities.iter().filter(|(_, kept)| !kept.broken) {
            let share = Share::of(&kept.state);
            share.replace(&Share::default(), &mut self.totals);
            let before = self.totals.violations.len();
            share.check(entity, &kept.state, &mut self.totals);
            found.extend(self.totals.violations.drain(before..));
        }
        found.sort_by(|a, b| (&a.entity, &a.detail).cmp(&(&b.entity, &b.detail)));
        found.into_iter().for_each(|violation| self.find_overall(violation));
        let Some(ledger) = self.ledger.take() else { return };
        self.compare_stock(&ledger);
        let books = ledger.totals();
        self.totals.evaluated += books.evaluated;
        self.totals.violated = self.found;
        // Where an aggregate is broken, the sums cannot agree, and that was said already.
        if self.entities.values().any(|kept| kept.broken) {
            return;
        }
        let sums = |totals: &Totals| {
            let Totals { received, adjusted, shipped, returned, restocked, written_off, stock, .. } = totals;
            let units = [received, adjusted, shipped, returned, restocked, written_off].map(|units| *units);
            (units, *stock, totals.charges, totals.captured_orders, totals.flows())
        };
        if sums(&books) != sums(&self.totals) {
            let detail = format!("by the events {:?}, by the aggregates {:?}", sums(&books), sums(&self.totals));
            self.find_overall(Violation::new(Invariant::Replay, "all entities", detail));
        }
    }

    /// Location by location, ledger and aggregates must count the same units.
    fn compare_stock(&mut self, ledger: &Ledger) {
        let mut found = Vec::new();
        for (entity, kept) in &self.entities {
            let (EntityId::Sku(id), EntityState::Sku(sku), false) = (entity, &kept.state, kept.broken) else {
                continue;
            };
            let places = sku.availability().locations;
            let mut counted: Vec<_> = places
                .iter()
                .map(|place| (place.location.as_str(), Stock::of(place)))
                .filter(|(_, stock)| *stock != Stock::default())
                .collect();
            counted.sort_by_key(|(location, _)| *location);
            let booked: Vec<_> = ledger.stock(id).filter(|(_, stock)| *stock != Stock::default()).collect();
            if counted != booked {
                let detail = format!("by the events {booked:?}, by the aggregate {counted:?}");
                found.push(Violation::new(Invariant::Replay, entity, detail));
            }
        }
        found.sort_by(|a, b| a.entity.cmp(&b.entity));
        found.into_iter().for_each(|violation| self.find_overall(violation));
    }

    pub fn report(self, head: Head) -> Report {
        let versions = Versions::of(self.entities.iter().map(|(entity, kept)| (entity, kept.version)));
        let mut audit = self.totals.summary();
        audit.violated = audit.violated.max(self.found);
        audit.violations = self.findings.iter().map(|finding| finding.violation.clone()).collect();
        Report {
            frames: self.frames,
            records: self.records,
            events: self.events,
            entities: self.entities.len(),
            head: head.seq,
            position: head.position.0,
            hash: hex(&head.hash),
            root: (!self.gaps).then(|| hex(&versions.root(&head.hash))),
            first: self.first,
            was_clean: false,
            cut: None,
            damaged_checkpoints: Vec::new(),
            store: StoreState::Absent,
            audit,
            found: self.found,
            findings: self.findings,
            seconds: 0.0,
        }
    }
}

/// The entity that a finding names.
fn named(text: &str) -> Option<EntityId> {
    let sku = text.strip_prefix("sku ").and_then(|code| SkuId::new(code).ok()).map(EntityId::Sku);
    let order = || text.parse().ok().map(EntityId::Order);
    let shop = || (text == "shop").then_some(EntityId::Shop);
    sku.or_else(order).or_else(|| text.parse().ok().map(EntityId::Cart)).or_else(shop)
}
