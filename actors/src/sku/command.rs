//! The vocabulary of stock: what may be asked, what may happen, and why not.

use super::{MAX_UNITS, Units};
use crate::ids::{BuyerRef, HoldId, LocationId, OpId, OrderId, Reference, SellerId};
use crate::money::Money;
use crate::time::{Span, Timestamp};

/// What the marketplace says about a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Who sells it.
    pub seller: SellerId,
    /// Price of one unit; not negative.
    pub price: Money,
    /// Most units one buyer may hold, have allocated, or have received and not returned; `None`: no limit (S17).
    /// Shipped units count if there was a limit when they were shipped.
    pub buyer_limit: Option<Units>,
}

/// Why stock was corrected by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A count found another number.
    Count,
    /// Units broke.
    Damage,
    /// Units are gone.
    Loss,
    /// Units turned up.
    Found,
    /// Anything else; the reference says what.
    Other,
}

/// Units of a hold or allocation at one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where.
    pub location: LocationId,
    /// How many; at least one.
    pub units: Units,
}

/// What a caller asks for. May be refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Creates the SKU or changes its listing.
    List(Listing),
    /// Sets priority (lower serves first) and safety stock of a location.
    SetLocation { location: LocationId, priority: u32, safety_stock: Units },
    /// Units came in.
    Receive { receipt: OpId, fingerprint: u64, location: LocationId, units: Units },
    /// Stock is corrected. Refused when fewer units would be left than are claimed.
    Adjust {
        adjustment: OpId,
        fingerprint: u64,
        location: LocationId,
        delta: i64,
        reason: Reason,
        reference: Reference,
    },
    /// Claims units for a buyer until now + `ttl`. Overdue holds are expired first.
    /// `order`: claimed for that order; a hold without one may be taken over by an order of the same buyer.
    /// `tentative`: the order has more lines, and is placed only if all are granted.
    Hold { hold: HoldId, units: Units, buyer: BuyerRef, order: Option<OrderId>, ttl: Span, tentative: bool },
    /// Moves the deadline to `until`, never past creation + the cap on total hold time, and never back.
    Extend { hold: HoldId, until: Timestamp },
    /// Gives the units back. `order`: by the order that has the hold; without, by the client that named it, and then
    /// refused once an order has taken it over. Nothing happens to a hold of another order.
    Release { hold: HoldId, order: Option<OrderId> },
    /// Expires overdue holds, a bounded number at a time. Sent by timers.
    Tick,
    /// Makes a hold firm for its order: it no longer expires. `parts`: where the order was told that its units are; a
    /// hold that ended and was granted afresh may have them elsewhere, and is refused.
    Allocate { hold: HoldId, order: OrderId, parts: Vec<Part> },
    /// Allocated units leave the building, wholly or partly.
    Ship { hold: HoldId, shipment: OpId, parts: Vec<Part> },
    /// Takes some units out of an allocation: they were refunded before they were shipped. With `restock` they go back
    /// to available; without, they are written off and leave on-hand.
    ReduceAllocation { hold: HoldId, reduction: OpId, parts: Vec<Part>, restock: bool },
    /// Gives what is left of an allocation back to available.
    CancelAllocation { hold: HoldId },
    /// Shipped units came back: gives the buyer's limit back and, with `restock`, the units to available.
    Return { hold: HoldId, buyer: BuyerRef, return_id: OpId, location: LocationId, units: Units, restock: bool },
    /// Refuses new holds until resumed.
    Pause,
    /// Sells again.
    Resume,
}

/// How a hold ended without a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Given back.
    Released,
    /// Ran out.
    Expired,
}

/// What happened. Stored for good: add variants, never change one.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The listing is now this.
    Listed(Listing),
    /// The location is now this.
    LocationSet { location: LocationId, priority: u32, safety_stock: Units },
    /// Units came in.
    Received { receipt: OpId, fingerprint: u64, location: LocationId, units: Units, at: Timestamp },
    /// Stock was corrected.
    Adjusted {
        adjustment: OpId,
        fingerprint: u64,
        location: LocationId,
        delta: i64,
        reason: Reason,
        reference: Reference,
        at: Timestamp,
    },
    /// Units were claimed.
    Held {
        hold: HoldId,
        buyer: BuyerRef,
        order: Option<OrderId>,
        parts: Vec<Part>,
        at: Timestamp,
        expires_at: Timestamp,
        tentative: bool,
    },
    /// An order took over a hold that had none.
    Adopted { hold: HoldId, order: OrderId },
    /// The deadline moved.
    Extended { hold: HoldId, expires_at: Timestamp },
    /// The claim ended without a sale.
    Ended { hold: HoldId, how: End, at: Timestamp },
    /// The hold became firm.
    Allocated { hold: HoldId, order: OrderId, at: Timestamp },
    /// Units left.
    Shipped { hold: HoldId, shipment: OpId, parts: Vec<Part>, at: Timestamp },
    /// Some units went out of the allocation: back to available, or written off.
    AllocationReduced { hold: HoldId, reduction: OpId, parts: Vec<Part>, restock: bool, at: Timestamp },
    /// The allocation's unshipped units went back to available.
    AllocationCancelled { hold: HoldId, at: Timestamp },
    /// Units came back.
    Returned {
        hold: HoldId,
        buyer: BuyerRef,
        return_id: OpId,
        location: LocationId,
        units: Units,
        restock: bool,
        at: Timestamp,
    },
    /// New holds are refused.
    Paused,
    /// New holds are granted.
    Resumed,
}

