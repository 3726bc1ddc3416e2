//! The embedded store: entity snapshots and everything that is looked up by something else than an entity's id.
//!
//! It is a cache: each row follows from committed frames, the projection alone writes it, and losing all of it costs
//! a rebuild and no truth. So nothing is durable before [`Store::sync`], and a batch is there wholly or not at all.
//!
//! The simulated outside parties keep their own accounts in stores of the same kind. There, the rows are the truth.

mod batch;
mod disk;
mod measured;
mod memory;

pub use batch::Batch;
pub use disk::{DiskStore, Limits};
pub use measured::{Measured, Operation, Vitals};
pub use memory::MemoryStore;

use std::sync::{Arc, OnceLock};

/// What a row is about. The number is the first byte of its key on disk: never change or reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// How far the store has come, and the counters of the audit.
    Meta = 1,
    /// Entity → its state.
    Snapshot = 2,
    /// Due time, entity → nothing (S5).
    Due = 3,
    /// Day, SKU, operation → what it did (S17).
    Remembered = 4,
    /// SKU, version → its events.
    Movements = 5,
    /// Buyer, time, order → nothing.
    OrdersByBuyer = 6,
    /// State, time, order → nothing.
    OrdersByState = 7,
    /// Time, order → nothing: orders that a person must look at.
    Attention = 9,
    /// Number → an entry of the simulated provider's books.
    Deeds = 10,
    /// Reference → the number of the provider's last entry under it.
    References = 11,
    /// Number of an entry → what became of its amount.
    Used = 12,
    /// Order, location → what the simulated warehouse was asked to ship.
    Parcels = 13,
    /// Order, refund → did the warehouse agree to the call-off?
    CallOffs = 14,
    /// Order, location → nothing: parcels that wait for being shipped.
    ToShip = 15,
    /// Shipment → order, location: shipped, and no order has taken it in yet.
    Unconfirmed = 16,
    /// SKU, hold → a hold or allocation.
    Claims = 17,
}

impl Table {
    /// All of them, in the order of their keys.
    pub const ALL: [Table; 16] = [
        Table::Meta,
        Table::Snapshot,
        Table::Due,
        Table::Remembered,
        Table::Movements,
        Table::OrdersByBuyer,
        Table::OrdersByState,
        Table::Attention,
        Table::Deeds,
        Table::References,
        Table::Used,
        Table::Parcels,
        Table::CallOffs,
        Table::ToShip,
        Table::Unconfirmed,
        Table::Claims,
    ];

    /// Number of a table that was given up: all orders are listed from the lists by state. Stores and full checkpoints of
    /// earlier builds have rows of it.
    pub const GIVEN_UP: u8 = 8;

    /// The table of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Table> {
        Table::ALL.into_iter().find(|&table| table as u8 == number)
    }

    /// The full key of a row.
    pub(crate) fn key(self, key: &[u8]) -> Vec<u8> {
        let mut full = Vec::with_capacity(key.len() + 1);
        full.push(self as u8);
        full.extend_from_slice(key);
        full
    }
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files cannot be read or written, or are not what they should be.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The first failed write of a store, for whoever watches over it: the store is of no use any more then. Clones tell of
/// the same store.
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<OnceLock<String>>);

impl Failure {
    /// What went wrong; `None`: nothing yet.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    fn noted<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome {
            // The first one is the one to tell of.
            let _ = self.0.set(error.to_string());
        }
        outcome
    }
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Which rows of a table to read.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// From this key on, inclusive.
    pub from: &'a [u8],
    /// Up to this key, exclusive; `None`: to the end of the table.
    pub to: Option<&'a [u8]>,
    /// Greatest key first.
    pub reverse: bool,
    /// At most so many rows.
    pub limit: usize,
}

/// Reads rows.
pub trait Read: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Is there a row of this key? Cheap when there is none.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error>;

    /// Rows in the order of their keys.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error>;
}

/// Reads and writes rows. Many may read while one writes.
pub trait Store: Read {
    /// Writes all rows of the batch, or none. Not durable until [`Store::sync`].
    ///
    /// # Errors
    /// [`Error`] when it could not be written; the store must not be used any more then.
    fn write(&self, batch: &Batch) -> Result<(), Error>;

    /// Writes all rows of the batch and makes them durable, with everything before them, where that costs no more than
    /// [`Store::write`]. `false`: nothing was written, it is for [`Store::write`].
    ///
    /// # Errors
    /// As [`Store::write`].
    fn write_durably(&self, _: &Batch) -> Result<bool, Error> {
        Ok(false)
    }

    /// Returns when everything written before outlives this process, however it ends. Losing power may still take it.
    ///
    /// # Errors
    /// [`Error`] when that is not sure; the store must not be used any more then.
    fn flush(&self) -> Result<(), Error>;

    /// Returns when everything written before is durable.
    ///
    /// # Errors
    /// [`Error`] when that is not sure; the store must not be used any more then.
    fn sync(&self) -> Result<(), Error>;

    /// The rows as they are now, unmoved by later writes.
    fn view(&self) -> Box<dyn Read>;

    /// Tells of the first failed write, now or later.
    fn failure(&self) -> Failure {
        Failure::default()
    }
}

#[cfg(test)]
pub(crate) mod tests;
