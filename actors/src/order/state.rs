//! What follows from an order's events so far. Safe to drop: the log can rebuild it.

use crate::ids::{LocationId, OpId, Reference};
use crate::money::Money;
use crate::order::aftersales::Seldom;
use crate::order::{Attention, Happening, LinePart, LineUnits, Placement, Step};
use crate::time::Timestamp;
use compact_str::CompactString;
use std::sync::Arc;

/// An order. Unplaced by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    pub(super) placed: Option<Arc<Placed>>,
    pub(super) open: Vec<OpenStep>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) allocation: Allocation,
    pub(super) fulfilment: Fulfilment,
    pub(super) give_back: GiveBack,
    /// The money was taken while the units were firm.
    pub(super) paid: bool,
    pub(super) capture_refused: bool,
    pub(super) ended: Option<End>,
    pub(super) aftersales: Seldom,
    /// Wholly shipped by then, or a person is told; means nothing once it is.
    pub(super) fulfil_due: Option<Timestamp>,
    pub(super) timeline: Arc<Vec<Happening>>,
}

/// Why a person must look, or has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Concern {
    pub(super) reason: Attention,
    /// About which step.
    pub(super) step: Option<Step>,
    /// A person takes care of it: the order need not be listed for it any more.
    pub(super) acknowledged: bool,
}

/// How it came to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) placement: Placement,
    pub(super) total: Money,
    pub(super) at: Timestamp,
}

/// A step without a definite answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenStep {
    /// Which.
    pub step: Step,
    /// Since when.
    pub opened_at: Timestamp,
    /// How often it was asked for.
    pub tries: u32,
    /// When it is asked for again.
    pub ask_at: Timestamp,
    /// A person was told that nobody answers.
    pub flagged: bool,
}

/// One try to collect the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// The operation that asked for it; `None` for the first, which came with the order.
    pub payment: Option<OpId>,
    /// Of that operation's request.
    pub fingerprint: u64,
    /// What pays; `None` only if the provider answered for an attempt that was never made.
    pub token: Option<Reference>,
    /// Where it stands.
    pub state: AttemptState,
    /// The provider's own reference, once known.
    pub reference: Option<Reference>,
    /// Why it was declined.
    pub declined: Option<CompactString>,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// Where a payment attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// Asked; nobody knows yet.
    Open,
    /// Definitely no.
    Declined,
    /// The total is reserved.
    Authorised,
    /// Reserved, after we had been told no: to be voided.
    Stray,
    /// Being given up.
    Voiding,
    /// Given up.
    Voided,
    /// The provider would not give it up.
    VoidRefused,
    /// The total was taken.
    Captured,
}

impl AttemptState {
    /// The word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            AttemptState::Open => "open",
            AttemptState::Declined => "declined",
            AttemptState::Authorised => "authorised",
            AttemptState::Stray => "stray",
            AttemptState::Voiding => "voiding",
            AttemptState::Voided => "voided",
            AttemptState::VoidRefused => "void_refused",
            AttemptState::Captured => "captured",
        }
    }
}

/// Money going back.
#[derive(Debug, Clone, PartialEq)]
pub struct Refund {
    /// The operation that asked for it; small numbers are the order's own.
    pub id: OpId,
    /// Of that operation's request.
    pub fingerprint: u64,
    /// The units it covers.
    pub lines: Vec<LineUnits>,
    /// How much.
    pub amount: Money,
    /// Withheld units become available again; otherwise they are written off.
    pub restock: bool,
    /// Units among `lines` that were not shipped and will not be.
    pub withheld: Vec<LinePart>,
    /// Where it stands.
    pub state: RefundState,
    /// The warehouse has agreed not to ship the withheld units.
    pub called_off: bool,
    /// The withheld units have left their allocation.
    pub given_back: bool,
    /// The provider's own reference, once known.
    pub reference: Option<Reference>,
    /// When it was requested.
    pub requested_at: Timestamp,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    /// Waits until it is certain that its units do not leave.
    Waiting,
    /// The provider was asked.
    Open,
    /// The money is back.
    Done,
    /// The provider said no: a person must look.
    Refused,
    /// The units could no longer be stopped: nothing happened.
    Lapsed,
}

impl RefundState {
    /// The word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RefundState::Waiting => "waiting",
            RefundState::Open => "open",
            RefundState::Done => "done",
            RefundState::Refused => "refused",
            RefundState::Lapsed => "lapsed",
        }
    }

    /// Does it count against what can still be refunded?
    pub(super) fn counts(self) -> bool {
        matches!(self, RefundState::Waiting | RefundState::Open | RefundState::Done)
    }
}

/// Units that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The operation that reported it.
    pub id: OpId,
    /// Of that operation's request.
    pub fingerprint: u64,
    /// From where.
    pub location: LocationId,
    /// What.
    pub lines: Vec<LineUnits>,
    /// The carrier's reference.
    pub tracking: Option<Reference>,
    /// When it was reported.
    pub at: Timestamp,
}

/// Units that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The operation that reported it.
    pub id: OpId,
    /// Of that operation's request.
    pub fingerprint: u64,
    /// To where.
    pub location: LocationId,
    /// What.
    pub lines: Vec<LineUnits>,
    /// Do they become available again?
    pub restock: bool,
    /// The SKUs were asked to take them in.
    pub opened: bool,
    /// When it was reported.
    pub at: Timestamp,
}

/// Where the order's holds stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Allocation {
    #[default]
    Held,
    Firm,
    Refused,
}

/// What the warehouse said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fulfilment {
    #[default]
    NotAsked,
    Asked,
    Accepted,
    Refused,
}

/// Whether holds and allocations went back as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum GiveBack {
    #[default]
    No,
    Asked,
    Done,
}

/// Somebody wants the order cancelled, and it can still be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) cancel: OpId,
    pub(super) reason: CompactString,
}

/// How it ended without a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Cancelled,
    Expired,
}
