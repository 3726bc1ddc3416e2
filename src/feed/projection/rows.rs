//! Values of the store's rows, and which rows follow from an entity's state.

use super::claims::{self, ClaimRows, Seal};
use super::entity::EntityState;
use super::keys::{self, Place};
use super::{Error, Mark};
use crate::journal::LogId;
use crate::store::{Batch, Range, Read, Row, Store, Table};
use crate::verify::Totals;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{BuyerRef, EntityId, OrderId};
use stampede_actors::order::State;
use stampede_actors::record::{Position, Version};
use stampede_actors::time::Timestamp;
use std::collections::VecDeque;

/// Version of all of this. A store with another one is rebuilt.
pub const FORMAT: u32 = 2;

/// How far the store has come, and the sums as of there: one row, so that they never disagree.
#[derive(Debug, Clone)]
pub struct Applied {
    pub log: LogId,
    pub mark: Mark,
    /// Up to where everything was durable before this was written: what a start need not look up (S4).
    pub synced: Option<Mark>,
    pub totals: Totals,
}

#[derive(Serialize, Deserialize)]
struct AppliedRow {
    format: u32,
    log: [u8; 16],
    #[serde(flatten)]
    mark: MarkRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    synced: Option<MarkRow>,
    totals: Totals,
}

#[derive(Serialize, Deserialize)]
struct MarkRow {
    seq: u64,
    hash: [u8; 32],
    position: u64,
    at: i64,
}

impl From<Mark> for MarkRow {
    fn from(Mark { seq, hash, position, at }: Mark) -> MarkRow {
        MarkRow { seq, hash, position: position.0, at: at.0 }
    }
}

impl From<MarkRow> for Mark {
    fn from(MarkRow { seq, hash, position, at }: MarkRow) -> Mark {
        Mark { seq, hash, position: Position(position), at: Timestamp(at) }
    }
}

impl Applied {
    /// Before the first frame of a log.
    pub fn start(log: LogId) -> Applied {
        Applied { log, mark: Mark::default(), synced: None, totals: Totals::default() }
    }
}

/// How far the store has come; `None` when it is new or of another format.
///
/// # Errors
/// [`Error::Store`] when it cannot be read.
pub fn read_applied(store: &dyn Read) -> Result<Option<Applied>, Error> {
    let Some(bytes) = store.get(Table::Meta, keys::APPLIED)? else { return Ok(None) };
    let row = serde_json::from_slice::<AppliedRow>(&bytes).ok().filter(|row| row.format == FORMAT);
    Ok(row.map(|AppliedRow { log, mark, synced, totals, .. }| Applied {
        log: LogId(log),
        mark: mark.into(),
        synced: synced.map(Mark::from),
        totals,
    }))
}

/// Marks the store as not to be believed, durably, whatever its rows say; the next start makes it afresh.
///
/// # Errors
/// [`Error::Store`] when it cannot be written.
pub fn doubt(store: &dyn Store, why: &str) -> Result<(), Error> {
    let mut batch = Batch::default();
    batch.put(Table::Meta, keys::DOUBTFUL, why);
    store.write(&batch)?;
    Ok(store.sync()?)
}

/// Why the store is not to be believed, if it is not.
///
/// # Errors
/// [`Error::Store`] when it cannot be read.
pub fn doubted(store: &dyn Read) -> Result<Option<String>, Error> {
    Ok(store.get(Table::Meta, keys::DOUBTFUL)?.map(|why| String::from_utf8_lossy(&why).into_owned()))
}

/// Takes the mark away, durably, and with it everything that was written before.
///
/// # Errors
/// [`Error::Store`] when it cannot be written.
pub fn believe(store: &dyn Store) -> Result<(), Error> {
    // First the rows: the mark must not go before them.
    store.sync()?;
    let mut batch = Batch::default();
    batch.delete(Table::Meta, keys::DOUBTFUL);
    store.write(&batch)?;
    Ok(store.sync()?)
}

/// Which log the store follows, and how far it has come; `None` when it is new or of another format.
///
/// # Errors
/// [`Error::Store`] when it cannot be read.
pub fn applied(store: &dyn Read) -> Result<Option<(LogId, Mark)>, Error> {
    Ok(read_applied(store)?.map(|applied| (applied.log, applied.mark)))
}

