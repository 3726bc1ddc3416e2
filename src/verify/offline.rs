//! `stampede verify`: reads the whole log and its archive back, and checks that everything in it was right.
//!
//! The journal's reader checks chain, sequence, epochs and Merkle roots. Every record then goes to the [`Ledger`] and to
//! the aggregates themselves, and at the end both must agree, with each other and with the store.

use super::counting::Share;
use super::invariants::{Invariant, Stock, Violation};
use super::ledger::{Ledger, Map};
use super::summary::{AuditSummary, Totals};
use crate::disk::{RealDisk, SharedDisk};
use crate::feed::projection::{self, EntityState, SnapshotReader};
use crate::journal::{self, Committed, Cut, Head, Log, Reader};
use crate::store::{DiskStore, Limits, Read};
use serde::Serialize;
use stampede_actors::ids::EntityId;
use stampede_actors::record::{Entry, Position};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Findings kept word for word; the rest is only counted.
const KEPT: usize = 100;

/// A rule that does not hold, and where that shows first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What does not hold.
    #[serde(flatten)]
    pub violation: Violation,
    /// The frame with the record that shows it; `None`: it follows from all of them.
    pub seq: Option<u64>,
    /// The record.
    pub position: Option<u64>,
    /// The frame's file.
    pub file: Option<PathBuf>,
    /// Where in it the frame begins, in bytes.
    pub offset: Option<u64>,
}

/// How the store compares with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// There is none: the next start makes it.
    Absent,
    /// It cannot be read or does not belong to this log: the next start makes it afresh.
    Unusable,
    /// Every entity was compared, as of the frame up to which the store goes.
    Compared,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Frames read.
    pub frames: u64,
    /// Records read.
    pub records: u64,
    /// Events read.
    pub events: u64,
    /// Entities there are.
    pub entities: usize,
    /// The last frame.
    pub head: u64,
    /// The last record.
    pub position: u64,
    /// Hash of the last frame: it stands for the whole history.
    pub hash: String,
    /// The first record that is still kept. Not 1: what came before was deleted, and stands as the full checkpoint says.
    pub first: u64,
    /// The log was closed cleanly.
    pub was_clean: bool,
    /// The incomplete last frame that the next start will cut off: it was never acknowledged.
    pub cut: Option<(PathBuf, u64)>,
    /// Checkpoint files that are damaged. Not needed while the log is whole.
    pub damaged_checkpoints: Vec<PathBuf>,
    /// How the store compares.
    pub store: StoreState,
    /// The sums.
    pub audit: AuditSummary,
    /// How many findings there are.
    pub found: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Did everything hold?
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.found == 0
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read, or is damaged: [`journal::Error::Corrupt`] names file and offset.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The full checkpoint that stands for deleted history cannot be read.
    #[error(transparent)]
    Projection(#[from] projection::Error),
}

