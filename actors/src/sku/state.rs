//! What there is of one SKU: counters per location, and the claims on them.

use super::Units;
use super::command::{Listing, Part};
use super::deadlines::Deadlines;
use super::memory::Memory;
use super::roll::Roll;
use crate::ids::{BuyerRef, HoldId, LocationId, OrderId};
use crate::time::{Moment, Timestamp};
use std::collections::VecDeque;

/// What follows from the events so far. Safe to drop: the log can rebuild it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sku {
    pub(super) listing: Option<Listing>,
    pub(super) paused: bool,
    /// In the order in which they were first named.
    pub(super) locations: Vec<LocationStock>,
    /// Each in memory of its own: a table has room for more than it holds.
    pub(super) claims: Roll<HoldId, Box<Claim>>,
    /// Deadlines of the claims that are not firm.
    pub(super) expiries: Deadlines,
    pub(super) buyers: Roll<BuyerRef, Tally>,
    /// The newest tentative holds and when they were made, newest last; some may have ended or become certain since.
    pub(super) tentative: VecDeque<(Timestamp, HoldId)>,
    pub(super) memory: Memory,
    pub(super) totals: Totals,
}

/// Stock at one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationStock {
    /// Where.
    pub location: LocationId,
    /// Lower serves first.
    pub priority: u32,
    /// Units there, claimed or not.
    pub on_hand: Units,
    /// Units in holds.
    pub held: Units,
    /// Units in allocations.
    pub allocated: Units,
    /// Units kept back on purpose.
    pub safety_stock: Units,
}

impl LocationStock {
    /// Units that can be promised: clamped at zero here, so that one location never takes from another.
    #[must_use]
    pub fn available(&self) -> Units {
        self.on_hand.saturating_sub(self.claimed() + self.safety_stock)
    }

    /// Units in holds and allocations.
    #[must_use]
    pub fn claimed(&self) -> Units {
        self.held + self.allocated
    }
}

/// Everything that ever moved, for the audit: `on_hand == received + adjusted - shipped + restocked - written_off`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Units that came in.
    pub received: u64,
    /// Sum of all corrections.
    pub adjusted: i64,
    /// Units that left.
    pub shipped: u64,
    /// Units that came back, restocked or not.
    pub returned: u64,
    /// Units that came back and can be sold again.
    pub restocked: u64,
    /// Units that were refunded before they were shipped, and not restocked.
    pub written_off: u64,
}

impl Totals {
    /// What must be on hand if nothing was lost or made up.
    #[must_use]
    pub fn on_hand(&self) -> i64 {
        self.received as i64 + self.adjusted - self.shipped as i64 + self.restocked as i64 - self.written_off as i64
    }
}

/// A hold, or once it is firm an allocation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    pub buyer: BuyerRef,
    pub order: Option<OrderId>,
    /// As granted; repeats are compared with it.
    pub units: Units,
    /// What is left of it.
    pub parts: Vec<Part>,
    pub created_at: Timestamp,
    /// Means nothing once it is firm.
    pub expires_at: Timestamp,
    pub firm: bool,
    /// Of an order that may not be placed.
    pub tentative: bool,
    /// Asked for without an order: its client chose the id.
    pub named: bool,
}

impl Claim {
    pub fn left(&self) -> Units {
        self.parts.iter().map(|part| part.units).sum()
    }

    /// Has it run out, though nothing says so yet?
    pub fn overdue(&self, at: Moment) -> bool {
        !self.firm && self.expires_at <= at.overdue
    }
}

/// What counts against one buyer's limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// In holds and allocations.
    pub claimed: Units,
    /// Shipped while there was a limit, and not returned.
    pub shipped: Units,
}

impl Tally {
    pub fn counted(self) -> Units {
        self.claimed.saturating_add(self.shipped)
    }
}

impl Sku {
    pub(super) fn location(&self, location: &LocationId) -> Option<&LocationStock> {
        self.locations.iter().find(|stock| stock.location == *location)
    }

    pub(super) fn on_hand(&self) -> Units {
        self.locations.iter().map(|stock| stock.on_hand).sum()
    }

    /// Holds that have run out though nothing says so yet, the longest overdue first.
    pub(super) fn overdue(&self, at: Moment) -> impl Iterator<Item = (HoldId, &Claim)> {
        self.expiries
            .iter()
            .take_while(move |(expires_at, _)| *expires_at <= at.overdue)
            .map(|(_, hold)| (*hold, self.claim(*hold)))
    }

    /// The claim of a deadline or an event.
    pub(super) fn claim(&self, hold: HoldId) -> &Claim {
        self.claims.get(&hold).unwrap_or_else(|| panic!("{hold} is not claimed"))
    }
}
