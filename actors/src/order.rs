//! An order: lines and prices frozen when its holds were granted, and every step of its payment and fulfilment.
//! A step that leaves the process is logged as open before it leaves (S19) and stays open until a definite answer.

use crate::ids::{BuyerRef, CartId, HoldId, LocationId, OpId, Reference, SellerId, SkuId};
use crate::money::Money;
use crate::sku::{Part, Units};
use crate::time::{Span, Timestamp};

/// One line, backed by one granted hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub seller: SellerId,
    /// How many units.
    pub units: Units,
    /// Frozen price of one unit.
    pub unit_price: Money,
    /// The hold behind it.
    pub hold: HoldId,
    /// Where the units are.
    pub parts: Vec<Part>,
}

/// Units of one line, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineUnits {
    /// Index into the order's lines.
    pub line: u32,
    /// How many.
    pub units: Units,
}

/// How long things may take. From configuration, passed in with each command that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// An open step is asked again after this, doubling up to 32 times of it.
    pub ask_again: Span,
    /// After so many unanswered askings the order needs attention (and is still asked, at the longest pace).
    pub attention_after: u32,
    /// A captured order must be shipped within this, or it needs attention.
    pub fulfil_within: Span,
    /// How long a declined order keeps its holds for another try is the holds' deadline; this caps attempts.
    pub payment_attempts: u32,
}

/// A piece of work outside the order, at least once, by whoever sees it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Provider: reserve the total. Before each call the holds are extended past the provider's time-out.
    Authorize { attempt: u32 },
    /// SKUs: make the holds firm.
    Allocate,
    /// Provider: take the authorised total.
    Capture { attempt: u32 },
    /// Provider: give the authorisation up.
    Void { attempt: u32 },
    /// Provider: give money back.
    Refund { refund: OpId },
    /// Warehouse: please ship, per location.
    Fulfil,
    /// Warehouse: please do not ship what has not left yet.
    CallOff,
    /// SKUs: release the holds, or cancel the allocations, whichever there is.
    GiveBack,
    /// SKUs: the units of this shipment left.
    ShipStock { shipment: OpId },
    /// SKUs: the units of this return (or restocked refund) came back.
    ReturnStock { return_id: OpId },
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has happened; the provider's or warehouse's own reference where there is one.
    Done { reference: Option<Reference> },
    /// It has definitely not happened, and will not.
    Refused { code: String },
    /// Nobody knows yet: asked again later.
    Unknown,
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Creates the order from granted holds only.
    Place(Placement),
    /// Tries another payment after a decline. Refused while an attempt is open or unknown.
    Pay { payment: OpId, fingerprint: u64, token: Reference },
    /// Ends the order as soon as no open step can contradict it: void or refund, give back or restock.
    Cancel { cancel: OpId, fingerprint: u64, reason: String },
    /// Gives money back for units of lines (`lines` empty: everything not refunded yet). Counts when requested.
    /// `restock`: refunded units not shipped yet go back to available.
    Refund { refund: OpId, fingerprint: u64, lines: Vec<LineUnits>, restock: bool },
    /// The seller or warehouse shipped units.
    Ship { shipment: OpId, fingerprint: u64, location: LocationId, lines: Vec<LineUnits>, tracking: Option<Reference> },
    /// The seller reports units that came back.
    Return { return_id: OpId, fingerprint: u64, location: LocationId, lines: Vec<LineUnits>, restock: bool },
    /// A worker's answer. A late or repeated one is `None`.
    Report { step: Step, answer: Answer },
    /// Whatever is due: expiry, asking again, deadlines.
    Tick,
}

/// The content of a new order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The cart it came from.
    pub cart: Option<CartId>,
    /// Who buys.
    pub buyer: BuyerRef,
    /// Where to: an opaque reference.
    pub delivery: Option<Reference>,
    /// What pays: the provider's token.
    pub token: Reference,
    /// Of the request body; a repeat of the key with another one is refused (422).
    pub fingerprint: u64,
    /// At least one; one currency.
    pub lines: Vec<Line>,
    /// The earliest deadline of its holds.
    pub hold_expires_at: Timestamp,
}

