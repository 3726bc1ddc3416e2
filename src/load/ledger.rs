//! What buyers were told: at most one order each, and that every repeat told the same story. Kept apart from the server
//! on purpose: at the end the two are compared. An entry is small, since a long run has millions.

use crate::load::buyer::Purchase;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::OrderId;

/// An order that a buyer was told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What was sent: sent again, it must get the same answer.
    pub purchase: Purchase,
    /// The order.
    pub order: OrderId,
    /// First 16 bytes of the BLAKE3 hash of the answer's body.
    body: [u8; 16],
}

/// How an acknowledgement compares with what was told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is the first.
    First,
    /// The same once more.
    Same,
    /// Something else.
    Otherwise(String),
}

/// All acknowledged orders, by buyer.
#[derive(Debug)]
pub struct Ledger {
    by_buyer: HashMap<u32, Entry, FixedState>,
    /// Units acknowledged, by SKU.
    units: Vec<u32>,
}

impl Ledger {
    /// Before the first order, for so many SKUs.
    #[must_use]
    pub fn new(skus: usize) -> Ledger {
        Ledger { by_buyer: HashMap::default(), units: vec![0; skus] }
    }

    /// Takes in an acknowledgement and compares it with an earlier one.
    pub fn acknowledge(&mut self, purchase: Purchase, order: OrderId, body: &[u8]) -> Told {
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(body).as_bytes()[..16]);
        let Some(known) = self.by_buyer.get(&purchase.buyer) else {
            self.units[purchase.sku as usize] += 1;
            self.by_buyer.insert(purchase.buyer, Entry { purchase, order, body: hash });
            return Told::First;
        };
        if known.order != order {
            return Told::Otherwise(format!("buyer {} got {} and {order}", purchase.buyer, known.order));
        }
        if known.body != hash {
            return Told::Otherwise(format!("{order}: a repeat was answered with other bytes"));
        }
        Told::Same
    }

    /// The order of a buyer.
    #[must_use]
    pub fn of(&self, buyer: u32) -> Option<&Entry> {
        self.by_buyer.get(&buyer)
    }

    /// All of them, in no order that means anything.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_buyer.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_buyer.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_buyer.is_empty()
    }

    /// Units acknowledged of one SKU.
    #[must_use]
    pub fn units(&self, sku: u32) -> u32 {
        self.units[sku as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::buyer::Via;

    #[test]
    fn a_buyer_has_one_order_and_hears_one_story() {
        let mut ledger = Ledger::new(2);
        let purchase = |buyer| Purchase { buyer, visit: 0, sku: 1, via: Via::Express };
        assert_eq!(ledger.acknowledge(purchase(1), OrderId(1), b"one"), Told::First);
        assert_eq!(ledger.acknowledge(purchase(1), OrderId(1), b"one"), Told::Same);
        assert!(matches!(ledger.acknowledge(purchase(1), OrderId(1), b"two"), Told::Otherwise(_)));
        assert!(matches!(ledger.acknowledge(purchase(1), OrderId(2), b"one"), Told::Otherwise(_)));
        assert_eq!(ledger.acknowledge(purchase(2), OrderId(2), b"one"), Told::First);
        assert_eq!((ledger.len(), ledger.units(0), ledger.units(1)), (2, 0, 2));
    }
}