/// Writes how far the store has come.
///
/// # Errors
/// [`Error::Store`] when the sums cannot be written down.
pub fn put_applied(batch: &mut Batch, applied: &Applied) -> Result<(), Error> {
    let (log, mark, synced) = (applied.log.0, applied.mark.into(), applied.synced.map(MarkRow::from));
    let row = AppliedRow { format: FORMAT, log, mark, synced, totals: applied.totals.clone() };
    let bytes = serde_json::to_vec(&row).map_err(|error| crate::store::Error::Failed(error.to_string()))?;
    batch.put(Table::Meta, keys::APPLIED, bytes);
    Ok(())
}

/// Value of [`Table::Snapshot`]: CRC of the rest, version, position, due time, of a SKU the seal of its claims, state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRow {
    pub version: Version,
    pub position: Position,
    pub due: Option<Timestamp>,
    /// Of a SKU: what its claims add up to, which have rows of their own.
    pub claims: Seal,
}

const HEADER: usize = 28;

impl SnapshotRow {
    /// Appends the row's bytes.
    pub fn encode(self, state: &EntityState, bytes: &mut Vec<u8>) {
        let from = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.position.0.to_le_bytes());
        bytes.extend_from_slice(&self.due.map_or(i64::MIN, |due| due.0).to_le_bytes());
        if matches!(state, EntityState::Sku(_)) {
            bytes.extend_from_slice(&self.claims.bytes());
        }
        bytes.extend_from_slice(&state.encode());
        let crc = checksum(&bytes[from + 4..]);
        bytes[from..from + 4].copy_from_slice(&crc.to_le_bytes());
    }

    /// The row and its state; of a SKU without its claims.
    ///
    /// # Errors
    /// [`Error::Lost`] when the bytes are not what was written.
    pub fn decode(entity: &EntityId, bytes: &[u8]) -> Result<(SnapshotRow, EntityState), Error> {
        let (row, state) = SnapshotRow::header(entity, bytes)?;
        Ok((row, EntityState::decode(entity, state).map_err(|error| lost(entity, &error.to_string()))?))
    }

    /// The row and the bytes of its state.
    ///
    /// # Errors
    /// [`Error::Lost`] when the bytes are not what was written.
    pub fn header<'a>(entity: &EntityId, bytes: &'a [u8]) -> Result<(SnapshotRow, &'a [u8]), Error> {
        let too_short = || lost(entity, "too short");
        let (header, state) = bytes.split_first_chunk::<HEADER>().ok_or_else(too_short)?;
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        if u64::from(checksum(&bytes[4..])) != number(0) & u64::from(u32::MAX) {
            return Err(lost(entity, "its checksum is wrong"));
        }
        let (claims, state) = match entity {
            EntityId::Sku(_) => {
                let (seal, state) = state.split_first_chunk().ok_or_else(too_short)?;
                (Seal::read(*seal), state)
            }
            EntityId::Cart(_) | EntityId::Order(_) | EntityId::Shop => (Seal::default(), state),
        };
        let due = Some(number(20) as i64).filter(|&due| due != i64::MIN).map(Timestamp);
        Ok((SnapshotRow { version: number(4), position: Position(number(12)), due, claims }, state))
    }
}

fn lost(entity: &EntityId, why: &str) -> Error {
    Error::Lost(format!("the snapshot of {entity}: {why}"))
}

pub fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// The rows beside its snapshot that follow from an entity's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    pub due: Option<Timestamp>,
    listed: Option<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    place: Place,
    buyer: BuyerRef,
    state: State,
    attention: bool,
}

impl Derived {
    pub fn of(entity: &EntityId, state: &EntityState) -> Derived {
        let listed = match (entity, state) {
            (EntityId::Order(id), EntityState::Order(order)) => listed(*id, order),
            _ => None,
        };
        Derived { due: state.deadline(), listed }
    }

