//! The second set of books: what the events add up to, without the aggregates.

mod claims;
mod trades;

use super::invariants::{self, Invariant, Stock, Violation};
use super::summary::Totals;
use claims::Shelf;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::{EntityId, OrderId, SkuId};
use stampede_actors::record::{Entry, Event, Record, Version};
use std::hash::Hash;
use trades::Trade;

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// Takes in records in the order of the log and says which rules each of them breaks.
#[derive(Debug, Default)]
pub struct Ledger {
    versions: Map<EntityId, Version>,
    shelves: Map<SkuId, Shelf>,
    trades: Map<OrderId, Trade>,
    totals: Totals,
    found: Vec<Violation>,
}

impl Ledger {
    /// Takes in one record; the rules it breaks.
    pub fn record(&mut self, record: &Record) -> Vec<Violation> {
        for entry in &record.entries {
            self.version(entry);
            match (&entry.entity, &entry.event) {
                (EntityId::Sku(sku), Event::Sku(event)) => {
                    let shelf = entry_of(&mut self.shelves, sku);
                    shelf.take_in(&entry.entity, event, &mut self.totals, &mut self.found);
                }
                (EntityId::Order(order), Event::Order(event)) => {
                    let trade = self.trades.entry(*order).or_default();
                    trade.take_in(*order, event, &self.shelves, &mut self.totals, &mut self.found);
                }
                (EntityId::Cart(_), Event::Cart(_)) | (EntityId::Shop, Event::Shop(_)) => {}
                (entity, _) => {
                    let detail = "an event of another kind of entity";
                    self.found.push(Violation::new(Invariant::Replay, entity, detail));
                }
            }
        }
        self.money(record);
        let found = std::mem::take(&mut self.found);
        for violation in &found {
            self.totals.evaluated(Some(violation.clone()));
        }
        found
    }

    /// What holds only when the whole log was taken in.
    pub fn close(&mut self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (sku, shelf) in &self.shelves {
            for (hold, order) in shelf.firm() {
                let stranded = order.and_then(|order| self.trades.get(&order)).is_none_or(Trade::ended_without_units);
                self.totals.evaluated += 1;
                if stranded {
                    let detail = format!("{hold} is allocated, but its order has ended or never was");
                    found.push(Violation::new(Invariant::Stranded, EntityId::Sku(sku.clone()), detail));
                }
            }
        }
        for (order, trade) in &self.trades {
            self.totals.evaluated += 2;
            found.extend(trade.unbacked(*order, &self.shelves));
            found.extend(trade.overshipped(*order, &self.shelves));
        }
        // The order of a map is nobody's business.
        found.sort_by(|a, b| (&a.entity, &a.detail).cmp(&(&b.entity, &b.detail)));
        found.iter().for_each(|violation| self.totals.evaluated(Some(violation.clone())));
        found
    }

    /// The sums, without orders by state: that word is the aggregate's.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        for stock in self.shelves.values().flat_map(Shelf::places) {
            totals.stock.on_hand += stock.on_hand;
            totals.stock.held += stock.held;
            totals.stock.allocated += stock.allocated;
            totals.oversold += stock.oversold();
        }
        totals
    }

    /// Units on hand, held and allocated of a SKU, by location code.
    pub fn stock(&self, sku: &SkuId) -> impl Iterator<Item = (&str, Stock)> {
        self.shelves.get(sku).into_iter().flat_map(Shelf::by_location)
    }

    /// Whether the money is right is asked when the whole record was taken in: one event may follow from another.
    fn money(&mut self, record: &Record) {
        for entry in &record.entries {
            let EntityId::Order(order) = &entry.entity else { continue };
            self.totals.evaluated += 1;
            let money = self.trades.get(order).map(Trade::money).unwrap_or_default();
            let violation = invariants::money(order, money);
            self.found.extend(violation.filter(|violation| !self.found.contains(violation)));
        }
    }

    fn version(&mut self, entry: &Entry) {
        let version = entry_of(&mut self.versions, &entry.entity);
        self.totals.evaluated += 1;
        if entry.version != *version + 1 {
            let detail = format!("version {} follows version {version}", entry.version);
            self.found.push(Violation::new(Invariant::VersionGap, &entry.entity, detail));
        }
        *version = entry.version;
    }
}

/// The value of a key, made when there is none; the key is copied only then.
pub(crate) fn entry_of<'a, K: Clone + Eq + Hash, V: Default>(map: &'a mut Map<K, V>, key: &K) -> &'a mut V {
    entry_or(map, key, V::default)
}

/// The value of a key, made by `fresh` when there is none; the key is copied only then.
pub(super) fn entry_or<'a, K: Clone + Eq + Hash, V>(
    map: &'a mut Map<K, V>,
    key: &K,
    fresh: impl FnOnce() -> V,
) -> &'a mut V {
    map.raw_entry_mut().from_key(key).or_insert_with(|| (key.clone(), fresh())).1
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
