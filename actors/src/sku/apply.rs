//! How events change what there is. Cannot fail: an event is a fact, and one that does not fit is a bug.

use super::command::{Event, Part};
use super::memory::{Closed, Remembered, RememberedKey, What, fingerprint};
use super::state::{Claim, LocationStock, Sku};
use super::{DEFAULT_PRIORITY, Units};
use crate::ids::{BuyerRef, HoldId, LocationId};
use crate::time::Timestamp;

/// Tentative holds that are looked through for a contended refusal.
const TENTATIVE_KEPT: usize = 64;

impl Sku {
    /// Takes in what happened.
    ///
    /// # Panics
    /// When the event contradicts those before it, or leaves more claimed than there is: a bug or a corrupt log.
    pub fn apply(&mut self, event: &Event) {
        for (key, remembered) in self.remembers(event) {
            self.memory.insert(key, remembered);
        }
        match event {
            Event::Listed(listing) => self.listing = Some(listing.clone()),
            Event::LocationSet { location, priority, safety_stock } => {
                let stock = self.stock(location);
                stock.priority = *priority;
                stock.safety_stock = *safety_stock;
            }
            Event::Received { location, units, .. } => {
                self.stock(location).on_hand += units;
                self.totals.received += u64::from(*units);
            }
            Event::Adjusted { location, delta, .. } => {
                let stock = self.stock(location);
                stock.on_hand = Units::try_from(i64::from(stock.on_hand) + delta).expect("stock is never negative");
                assert!(stock.claimed() <= stock.on_hand, "adjusted below what is claimed: {stock:?}");
                self.totals.adjusted += delta;
            }
            Event::Held { hold, buyer, order, parts, at, expires_at, tentative } => {
                for part in parts {
                    let stock = self.stock(&part.location);
                    stock.held += part.units;
                    assert!(stock.claimed() <= stock.on_hand, "oversold: {stock:?}");
                }
                let units = parts.iter().map(|part| part.units).sum();
                let claim = Box::new(Claim {
                    buyer: buyer.clone(),
                    order: *order,
                    units,
                    parts: parts.clone(),
                    created_at: *at,
                    expires_at: *expires_at,
                    firm: false,
                    tentative: *tentative,
                    named: order.is_none(),
                });
                self.buyers.of(buyer).claimed += units;
                self.expiries.insert((*expires_at, *hold));
                let before = self.claims.insert(*hold, claim);
                assert!(before.is_none(), "held twice: {hold}");
                if *tentative {
                    self.tentative.push_back((*at, *hold));
                    if self.tentative.len() > TENTATIVE_KEPT {
                        self.tentative.pop_front();
                    }
                }
            }
            Event::Adopted { hold, order } => {
                let claim = self.claim_mut(*hold);
                claim.order = Some(*order);
                claim.tentative = false;
            }
            Event::Extended { hold, expires_at } => {
                let claim = self.claim_mut(*hold);
                let before = std::mem::replace(&mut claim.expires_at, *expires_at);
                claim.tentative = false;
                self.remove_expiry(before, *hold);
                self.expiries.insert((*expires_at, *hold));
            }
            Event::Ended { hold, .. } => {
                let claim = self.take_claim(*hold);
                assert!(!claim.firm, "an allocation ended as a hold: {hold}");
                self.remove_expiry(claim.expires_at, *hold);
                for part in &claim.parts {
                    self.stock(&part.location).held -= part.units;
                }
                self.uncount(&claim.buyer, claim.left());
            }
            Event::Allocated { hold, order, .. } => {
                let claim = self.claim_mut(*hold);
                assert!(!claim.firm && claim.order == Some(*order), "allocated twice or to another order: {hold}");
                claim.firm = true;
                claim.tentative = false;
                let (deadline, parts) = (claim.expires_at, claim.parts.clone());
                self.remove_expiry(deadline, *hold);
                for part in &parts {
                    let stock = self.stock(&part.location);
                    stock.held -= part.units;
                    stock.allocated += part.units;
                }
            }
            Event::Shipped { hold, parts, .. } => {
                let (buyer, units) = self.take_allocated(*hold, parts);
                for part in parts {
                    self.stock(&part.location).on_hand -= part.units;
                }
                if self.listing.as_ref().is_some_and(|listing| listing.buyer_limit.is_some()) {
                    self.buyers.of(&buyer).shipped += units;
                }
                self.uncount(&buyer, units);
                self.totals.shipped += u64::from(units);
            }
            Event::AllocationReduced { hold, parts, restock, .. } => {
                let (buyer, units) = self.take_allocated(*hold, parts);
                if !restock {
                    for part in parts {
                        self.stock(&part.location).on_hand -= part.units;
                    }
                    self.totals.written_off += u64::from(units);
                }
                self.uncount(&buyer, units);
            }
            Event::AllocationCancelled { hold, .. } => {
                let parts = self.claim(*hold).parts.clone();
                let (buyer, units) = self.take_allocated(*hold, &parts);
                self.uncount(&buyer, units);
            }
            Event::Returned { buyer, location, units, restock, .. } => {
                if let Some(tally) = self.buyers.get_mut(buyer) {
                    tally.shipped = tally.shipped.saturating_sub(*units);
                    self.uncount(buyer, 0);
                }
                self.totals.returned += u64::from(*units);
                if *restock {
                    self.stock(location).on_hand += units;
                    self.totals.restocked += u64::from(*units);
                }
            }
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
        }
    }

