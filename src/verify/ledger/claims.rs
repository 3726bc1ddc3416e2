//! One SKU's books: units by location, and every claim on them.

use super::{Map, entry_of};
use crate::verify::invariants::{self, Invariant, Stock, Violation};
use crate::verify::summary::Totals;
use stampede_actors::ids::{BuyerRef, EntityId, HoldId, LocationId, OrderId};
use stampede_actors::sku::{Event, Part, Units};
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    locations: BTreeMap<LocationId, Stock>,
    claims: Map<HoldId, Claim>,
    limit: Option<Units>,
    buyers: Map<BuyerRef, i64>,
}

/// A hold, from its grant on. Kept when it has ended: orders point to it.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub buyer: BuyerRef,
    pub order: Option<OrderId>,
    /// As granted.
    pub parts: Vec<Part>,
    /// Still claimed.
    left: Vec<Part>,
    /// Units that left.
    shipped: i64,
    pub phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Held,
    Firm,
    /// Released or run out: may be granted again.
    Ended,
    /// Shipped wholly, or cancelled after it was firm: never again.
    Done,
}

fn uncount(buyers: &mut Map<BuyerRef, i64>, buyer: &BuyerRef, units: i64) {
    let counted = entry_of(buyers, buyer);
    // Units shipped while there was no limit were not counted, and may come back all the same.
    *counted = (*counted - units).max(0);
}

fn units(parts: &[Part]) -> i64 {
    parts.iter().map(|part| i64::from(part.units)).sum()
}

impl Claim {
    /// Units that left.
    pub(super) fn shipped(&self) -> i64 {
        self.shipped
    }

    /// Units that are firm, or left.
    pub(super) fn sold(&self) -> i64 {
        self.shipped + if self.phase == Phase::Firm { units(&self.left) } else { 0 }
    }
}

