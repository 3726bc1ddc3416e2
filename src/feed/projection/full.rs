//! Full checkpoints: every row of the store as of one frame, streamed into the log's checkpoint file and back. With
//! them, archived history can be deleted (S4).

use super::claims::ClaimRows;
use super::entity::EntityState;
use super::recovery::Rows;
use super::rows::{Snapshot, SnapshotRow, entity_of, read_applied};
use super::{Error, Mark, Projection, keys};
use crate::journal::{Checkpoint, Log};
use crate::store::{self, Batch, MemoryStore, Range, Read, Row, Store, Table};
use stampede_actors::ids::EntityId;
use stampede_actors::record::Position;
use std::collections::{BTreeMap, VecDeque};

/// Rows are read and written so many at a time.
const ROWS: usize = 1_024;

/// All rows of the store as of one frame, table number in front of each key. Holds on to that state, and not to the
/// projection: it may be read on another thread, while the projection goes on.
pub struct FullCheckpoint {
    view: Box<dyn Read>,
    /// The frame.
    pub mark: Mark,
    tables: VecDeque<Table>,
    from: Vec<u8>,
    ready: VecDeque<Row>,
}

impl Projection {
    /// Takes hold of everything taken in so far. Flushes and syncs, so the log's checkpoint may name the same frame.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be written.
    pub fn full_checkpoint(&mut self) -> Result<FullCheckpoint, Error> {
        let mark = self.checkpoint()?;
        let (view, tables) = (self.shared.store.view(), Table::ALL.into());
        Ok(FullCheckpoint { view, mark, tables, from: Vec::new(), ready: VecDeque::new() })
    }
}

impl FullCheckpoint {
    fn read_more(&mut self) -> Result<(), store::Error> {
        while let (true, Some(&table)) = (self.ready.is_empty(), self.tables.front()) {
            let rows = self.view.range(table, Range { from: &self.from, to: None, reverse: false, limit: ROWS })?;
            match rows.last() {
                Some((last, _)) => self.from = [last, &[0][..]].concat(),
                None => {
                    self.from.clear();
                    self.tables.pop_front();
                }
            }
            self.ready = rows.into_iter().map(|(key, value)| (table.key(&key), value)).collect();
        }
        Ok(())
    }
}

impl Iterator for FullCheckpoint {
    type Item = Result<Row, store::Error>;

    fn next(&mut self) -> Option<Result<Row, store::Error>> {
        match self.read_more() {
            Ok(()) => self.ready.pop_front().map(Ok),
            Err(error) => {
                self.tables.clear();
                Some(Err(error))
            }
        }
    }
}

/// Writes a full checkpoint file of the log (S4). `cursors`: those that the log keeps for others.
///
/// # Errors
/// [`Error`] when the store cannot be read or the file not be written; the old checkpoints then hold.
pub fn write(log: &Log, rows: FullCheckpoint, cursors: BTreeMap<String, Position>) -> Result<Mark, Error> {
    let mark = rows.mark;
    let Mark { seq, hash, position, at } = mark;
    let mut rows = rows.map(|row| row.map_err(std::io::Error::other));
    log.checkpoint(&Checkpoint { seq, position, hash, at, cursors }, Some(&mut rows))?;
    Ok(mark)
}

/// Reads the newest full checkpoint file of the log; `None` when there is none. For [`super::recovery::Start::full`].
///
/// # Errors
/// [`Error::Journal`] when it cannot be read.
pub fn newest(log: &Log) -> Result<Option<Rows>, Error> {
    Ok(log.newest_entities()?.map(|rows| Box::new(rows.map(|row| Ok(row?))) as Rows))
}

/// The entities of the newest full checkpoint file, and how far it goes.
///
/// # Errors
/// [`Error::Lost`] when there is none; [`Error`] when it cannot be read.
pub fn entities(log: &Log) -> Result<(Mark, Vec<Snapshot>), Error> {
    let rows =
        newest(log)?.ok_or_else(|| Error::Lost("the first records, and there is no full checkpoint".to_owned()))?;
    let (applied, mut entities, mut skus) = (MemoryStore::default(), Vec::new(), BTreeMap::new());
    for row in rows {
        let (key, value) = row?;
        match key.split_first() {
            Some((&table, key)) if table == Table::Meta as u8 => {
                let mut batch = Batch::default();
                batch.put(Table::Meta, key, value);
                applied.write(&batch)?;
            }
            Some((&table, key)) if table == Table::Snapshot as u8 => {
                let entity = entity_of(key)?;
                let (row, state) = SnapshotRow::decode(&entity, &value)?;
                if let EntityId::Sku(sku) = &entity {
                    skus.insert(sku.clone(), (entities.len(), row.claims, ClaimRows::default()));
                }
                entities.push((entity, state, row.version));
            }
            // Tables come in their order: the SKUs are there.
            Some((&table, key)) if table == Table::Claims as u8 => {
                let whose = keys::claimed_sku(key).and_then(|sku| skus.get_mut(&sku).map(|known| (sku, known)));
                let Some((sku, (index, _, rows))) = whose else {
                    return Err(Error::Lost("the SKU of a claim".to_owned()));
                };
                if let (_, EntityState::Sku(state), _) = &mut entities[*index] {
                    rows.add(&sku, state, &value)?;
                }
            }
            _ => {}
        }
    }
    skus.iter().try_for_each(|(sku, (_, seal, rows))| rows.check(sku, *seal))?;
    let applied = read_applied(&applied)?.ok_or_else(|| Error::Lost("how far the full checkpoint goes".to_owned()))?;
    Ok((applied.mark, entities))
}

/// Fills an empty store with the rows of a full checkpoint; how far it goes. The store says so only when all of it is
/// durable: half of it would else be believed.
///
/// # Errors
/// [`Error::Lost`] when the rows make no sense; [`Error`] when they cannot be read or written.
pub fn restore(rows: impl Iterator<Item = Result<Row, Error>>, store: &dyn Store) -> Result<Mark, Error> {
    let senseless = || Error::Lost("a row of the full checkpoint: it makes no sense".to_owned());
    let (mut batch, mut meta) = (Batch::default(), Batch::default());
    for (count, row) in rows.enumerate() {
        let (key, value) = row?;
        let (&table, key) = key.split_first().ok_or_else(senseless)?;
        if table == Table::GIVEN_UP {
            continue;
        }
        let table = Table::from_number(table).ok_or_else(senseless)?;
        let into = if table == Table::Meta { &mut meta } else { &mut batch };
        into.put(table, key, value);
        if count % ROWS == ROWS - 1 {
            store.write(&batch)?;
            batch.clear(usize::MAX);
        }
    }
    store.write(&batch)?;
    store.sync()?;
    store.write(&meta)?;
    store.sync()?;
    Ok(read_applied(store)?.ok_or_else(senseless)?.mark)
}
