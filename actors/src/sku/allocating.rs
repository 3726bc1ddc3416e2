//! The second half of a claim's life: firm for an order, shipped or given back, and returned.

use super::command::{Event, Part, Refusal};
use super::decide::{Context, Decision, check_units};
use super::memory::{Closed, RememberedKey, What, fingerprint};
use super::state::{Claim, Sku};
use crate::ids::{BuyerRef, HoldId, OpId, OrderId};

impl Sku {
    /// A hold that ran out can still become firm as long as nothing says that it has ended: nobody else has its units.
    pub(super) fn allocate(&self, hold: HoldId, order: OrderId, parts: &[Part], context: Context<'_>) -> Decision {
        let allocated = Event::Allocated { hold, order, at: context.at.now };
        match self.claims.get(&hold) {
            None if self.shipped_by(hold, order, context) => Ok(None),
            None => Err(Refusal::HoldEnded),
            Some(claim) => match claim.order {
                Some(mine) if mine != order => Err(Refusal::HoldDiffers),
                Some(_) if claim.firm => Ok(None),
                // The order ships and refunds by these parts: firm ones elsewhere could neither leave nor come back.
                _ if !same(&claim.parts, parts) => Err(Refusal::HoldDiffers),
                Some(_) => Ok(Some(vec![allocated])),
                None => Ok(Some(vec![Event::Adopted { hold, order }, allocated])),
            },
        }
    }

    fn shipped_by(&self, hold: HoldId, order: OrderId, context: Context<'_>) -> bool {
        self.recall(RememberedKey::Hold(hold), context)
            .is_some_and(|remembered| remembered.what == What::Hold { closed: Closed::Shipped, order: Some(order) })
    }

    pub(super) fn ship(&self, hold: HoldId, shipment: OpId, parts: &[Part], context: Context<'_>) -> Decision {
        let key = RememberedKey::Shipment(hold, shipment);
        if self.done_before(key, fingerprint(parts, false), context)? {
            return Ok(None);
        }
        self.check_takes(hold, parts)?;
        Ok(Some(vec![Event::Shipped { hold, shipment, parts: parts.to_vec(), at: context.at.now }]))
    }

    pub(super) fn reduce_allocation(
        &self,
        hold: HoldId,
        reduction: OpId,
        parts: &[Part],
        restock: bool,
        context: Context<'_>,
    ) -> Decision {
        let key = RememberedKey::Reduction(hold, reduction);
        if self.done_before(key, fingerprint(parts, restock), context)? {
            return Ok(None);
        }
        self.check_takes(hold, parts)?;
        Ok(Some(vec![Event::AllocationReduced { hold, reduction, parts: parts.to_vec(), restock, at: context.at.now }]))
    }

    /// Nothing left to cancel is nothing to do, however the allocation ended.
    pub(super) fn cancel_allocation(&self, hold: HoldId, context: Context<'_>) -> Decision {
        match self.claims.get(&hold) {
            None => Ok(None),
            Some(claim) if claim.firm => Ok(Some(vec![Event::AllocationCancelled { hold, at: context.at.now }])),
            Some(_) => Err(Refusal::NotAllocated),
        }
    }

    /// Units leave an allocation only from where they are allocated: anything else would corrupt both locations.
    fn check_takes(&self, hold: HoldId, parts: &[Part]) -> Result<(), Refusal> {
        let claim = self.claims.get(&hold).ok_or(Refusal::HoldEnded)?;
        if !claim.firm {
            return Err(Refusal::NotAllocated);
        }
        let once = |i: usize| parts[..i].iter().all(|before| before.location != parts[i].location);
        if parts.is_empty() || !parts.iter().all(|part| covers(claim, part)) || !(0..parts.len()).all(once) {
            return Err(Refusal::WrongParts);
        }
        Ok(())
    }

    pub(super) fn take_back(
        &self,
        hold: HoldId,
        buyer: &BuyerRef,
        return_id: OpId,
        part: Part,
        restock: bool,
        context: Context<'_>,
    ) -> Decision {
        let key = RememberedKey::Return(hold, return_id);
        if self.done_before(key, fingerprint(std::slice::from_ref(&part), restock), context)? {
            return Ok(None);
        }
        let Part { location, units } = part;
        check_units(units)?;
        // Which order's units these are is for the order to know; here it is enough that so many ever left.
        if self.totals.returned + u64::from(units) > self.totals.shipped {
            return Err(Refusal::WrongParts);
        }
        if restock {
            self.check_stock_after(i64::from(units))?;
            self.check_room_for(&location)?;
        }
        let (buyer, at) = (buyer.clone(), context.at.now);
        Ok(Some(vec![Event::Returned { hold, buyer, return_id, location, units, restock, at }]))
    }
}

fn covers(claim: &Claim, part: &Part) -> bool {
    let mine = claim.parts.iter().find(|mine| mine.location == part.location);
    part.units > 0 && mine.is_some_and(|mine| part.units <= mine.units)
}

/// The same units at the same locations, in whatever order.
fn same(granted: &[Part], told: &[Part]) -> bool {
    granted.len() == told.len() && granted.iter().all(|part| told.contains(part))
}
