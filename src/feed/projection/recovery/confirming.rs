//! Is what the store says it has really there? Asked of every frame since the last synced checkpoint (S4).
//!
//! What the frames say is gathered, and looked up together: an entity once, however often something happened to it, and
//! the movements of a SKU in one walk. What merely follows from the entities is not looked up but written once more, after
//! the start, and before the next checkpoint.

use crate::feed::projection::rows::Derived;
use crate::feed::projection::{EntityState, Error, Projection, keys, movements, put_remembered};
use crate::journal::Committed;
use crate::store::{Batch, Range, Store, Table};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use stampede_actors::ids::{EntityId, HoldId, SkuId};
use stampede_actors::mutant::Mutant;
use stampede_actors::record::{Event, Version};
use stampede_actors::sku::{self, RememberedKey};
use stampede_actors::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Movement rows are read so many at a time.
const ROWS: usize = 256;

/// The rows of so many entities are written together.
const AT_ONCE: usize = 4_096;

/// Most threads that check.
const CORES: usize = 8;

/// So few items are not worth a thread more.
const ALONE: usize = 256;

/// What frames say that the store has.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The last version of each cart and order.
    entities: HashMap<EntityId, Version, FixedState>,
    /// The last version of each SKU. Something happens to them again and again, and looking one up means all its claims:
    /// that is done once, at the end.
    skus: HashMap<EntityId, Version, FixedState>,
    /// Events that moved units.
    moved: BTreeMap<SkuId, BTreeSet<Version>>,
    /// Rows of remembered ids, and whose they are.
    remembered: Vec<(SkuId, Vec<u8>)>,
    /// Holds that clients have named: their ends are remembered.
    named: HashSet<HoldId, FixedState>,
    /// Allocations of which units were taken, and when the last ones were. That ends them, or not: at the end the store knows.
    taken: HashMap<(SkuId, HoldId), Timestamp, FixedState>,
    /// Those of which no more frames will tell.
    closed: Vec<((SkuId, HoldId), Timestamp)>,
}

impl Said {
    /// Takes in what a frame says.
    pub fn by(&mut self, frame: &Committed) {
        for entry in frame.records.iter().flat_map(|record| &record.entries) {
            let versions = match entry.entity {
                EntityId::Sku(_) => &mut self.skus,
                EntityId::Cart(_) | EntityId::Order(_) | EntityId::Shop => &mut self.entities,
            };
            match versions.get_mut(&entry.entity) {
                Some(version) => *version = (*version).max(entry.version),
                None => drop(versions.insert(entry.entity.clone(), entry.version)),
            }
            // Rows of their own, that no snapshot could bring back.
            let (EntityId::Sku(sku), Event::Sku(event)) = (&entry.entity, &entry.event) else { continue };
            let (moves, remembered) = trace(event);
            if moves {
                self.moved.entry(sku.clone()).or_default().insert(entry.version);
            }
            let lapsed = self.ended(sku, event);
            for (key, at) in remembered.into_iter().chain(lapsed) {
                self.remembered.push((sku.clone(), keys::remembered(keys::day(at), sku, &key)));
            }
        }
    }

    /// The end of a hold that its client has named. Of one that was granted before these frames nobody knows that.
    fn ended(&mut self, sku: &SkuId, event: &sku::Event) -> Option<(RememberedKey, Timestamp)> {
        match event {
            sku::Event::Held { hold, order: None, .. } => drop(self.named.insert(*hold)),
            sku::Event::Shipped { hold, at, .. } | sku::Event::AllocationReduced { hold, at, .. } => {
                self.taken.insert((sku.clone(), *hold), *at);
            }
            sku::Event::Ended { hold, at, .. } if self.named.remove(hold) => {
                return Some((RememberedKey::Hold(*hold), *at));
            }
            _ => {}
        }
        None
    }

    /// Carts and orders that are to be looked up.
    pub fn entities(&self) -> usize {
        self.entities.len()
    }

    /// No more frames will come: SKUs and allocations are to be looked up too.
    pub fn end(&mut self) {
        self.entities.extend(self.skus.drain());
        self.closed.extend(self.taken.drain());
    }
}

impl Projection {
    /// Compares the store with what frames say that it has, on all cores. The rows that follow from these entities, due
    /// times, lists and what SKUs remember, are written once more when there is time ([`Projection::restate`]). What is left to be compared are
    /// the SKUs, until [`Said::end`].
    ///
    /// # Errors
    /// [`Error::Lost`] when something is not there; [`Error::Store`].
    pub(super) fn confirm(&mut self, said: &mut Said) -> Result<(), Error> {
        let entities = std::mem::take(&mut said.entities);
        if Mutant::StartLooksUp.is_off() {
            return Ok(());
        }
        let (moved, remembered) = (std::mem::take(&mut said.moved), std::mem::take(&mut said.remembered));
        let shared = &*self.shared;
        // In the order of their rows: neighbours share a block.
        let mut entities: Vec<_> = entities.into_iter().collect();
        entities.sort_unstable();
        // A SKU's claims are a long read, and what comes next asks for them again: those that there is room for stay.
        let stay = entities.iter().filter(|(entity, _)| matches!(entity, EntityId::Sku(_))).count()
            <= self.limits.entities / 2;
        in_parts(&entities, |(entity, version)| {
            let stored = match entity {
                EntityId::Sku(_) if stay => shared.with_cell(entity, |cell| cell.version)?,
                _ => shared.stored_version(entity)?,
            };
            if stored < *version { Err(Error::Lost(format!("version {version} of {entity}"))) } else { Ok(()) }
        })?;
        let moved: Vec<_> = moved.into_iter().collect();
        in_parts(&moved, |(sku, versions)| confirm_movements(&*shared.store, sku, versions.clone()))?;
        in_parts(&remembered, |(sku, key)| match shared.store.contains(Table::Remembered, key)? {
            true => Ok(()),
            false => Err(Error::Lost(format!("an id that {sku} remembers"))),
        })?;
        in_parts(&std::mem::take(&mut said.closed), |((sku, hold), at)| {
            let id = keys::remembered(keys::day(*at), sku, &RememberedKey::Hold(*hold));
            let known = shared.store.contains(Table::Claims, &keys::claim(sku, *hold))?
                || shared.store.contains(Table::Remembered, &id)?;
            if known { Ok(()) } else { Err(Error::Lost(format!("the end of hold {hold} of {sku}"))) }
        })?;
        self.unstated.extend(entities.into_iter().map(|(entity, _)| entity));
        Ok(())
    }