impl Shelf {
    pub(super) fn claim(&self, hold: HoldId) -> Option<&Claim> {
        self.claims.get(&hold)
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Stock> {
        self.locations.values().copied()
    }

    pub(super) fn by_location(&self) -> impl Iterator<Item = (&str, Stock)> {
        self.locations.iter().map(|(location, stock)| (location.as_str(), *stock))
    }

    /// Claims that are firm and not shipped wholly, with their orders.
    pub(super) fn firm(&self) -> impl Iterator<Item = (HoldId, Option<OrderId>)> {
        let firm = self.claims.iter().filter(|(_, claim)| claim.phase == Phase::Firm);
        firm.map(|(hold, claim)| (*hold, claim.order))
    }

    pub(super) fn take_in(&mut self, sku: &EntityId, event: &Event, totals: &mut Totals, found: &mut Vec<Violation>) {
        totals.evaluated += 1;
        let broken = match event {
            Event::Listed(listing) => {
                self.limit = listing.buyer_limit;
                None
            }
            Event::Received { location, units, .. } => {
                totals.received += i64::from(*units);
                self.on_hand(location, i64::from(*units))
            }
            Event::Adjusted { location, delta, .. } => {
                totals.adjusted += delta;
                self.on_hand(location, *delta)
            }
            Event::Held { hold, buyer, order, parts, .. } => self.held(*hold, buyer, *order, parts),
            Event::Adopted { hold, order } => self.adopted(*hold, *order),
            Event::Extended { hold, .. } => self.expect(*hold, Phase::Held, "extended"),
            Event::Ended { hold, .. } => self.released(*hold, Phase::Held, Phase::Ended),
            Event::Allocated { hold, order, .. } => self.allocated(*hold, *order),
            Event::Shipped { hold, parts, .. } => {
                totals.shipped += units(parts);
                self.taken_out(*hold, parts, Gone::Shipped)
            }
            Event::AllocationReduced { hold, parts, restock, .. } => {
                totals.written_off += if *restock { 0 } else { units(parts) };
                self.taken_out(*hold, parts, if *restock { Gone::Nowhere } else { Gone::WrittenOff })
            }
            Event::AllocationCancelled { hold, .. } => self.released(*hold, Phase::Firm, Phase::Done),
            Event::Returned { hold, buyer, location, units, restock, .. } => {
                totals.returned += i64::from(*units);
                totals.restocked += if *restock { i64::from(*units) } else { 0 };
                let known = self.claims.contains_key(hold);
                uncount(&mut self.buyers, buyer, i64::from(*units));
                let broken = if *restock { self.on_hand(location, i64::from(*units)) } else { None };
                broken.or_else(|| (!known).then(|| (Invariant::HoldLifecycle, format!("{hold} came back, never held"))))
            }
            Event::LocationSet { .. } | Event::Paused | Event::Resumed => None,
        };
        found.extend(broken.map(|(invariant, detail)| Violation::new(invariant, sku, detail)));
        for (location, stock) in &self.locations {
            totals.evaluated += 1;
            found.extend(invariants::stock(sku, location.as_str(), *stock));
        }
    }

    fn on_hand(&mut self, location: &LocationId, change: i64) -> Broken {
        self.locations.entry(location.clone()).or_default().on_hand += change;
        None
    }

    fn held(&mut self, hold: HoldId, buyer: &BuyerRef, order: Option<OrderId>, parts: &[Part]) -> Broken {
        let before = self.claims.get(&hold).map(|claim| claim.phase);
        for part in parts {
            self.locations.entry(part.location.clone()).or_default().held += i64::from(part.units);
        }
        let claim = Claim {
            buyer: buyer.clone(),
            order,
            parts: parts.to_vec(),
            left: parts.to_vec(),
            shipped: 0,
            phase: Phase::Held,
        };
        self.claims.insert(hold, claim);
        let counted = entry_of(&mut self.buyers, buyer);
        *counted += units(parts);
        if let Some(Phase::Held | Phase::Firm | Phase::Done) = before {
            return Some((Invariant::HoldLifecycle, format!("{hold} is granted a second time")));
        }
        match self.limit {
            Some(limit) if *counted > i64::from(limit) => {
                Some((Invariant::BuyerLimit, format!("{buyer} has {counted} units of at most {limit}")))
            }
            _ => None,
        }
    }

    fn adopted(&mut self, hold: HoldId, order: OrderId) -> Broken {
        let broken = self.expect(hold, Phase::Held, "adopted");
        match self.claims.get_mut(&hold) {
            Some(claim) if claim.order.is_none_or(|before| before == order) => claim.order = Some(order),
            _ => return broken.or(Some((Invariant::HoldLifecycle, format!("{hold} belongs to another order")))),
        }
        broken
    }

    fn allocated(&mut self, hold: HoldId, order: OrderId) -> Broken {
        let broken = self.expect(hold, Phase::Held, "allocated");
        let claim = self.claims.get_mut(&hold)?;
        claim.phase = Phase::Firm;
        for part in &claim.left {
            let stock = self.locations.entry(part.location.clone()).or_default();
            stock.held -= i64::from(part.units);
            stock.allocated += i64::from(part.units);
        }
        let own = claim.order.replace(order).is_none_or(|before| before == order);
        broken.or_else(|| (!own).then(|| (Invariant::HoldLifecycle, format!("{hold} belongs to another order"))))
    }

    /// Takes units out of an allocation.
    fn taken_out(&mut self, hold: HoldId, parts: &[Part], gone: Gone) -> Broken {
        let broken = self.expect(hold, Phase::Firm, if gone == Gone::Shipped { "shipped" } else { "reduced" });
        let claim = self.claims.get_mut(&hold)?;
        let mut beyond = false;
        for part in parts {
            let stock = self.locations.entry(part.location.clone()).or_default();
            stock.on_hand -= if gone == Gone::Nowhere { 0 } else { i64::from(part.units) };
            stock.allocated -= i64::from(part.units);
            match claim.left.iter_mut().find(|left| left.location == part.location) {
                Some(left) if left.units >= part.units => left.units -= part.units,
                _ => beyond = true,
            }
        }
        claim.shipped += if gone == Gone::Shipped { units(parts) } else { 0 };
        if units(&claim.left) == 0 {
            claim.phase = Phase::Done;
        }
        // What was shipped while there was a limit counts against it until it comes back.
        if gone != Gone::Shipped || self.limit.is_none() {
            uncount(&mut self.buyers, &claim.buyer, units(parts));
        }
        broken.or_else(|| beyond.then(|| (Invariant::ShippedWithinOrder, format!("{hold} has fewer units than these"))))
    }

    /// Ends a claim without a sale; its units can be sold again.
    fn released(&mut self, hold: HoldId, from: Phase, to: Phase) -> Broken {
        let broken = self.expect(hold, from, "ended");
        if broken.is_some() {
            return broken;
        }
        let claim = self.claims.get_mut(&hold)?;
        claim.phase = to;
        for part in std::mem::take(&mut claim.left) {
            let stock = self.locations.entry(part.location).or_default();
            match from {
                Phase::Held => stock.held -= i64::from(part.units),
                _ => stock.allocated -= i64::from(part.units),
            }
            uncount(&mut self.buyers, &claim.buyer, i64::from(part.units));
        }
        None
    }

    fn expect(&self, hold: HoldId, phase: Phase, what: &str) -> Broken {
        let is = self.claims.get(&hold).map(|claim| claim.phase);
        (is != Some(phase)).then(|| (Invariant::HoldLifecycle, format!("{hold} is {what}, but it is {is:?}")))
    }
}

/// Where units went that were taken out of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// To the buyer.
    Shipped,
    /// They can be sold again.
    Nowhere,
    /// They are of no use any more.
    WrittenOff,
}

type Broken = Option<(Invariant, String)>;
