//! Is what the store says it has really there? Asked of every frame since the last synced checkpoint (S4).
//!
//! What the frames say is gathered, and looked up together: an entity once, however often something happened to it, and
//! the movements of a SKU in one walk.

use crate::feed::projection::rows::Derived;
use crate::feed::projection::{Error, Projection, keys, movements};
use crate::journal::Committed;
use crate::store::{Batch, Range, Table};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::{Event, Version};
use stampede_actors::sku::{self, RememberedKey};
use std::collections::{BTreeMap, BTreeSet};

/// Movement rows are read so many at a time.
const ROWS: usize = 256;

/// What frames say that the store has.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The last version of each entity.
    entities: HashMap<EntityId, Version, FixedState>,
    /// Events that moved units.
    moved: BTreeMap<SkuId, BTreeSet<Version>>,
    /// Rows of remembered ids, and whose they are.
    remembered: Vec<(SkuId, Vec<u8>)>,
}

impl Said {
    /// Takes in what a frame says.
    pub fn by(&mut self, frame: &Committed) {
        for entry in frame.records.iter().flat_map(|record| &record.entries) {
            match self.entities.get_mut(&entry.entity) {
                Some(version) => *version = (*version).max(entry.version),
                None => drop(self.entities.insert(entry.entity.clone(), entry.version)),
            }
            // Rows of their own, that no snapshot could bring back.
            let (EntityId::Sku(sku), Event::Sku(event)) = (&entry.entity, &entry.event) else { continue };
            let (moves, remembered) = trace(event);
            if moves {
                self.moved.entry(sku.clone()).or_default().insert(entry.version);
            }
            if let Some((key, at)) = remembered {
                self.remembered.push((sku.clone(), keys::remembered(keys::day(at), sku, &key)));
            }
        }
    }

    /// Entities in it.
    pub fn entities(&self) -> usize {
        self.entities.len()
    }
}

impl Projection {
    /// Compares the store with what frames say that it has, and writes the rows that follow from the entities once more:
    /// due times, lists. Nothing is left to be compared.
    ///
    /// # Errors
    /// [`Error::Lost`] when something is not there; [`Error::Store`].
    pub(super) fn confirm(&mut self, said: &mut Said) -> Result<(), Error> {
        let mut batch = Batch::default();
        for (entity, version) in said.entities.drain() {
            let has = self.shared.with_cell(&entity, |cell| {
                cell.stored.replace(&Derived::default(), &entity.key(), &mut batch);
                cell.version
            })?;
            if has < version {
                return Err(Error::Lost(format!("version {version} of {entity}")));
            }
        }
        for (sku, versions) in std::mem::take(&mut said.moved) {
            self.confirm_movements(&sku, versions)?;
        }
        for (sku, key) in said.remembered.drain(..) {
            if !self.shared.store.contains(Table::Remembered, &key)? {
                return Err(Error::Lost(format!("an id that {sku} remembers")));
            }
        }
        if !batch.is_empty() {
            self.shared.store.write(&batch)?;
        }
        self.shared.evict(self.limits.entities);
        Ok(())
    }

    /// Walks back over the rows from the last of these movements to the first.
    fn confirm_movements(&self, sku: &SkuId, mut versions: BTreeSet<Version>) -> Result<(), Error> {
        let (from, mut to) = (keys::sku(sku), versions.last().map(|last| keys::movements(sku, last + 1)));
        while let (Some(&first), Some(before)) = (versions.first(), &to) {
            let range = Range { from: &from, to: Some(before), reverse: true, limit: ROWS.min(versions.len()) };
            let rows = self.shared.store.range(Table::Movements, range)?;
            for (version, _) in rows.iter().filter_map(|(_, row)| movements::read(row)).flatten() {
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
}

/// Does the event move units, and is it an operation whose id is remembered?
fn trace(event: &sku::Event) -> (bool, Option<(RememberedKey, stampede_actors::time::Timestamp)>) {
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