    /// Reads the entities that these frames go on with, on all cores: taking the frames in reads one after the other.
    ///
    /// # Errors
    /// [`Error`] when one cannot be read.
    pub(super) fn warm(&self, frames: &[Arc<Committed>]) -> Result<(), Error> {
        let entries = frames.iter().flat_map(|frame| &frame.records).flat_map(|record| &record.entries);
        let known = entries.filter(|entry| entry.version > 1).map(|entry| &entry.entity);
        let mut known: Vec<_> = known.collect::<HashSet<_, FixedState>>().into_iter().collect();
        known.sort_unstable();
        in_parts(&known, |entity| self.shared.with_cell(entity, |_| ()))
    }

    /// Writes the rows that follow from the next `count` entities of those that were confirmed at the start once more: a
    /// disk may have kept a snapshot and lost these. Ids that a SKU has in memory are among them.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub(in crate::feed::projection) fn restate(&mut self, count: usize) -> Result<(), Error> {
        let mut left = count.min(self.unstated.len());
        while left > 0 {
            let mut batch = Batch::default();
            for entity in self.unstated.drain(..left.min(AT_ONCE)) {
                self.shared.with_cell(&entity, |cell| {
                    cell.stored.replace(&Derived::default(), &entity.key(), &mut batch);
                    if let (EntityId::Sku(id), EntityState::Sku(sku)) = (&entity, &cell.state) {
                        for (key, remembered) in sku.remembered() {
                            put_remembered(&mut batch, id, &key, &remembered);
                        }
                    }
                })?;
            }
            left -= left.min(AT_ONCE);
            if !self.shared.store.write_durably(&batch)? {
                self.shared.store.write(&batch)?;
            }
            self.shared.evict(self.limits.entities);
        }
        Ok(())
    }
}

/// Walks back over the rows from the last of these movements to the first.
fn confirm_movements(store: &dyn Store, sku: &SkuId, mut versions: BTreeSet<Version>) -> Result<(), Error> {
    let (from, mut to) = (keys::sku(sku), versions.last().map(|last| keys::movements(sku, last + 1)));
    while let (Some(&first), Some(before)) = (versions.first(), &to) {
        let range = Range { from: &from, to: Some(before), reverse: true, limit: ROWS.min(versions.len()) };
        let rows = store.range(Table::Movements, range)?;
        for version in rows.iter().filter_map(|(_, row)| movements::versions(row)).flatten() {
            versions.remove(&version);
        }
        // A row stands under the version of its oldest movement: nothing before it can hold a later one.
        to = rows.last().map(|(key, _)| key.clone()).filter(|key| *key > keys::movements(sku, first));
    }
    match versions.first() {
        None => Ok(()),
        Some(lost) => Err(Error::Lost(format!("movement {lost} of {sku}"))),
    }
}

/// Checks all items, a part of them on each core: nothing else runs yet. The first error in their order counts.
fn in_parts<T: Sync>(items: &[T], check: impl Fn(&T) -> Result<(), Error> + Sync) -> Result<(), Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(CORES);
    let parts = items.chunks(items.len().div_ceil(cores).max(ALONE));
    std::thread::scope(|scope| {
        let check = &check;
        let running: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().try_for_each(check))).collect();
        let panicked = |_| Err(Error::Lost("something that makes no sense: checking it panicked".to_owned()));
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })
}

/// Does the event move units, and is it an operation whose id is remembered?
fn trace(event: &sku::Event) -> (bool, Option<(RememberedKey, Timestamp)>) {
    match event {
        sku::Event::Received { receipt, at, .. } => (true, Some((RememberedKey::Receipt(*receipt), *at))),
        sku::Event::Adjusted { adjustment, at, .. } => (true, Some((RememberedKey::Adjustment(*adjustment), *at))),
        sku::Event::Shipped { hold, shipment, at, .. } => {
            (true, Some((RememberedKey::Shipment(*hold, *shipment), *at)))
        }
        sku::Event::AllocationReduced { hold, reduction, at, .. } => {
            (true, Some((RememberedKey::Reduction(*hold, *reduction), *at)))
        }
        sku::Event::Returned { hold, return_id, at, .. } => {
            (true, Some((RememberedKey::Return(*hold, *return_id), *at)))
        }
        sku::Event::AllocationCancelled { hold, at } => (true, Some((RememberedKey::Hold(*hold), *at))),
        sku::Event::Held { .. } | sku::Event::Ended { .. } | sku::Event::Allocated { .. } => (true, None),
        sku::Event::Listed(_)
        | sku::Event::LocationSet { .. }
        | sku::Event::Adopted { .. }
        | sku::Event::Extended { .. }
        | sku::Event::Paused
        | sku::Event::Resumed => (false, None),
    }
}
