//! Is what the store says it has really there? Asked of every frame since the last synced checkpoint (S4).

use crate::feed::projection::rows::Derived;
use crate::feed::projection::{Error, Projection, keys, movements};
use crate::journal::Committed;
use crate::store::{Batch, Range, Table};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::{Entry, Event, Version};
use stampede_actors::sku::{self, RememberedKey};

impl Projection {
    /// Compares the store with a frame that it says it has.
    ///
    /// # Errors
    /// [`Error::Lost`] when something of the frame is not there.
    pub(super) fn confirm(&mut self, frame: &Committed) -> Result<(), Error> {
        for entry in frame.records.iter().flat_map(|record| &record.entries) {
            let has = self.shared.with_cell(&entry.entity, |cell| {
                cell.dirty = true;
                cell.version
            })?;
            if has < entry.version {
                return Err(Error::Lost(format!("version {} of {}", entry.version, entry.entity)));
            }
            self.changed.push(entry.entity.clone());
            self.confirm_rows(entry)?;
        }
        self.shared.evict(self.limits.entities);
        if self.changed.len() >= self.limits.changed { self.restate() } else { Ok(()) }
    }

    /// Writes the rows that follow from the confirmed entities once more: due times, lists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) fn restate(&mut self) -> Result<(), Error> {
        let mut batch = Batch::default();
        for entity in std::mem::take(&mut self.changed) {
            self.shared.with_known_cell(&entity, |cell| {
                cell.dirty = false;
                cell.stored.replace(&Derived::default(), &entity.key(), &mut batch);
            });
        }
        if !batch.is_empty() {
            self.shared.store.write(&batch)?;
        }
        Ok(())
    }

    /// Rows of their own, that no snapshot could bring back.
    fn confirm_rows(&self, entry: &Entry) -> Result<(), Error> {
        let (EntityId::Sku(sku), Event::Sku(event)) = (&entry.entity, &entry.event) else { return Ok(()) };
        let (moves, remembered) = trace(event);
        if moves && !self.has_movement(sku, entry.version)? {
            return Err(Error::Lost(format!("movement {} of {sku}", entry.version)));
        }
        if let Some((key, at)) = remembered {
            let key = keys::remembered(keys::day(at), sku, &key);
            if !self.shared.store.contains(Table::Remembered, &key)? {
                return Err(Error::Lost(format!("an id that {sku} remembers")));
            }
        }
        Ok(())
    }

    fn has_movement(&self, sku: &SkuId, version: Version) -> Result<bool, Error> {
        let (from, to) = (keys::sku(sku), keys::movements(sku, version + 1));
        let range = Range { from: &from, to: Some(&to), reverse: true, limit: 1 };
        let rows = self.shared.store.range(Table::Movements, range)?;
        let row = rows.first().and_then(|(_, row)| movements::read(row));
        Ok(row.is_some_and(|row| row.iter().any(|(of, _)| *of == version)))
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
