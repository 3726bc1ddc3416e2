//! Slow comparisons, a few rows at a time: snapshots with due rows (S5), and ids that nobody has to remember.

use super::entity::EntityState;
use super::rows::{SnapshotRow, entity_of};
use super::{Error, Projection, keys};
use crate::store::{Batch, Range, Table};

/// Where the sweeps are.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    snapshots: Vec<u8>,
    due: Vec<u8>,
}

/// What one step of the sweeps did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entities whose due row was missing or wrong.
    pub repaired: usize,
    /// Due rows that no entity wanted.
    pub stale: usize,
    /// Ids older than a day that were dropped.
    pub forgotten: usize,
    /// The sweep has seen the last entity and begins again.
    pub wrapped: bool,
}

impl Projection {
    /// Looks at the next `rows` snapshots, due rows and old ids, and repairs what does not fit.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a snapshot is damaged.
    pub fn sweep(&mut self, rows: usize) -> Result<Swept, Error> {
        // What is not written yet cannot be compared with what is.
        self.flush()?;
        let mut swept = Swept::default();
        let mut batch = Batch::default();
        self.sweep_snapshots(rows, &mut batch, &mut swept)?;
        self.sweep_due(rows, &mut batch, &mut swept)?;
        self.sweep_remembered(rows, &mut batch, &mut swept)?;
        if !batch.is_empty() {
            self.shared.store.write(&batch)?;
        }
        if swept.repaired + swept.stale > 0 {
            tracing::warn!(repaired = swept.repaired, stale = swept.stale, "due rows did not match their entities");
        }
        Ok(swept)
    }

    fn sweep_snapshots(&mut self, rows: usize, batch: &mut Batch, swept: &mut Swept) -> Result<(), Error> {
        let range = Range { from: &self.sweep.snapshots, to: None, reverse: false, limit: rows };
        let found = self.shared.store.range(Table::Snapshot, range)?;
        swept.wrapped = found.len() < rows;
        for (key, bytes) in &found {
            let entity = entity_of(key)?;
            let (row, state) = SnapshotRow::decode(&entity, bytes)?;
            // A SKU's deadline is that of a claim, and claims are not read here: the row was written with it.
            let due = if matches!(state, EntityState::Sku(_)) { row.due } else { state.deadline() };
            let Some(due) = due else { continue };
            if row.due != Some(due) || !self.shared.store.contains(Table::Due, &keys::due(due, &entity))? {
                swept.repaired += 1;
                batch.put(Table::Due, &keys::due(due, &entity), Vec::new());
            }
        }
        self.sweep.snapshots = match found.last() {
            Some((last, _)) if !swept.wrapped => [last, &[0][..]].concat(),
            _ => Vec::new(),
        };
        Ok(())
    }

    fn sweep_due(&mut self, rows: usize, batch: &mut Batch, swept: &mut Swept) -> Result<(), Error> {
        let range = Range { from: &self.sweep.due, to: None, reverse: false, limit: rows };
        let found = self.shared.store.range(Table::Due, range)?;
        for (key, _) in &found {
            let wanted = match keys::read_due(key) {
                Some((due, entity)) => self.shared.deadline(&entity)? == Some(due),
                None => false,
            };
            if !wanted {
                swept.stale += 1;
                batch.delete(Table::Due, key);
            }
        }
        self.sweep.due = match found.last() {
            Some((last, _)) if found.len() == rows => [last, &[0][..]].concat(),
            _ => Vec::new(),
        };
        Ok(())
    }

    fn sweep_remembered(&self, rows: usize, batch: &mut Batch, swept: &mut Swept) -> Result<(), Error> {
        // Yesterday's are still looked up; those of the days before are at least 24 hours old.
        let yesterday = keys::day(self.taken_in.at).saturating_sub(1).to_be_bytes();
        let range = Range { from: &[], to: Some(&yesterday), reverse: false, limit: rows };
        for (key, _) in self.shared.store.range(Table::Remembered, range)? {
            swept.forgotten += 1;
            batch.delete(Table::Remembered, &key);
        }
        Ok(())
    }
}
