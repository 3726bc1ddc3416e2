//! The store beside the log.

use super::books::Books;
use super::report::StoreState;
use crate::feed::projection::{self, SnapshotReader};
use crate::journal::Log;
use crate::store::{DiskStore, Limits, Read};
use crate::verify::invariants::{Invariant, Violation};
use std::path::Path;

/// The store, to be compared when the log has been read as far as it goes.
pub(super) struct Comparison {
    store: DiskStore,
    /// The frame up to which it goes.
    pub as_of: u64,
}

impl Comparison {
    pub fn open(path: &Path, log: &Log) -> Result<Comparison, StoreState> {
        if !path.exists() {
            return Err(StoreState::Absent);
        }
        let store = DiskStore::open(path, Limits::default()).map_err(|_| StoreState::Unusable)?;
        let applied = projection::applied(&store).ok().flatten().filter(|(of, _)| *of == log.id());
        let (_, mark) = applied.ok_or(StoreState::Unusable)?;
        Ok(Comparison { store, as_of: mark.seq })
    }

    /// `None` when it cannot be read.
    pub fn compare(&self, books: &mut Books) -> Option<()> {
        let mut differing = Vec::new();
        let mut count = 0;
        for snapshot in SnapshotReader::new(&self.store as &dyn Read) {
            count += 1;
            let (entity, state, version) = match snapshot {
                Ok(snapshot) => snapshot,
                Err(projection::Error::Lost(what)) => {
                    let detail = format!("{what}: it is not what was written");
                    books.find_overall(Violation::new(Invariant::StoreMatchesLog, "the store", detail));
                    continue;
                }
                Err(_) => return None,
            };
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
