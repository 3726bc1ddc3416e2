//! Money back: for which units, how much, and which of them are not to be shipped any more.

use super::decide::{Decision, check_lines, repeated, room};
use crate::ids::OpId;
use crate::money::Money;
use crate::order::{Event, LinePart, LineTally, LineUnits, Order, Refusal};
use crate::sku::Units;
use crate::time::{Moment, Timestamp};

impl Order {
    pub(super) fn request_refund(
        &self,
        id: OpId,
        fingerprint: u64,
        lines: &[LineUnits],
        restock: bool,
        at: Moment,
    ) -> Decision {
        if let Some(earlier) = self.refund(id) {
            return repeated(earlier.fingerprint, fingerprint);
        }
        let free = self.captured_minor() - self.requested_minor();
        let refund = if lines.is_empty() {
            self.refund_of_the_rest(id, fingerprint, restock, at.now)
        } else {
            if !self.paid {
                return Err(Refusal::NotRefundable);
            }
            check_lines(lines, &self.tallies(), LineTally::to_refund, Refusal::NotRefundable)?;
            self.refund_of(id, fingerprint, lines.to_vec(), restock, at.now)
        };
        match &refund {
            Event::RefundRequested { amount, .. } if amount.minor > 0 && amount.minor <= free => {}
            _ => return Err(Refusal::NotRefundable),
        }
        room(self.aftersales.refunds.len(), "refunds")?;
        Ok(Some(vec![refund]))
    }

    /// A refund of everything that was not refunded yet; no unit is shipped after it.
    pub(super) fn refund_of_the_rest(&self, refund: OpId, fingerprint: u64, restock: bool, at: Timestamp) -> Event {
        let mut lines = Vec::new();
        let mut withheld = Vec::new();
        for (line, tally) in (0..).zip(self.tallies()).filter(|_| self.paid) {
            if tally.to_refund() > 0 {
                lines.push(LineUnits { line, units: tally.to_refund() });
            }
            self.withhold(line, tally.to_ship(), &mut withheld);
        }
        // Also money with no unit behind it: taken by a capture that we had been told would not happen.
        let amount = self.money(self.captured_minor() - self.requested_minor());
        Event::RefundRequested { refund, fingerprint, lines, amount, restock, withheld, at }
    }

    /// A refund of these units, which are known to be refundable.
    fn refund_of(&self, refund: OpId, fingerprint: u64, lines: Vec<LineUnits>, restock: bool, at: Timestamp) -> Event {
        let tallies = self.tallies();
        let of_order = self.placement().map_or(&[][..], |placement| &placement.lines);
        let mut minor: i64 = 0;
        let mut withheld = Vec::new();
        for &LineUnits { line, units } in &lines {
            let (of_order, tally) = (&of_order[line as usize], tallies[line as usize]);
            minor = minor.saturating_add(of_order.unit_price.minor.saturating_mul(i64::from(units)));
            let back = (tally.returned + tally.withheld).saturating_sub(tally.refunded);
            self.withhold(line, units.saturating_sub(back).min(tally.to_ship()), &mut withheld);
        }
        let amount = self.money(minor);
        Event::RefundRequested { refund, fingerprint, lines, amount, restock, withheld, at }
    }

    /// Picks units that are not to be shipped, from the last location first: the first is preferably served from.
    fn withhold(&self, line: u32, mut units: Units, withheld: &mut Vec<LinePart>) {
        let of_order = self.placement().and_then(|placement| placement.lines.get(line as usize));
        for part in of_order.map_or(&[][..], |line| &line.parts).iter().rev() {
            let here = self.to_ship_from(line, &part.location).min(units);
            if here > 0 {
                withheld.push(LinePart { line, location: part.location.clone(), units: here });
                units -= here;
            }
        }
    }

    fn money(&self, minor: i64) -> Money {
        let currency = self.total().map_or(iso_currency::Currency::XXX, |total| total.currency);
        Money { minor, currency }
    }
}