    /// What the store must remember of `event`, asked **before** the event is applied: late repeats are answered by it.
    #[must_use]
    pub fn remembers(&self, event: &Event) -> Vec<(RememberedKey, Remembered)> {
        let operation = |key: RememberedKey, content: u64, at: &Timestamp| {
            (key, Remembered { at: *at, what: What::Operation { fingerprint: content } })
        };
        let ended = |hold: &HoldId, closed: Closed, at: &Timestamp| {
            let order = self.claim(*hold).order;
            (RememberedKey::Hold(*hold), Remembered { at: *at, what: What::Hold { closed, order } })
        };
        // The last units of an allocation end it.
        let taken = |first, hold: &HoldId, parts: &[Part], closed: Closed, at: &Timestamp| {
            let all = parts.iter().map(|part| part.units).sum::<Units>() == self.claim(*hold).left();
            if all { vec![first, ended(hold, closed, at)] } else { vec![first] }
        };
        match event {
            Event::Received { receipt, fingerprint: content, at, .. } => {
                vec![operation(RememberedKey::Receipt(*receipt), *content, at)]
            }
            Event::Adjusted { adjustment, fingerprint: content, at, .. } => {
                vec![operation(RememberedKey::Adjustment(*adjustment), *content, at)]
            }
            Event::Ended { hold, at, .. } if self.claim(*hold).named => vec![ended(hold, Closed::Lapsed, at)],
            Event::Shipped { hold, shipment, parts, at } => {
                let key = RememberedKey::Shipment(*hold, *shipment);
                taken(operation(key, fingerprint(parts, false), at), hold, parts, Closed::Shipped, at)
            }
            Event::AllocationReduced { hold, reduction, parts, restock, at } => {
                let key = RememberedKey::Reduction(*hold, *reduction);
                taken(operation(key, fingerprint(parts, *restock), at), hold, parts, Closed::Cancelled, at)
            }
            Event::AllocationCancelled { hold, at } => vec![ended(hold, Closed::Cancelled, at)],
            Event::Returned { hold, return_id, location, units, restock, at, .. } => {
                let part = Part { location: location.clone(), units: *units };
                vec![operation(RememberedKey::Return(*hold, *return_id), fingerprint(&[part], *restock), at)]
            }
            Event::Ended { .. }
            | Event::Listed(_)
            | Event::LocationSet { .. }
            | Event::Held { .. }
            | Event::Adopted { .. }
            | Event::Extended { .. }
            | Event::Allocated { .. }
            | Event::Paused
            | Event::Resumed => Vec::new(),
        }
    }

    /// The location's counters; a location is there as soon as it is named.
    fn stock(&mut self, location: &LocationId) -> &mut LocationStock {
        let index = self.locations.iter().position(|stock| stock.location == *location).unwrap_or_else(|| {
            // Most SKUs are in one place: room for just that.
            self.locations.reserve_exact(1);
            self.locations.push(LocationStock {
                location: location.clone(),
                priority: DEFAULT_PRIORITY,
                on_hand: 0,
                held: 0,
                allocated: 0,
                safety_stock: 0,
            });
            self.locations.len() - 1
        });
        &mut self.locations[index]
    }

    fn claim_mut(&mut self, hold: HoldId) -> &mut Claim {
        self.claims.get_mut(&hold).unwrap_or_else(|| panic!("{hold} is not claimed"))
    }

    fn take_claim(&mut self, hold: HoldId) -> Box<Claim> {
        self.claims.remove(&hold).unwrap_or_else(|| panic!("{hold} is not claimed"))
    }

    fn remove_expiry(&mut self, deadline: Timestamp, hold: HoldId) {
        assert!(self.expiries.remove(&(deadline, hold)), "a live hold without a deadline: {hold}");
    }

    /// Takes `parts` out of an allocation, which ends with its last unit. Returns whose it was, and how many units.
    fn take_allocated(&mut self, hold: HoldId, parts: &[Part]) -> (BuyerRef, Units) {
        let claim = self.claim_mut(hold);
        assert!(claim.firm, "taken from what is not allocated: {hold}");
        for part in parts {
            let mine = claim.parts.iter_mut().find(|mine| mine.location == part.location);
            mine.expect("units are taken from where they are allocated").units -= part.units;
        }
        claim.parts.retain(|part| part.units > 0);
        let (buyer, over) = (claim.buyer.clone(), claim.parts.is_empty());
        if over {
            self.claims.remove(&hold);
        }
        for part in parts {
            self.stock(&part.location).allocated -= part.units;
        }
        (buyer, parts.iter().map(|part| part.units).sum())
    }

    /// Takes `units` off the buyer's claims, and forgets a buyer of whom nothing is left to count.
    fn uncount(&mut self, buyer: &BuyerRef, units: Units) {
        let tally = self.buyers.get_mut(buyer).expect("whoever has a claim is counted");
        tally.claimed -= units;
        if tally.counted() == 0 {
            self.buyers.remove(buyer);
        }
    }
}