/// What happened. Stored for good: add variants, never change one.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The order exists and awaits payment; opens `Authorize { attempt: 1 }`.
    Placed { placement: Placement, total: Money, at: Timestamp },
    /// Another payment attempt; opens `Authorize { attempt }`.
    PaymentRetried { payment: OpId, fingerprint: u64, attempt: u32, token: Reference, at: Timestamp },
    /// This step is now open; it will be asked again at `ask_at`.
    Opened { step: Step, at: Timestamp, ask_at: Timestamp },
    /// Still open, asked once more; next time at `ask_at`.
    Asked { step: Step, tries: u32, at: Timestamp, ask_at: Timestamp },
    /// A definite answer.
    Answered { step: Step, answer: Answer, at: Timestamp },
    /// A wish to cancel was accepted.
    CancelRequested { cancel: OpId, fingerprint: u64, reason: String, at: Timestamp },
    /// No money, no units, for good.
    Cancelled { at: Timestamp },
    /// Not paid before the holds ran out.
    Expired { at: Timestamp },
    /// Money back was requested; opens `Refund { refund }`.
    RefundRequested {
        refund: OpId,
        fingerprint: u64,
        lines: Vec<LineUnits>,
        amount: Money,
        restock: bool,
        at: Timestamp,
    },
    /// Units left; opens `ShipStock { shipment }`.
    Shipped {
        shipment: OpId,
        fingerprint: u64,
        location: LocationId,
        lines: Vec<LineUnits>,
        tracking: Option<Reference>,
        at: Timestamp,
    },
    /// Units came back; opens `ReturnStock { return_id }`.
    Returned {
        return_id: OpId,
        fingerprint: u64,
        location: LocationId,
        lines: Vec<LineUnits>,
        restock: bool,
        at: Timestamp,
    },
    /// A person must look; the reason is a stable word.
    AttentionNeeded { reason: String, at: Timestamp },
}

/// Where an order stands: the word in the API, in lists and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Placed; an attempt is open, or the last one was declined and another may be made.
    AwaitingPayment,
    /// The money is reserved.
    Authorised,
    /// The units are firm.
    Allocated,
    /// The money is taken; the warehouse has been or is being asked.
    Captured,
    /// The warehouse has accepted.
    FulfilmentRequested,
    /// Some units have left.
    PartlyShipped,
    /// All units that are not refunded or called off have left.
    Fulfilled,
    /// Cancelling, but a step is still open.
    Cancelling,
    /// Cancelled.
    Cancelled,
    /// Ran out unpaid.
    Expired,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never placed.
    #[error("no such order")]
    UnknownOrder,
    /// The id (or key) was used with other content.
    #[error("this key was used with a different request")]
    Reused,
    /// No lines, too many, mixed currencies, zero units, or a total beyond what money can count.
    #[error("{0}")]
    Invalid(&'static str),
    /// An attempt is open or its outcome unknown.
    #[error("a payment attempt is still open")]
    PaymentOpen,
    /// Not awaiting payment.
    #[error("the order is not awaiting payment")]
    NotPayable,
    /// All attempts are used up.
    #[error("too many payment attempts")]
    TooManyAttempts,
    /// Too late, or ended already.
    #[error("the order can no longer be cancelled")]
    NotCancellable,
    /// No captured money, or more than was captured and not refunded.
    #[error("nothing left to refund for these lines")]
    NotRefundable,
    /// Not paid, called off, or more units than are left to ship.
    #[error("these units cannot be shipped")]
    NotShippable,
    /// More units than were shipped and not returned.
    #[error("these units were not shipped")]
    NotReturnable,
    /// A bounded table of this order (refunds, shipments, returns) is full.
    #[error("too many {what} on this order")]
    TableFull { what: &'static str },
}
