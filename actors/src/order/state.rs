//! What follows from an order's events so far. Safe to drop: the log can rebuild it.

use crate::ids::{LocationId, OpId, Reference};
use crate::money::Money;
use crate::order::timeline::{self, Happening, Verb};
use crate::order::{Answer, Attention, Event, LinePart, LineUnits, Placement, Step};
use crate::time::Timestamp;
use compact_str::{CompactString, ToCompactString};
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
    pub(super) wish: Option<Wish>,
    pub(super) cancels: Vec<(OpId, u64)>,
    pub(super) ended: Option<End>,
    pub(super) refunds: Vec<Refund>,
    pub(super) shipments: Vec<Shipment>,
    pub(super) returns: Vec<Return>,
    /// Wholly shipped by then, or a person is told.
    pub(super) fulfil_due: Option<Timestamp>,
    pub(super) attention: Vec<(Attention, Option<Step>)>,
    pub(super) timeline: Arc<Vec<Happening>>,
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

impl Order {
    /// Takes in what happened. Cannot fail: an event is a fact.
    pub fn apply(&mut self, event: &Event) {
        self.note(event);
        match event {
            Event::Placed { placement, total, at, ask_at } => {
                assert!(self.placed.is_none(), "an order is placed once");
                self.attempts.push(attempt(1, None, placement.fingerprint, &placement.token, *at));
                self.placed = Some(Arc::new(Placed { placement: placement.clone(), total: *total, at: *at }));
                self.open_step(Step::Authorize { attempt: 1 }, *at, *ask_at);
            }
            Event::PaymentRetried { payment, fingerprint, attempt: number, token, at, ask_at } => {
                self.attempts.push(attempt(*number, Some(*payment), *fingerprint, token, *at));
                self.open_step(Step::Authorize { attempt: *number }, *at, *ask_at);
            }
            Event::Opened { step, at, ask_at, due } => {
                self.open_step(*step, *at, *ask_at);
                self.opened(*step, *due);
            }
            Event::Asked { step, tries, ask_at, .. } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.step == *step) {
                    open.tries = *tries;
                    open.ask_at = *ask_at;
                }
            }
            Event::Answered { step, answer, .. } => self.answered(*step, answer),
            Event::CancelRequested { cancel, fingerprint, reason, .. } => {
                self.cancels.push((*cancel, *fingerprint));
                self.wish = Some(Wish { cancel: *cancel, reason: reason.into() });
            }
            Event::Cancelled { .. } => self.end(End::Cancelled),
            Event::Expired { .. } => self.end(End::Expired),
            Event::RefundRequested { refund, fingerprint, lines, amount, restock, withheld, at } => {
                self.attention.retain(|(reason, _)| *reason != Attention::RefundRefused);
                self.refunds.push(Refund {
                    id: *refund,
                    fingerprint: *fingerprint,
                    lines: lines.clone(),
                    amount: *amount,
                    restock: *restock,
                    withheld: withheld.clone(),
                    state: RefundState::Waiting,
                    called_off: false,
                    given_back: false,
                    reference: None,
                    requested_at: *at,
                });
            }
            Event::Shipped { shipment, fingerprint, location, lines, tracking, at, ask_at } => {
                self.shipments.push(Shipment {
                    id: *shipment,
                    fingerprint: *fingerprint,
                    location: location.clone(),
                    lines: lines.clone(),
                    tracking: tracking.clone(),
                    at: *at,
                });
                self.open_step(Step::ShipStock { shipment: *shipment }, *at, *ask_at);
                if self.all_shipped() {
                    self.fulfil_due = None;
                    self.attention.retain(|(reason, _)| *reason != Attention::Unfulfilled);
                }
            }
            Event::Returned { return_id, fingerprint, location, lines, restock, at } => self.returns.push(Return {
                id: *return_id,
                fingerprint: *fingerprint,
                location: location.clone(),
                lines: lines.clone(),
                restock: *restock,
                opened: false,
                at: *at,
            }),
            Event::AttentionNeeded { reason, step, again_at, .. } => {
                if !self.attention.contains(&(*reason, *step)) {
                    self.attention.push((*reason, *step));
                }
                if let Some(open) = self.open.iter_mut().find(|open| Some(open.step) == *step) {
                    open.flagged |= *reason == Attention::Unanswered;
                }
                if *reason == Attention::Unfulfilled {
                    self.fulfil_due = *again_at;
                }
            }
        }
        self.check();
    }

    fn open_step(&mut self, step: Step, opened_at: Timestamp, ask_at: Timestamp) {
        assert!(!self.is_open(step), "a step is opened once: {step:?}");
        self.open.push(OpenStep { step, opened_at, tries: 1, ask_at, flagged: false });
    }

    fn opened(&mut self, step: Step, due: Option<Timestamp>) {
        match step {
            Step::Void { attempt } => self.set_attempt(attempt, AttemptState::Voiding),
            Step::GiveBack => self.give_back = GiveBack::Asked,
            Step::Fulfil => {
                self.fulfilment = Fulfilment::Asked;
                self.fulfil_due = due;
            }
            Step::Refund { refund } => {
                if let Some(refund) = self.refund_mut(refund) {
                    refund.state = RefundState::Open;
                }
            }
            Step::GiveBackUnits { refund } => {
                if let Some(refund) = self.refund_mut(refund).filter(|refund| refund.amount.minor == 0) {
                    refund.state = RefundState::Done;
                }
            }
            Step::ReturnStock { return_id } => {
                if let Some(back) = self.returns.iter_mut().find(|back| back.id == return_id) {
                    back.opened = true;
                }
            }
            Step::Authorize { .. }
            | Step::Allocate
            | Step::Capture { .. }
            | Step::CallOff { .. }
            | Step::ShipStock { .. } => {}
        }
    }

    fn answered(&mut self, step: Step, answer: &Answer) {
        let was_open = self.is_open(step);
        self.open.retain(|open| open.step != step);
        self.attention.retain(|(reason, of)| *reason != Attention::Unanswered || *of != Some(step));
        let (done, reference) = match answer {
            Answer::Done { reference } => (true, reference.clone()),
            Answer::Refused { .. } => (false, None),
            Answer::Unknown => return,
        };
        match (step, done) {
            (Step::Authorize { attempt: number }, true) => {
                let state = if was_open { AttemptState::Authorised } else { AttemptState::Stray };
                let attempt = self.attempt_or_stray(number);
                attempt.state = state;
                attempt.reference = reference;
            }
            (Step::Authorize { attempt: number }, false) => {
                let code = refused_code(answer);
                let attempt = self.attempt_or_stray(number);
                attempt.state = AttemptState::Declined;
                attempt.declined = Some(code);
            }
            (Step::Allocate, true) => self.allocation = Allocation::Firm,
            (Step::Allocate, false) => self.allocation = Allocation::Refused,
            (Step::Capture { attempt: number }, true) => {
                self.paid |= was_open;
                let attempt = self.attempt_or_stray(number);
                attempt.state = AttemptState::Captured;
                attempt.reference = reference.or(attempt.reference.take());
            }
            (Step::Capture { .. }, false) => self.capture_refused = true,
            (Step::Void { attempt }, true) => self.settle_void(attempt, AttemptState::Voided),
            (Step::Void { attempt }, false) => self.settle_void(attempt, AttemptState::VoidRefused),
            (Step::Refund { refund }, true) => {
                let room = self.captured_minor() - self.requested_minor();
                if let Some(refund) = self.refund_mut(refund)
                    && (was_open || refund.amount.minor <= room)
                {
                    refund.state = RefundState::Done;
                    refund.reference = reference;
                }
            }
            (Step::Refund { refund }, false) => {
                if let Some(refund) = self.refund_mut(refund) {
                    refund.state = RefundState::Refused;
                }
            }
            (Step::Fulfil, true) => {
                self.fulfilment = Fulfilment::Accepted;
                self.attention.retain(|(reason, _)| *reason != Attention::FulfilmentRefused);
            }
            (Step::Fulfil, false) => self.fulfilment = Fulfilment::Refused,
            (Step::CallOff { refund }, true) => {
                if let Some(refund) = self.refund_mut(refund) {
                    refund.called_off = true;
                }
            }
            (Step::CallOff { refund }, false) => {
                if let Some(refund) = self.refund_mut(refund) {
                    refund.state = RefundState::Lapsed;
                }
                self.wish.take_if(|wish| wish.cancel == refund);
            }
            (Step::GiveBack, _) => self.give_back = GiveBack::Done,
            (Step::GiveBackUnits { refund }, _) => {
                if let Some(refund) = self.refund_mut(refund) {
                    refund.given_back = true;
                }
                if self.all_shipped() {
                    self.fulfil_due = None;
                    self.attention.retain(|(reason, _)| *reason != Attention::Unfulfilled);
                }
            }
            (Step::ShipStock { .. } | Step::ReturnStock { .. }, _) => {}
        }
    }

    fn settle_void(&mut self, number: u32, state: AttemptState) {
        // Captured after all: that word stays, it is the one with money in it.
        if self.attempt(number).is_some_and(|attempt| attempt.state == AttemptState::Voiding) {
            self.set_attempt(number, state);
        }
    }

    fn end(&mut self, end: End) {
        self.ended = Some(end);
        self.fulfil_due = None;
        self.attention.retain(|(reason, _)| *reason != Attention::Unfulfilled);
    }

    fn set_attempt(&mut self, number: u32, state: AttemptState) {
        self.attempt_or_stray(number).state = state;
    }

    fn attempt_or_stray(&mut self, number: u32) -> &mut Attempt {
        let index = match self.attempts.iter().position(|attempt| attempt.number == number) {
            Some(index) => index,
            None => {
                let at = self.placed.as_ref().map_or(Timestamp::ZERO, |placed| placed.at);
                self.attempts.push(Attempt { token: None, ..stray(number, at) });
                self.attempts.len() - 1
            }
        };
        &mut self.attempts[index]
    }

    fn refund_mut(&mut self, id: OpId) -> Option<&mut Refund> {
        self.refunds.iter_mut().find(|refund| refund.id == id)
    }

    /// Broken invariants stop this order before anything follows from them.
    fn check(&self) {
        assert!(self.refunded_minor() <= self.captured_minor(), "refunded more than was captured");
        assert!(!self.paid || self.allocation == Allocation::Firm, "money taken without units behind it");
    }

    /// Adds to the timeline.
    fn note(&mut self, event: &Event) {
        let none = CompactString::default;
        let (at, word, detail) = match event {
            Event::Placed { at, .. } => (*at, "placed", none()),
            Event::PaymentRetried { attempt, at, .. } => (*at, "payment_retried", attempt.to_compact_string()),
            Event::Opened { step, at, .. } => (*at, timeline::step_word(*step, Verb::Opened), timeline::subject(*step)),
            Event::Asked { step, at, .. } => {
                (*at, timeline::step_word(*step, Verb::AskedAgain), timeline::subject(*step))
            }
            Event::Answered { step, answer, at } => match answer {
                Answer::Done { .. } => (*at, timeline::step_word(*step, Verb::Done), timeline::subject(*step)),
                Answer::Refused { .. } => (*at, timeline::step_word(*step, Verb::Refused), refused_code(answer)),
                Answer::Unknown => return,
            },
            Event::CancelRequested { reason, at, .. } => (*at, "cancel_requested", reason.into()),
            Event::Cancelled { reason, at } => (*at, "cancelled", reason.into()),
            Event::Expired { at } => (*at, "expired", none()),
            Event::RefundRequested { refund, at, .. } => (*at, "refund_requested", refund.to_compact_string()),
            Event::Shipped { shipment, at, .. } => (*at, "shipped", shipment.to_compact_string()),
            Event::Returned { return_id, at, .. } => (*at, "returned", return_id.to_compact_string()),
            Event::AttentionNeeded { reason, at, .. } => (*at, "attention_needed", reason.word().into()),
        };
        let timeline = Arc::make_mut(&mut self.timeline);
        timeline::push(timeline, at, word, detail);
        let refused_call_off = match event {
            Event::Answered { step: Step::CallOff { refund }, answer: Answer::Refused { .. }, .. } => Some(refund),
            _ => None,
        };
        if self.wish.as_ref().is_some_and(|wish| Some(&wish.cancel) == refused_call_off) {
            timeline::push(timeline, at, "cancel_lapsed", none());
        }
    }
}

fn refused_code(answer: &Answer) -> CompactString {
    match answer {
        Answer::Refused { code } => code.into(),
        Answer::Done { .. } | Answer::Unknown => CompactString::default(),
    }
}

fn attempt(number: u32, payment: Option<OpId>, fingerprint: u64, token: &Reference, at: Timestamp) -> Attempt {
    Attempt { payment, fingerprint, token: Some(token.clone()), ..stray(number, at) }
}

fn stray(number: u32, opened_at: Timestamp) -> Attempt {
    Attempt {
        number,
        payment: None,
        fingerprint: 0,
        token: None,
        state: AttemptState::Open,
        reference: None,
        declined: None,
        opened_at,
    }
}
