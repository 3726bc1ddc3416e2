//! The rules, in one place, for the running engine and for the offline check.

use serde::{Deserialize, Serialize};
use stampede_actors::sku::LocationStock;

/// What must hold. The word is the label in metrics and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// At no location more units are held and allocated than there are.
    Oversell,
    /// Units on hand are those received and corrected, less those shipped, plus those restocked.
    Conservation,
    /// A hold is granted once while it lives and never after it became firm; it ends once.
    HoldLifecycle,
    /// No buyer passes the limit that held when the units were claimed (S17).
    BuyerLimit,
    /// Each line of an order rests on a granted hold of that order, with the same SKU, units and places.
    OrderBacked,
    /// Money is taken only when the units of all lines are firm.
    CaptureAllocated,
    /// Money is taken once per order.
    CapturedOnce,
    /// No more money goes back than was taken, and none is kept for an order that ended without units.
    RefundWithinCapture,
    /// No more units leave than were bought, and no more come back than left.
    ShippedWithinOrder,
    /// No units stay firm for an order that ended without them.
    Stranded,
    /// Versions of an entity follow each other without a gap (S4).
    VersionGap,
    /// An aggregate takes in every event of its log.
    Replay,
    /// The store shows what the log says.
    StoreMatchesLog,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Invariant; 13] = [
        Invariant::Oversell,
        Invariant::Conservation,
        Invariant::HoldLifecycle,
        Invariant::BuyerLimit,
        Invariant::OrderBacked,
        Invariant::CaptureAllocated,
        Invariant::CapturedOnce,
        Invariant::RefundWithinCapture,
        Invariant::ShippedWithinOrder,
        Invariant::Stranded,
        Invariant::VersionGap,
        Invariant::Replay,
        Invariant::StoreMatchesLog,
    ];

    /// Those that a running engine evaluates, again whenever an entity they are about has changed. All others follow from
    /// the history, which only the offline check reads.
    pub const RUNNING: [Invariant; 4] =
        [Invariant::Oversell, Invariant::Conservation, Invariant::CapturedOnce, Invariant::RefundWithinCapture];

    /// The stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Invariant::Oversell => "oversell",
            Invariant::Conservation => "conservation",
            Invariant::HoldLifecycle => "hold_lifecycle",
            Invariant::BuyerLimit => "buyer_limit",
            Invariant::OrderBacked => "order_backed",
            Invariant::CaptureAllocated => "capture_allocated",
            Invariant::CapturedOnce => "captured_once",
            Invariant::RefundWithinCapture => "refund_within_capture",
            Invariant::ShippedWithinOrder => "shipped_within_order",
            Invariant::Stranded => "stranded",
            Invariant::VersionGap => "version_gap",
            Invariant::Replay => "replay",
            Invariant::StoreMatchesLog => "store_matches_log",
        }
    }
}

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule.
    pub invariant: Invariant,
    /// Which entity, as people write it.
    pub entity: String,
    /// What was found.
    pub detail: String,
}

impl Violation {
    /// Says that `invariant` does not hold for `entity`.
    pub fn new(invariant: Invariant, entity: impl ToString, detail: impl Into<String>) -> Violation {
        Violation { invariant, entity: entity.to_string(), detail: detail.into() }
    }
}

/// Units at one location, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// In the building.
    pub on_hand: i64,
    /// Claimed until a deadline.
    pub held: i64,
    /// Firm.
    pub allocated: i64,
}

impl Stock {
    /// The units of one location.
    #[must_use]
    pub fn of(place: &LocationStock) -> Stock {
        let [on_hand, held, allocated] = [place.on_hand, place.held, place.allocated].map(i64::from);
        Stock { on_hand, held, allocated }
    }

    /// Adds (or, with -1, takes off) the units of another place.
    pub fn add(&mut self, other: Stock, sign: i64) {
        self.on_hand += sign * other.on_hand;
        self.held += sign * other.held;
        self.allocated += sign * other.allocated;
    }

    /// Units claimed beyond those there are.
    #[must_use]
    pub fn oversold(self) -> i64 {
        (self.held + self.allocated - self.on_hand).max(0)
    }
}

/// Nothing is claimed beyond what is there, and nothing is negative.
#[must_use]
pub fn stock(entity: &dyn std::fmt::Display, place: &str, stock: Stock) -> Option<Violation> {
    let sound = stock.oversold() == 0 && stock.on_hand >= 0 && stock.held >= 0 && stock.allocated >= 0;
    let Stock { on_hand, held, allocated } = stock;
    (!sound).then(|| {
        let detail = format!("at {place}: {on_hand} on hand, {held} held, {allocated} allocated");
        Violation::new(Invariant::Oversell, entity, detail)
    })
}

/// No unit was made up or lost: `made_up` is how many more are on hand than came in and did not leave.
#[must_use]
pub fn conservation(entity: &dyn std::fmt::Display, made_up: i64) -> Option<Violation> {
    let violation = || Violation::new(Invariant::Conservation, entity, format!("{made_up} units made up"));
    (made_up != 0).then(violation)
}

/// What one order's money did, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderMoney {
    /// How often it was taken.
    pub captures: u32,
    /// Taken in all.
    pub captured: i64,
    /// Gone back, or asked to go back and not refused.
    pub refunded: i64,
    /// The order ended and its buyer has nothing.
    pub ended_without_units: bool,
}

/// Both rules about an order's money; the first that does not hold.
#[must_use]
pub fn money(entity: &dyn std::fmt::Display, money: OrderMoney) -> Option<Violation> {
    captured_once(entity, money).or_else(|| refund_within_capture(entity, money))
}

/// Taken at most once.
#[must_use]
pub fn captured_once(entity: &dyn std::fmt::Display, money: OrderMoney) -> Option<Violation> {
    let violation = || Violation::new(Invariant::CapturedOnce, entity, format!("captured {} times", money.captures));
    (money.captures > 1).then(violation)
}

/// Never more back than taken; nothing kept for nothing.
#[must_use]
pub fn refund_within_capture(entity: &dyn std::fmt::Display, money: OrderMoney) -> Option<Violation> {
    let OrderMoney { captured, refunded, ended_without_units, .. } = money;
    let sound = refunded <= captured && !(ended_without_units && refunded < captured);
    (!sound).then(|| {
        let detail = format!("{captured} captured, {refunded} refunded, ended without units: {ended_without_units}");
        Violation::new(Invariant::RefundWithinCapture, entity, detail)
    })
}
