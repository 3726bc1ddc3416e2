//! One order's books: what it bought, what was paid, what left.

use super::Map;
use super::claims::{Claim, Phase, Shelf};
use crate::verify::invariants::{Invariant, OrderMoney, Violation};
use crate::verify::summary::Totals;
use stampede_actors::ids::{OpId, OrderId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::order::{Answer, Event, LineUnits, Placement, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trade {
    lines: Vec<Line>,
    total: Option<Money>,
    money: OrderMoney,
    /// Refunds that were not answered yet, or were done.
    refunds: Map<OpId, Refund>,
    /// The provider refused a refund: a person's work, and on the list for that.
    stuck: bool,
}

#[derive(Debug)]
struct Line {
    sku: SkuId,
    hold: stampede_actors::ids::HoldId,
    units: i64,
    shipped: i64,
    returned: i64,
    /// Units refunded before they left: they will not leave any more.
    withheld: i64,
}

#[derive(Debug)]
struct Refund {
    amount: i64,
    withheld: Vec<(usize, i64)>,
}

type Broken = Option<(Invariant, String)>;

impl Trade {
    pub(super) fn ended_without_units(&self) -> bool {
        self.money.ended_without_units
    }

    pub(super) fn money(&self) -> OrderMoney {
        OrderMoney { ended_without_units: self.money.ended_without_units && !self.stuck, ..self.money }
    }

    pub(super) fn take_in(
        &mut self,
        order: OrderId,
        event: &Event,
        shelves: &Map<SkuId, Shelf>,
        totals: &mut Totals,
        found: &mut Vec<Violation>,
    ) {
        totals.evaluated += 1;
        let broken = match event {
            Event::Placed { placement, total, .. } => self.placed(order, placement, *total, shelves),
            Event::Opened { step: Step::Capture { .. }, .. } => self.all_firm(order, shelves),
            Event::Answered { step, answer, .. } => self.answered(*step, answer, totals),
            Event::RefundRequested { refund, amount, withheld, .. } => {
                let withheld = withheld.iter().map(|part| (part.line as usize, i64::from(part.units))).collect();
                let refund_of = Refund { amount: amount.minor, withheld };
                self.withhold(&refund_of, 1);
                self.money.refunded += amount.minor;
                self.refunds.insert(*refund, refund_of);
                None
            }
            Event::Shipped { lines, .. } => self.moved(lines, |line| &mut line.shipped),
            Event::Returned { lines, .. } => self.moved(lines, |line| &mut line.returned),
            Event::Cancelled { .. } | Event::Expired { .. } => {
                self.money.ended_without_units = self.lines.iter().all(|line| line.shipped == 0);
                None
            }
            Event::PaymentRetried { .. }
            | Event::Opened { .. }
            | Event::Asked { .. }
            | Event::CancelRequested { .. }
            | Event::AttentionNeeded { .. }
            | Event::AttentionAcknowledged { .. } => None,
        };
        found.extend(broken.map(|(invariant, detail)| Violation::new(invariant, order, detail)));
    }

    fn placed(&mut self, order: OrderId, placement: &Placement, total: Money, shelves: &Map<SkuId, Shelf>) -> Broken {
        let again = self.total.replace(total).is_some();
        let mut broken = again.then(|| (Invariant::OrderBacked, "placed a second time".to_owned()));
        let mut sum: i64 = 0;
        for line in &placement.lines {
            sum = sum.saturating_add(line.unit_price.minor.saturating_mul(i64::from(line.units)));
            let claim = shelves.get(&line.sku).and_then(|shelf| shelf.claim(line.hold));
            let backed = claim.is_some_and(|claim| {
                claim.order == Some(order) && claim.buyer == placement.buyer && claim.parts == line.parts
            });
            let whole = line.parts.iter().map(|part| i64::from(part.units)).sum::<i64>() == i64::from(line.units);
            if !backed || !whole {
                let detail = format!("{} units of {}: no such hold {} of it", line.units, line.sku, line.hold);
                broken = broken.or(Some((Invariant::OrderBacked, detail)));
            }
        }
        if sum != total.minor {
            let detail = format!("lines add up to {sum}, the total is {}", total.minor);
            broken = broken.or(Some((Invariant::OrderBacked, detail)));
        }
        let line = |line: &stampede_actors::order::Line| Line {
            sku: line.sku.clone(),
            hold: line.hold,
            units: i64::from(line.units),
            shipped: 0,
            returned: 0,
            withheld: 0,
        };
        self.lines = placement.lines.iter().map(line).collect();
        broken
    }

    fn all_firm(&self, order: OrderId, shelves: &Map<SkuId, Shelf>) -> Broken {
        let soft = self.lines.iter().find(|line| {
            let claim = shelves.get(&line.sku).and_then(|shelf| shelf.claim(line.hold));
            !claim.is_some_and(|claim| claim.order == Some(order) && matches!(claim.phase, Phase::Firm | Phase::Done))
        })?;
        Some((Invariant::CaptureAllocated, format!("{} of {} is not allocated", soft.hold, soft.sku)))
    }

    fn answered(&mut self, step: Step, answer: &Answer, totals: &mut Totals) -> Broken {
        let total = self.total?;
        let flow = totals.flow(total.currency.code());
        match (step, answer) {
            (Step::Authorize { .. }, Answer::Done { .. }) => flow.authorised += total.minor,
            (Step::Capture { .. }, Answer::Done { .. }) => {
                flow.captured += total.minor;
                self.money.captures += 1;
                self.money.captured += total.minor;
                totals.charges += 1;
                totals.captured_orders += i64::from(self.money.captures == 1);
            }
            (Step::Refund { refund }, Answer::Done { .. }) => {
                flow.refunded += self.refunds.get(&refund).map_or(0, |refund| refund.amount);
            }
            (Step::Refund { refund }, Answer::Refused { .. }) => {
                self.money.refunded -= self.refunds.remove(&refund).map_or(0, |refund| refund.amount);
                self.stuck = true;
            }
            (Step::CallOff { refund }, Answer::Refused { .. }) => {
                if let Some(lapsed) = self.refunds.remove(&refund) {
                    self.money.refunded -= lapsed.amount;
                    self.withhold(&lapsed, -1);
                }
            }
            _ => {}
        }
        None
    }

    fn withhold(&mut self, refund: &Refund, sign: i64) {
        for &(line, units) in &refund.withheld {
            if let Some(line) = self.lines.get_mut(line) {
                line.withheld += sign * units;
            }
        }
    }

    /// Money is kept, but units of a line are neither firm, nor did they leave, nor were they refunded.
    pub(super) fn unbacked(&self, order: OrderId, shelves: &Map<SkuId, Shelf>) -> Option<Violation> {
        if self.stuck || self.money.ended_without_units || self.money.captured <= self.money.refunded {
            return None;
        }
        self.lines.iter().find_map(|line| {
            let claim = shelves.get(&line.sku).and_then(|shelf| shelf.claim(line.hold));
            let backed = claim.map_or(0, Claim::sold) + line.withheld;
            let detail = || format!("paid for {} units of {}, of which {backed} are there", line.units, line.sku);
            (backed < line.units).then(|| Violation::new(Invariant::CaptureAllocated, order, detail()))
        })
    }

    /// More units of a line left than the order says.
    pub(super) fn overshipped(&self, order: OrderId, shelves: &Map<SkuId, Shelf>) -> Option<Violation> {
        self.lines.iter().find_map(|line| {
            // A hold that ended may have been granted afresh, for another order.
            let claim = shelves.get(&line.sku).and_then(|shelf| shelf.claim(line.hold));
            let left = claim.filter(|claim| claim.order == Some(order)).map_or(0, Claim::shipped);
            let detail = || format!("{left} units of {} left, the order shipped {}", line.sku, line.shipped);
            (left > line.shipped).then(|| Violation::new(Invariant::ShippedWithinOrder, order, detail()))
        })
    }

    fn moved(&mut self, lines: &[LineUnits], count: impl Fn(&mut Line) -> &mut i64) -> Broken {
        for moved in lines {
            let Some(line) = self.lines.get_mut(moved.line as usize) else {
                return Some((Invariant::ShippedWithinOrder, format!("there is no line {}", moved.line)));
            };
            *count(line) += i64::from(moved.units);
            let Line { units, shipped, returned, .. } = *line;
            if shipped > units || returned > shipped {
                let detail = format!("line {}: {units} bought, {shipped} shipped, {returned} returned", moved.line);
                return Some((Invariant::ShippedWithinOrder, detail));
            }
        }
        None
    }
}