impl Event {
    /// The claim that it makes, changes or ends.
    #[must_use]
    pub fn claim(&self) -> Option<HoldId> {
        match self {
            Event::Held { hold, .. }
            | Event::Adopted { hold, .. }
            | Event::Extended { hold, .. }
            | Event::Ended { hold, .. }
            | Event::Allocated { hold, .. }
            | Event::Shipped { hold, .. }
            | Event::AllocationReduced { hold, .. }
            | Event::AllocationCancelled { hold, .. } => Some(*hold),
            Event::Listed(_)
            | Event::LocationSet { .. }
            | Event::Received { .. }
            | Event::Adjusted { .. }
            | Event::Returned { .. }
            | Event::Paused
            | Event::Resumed => None,
        }
    }
}

/// Why not. Nothing changed, and the same command may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The SKU was never listed.
    #[error("no such SKU")]
    UnknownSku,
    /// Fewer units are available. `contended`: only because of holds of other multi-line orders that are still
    /// being placed (S21), or of overdue holds that are just being expired, so that trying again at once is worth it.
    #[error("{requested} units requested, {available} available")]
    SoldOut { requested: Units, available: Units, contended: bool },
    /// Sales are paused.
    #[error("the sale of this SKU is paused")]
    SalePaused,
    /// The buyer's limit would be passed.
    #[error("limit of {limit} units per buyer; {counted} counted, {requested} requested")]
    BuyerLimit { limit: Units, counted: Units, requested: Units },
    /// Zero, or more than [`MAX_UNITS`], or stock would pass it.
    #[error("units must be 1 to {MAX_UNITS}, and so must the stock")]
    BadUnits,
    /// A negative price.
    #[error("the price must not be negative")]
    BadPrice,
    /// A hold of this id exists with other units, buyer or order.
    #[error("this hold exists with different content")]
    HoldDiffers,
    /// The hold was released, ran out, was never granted, or is an allocation already shipped.
    #[error("no such hold any more")]
    HoldEnded,
    /// The hold is firm: cancel its order instead.
    #[error("the hold is allocated to an order")]
    HoldAllocated,
    /// The hold is not firm: it can be released, but neither shipped nor cancelled.
    #[error("the hold is not allocated to an order")]
    NotAllocated,
    /// This operation's id was used with other content.
    #[error("this id was used with different content")]
    Reused,
    /// The correction would leave fewer units than are claimed.
    #[error("{claimed} units are held or allocated at this location")]
    BelowClaimed { claimed: Units },
    /// Parts do not match what is allocated or shipped.
    #[error("these parts are not what is allocated or shipped")]
    WrongParts,
    /// A bounded table of this SKU (live holds, buyers, locations) is full.
    #[error("too many {what} on this SKU")]
    TableFull { what: &'static str },
}

impl Refusal {
    /// Stable name: the HTTP `code`, the metric label and the log field are this one word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownSku => "unknown_sku",
            Refusal::SoldOut { contended: false, .. } => "sold_out",
            Refusal::SoldOut { contended: true, .. } => "contended",
            Refusal::SalePaused => "sale_paused",
            Refusal::BuyerLimit { .. } => "buyer_limit",
            Refusal::BadUnits => "bad_units",
            Refusal::BadPrice => "bad_price",
            Refusal::HoldDiffers => "hold_differs",
            Refusal::HoldEnded => "hold_ended",
            Refusal::HoldAllocated => "hold_allocated",
            Refusal::NotAllocated => "not_allocated",
            Refusal::Reused => "reused",
            Refusal::BelowClaimed { .. } => "below_claimed",
            Refusal::WrongParts => "wrong_parts",
            Refusal::TableFull { .. } => "table_full",
        }
    }
}