/// Checks the data directory `dir`, which no server may be using. `progress` is told how many of how many records.
///
/// # Errors
/// [`Error`] when the log cannot be read to its end.
pub fn verify(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, Error> {
    let began = Instant::now();
    let disk: SharedDisk = Arc::new(RealDisk::default());
    let inspected = Log::inspect(&disk, dir)?;
    let log = inspected.log;
    let head = log.head();
    let (mut reader, mut books) = begin(&log)?;
    let store = Comparison::open(&dir.join("store"), &log);
    let mut store_state = store.as_ref().map_or_else(|absent| *absent, |_| StoreState::Compared);
    while let Some(frame) = reader.next()? {
        books.frame(&frame, &reader);
        if let Ok(store) = &store
            && store.as_of == frame.seq
            && store.compare(&mut books).is_none()
        {
            store_state = StoreState::Unusable;
        }
        if frame.seq % 64 == 0 {
            progress(frame.last().0, head.position.0);
        }
    }
    progress(head.position.0, head.position.0);
    books.close();
    let cut = inspected.cut.map(|Cut { file, offset, .. }| (file, offset));
    Ok(Report {
        was_clean: inspected.was_clean,
        cut,
        damaged_checkpoints: inspected.damaged_checkpoints,
        store: store_state,
        seconds: began.elapsed().as_secs_f64(),
        ..books.report(head)
    })
}

/// Where to begin: with the first record, or with what a full checkpoint says of the history that was deleted.
fn begin(log: &Arc<Log>) -> Result<(Reader, Books), Error> {
    let mut books = Books { first: 1, ledger: Some(Ledger::default()), ..Books::default() };
    match log.read_from(Position(1)) {
        Ok(reader) => return Ok((reader.with_roots(), books)),
        Err(journal::Error::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let (mark, entities) = projection::full::entities(log)?;
    books.first = mark.position.0 + 1;
    books.ledger = None;
    books.entities =
        entities.into_iter().map(|(id, state, version)| (id, Kept { state, version, broken: false })).collect();
    Ok((log.read_from(Position(books.first))?.with_roots(), books))
}

/// Everything that the log adds up to so far.
#[derive(Default)]
struct Books {
    first: u64,
    /// `None` when the history does not begin at the beginning.
    ledger: Option<Ledger>,
    entities: Map<EntityId, Kept>,
    totals: Totals,
    frames: u64,
    records: u64,
    events: u64,
    found: u64,
    findings: Vec<Finding>,
}

struct Kept {
    state: EntityState,
    version: u64,
    /// It did not take in one of its events: nothing more can be said of it.
    broken: bool,
}

impl Books {
    fn frame(&mut self, frame: &Committed, reader: &Reader) {
        self.frames += 1;
        for (index, record) in frame.records.iter().enumerate() {
            self.records += 1;
            let mut violations = self.ledger.as_mut().map(|ledger| ledger.record(record)).unwrap_or_default();
            for entry in &record.entries {
                self.events += 1;
                violations.extend(self.apply(entry));
            }
            for violation in violations {
                let (file, offset) = reader.place();
                self.find(Finding {
                    violation,
                    seq: Some(frame.seq),
                    position: Some(frame.first.0 + index as u64),
                    file: Some(file.to_path_buf()),
                    offset: Some(offset),
                });
            }
        }
    }

    fn apply(&mut self, entry: &Entry) -> Option<Violation> {
        let fresh = || Kept { state: EntityState::new(&entry.entity), version: 0, broken: false };
        let kept = super::ledger::entry_or(&mut self.entities, &entry.entity, fresh);
        let gap = self.ledger.is_none() && entry.version != kept.version + 1;
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

    fn find(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }

    fn find_overall(&mut self, violation: Violation) {
        self.totals.evaluated(Some(violation.clone()));
        self.find(Finding { violation, seq: None, position: None, file: None, offset: None });
    }

    /// What can be said only now: the sums, and whether ledger and aggregates agree.
    fn close(&mut self) {
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

    fn report(self, head: Head) -> Report {
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
            hash: head.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
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

/// The store, to be compared when the log has been read as far as it goes.
struct Comparison {
    store: DiskStore,
    as_of: u64,
}

impl Comparison {
    fn open(path: &Path, log: &Log) -> Result<Comparison, StoreState> {
        if !path.exists() {
            return Err(StoreState::Absent);
        }
        let store = DiskStore::open(path, Limits::default()).map_err(|_| StoreState::Unusable)?;
        let applied = projection::applied(&store).ok().flatten().filter(|(of, _)| *of == log.id());
        let (_, mark) = applied.ok_or(StoreState::Unusable)?;
        Ok(Comparison { store, as_of: mark.seq })
    }

    /// `None` when it cannot be read.
    fn compare(&self, books: &mut Books) -> Option<()> {
        let mut differing = Vec::new();
        let mut count = 0;
        for snapshot in SnapshotReader::new(&self.store as &dyn Read) {
            let (entity, state, version) = snapshot.ok()?;
            count += 1;
            let same = books.entities.get(&entity).is_some_and(|kept| kept.version == version && kept.state == state);
            if !same && !books.entities.get(&entity).is_some_and(|kept| kept.broken) {
                differing.push((entity, format!("version {version} of the store is not what the log says")));
            }
        }
        let whole = count == books.entities.len();
        for (entity, detail) in differing {
            books.find_overall(Violation::new(Invariant::StoreMatchesLog, entity, detail));
        }
        if !whole {
            let detail = format!("{count} in the store, {} in the log", books.entities.len());
            books.find_overall(Violation::new(Invariant::StoreMatchesLog, "all entities", detail));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
