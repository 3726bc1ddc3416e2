//! What others may see of a SKU.

use super::Units;
use super::command::{Listing, Part};
use super::memory::{Remembered, RememberedKey};
use super::state::{Claim, LocationStock, Sku, Totals};
use crate::ids::{BuyerRef, HoldId, OrderId};
use crate::time::Timestamp;

/// How many units there are, and how many of them can be promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// Units there, claimed or not.
    pub on_hand: Units,
    /// Units in holds. One that has run out counts until it is expired, which is at its deadline or just after.
    pub held: Units,
    /// Units in allocations.
    pub allocated: Units,
    /// Units kept back on purpose, where there are as many.
    pub safety_stock: Units,
    /// Units that a hold would get now.
    pub available: Units,
    /// New holds are refused.
    pub paused: bool,
    /// The same by location.
    pub locations: Vec<LocationStock>,
}

/// A hold or allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    /// How many units were granted.
    pub units: Units,
    /// Where they are; what has been shipped or given back is not among them.
    pub parts: Vec<Part>,
    /// Whose they are.
    pub buyer: BuyerRef,
    /// For which order.
    pub order: Option<OrderId>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; means nothing once it is firm.
    pub expires_at: Timestamp,
    /// Allocated: it no longer expires.
    pub firm: bool,
}

impl Claim {
    pub(super) fn view(&self) -> HoldView {
        HoldView {
            units: self.units,
            parts: self.parts.clone(),
            buyer: self.buyer.clone(),
            order: self.order,
            created_at: self.created_at,
            expires_at: self.expires_at,
            firm: self.firm,
        }
    }
}

impl Sku {
    /// How many units there are, and how many of them can be promised.
    #[must_use]
    pub fn availability(&self) -> Availability {
        let sum = |of: fn(&LocationStock) -> Units| self.locations.iter().map(of).sum();
        Availability {
            on_hand: sum(|stock| stock.on_hand),
            held: sum(|stock| stock.held),
            allocated: sum(|stock| stock.allocated),
            safety_stock: sum(|stock| stock.safety_stock.min(stock.on_hand)),
            available: self.available(),
            paused: self.paused,
            locations: self.locations.clone(),
        }
    }

    /// Units that a hold would get now.
    #[must_use]
    pub fn available(&self) -> Units {
        self.locations.iter().map(LocationStock::available).sum()
    }

    /// Units in holds, which may come back.
    #[must_use]
    pub fn held(&self) -> Units {
        self.locations.iter().map(|stock| stock.held).sum()
    }

    /// The hold or allocation of this id, while it stands.
    #[must_use]
    pub fn hold(&self, hold: HoldId) -> Option<HoldView> {
        self.claims.get(&hold).map(|claim| claim.view())
    }

    /// Since when the hold or allocation of this id stands.
    #[must_use]
    pub fn held_since(&self, hold: HoldId) -> Option<Timestamp> {
        self.claims.get(&hold).map(|claim| claim.created_at)
    }

    /// What the marketplace says about it; `None` before it was listed.
    #[must_use]
    pub fn listing(&self) -> Option<&Listing> {
        self.listing.as_ref()
    }

    /// New holds are refused.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Everything that ever moved, for the audit.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Holds and allocations that stand.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.claims.len()
    }

    /// What counts against this buyer's limit.
    #[must_use]
    pub fn counted(&self, buyer: &BuyerRef) -> Units {
        self.buyers.get(buyer).map_or(0, |tally| tally.counted())
    }

    /// The ids that it has in memory beyond what they named, oldest first; the store has all of them (S17).
    pub fn remembered(&self) -> impl Iterator<Item = (RememberedKey, Remembered)> {
        self.memory.iter()
    }

    /// When it next wants [`super::Command::Tick`]: the earliest deadline of a hold.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.expiries.first().map(|(expires_at, _)| *expires_at)
    }
}
