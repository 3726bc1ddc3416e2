//! What was shown of each entity so far: whether its versions follow each other from before the range to after it.
//!
//! An export shows, of each of its entities, the last record before the range, all in it, and the first after it. A
//! record for which there is no such reason does not belong there.

use super::{Side, order_of};
use crate::verify::ledger::Map;
use stampede_actors::ids::EntityId;
use stampede_actors::record::{Record, Version};
use std::collections::BTreeSet;

/// What was shown of one entity.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trail {
    /// The last version shown; 0: none.
    pub last: Version,
    /// Records in the range.
    pub records: u64,
    /// An event in the range names it.
    pub named: bool,
    /// Number of its record before the range; 0: none.
    before: u64,
    /// Its record after the range was shown.
    closed: bool,
}

/// The trails of all entities of an export.
#[derive(Debug, Default)]
pub struct Trails {
    /// By entity.
    pub of: Map<EntityId, Trail>,
    /// Records shown before, in and after the range.
    pub records: [u64; 3],
}

impl Trails {
    /// Follows a record that is shown.
    ///
    /// # Errors
    /// Why it cannot be one of this export.
    pub fn take_in(&mut self, record: &Record, side: Side) -> Result<(), String> {
        self.records[side as usize] += 1;
        let before = self.records[Side::Before as usize];
        let (mut belongs, mut counted) = (false, BTreeSet::new());
        for entry in &record.entries {
            let Some(trail) = self.of.get_mut(&entry.entity) else { continue };
            let follows = trail.last.checked_add(1) == Some(entry.version);
            match side {
                Side::Before => (trail.last, trail.before) = (entry.version, before),
                // Further versions in the record after the range prove nothing more.
                Side::After if trail.closed => continue,
                Side::Within | Side::After if !follows => {
                    let (entity, version, last) = (&entry.entity, entry.version, trail.last);
                    return Err(format!(
                        "version {version} of {entity} follows version {last}: a record is missing, or one too many"
                    ));
                }
                Side::Within => {
                    trail.last = entry.version;
                    trail.records += u64::from(counted.insert(&entry.entity));
                }
                Side::After => (trail.last, trail.closed) = (entry.version, true),
            }
            belongs = true;
        }
        if !belongs {
            return Err("a record that nothing in this export asks for".to_owned());
        }
        if side == Side::Within {
            self.name(record)?;
        }
        Ok(())
    }

    /// Orders that a SKU's record in the range names belong to the export.
    fn name(&mut self, record: &Record) -> Result<(), String> {
        let of_ours = record.entries.iter().filter(|entry| matches!(entry.entity, EntityId::Sku(_)));
        for entry in of_ours.filter(|entry| self.of.contains_key(&entry.entity)).collect::<Vec<_>>() {
            let Some(order) = order_of(&entry.event).map(EntityId::Order) else { continue };
            match self.of.get_mut(&order) {
                Some(trail) => trail.named = true,
                None => return Err(format!("{order} is named here, and its records are not in the export")),
            }
        }
        Ok(())
    }

    /// What is still wrong when all records were shown.
    pub fn flaw(&self) -> Option<String> {
        let needed: BTreeSet<u64> = self.of.values().map(|trail| trail.before).filter(|before| *before > 0).collect();
        if needed.len() as u64 != self.records[Side::Before as usize] {
            return Some("a record before the range that nothing in this export asks for".to_owned());
        }
        let stray = self.of.iter().filter(|(entity, trail)| matches!(entity, EntityId::Order(_)) && !trail.named);
        let stray = stray.map(|(entity, _)| entity).min()?;
        Some(format!("nothing in the range names {stray}"))
    }
}

impl Trail {
    /// Does the trail reach the end, when `newest` is the entity's last version in the log?
    pub fn reaches(&self, newest: Version) -> bool {
        if self.closed { self.last <= newest } else { self.last == newest }
    }
}
