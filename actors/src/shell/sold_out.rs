//! Which SKUs are sold out: published by their actors, so that refusing the next hundred thousand buyers starts nobody.
//!
//! Only a SKU's own actor sets its flag: when it refuses for want of units while no hold stands. Then nothing comes back
//! but by a command to that actor, which takes the flag down again; and no order whose request is repeated can have a
//! hold there already (S15). A flag is believed for 10 ms, whatever becomes of its actor. It is looked at only after
//! the order's key was looked up (S16). The table is of one size: two SKUs in one place displace each other.

use crate::ids::SkuId;
use crate::sku::{Refusal, Units};
use crate::time::{Span, Timestamp};
use foldhash::fast::FixedState;
use parking_lot::Mutex;
use std::hash::BuildHasher;

/// How long a flag is believed.
const BELIEVED: Span = Span::millis(10);

/// Places in the table.
const PLACES: usize = 4_096;

/// The flags of all SKUs of a process.
pub(crate) struct SoldOut(Box<[Mutex<Option<Flag>>]>);

struct Flag {
    sku: SkuId,
    available: Units,
    at: Timestamp,
}

impl Default for SoldOut {
    fn default() -> SoldOut {
        SoldOut((0..PLACES).map(|_| Mutex::new(None)).collect())
    }
}

impl SoldOut {
    /// This SKU has only so many units to promise, and no hold that could end.
    pub fn set(&self, sku: &SkuId, available: Units, at: Timestamp) {
        *self.place(sku).lock() = Some(Flag { sku: sku.clone(), available, at });
    }

    /// Something happened to this SKU.
    pub fn clear(&self, sku: &SkuId) {
        let mut place = self.place(sku).lock();
        if place.as_ref().is_some_and(|flag| flag.sku == *sku) {
            *place = None;
        }
    }

    /// What this SKU's actor would say to a hold of so many units, if that is known.
    pub fn refusal(&self, sku: &SkuId, requested: Units, now: Timestamp) -> Option<Refusal> {
        let place = self.place(sku).lock();
        let flag = place.as_ref().filter(|flag| flag.sku == *sku && now < flag.at.plus(BELIEVED))?;
        let available = flag.available;
        (available < requested).then_some(Refusal::SoldOut { requested, available, contended: false })
    }

    fn place(&self, sku: &SkuId) -> &Mutex<Option<Flag>> {
        &self.0[FixedState::default().hash_one(sku) as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_of_one_sku_for_a_moment() {
        let (table, at) = (SoldOut::default(), Timestamp(1_000_000));
        let sku = |code: &str| SkuId::new(code).unwrap_or_else(|_| unreachable!("a good code"));
        let says = |code: &str, units, after: i64| table.refusal(&sku(code), units, at.plus(Span::millis(after)));
        assert_eq!(says("a", 1, 0), None);
        table.set(&sku("a"), 1, at);
        assert_eq!(says("a", 1, 0), None, "one is left");
        let refusal = Refusal::SoldOut { requested: 2, available: 1, contended: false };
        assert_eq!(says("a", 2, 9), Some(refusal));
        assert_eq!(says("a", 2, 10), None, "too old");
        assert_eq!(says("b", 2, 0), None);
        table.clear(&sku("a"));
        assert_eq!(says("a", 2, 0), None);
    }
}
