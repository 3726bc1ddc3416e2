//! What the payment provider says it took, from its own books: the witness that is not ours.

use crate::workflows::simulated::{self, Deed, Entry};
use anyhow::Context;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::OrderId;
use std::path::Path;

/// What was taken for one order, and not given back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// How often, less how often it was given back.
    pub times: i64,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217; empty when nothing was taken.
    pub currency: String,
}

/// Money taken, by order.
#[derive(Debug, Default)]
pub struct Charges {
    taken: HashMap<String, Taken, FixedState>,
    /// Reservations that were neither taken nor given up, by order.
    reserved: HashMap<OrderId, i64, FixedState>,
}

impl Charges {
    /// Reads the provider's books in the data directory of a server that has stopped.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(data: &Path) -> anyhow::Result<Charges> {
        let path = data.join(simulated::PROVIDER_DIR);
        let cannot_read = || format!("cannot read {}", path.display());
        let books = simulated::Books::read(&path).with_context(cannot_read)?;
        let mut charges = Charges::default();
        for entry in books.entries() {
            charges.take_in(&entry.with_context(cannot_read)?);
        }
        Ok(charges)
    }

    /// Adds up entries.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Charges {
        let mut charges = Charges::default();
        entries.iter().for_each(|entry| charges.take_in(entry));
        charges
    }

    fn take_in(&mut self, entry: &Entry) {
        let reserved = self.reserved.entry(entry.order).or_default();
        let sign = match entry.operation {
            Deed::Authorize => {
                *reserved += 1;
                return;
            }
            Deed::Void => {
                *reserved -= 1;
                return;
            }
            Deed::Capture => {
                *reserved -= 1;
                1
            }
            Deed::Refund => -1,
            Deed::Refuse => return,
        };
        let taken = self.taken.entry(entry.order.to_string()).or_default();
        taken.times += sign;
        taken.amount += sign * entry.amount;
        taken.currency.clone_from(&entry.currency);
    }

    /// How often money was taken and not given back.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(self.taken.values().map(|taken| taken.times).sum::<i64>()).unwrap_or_default()
    }

    /// What was taken for this order.
    #[must_use]
    pub fn taken(&self, order: &str) -> Taken {
        self.taken.get(order).cloned().unwrap_or_default()
    }

    /// Orders for which money was taken.
    pub fn orders(&self) -> impl Iterator<Item = &str> {
        self.taken.keys().map(String::as_str)
    }

    /// Orders for which money is still reserved: it belongs to its buyers.
    #[must_use]
    pub fn still_reserved(&self) -> Vec<OrderId> {
        let mut orders: Vec<_> =
            self.reserved.iter().filter(|(_, count)| **count > 0).map(|(order, _)| *order).collect();
        orders.sort_unstable();
        orders
    }
}
