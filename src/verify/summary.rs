//! Counters of the audit, and the summary that people and the demo read.

use super::invariants::{Invariant, Stock, Violation};
use serde::{Deserialize, Serialize};
use stampede_actors::order::State;
use std::collections::BTreeMap;

/// Most violations kept word for word; the rest is only counted.
const KEPT: usize = 100;

/// Sums over all entities, as of one log position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Units received.
    pub received: i64,
    /// Units corrected, up or down.
    pub adjusted: i64,
    /// Units that left.
    pub shipped: i64,
    /// Units that came back, restocked or not.
    pub returned: i64,
    /// Units that came back and can be sold again.
    pub restocked: i64,
    /// Units refunded before they were shipped, and not sold again.
    pub written_off: i64,
    /// Units in the buildings, held, allocated: now.
    pub stock: Stock,
    /// Units claimed beyond those there are, summed over SKUs and locations.
    pub oversold: i64,
    /// Orders by the word of their state.
    pub orders: BTreeMap<String, i64>,
    /// Orders whose money was taken.
    pub captured_orders: i64,
    /// Times that money was taken.
    pub charges: i64,
    /// By currency code.
    pub money: BTreeMap<String, Flow>,
    /// Rules evaluated so far.
    pub evaluated: u64,
    /// Violations found so far.
    pub violated: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// Money of one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Reserved, so far.
    pub authorised: i64,
    /// Taken, so far.
    pub captured: i64,
    /// Gone back, so far.
    pub refunded: i64,
}

impl Totals {
    /// Notes that a rule was looked at, and what was found.
    pub fn evaluated(&mut self, found: Option<Violation>) {
        self.evaluated += 1;
        if let Some(violation) = found {
            self.violated += 1;
            if self.violations.len() < KEPT {
                self.violations.push(violation);
            }
        }
    }

    /// One order more (or, with -1, less) in this state.
    pub fn order(&mut self, state: State, change: i64) {
        let word = state.word();
        match self.orders.get_mut(word) {
            Some(count) => *count += change,
            None => drop(self.orders.insert(word.to_owned(), change)),
        }
    }

    /// The money of this currency.
    pub fn flow(&mut self, currency: &str) -> &mut Flow {
        if !self.money.contains_key(currency) {
            self.money.insert(currency.to_owned(), Flow::default());
        }
        self.money.entry(currency.to_owned()).or_default()
    }

    /// The money of the currencies in which any has moved.
    #[must_use]
    pub fn flows(&self) -> BTreeMap<String, Flow> {
        let moved = self.money.iter().filter(|(_, flow)| **flow != Flow::default());
        moved.map(|(currency, flow)| (currency.clone(), *flow)).collect()
    }

    /// Units that ought to be on hand.
    #[must_use]
    pub fn expected_on_hand(&self) -> i64 {
        self.received + self.adjusted - self.shipped + self.restocked - self.written_off
    }

    /// What people read, with the rules over the sums evaluated once more.
    #[must_use]
    pub fn summary(&self) -> AuditSummary {
        let mut totals = self.clone();
        let lost = totals.stock.on_hand - totals.expected_on_hand();
        totals.evaluated((lost != 0).then(|| {
            Violation::new(Invariant::Conservation, "all SKUs", format!("{lost} units more on hand than came in"))
        }));
        let many = totals.charges - totals.captured_orders;
        totals.evaluated((many != 0).then(|| {
            Violation::new(Invariant::CapturedOnce, "all orders", format!("{many} charges more than captured orders"))
        }));
        let money = totals.flows();
        AuditSummary {
            allocated_supply: totals.received + totals.adjusted,
            on_hand: totals.stock.on_hand,
            available: totals.stock.on_hand - totals.stock.held - totals.stock.allocated,
            held: totals.stock.held,
            allocated: totals.stock.allocated,
            sold: totals.stock.allocated + totals.shipped,
            shipped: totals.shipped,
            returned: totals.returned,
            written_off: totals.written_off,
            oversold: totals.oversold,
            orders: totals.orders.into_iter().filter(|&(_, count)| count != 0).collect(),
            captured_orders: totals.captured_orders,
            charges: totals.charges,
            money,
            evaluated: totals.evaluated,
            violated: totals.violated,
            violations: totals.violations,
        }
    }
}

/// The invariants and what they are about, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSummary {
    /// Units received and corrected: all there ever was to sell.
    pub allocated_supply: i64,
    /// Units in the buildings.
    pub on_hand: i64,
    /// On hand and unclaimed. Safety stock is not taken off.
    pub available: i64,
    /// Claimed until a deadline.
    pub held: i64,
    /// Firm and not shipped.
    pub allocated: i64,
    /// Firm or shipped, whether or not returned later.
    pub sold: i64,
    /// Units that left.
    pub shipped: i64,
    /// Units that came back.
    pub returned: i64,
    /// Units refunded before they were shipped, and not sold again.
    pub written_off: i64,
    /// Units claimed beyond those there are. Must be zero.
    pub oversold: i64,
    /// Orders by state.
    pub orders: BTreeMap<String, i64>,
    /// Orders whose money was taken.
    pub captured_orders: i64,
    /// Times that money was taken. Must be equal to `captured_orders`.
    pub charges: i64,
    /// By currency code, in minor units.
    pub money: BTreeMap<String, Flow>,
    /// How many times a rule was evaluated: no violations count only if this moves.
    pub evaluated: u64,
    /// How many violations were found.
    pub violated: u64,
    /// The first hundred of them.
    pub violations: Vec<Violation>,
}
