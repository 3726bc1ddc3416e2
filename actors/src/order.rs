//! An order: lines and prices frozen when its holds were granted, and every step of its payment and fulfilment.
//! A step that leaves the process is logged as open before it leaves (S19) and stays open until a definite answer.
//!
//! This file has the words. `decide` says what a command changes, `follow` what comes next by itself, `apply` takes
//! events into the `state`, `read` answers questions. `placing` collects the holds before there is an order.

mod aftersales;
mod apply;
pub mod codec;
pub mod decide;
mod follow;
pub mod placing;
mod read;
mod refunding;
mod refusal;
mod reporting;
mod state;
pub mod timeline;

pub use decide::{MAX_ATTEMPTS, MAX_OPERATIONS};
pub use read::{LineTally, State};
pub use refusal::Refusal;
pub use state::{Attempt, AttemptState, OpenStep, Order, Refund, RefundState, Return, Shipment};
pub use timeline::Happening;

use crate::ids::{BuyerRef, CartId, HoldId, LocationId, OpId, Reference, SellerId, SkuId};
use crate::money::Money;
use crate::sku::{Part, Units};
use crate::time::{Span, Timestamp};
use crate::trace::TraceLink;

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
    /// Where the units are; adds up to `units`.
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

/// Units of one line at one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePart {
    /// Index into the order's lines.
    pub line: u32,
    /// Where the units are.
    pub location: LocationId,
    /// How many.
    pub units: Units,
}

/// How long things may take. From configuration, passed in with each command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// An open step of the provider or warehouse is asked again after this, doubling up to 32 times of it.
    pub ask_again: Span,
    /// The same for steps of our own SKUs.
    pub ask_stock_again: Span,
    /// After so many unanswered askings the order needs attention (and is still asked, at the longest pace).
    pub attention_after: u32,
    /// A captured order must be shipped within this, or it needs attention, again and again.
    pub fulfil_within: Span,
    /// Most payment attempts; a declined order keeps its holds until their deadline for another one.
    pub payment_attempts: u32,
}

impl Terms {
    /// When a step is asked again that was asked `tries` times, the last time `at`.
    #[must_use]
    pub fn ask_at(&self, step: Step, tries: u32, at: Timestamp) -> Timestamp {
        let first = if step.is_stock() { self.ask_stock_again } else { self.ask_again };
        at.plus(Span(first.0.max(1).saturating_mul(1 << tries.saturating_sub(1).min(5))))
    }
}

/// A piece of work outside the order, done at least once, by whoever sees it opened.
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
    /// Warehouse: please do not ship the units of this refund (a cancellation is a refund of all that is left).
    /// `Refused` once any of them has left or can no longer be stopped.
    CallOff { refund: OpId },
    /// SKUs: release the holds, or cancel the allocations, whichever there is. Only before capture.
    GiveBack,
    /// SKUs: take the units of this refund, which were not shipped, out of their allocations.
    GiveBackUnits { refund: OpId },
    /// SKUs: the units of this shipment left.
    ShipStock { shipment: OpId },
    /// SKUs: the units of this return came back.
    ReturnStock { return_id: OpId },
}

impl Step {
    /// Stable name: metric label, log field and timeline word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Step::Authorize { .. } => "authorize",
            Step::Allocate => "allocate",
            Step::Capture { .. } => "capture",
            Step::Void { .. } => "void",
            Step::Refund { .. } => "refund",
            Step::Fulfil => "fulfil",
            Step::CallOff { .. } => "call_off",
            Step::GiveBack => "give_back",
            Step::GiveBackUnits { .. } => "give_back_units",
            Step::ShipStock { .. } => "ship_stock",
            Step::ReturnStock { .. } => "return_stock",
        }
    }

    /// Is it work for our own SKUs?
    #[must_use]
    pub fn is_stock(self) -> bool {
        match self {
            Step::Allocate
            | Step::GiveBack
            | Step::GiveBackUnits { .. }
            | Step::ShipStock { .. }
            | Step::ReturnStock { .. } => true,
            Step::Authorize { .. }
            | Step::Capture { .. }
            | Step::Void { .. }
            | Step::Refund { .. }
            | Step::Fulfil
            | Step::CallOff { .. } => false,
        }
    }
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
    /// Ends the order as soon as no open step can contradict it: void or refund, give back.
    Cancel { cancel: OpId, fingerprint: u64, reason: String },
    /// Gives money back for units of lines (`lines` empty: everything not refunded yet). Counts when requested.
    /// It covers, in this order, units that came back or were withheld before, units not shipped yet (they will not
    /// be shipped any more, and leave their allocation), and units that stay with the buyer.
    /// `restock`: units not shipped yet become available again; otherwise they are written off.
    Refund { refund: OpId, fingerprint: u64, lines: Vec<LineUnits>, restock: bool },
    /// The seller or warehouse shipped units.
    Ship { shipment: OpId, fingerprint: u64, location: LocationId, lines: Vec<LineUnits>, tracking: Option<Reference> },
    /// The seller reports units that came back. Moves no money: that is a refund.
    Return { return_id: OpId, fingerprint: u64, location: LocationId, lines: Vec<LineUnits>, restock: bool },
    /// A person has seen why the order needs one, for `reason` or for every reason, and `note` says what is done about it.
    Acknowledge { acknowledgement: OpId, fingerprint: u64, reason: Option<Attention>, note: Reference },
    /// A worker's answer. A late or repeated one is `None`, unless money would stay taken or reserved.
    Report { step: Step, answer: Answer },
    /// Asks for all open steps once more, now: an operator does not want to wait until they are due.
    AskAgain,
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
    /// Where it belongs in a trace that is kept; decided once, by whoever asked first. Behind a pointer, as most have
    /// none.
    pub trace: Option<Box<TraceLink>>,
}