    /// Writes the rows that were not there before, and takes those out that no longer follow. `key`: the entity's.
    pub fn replace(&self, before: &Derived, key: &[u8], batch: &mut Batch) {
        if self.due != before.due {
            let row = |due: &Timestamp| keys::time(*due);
            before.due.iter().for_each(|due| batch.delete_parts(Table::Due, &[&row(due), key]));
            self.due.iter().for_each(|due| batch.put_with(Table::Due, &[&row(due), key], |_| ()));
        }
        if self.listed != before.listed {
            let (old, new) = (before.listed.as_ref().map(ListRows::of), self.listed.as_ref().map(ListRows::of));
            for list in LISTS {
                let old = old.as_ref().and_then(|rows| rows.row(list));
                let new = new.as_ref().and_then(|rows| rows.row(list));
                if old != new {
                    old.iter().for_each(|parts| batch.delete_parts(list, parts));
                    new.iter().for_each(|parts| batch.put_with(list, parts, |_| ()));
                }
            }
        }
    }
}

/// Lists of orders.
const LISTS: [Table; 3] = [Table::OrdersByBuyer, Table::OrdersByState, Table::Attention];

/// Keys of an order's rows in the lists, in parts.
struct ListRows<'a> {
    buyer: &'a [u8],
    state: Vec<u8>,
    place: Vec<u8>,
    attention: bool,
}

impl<'a> ListRows<'a> {
    fn of(listed: &'a Listed) -> ListRows<'a> {
        ListRows {
            buyer: listed.buyer.as_str().as_bytes(),
            state: keys::state(listed.state),
            place: listed.place.bytes(),
            attention: listed.attention,
        }
    }

    /// The key in one of [`LISTS`].
    fn row(&self, list: Table) -> Option<[&[u8]; 3]> {
        match list {
            Table::OrdersByBuyer => Some([self.buyer, &[0], &self.place]),
            Table::OrdersByState => Some([&self.state, &[], &self.place]),
            Table::Attention if !self.attention => None,
            _ => Some([&self.place, &[], &[]]),
        }
    }
}

fn listed(order: OrderId, state: &stampede_actors::order::Order) -> Option<Listed> {
    let place = Place { at: state.placed_at()?, order };
    let buyer = state.placement()?.buyer.clone();
    Some(Listed { place, buyer, state: state.state()?, attention: state.attention().is_some() })
}

/// An entity, its state and its version.
pub type Snapshot = (EntityId, EntityState, Version);

/// All entities of a store, in the order of their keys, a few in memory at a time.
pub struct SnapshotReader<'a> {
    store: &'a dyn Read,
    from: Vec<u8>,
    ready: VecDeque<Row>,
}

/// Snapshots are read so many at a time.
const READ: usize = 512;

impl SnapshotReader<'_> {
    /// Begins with the first one.
    #[must_use]
    pub fn new(store: &dyn Read) -> SnapshotReader<'_> {
        SnapshotReader { store, from: Vec::new(), ready: VecDeque::new() }
    }

    fn read(&mut self) -> Result<Option<Snapshot>, Error> {
        if self.ready.is_empty() {
            let range = Range { from: &self.from, to: None, reverse: false, limit: READ };
            self.ready = self.store.range(Table::Snapshot, range)?.into();
        }
        let Some((key, bytes)) = self.ready.pop_front() else { return Ok(None) };
        self.from = [&key, &[0][..]].concat();
        let entity = entity_of(&key)?;
        let Stored { row, state, .. } = stored(self.store, &entity, &bytes)?;
        Ok(Some((entity, state, row.version)))
    }
}

/// The entity of a key of [`Table::Snapshot`].
///
/// # Errors
/// [`Error::Lost`] when it is none.
pub fn entity_of(key: &[u8]) -> Result<EntityId, Error> {
    EntityId::from_key(key).ok_or_else(|| Error::Lost("the key of a snapshot".to_owned()))
}

/// An entity as it is in the store.
pub struct Stored {
    pub row: SnapshotRow,
    pub state: EntityState,
    pub claims: ClaimRows,
}

/// The whole entity of a row of [`Table::Snapshot`], with its claims.
///
/// # Errors
/// [`Error::Lost`] when the rows are not what was written.
pub fn stored(store: &dyn Read, entity: &EntityId, bytes: &[u8]) -> Result<Stored, Error> {
    let (row, mut state) = SnapshotRow::decode(entity, bytes)?;
    let claims = match entity {
        EntityId::Sku(sku) => claims::complete(store, sku, &mut state, row.claims)?,
        EntityId::Cart(_) | EntityId::Order(_) | EntityId::Shop => ClaimRows::default(),
    };
    Ok(Stored { row, state, claims })
}

impl Iterator for SnapshotReader<'_> {
    type Item = Result<Snapshot, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
