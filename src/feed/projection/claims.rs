//! A SKU's claims have rows of their own: a sale adds to them all the time, and a snapshot that held them all would be
//! written whole for each one. The snapshot has their seal, so that none of them can be missing or old unnoticed (S4).

use super::entity::EntityState;
use super::{Error, keys};
use crate::store::{Batch, Range, Read, Table};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::{HoldId, SkuId};
use stampede_actors::mutant::Mutant;
use stampede_actors::sku::{Sku, codec};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Claims are read so many at a time.
const READ: usize = 4_096;

/// What the claims of one SKU add up to, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seal {
    /// How many there are.
    pub count: u32,
    /// Sum of their hashes.
    pub sum: u64,
}

impl Seal {
    /// Bytes of a seal.
    pub const BYTES: usize = 12;

    pub fn bytes(self) -> [u8; Seal::BYTES] {
        let mut bytes = [0; Seal::BYTES];
        bytes[..4].copy_from_slice(&self.count.to_le_bytes());
        bytes[4..].copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }

    pub fn read(bytes: [u8; Seal::BYTES]) -> Seal {
        let [a, b, c, d, sum @ ..] = bytes;
        Seal { count: u32::from_le_bytes([a, b, c, d]), sum: u64::from_le_bytes(sum) }
    }

    fn add(&mut self, hash: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }

    fn take(&mut self, hash: u64) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash);
    }
}

/// The rows of one SKU's claims, as they are in the store, and which of them are behind.
#[derive(Debug, Default)]
pub struct ClaimRows {
    hashes: HashMap<HoldId, u64, FixedState>,
    touched: Vec<HoldId>,
    seal: Seal,
}

impl ClaimRows {
    /// This claim has changed since its row was written, or begun or ended.
    pub fn touch(&mut self, hold: HoldId) {
        if self.touched.last() != Some(&hold) {
            self.touched.push(hold);
        }
    }

    /// Writes what was touched, and says what the rows add up to then.
    pub fn put(&mut self, id: &SkuId, sku: &Sku, batch: &mut Batch) -> Seal {
        self.touched.sort_unstable();
        self.touched.dedup();
        for hold in std::mem::take(&mut self.touched) {
            let before = match codec::encode_claim(sku, hold) {
                Some(bytes) => {
                    let hash = hash_of(id, &bytes);
                    self.seal.add(hash);
                    batch.put(Table::Claims, &keys::claim(id, hold), bytes);
                    self.hashes.insert(hold, hash)
                }
                None => {
                    let before = self.hashes.remove(&hold);
                    // One that began and ended since the last write has no row.
                    if before.is_some() {
                        batch.delete(Table::Claims, &keys::claim(id, hold));
                    }
                    before
                }
            };
            before.into_iter().for_each(|hash| self.seal.take(hash));
        }
        self.seal
    }

    /// Gives `sku` the claim of a row.
    ///
    /// # Errors
    /// [`Error::Lost`] when the row makes no sense.
    pub fn add(&mut self, id: &SkuId, sku: &mut Sku, bytes: &[u8]) -> Result<(), Error> {
        let hold = codec::add_claim(sku, bytes).map_err(|error| Error::Lost(format!("a claim of {id}: {error}")))?;
        let hash = hash_of(id, bytes);
        self.seal.add(hash);
        self.hashes.insert(hold, hash);
        Ok(())
    }

    /// Are these all the claims there were when the snapshot was written, as they were then?
    ///
    /// # Errors
    /// [`Error::Lost`] when they are not.
    pub fn check(&self, id: &SkuId, seal: Seal) -> Result<(), Error> {
        if self.seal == seal || Mutant::ClaimsSeal.is_off() {
            Ok(())
        } else {
            Err(Error::Lost(format!("claims of {id}: they are not what was written")))
        }
    }
}

/// Gives a SKU that was read without its claims all of them.
///
/// # Errors
/// [`Error::Lost`] when they are not those that the snapshot was written with; [`Error::Store`] when they cannot be read.
pub fn complete(store: &dyn Read, id: &SkuId, state: &mut EntityState, seal: Seal) -> Result<ClaimRows, Error> {
    let EntityState::Sku(sku) = state else { return Ok(ClaimRows::default()) };
    let mut rows = ClaimRows::default();
    each(store, id, |bytes| rows.add(id, sku, bytes))?;
    rows.check(id, seal)?;
    Ok(rows)
}

/// Has the store all claims of a SKU, as they were written with this seal?
///
/// # Errors
/// [`Error::Lost`] when it has not; [`Error::Store`] when they cannot be read.
pub fn confirm(store: &dyn Read, id: &SkuId, seal: Seal) -> Result<(), Error> {
    let mut rows = ClaimRows::default();
    each(store, id, |bytes| {
        rows.seal.add(hash_of(id, bytes));
        Ok(())
    })?;
    rows.check(id, seal)
}

/// Reads all rows of a SKU's claims.
fn each(store: &dyn Read, id: &SkuId, mut take: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut from = keys::sku(id);
    let to = keys::after(&from);
    loop {
        let range = Range { from: &from, to: to.as_deref(), reverse: false, limit: READ };
        let read = store.range(Table::Claims, range)?;
        for (_, bytes) in &read {
            take(bytes)?;
        }
        match read.last() {
            Some((last, _)) if read.len() == READ => from = [last, &[0][..]].concat(),
            _ => return Ok(()),
        }
    }
}

fn hash_of(id: &SkuId, bytes: &[u8]) -> u64 {
    // A claim names its hold; of which SKU it is says the row's key alone.
    xxh3_64_with_seed(bytes, xxh3_64_with_seed(id.as_str().as_bytes(), 0))
}
