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
    /// What of both was one of the rules of [`Invariant::RUNNING`], looked at in an entity or in the sums. Rows that an
    /// earlier version wrote do not have it.
    pub rules: BTreeMap<Invariant, Looks>,
}

/// How often one rule was looked at, and how often it did not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// Looked at.
    pub evaluated: u64,
    /// Did not hold.
    pub violated: u64,
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
    /// Notes that this rule was looked at, and what was found.
    pub fn look(&mut self, rule: Invariant, found: Option<Violation>) {
        let looks = self.rules.entry(rule).or_default();
        looks.evaluated += 1;
        looks.violated += u64::from(found.is_some());
        self.evaluated(found);
    }

    /// Notes that some rule was looked at, and what was found.
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

    /// By how much sums differ that are kept separately and must agree.
    #[must_use]
    pub fn differences(&self) -> [(Pair, i64); 2] {
        [
            (Pair::OrdersCharges, self.charges - self.captured_orders),
            (Pair::StockMovements, self.stock.on_hand - self.expected_on_hand()),
        ]
    }

    /// What people read, with the rules over the sums evaluated once more.
    #[must_use]
    pub fn summary(&self) -> AuditSummary {
        let mut totals = self.clone();
        let [(_, many), (_, lost)] = self.differences();
        let found = (lost != 0).then(|| {
            Violation::new(Invariant::Conservation, "all SKUs", format!("{lost} units more on hand than came in"))
        });
        totals.look(Invariant::Conservation, found);
        let found = (many != 0).then(|| {
            Violation::new(Invariant::CapturedOnce, "all orders", format!("{many} charges more than captured orders"))
        });
        totals.look(Invariant::CapturedOnce, found);
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
            rules: totals.rules,
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
    /// By rule, as far as entities and sums show it: what is judged event by event is only counted in all.
    #[serde(default)]
    pub rules: BTreeMap<Invariant, Looks>,
}

/// Two sums that are kept separately and must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// Orders whose money was taken, against times that money was taken.
    OrdersCharges,
    /// Units on hand, against those that came in and did not leave.
    StockMovements,
}

impl Pair {
    /// The label values, in the order of the variants.
    pub const WORDS: &'static [&'static str] = &["orders_charges", "stock_movements"];

    /// The label value.
    #[must_use]
    pub fn word(self) -> &'static str {
        Pair::WORDS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_counted_under_its_rule() {
        let mut totals = Totals { charges: 2, captured_orders: 1, ..Totals::default() };
        assert_eq!(totals.differences(), [(Pair::OrdersCharges, 1), (Pair::StockMovements, 0)]);
        totals.look(Invariant::Oversell, None);
        totals.look(Invariant::Oversell, Some(Violation::new(Invariant::Oversell, "sku:mug", "one too many")));
        let summary = totals.summary();
        let looks = |rule| summary.rules.get(&rule).map(|looks| (looks.evaluated, looks.violated));
        assert_eq!(looks(Invariant::Oversell), Some((2, 1)));
        assert_eq!(looks(Invariant::CapturedOnce), Some((1, 1)), "the sums, once more");
        assert_eq!(looks(Invariant::Conservation), Some((1, 0)));
        assert_eq!(looks(Invariant::RefundWithinCapture), None, "nobody looked");
        assert_eq!((summary.evaluated, summary.violated), (4, 2));
        totals.stock.on_hand = 3;
        assert_eq!(totals.differences()[1], (Pair::StockMovements, 3));
    }

    /// A row of an earlier version is read as it is.
    #[test]
    fn sums_without_rules_are_taken_in() {
        let totals: Totals = serde_json::from_str(r#"{"evaluated":7,"violated":1}"#).expect("no rules");
        assert_eq!((totals.evaluated, totals.violated, totals.rules.len()), (7, 1, 0));
        let mut totals = totals;
        totals.look(Invariant::Conservation, None);
        let text = serde_json::to_string(&totals).expect("a row");
        assert!(text.contains(r#""rules":{"conservation":{"evaluated":1,"violated":0}}"#), "{text}");
        assert_eq!(serde_json::from_str::<Totals>(&text).expect("the same"), totals);
    }
}