/// Why a person must look: a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attention {
    /// A step was asked for many times and nobody knows its outcome.
    Unanswered,
    /// Paid, and not wholly shipped in time.
    Unfulfilled,
    /// The provider does not give the money back.
    RefundRefused,
    /// The provider does not give the authorisation up.
    VoidRefused,
    /// The warehouse does not accept the order.
    FulfilmentRefused,
    /// A SKU does not take in what happened to its units.
    StockRefused,
    /// An answer came that contradicts an earlier definite one.
    Contradiction,
}

impl Attention {
    /// All of them.
    pub const ALL: [Attention; 7] = [
        Attention::Unanswered,
        Attention::Unfulfilled,
        Attention::RefundRefused,
        Attention::VoidRefused,
        Attention::FulfilmentRefused,
        Attention::StockRefused,
        Attention::Contradiction,
    ];

    /// The word in the API, in lists and in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Attention::Unanswered => "unanswered",
            Attention::Unfulfilled => "unfulfilled",
            Attention::RefundRefused => "refund_refused",
            Attention::VoidRefused => "void_refused",
            Attention::FulfilmentRefused => "fulfilment_refused",
            Attention::StockRefused => "stock_refused",
            Attention::Contradiction => "contradiction",
        }
    }
}

/// What happened. Stored for good: add variants, never change one.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The order exists and awaits payment; opens `Authorize { attempt: 1 }`.
    Placed { placement: Placement, total: Money, at: Timestamp, ask_at: Timestamp },
    /// Another payment attempt; opens `Authorize { attempt }`.
    PaymentRetried { payment: OpId, fingerprint: u64, attempt: u32, token: Reference, at: Timestamp, ask_at: Timestamp },
    /// This step is now open; it will be asked again at `ask_at`. `due`, of `Fulfil`: shipped wholly by then.
    Opened { step: Step, at: Timestamp, ask_at: Timestamp, due: Option<Timestamp> },
    /// Still open, asked for the `tries`th time; next time at `ask_at`.
    Asked { step: Step, tries: u32, at: Timestamp, ask_at: Timestamp },
    /// A definite answer.
    Answered { step: Step, answer: Answer, at: Timestamp },
    /// A wish to cancel was accepted.
    CancelRequested { cancel: OpId, fingerprint: u64, reason: String, at: Timestamp },
    /// No money, no units, for good. The caller's reason, or `payment_failed` or `refunded`.
    Cancelled { reason: String, at: Timestamp },
    /// Not paid before the holds ran out.
    Expired { at: Timestamp },
    /// Money back was requested, and counts from now on. `withheld`: units among `lines` that were not shipped and
    /// will not be. The steps are opened by events of their own: the money waits until the warehouse has agreed.
    RefundRequested {
        refund: OpId,
        fingerprint: u64,
        lines: Vec<LineUnits>,
        amount: Money,
        restock: bool,
        withheld: Vec<LinePart>,
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
        ask_at: Timestamp,
    },
    /// Units came back. `ReturnStock { return_id }` is opened by an event of its own, once all shipments are booked.
    Returned {
        return_id: OpId,
        fingerprint: u64,
        location: LocationId,
        lines: Vec<LineUnits>,
        restock: bool,
        at: Timestamp,
    },
    /// A person must look at this order. `again_at`: reminded then.
    AttentionNeeded { reason: Attention, step: Option<Step>, at: Timestamp, again_at: Option<Timestamp> },
    /// A person has seen this reason (`None`: every one that there was) and takes care of it, as `note` says. What comes
    /// up later needs a person again.
    AttentionAcknowledged {
        acknowledgement: OpId,
        fingerprint: u64,
        reason: Option<Attention>,
        note: Reference,
        at: Timestamp,
    },
}

/// The step that this event asks the workers for. Nothing else lets an effect leave.
#[must_use]
pub fn opens(event: &Event) -> Option<Step> {
    match event {
        Event::Placed { .. } => Some(Step::Authorize { attempt: 1 }),
        Event::PaymentRetried { attempt, .. } => Some(Step::Authorize { attempt: *attempt }),
        Event::Opened { step, .. } | Event::Asked { step, .. } => Some(*step),
        Event::Shipped { shipment, .. } => Some(Step::ShipStock { shipment: *shipment }),
        Event::Answered { .. }
        | Event::CancelRequested { .. }
        | Event::Cancelled { .. }
        | Event::Expired { .. }
        | Event::RefundRequested { .. }
        | Event::Returned { .. }
        | Event::AttentionNeeded { .. }
        | Event::AttentionAcknowledged { .. } => None,
    }
}

#[cfg(test)]
mod tests;
