//! The comparison of the server's orders with the buyers' ledger. It only looks, and so can be told lies in tests.

use crate::load::buyer::Words;
use crate::load::clerk::Listed;
use crate::load::ledger::Ledger;
use crate::load::tally::{Invariant, Tally};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

/// A comparison in progress.
#[derive(Debug)]
pub struct ReadBack<'a> {
    words: &'a Words,
    /// Buyers who never learned whether they have an order.
    unclear: HashSet<u32, FixedState>,
    /// Buyers whose acknowledged order was there.
    found: HashSet<u32, FixedState>,
    /// Orders that are neither paid nor over.
    unpaid: HashSet<String, FixedState>,
    /// Units of paid orders, by SKU.
    paid: HashMap<String, i64, FixedState>,
    orders: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Orders of the run that the server has.
    pub orders: usize,
    /// Units of those that are paid, by SKU.
    pub paid: HashMap<String, i64, FixedState>,
    /// Orders that were never paid, nor over.
    pub unpaid: usize,
}

impl<'a> ReadBack<'a> {
    /// Before the first order.
    #[must_use]
    pub fn new(words: &'a Words, unclear: HashSet<u32, FixedState>) -> ReadBack<'a> {
        let (found, unpaid, paid) = (HashSet::default(), HashSet::default(), HashMap::default());
        ReadBack { words, unclear, found, unpaid, paid, orders: 0 }
    }

    /// Takes in an order that the server has; once more when it was not paid before.
    pub fn take(&mut self, order: &Listed, ledger: &Ledger, tally: &mut Tally) {
        // Somebody else may be on the same server.
        let Some(buyer) = self.words.read_buyer(&order.buyer) else { return };
        if !self.unpaid.remove(&order.order) {
            self.orders += 1;
            tally.look(Invariant::LostOrder, self.compare(buyer, order, ledger));
        }
        let charges = order.payments.iter().filter(|payment| payment.state == "captured").count();
        match order.state.as_str() {
            "captured" | "fulfilment_requested" | "partly_shipped" | "fulfilled" => {
                tally.must(Invariant::DoubleCharge, charges == 1, || {
                    format!("{} is {} and was charged {charges} times", order.order, order.state)
                });
                for line in &order.lines {
                    *self.paid.entry_ref(line.sku.as_str()).or_default() += i64::from(line.units);
                }
            }
            "cancelled" | "expired" => tally.must(Invariant::DoubleCharge, charges == 0, || {
                format!("{} is {} and was charged", order.order, order.state)
            }),
            _ => drop(self.unpaid.insert(order.order.clone())),
        }
    }

    fn compare(&mut self, buyer: Result<u32, ()>, order: &Listed, ledger: &Ledger) -> Option<String> {
        let id = &order.order;
        let Ok(buyer) = buyer else { return Some(format!("{id} is of a buyer who never came: {}", order.buyer)) };
        let Some(entry) = ledger.of(buyer) else {
            let unclear = self.unclear.remove(&buyer);
            return (!unclear).then(|| format!("{id} of buyer {buyer} was acknowledged to nobody"));
        };
        if entry.order.to_string() != *id {
            return Some(format!("buyer {buyer} was told of {}, and has {id} as well", entry.order));
        }
        self.found.insert(buyer);
        let sku = self.words.sku(entry.purchase.sku);
        let right = matches!(order.lines.as_slice(), [line] if line.sku == sku && line.units == 1);
        (!right).then(|| format!("{id} was acknowledged as one unit of {sku}, and is {:?}", order.lines))
    }

    /// Orders that are neither paid nor over.
    #[must_use]
    pub fn unpaid(&self) -> Vec<String> {
        self.unpaid.iter().cloned().collect()
    }

    /// Everything was read: what was not found is lost.
    pub fn finish(self, ledger: &Ledger, tally: &mut Tally) -> Compared {
        for entry in ledger.entries().filter(|entry| !self.found.contains(&entry.purchase.buyer)) {
            tally.look(Invariant::LostOrder, Some(format!("{} was acknowledged, and is not there", entry.order)));
        }
        // Also when there was no order at all, somebody has looked.
        tally.look(Invariant::LostOrder, None);
        Compared { orders: self.orders, paid: self.paid, unpaid: self.unpaid.len() }
    }
}

#[cfg(test)]
mod tests;
