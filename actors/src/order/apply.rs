//! How events change an order. Cannot fail: an event is a fact.

use crate::ids::{OpId, Reference};
use crate::order::state::{Allocation, Concern, End, Fulfilment, GiveBack, Placed, Wish};
use crate::order::{
    Answer, Attempt, AttemptState, Attention, Event, OpenStep, Order, Refund, RefundState, Return, Shipment, Step,
};
use crate::time::Timestamp;
use compact_str::CompactString;
use std::sync::Arc;

impl Order {
    /// Takes in what happened. Cannot fail: an event is a fact.
    pub fn apply(&mut self, event: &Event) {
        self.note(event);
        match event {
            Event::Placed { placement, total, at, ask_at } => {
                assert!(self.placed.is_none(), "an order is placed once");
                // Most orders have one attempt and one open step for most of their time in memory: room for just that.
                self.attempts = vec![attempt(1, None, placement.fingerprint, &placement.token, *at)];
                self.open.reserve_exact(1);
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
                self.aftersales.cancels.push((*cancel, *fingerprint));
                self.aftersales.wish = Some(Wish { cancel: *cancel, reason: reason.into() });
            }
            Event::Cancelled { .. } => self.end(End::Cancelled),
            Event::Expired { .. } => self.end(End::Expired),
            Event::RefundRequested { refund, fingerprint, lines, amount, restock, withheld, at } => {
                self.aftersales.settle(|concern| concern.reason == Attention::RefundRefused);
                self.aftersales.refunds.push(Refund {
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
                self.aftersales.shipments.push(Shipment {
                    id: *shipment,
                    fingerprint: *fingerprint,
                    location: location.clone(),
                    lines: lines.clone(),
                    tracking: tracking.clone(),
                    at: *at,
                });
                self.open_step(Step::ShipStock { shipment: *shipment }, *at, *ask_at);
            }
            Event::Returned { return_id, fingerprint, location, lines, restock, at } => {
                self.aftersales.returns.push(Return {
                    id: *return_id,
                    fingerprint: *fingerprint,
                    location: location.clone(),
                    lines: lines.clone(),
                    restock: *restock,
                    opened: false,
                    at: *at,
                })
            }
            Event::AttentionNeeded { reason, step, again_at, .. } => {
                match self
                    .aftersales
                    .concerns
                    .iter_mut()
                    .find(|concern| concern.reason == *reason && concern.step == *step)
                {
                    // It has come up again: whoever took care of it did not end it.
                    Some(concern) => concern.acknowledged = false,
                    None => {
                        self.aftersales.concerns.push(Concern { reason: *reason, step: *step, acknowledged: false })
                    }
                }
                if let Some(open) = self.open.iter_mut().find(|open| Some(open.step) == *step) {
                    open.flagged |= *reason == Attention::Unanswered;
                }
                if *reason == Attention::Unfulfilled {
                    self.fulfil_due = *again_at;
                }
            }
            Event::AttentionAcknowledged { acknowledgement, fingerprint, reason, .. } => {
                self.aftersales.acknowledgements.push((*acknowledgement, *fingerprint));
                let seen = |concern: &&mut Concern| reason.is_none_or(|reason| reason == concern.reason);
                self.aftersales.concerns.iter_mut().filter(seen).for_each(|concern| concern.acknowledged = true);
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
                if let Some(back) = self.aftersales.returns.iter_mut().find(|back| back.id == return_id) {
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
        let answered = |concern: &Concern| concern.reason == Attention::Unanswered && concern.step == Some(step);
        self.aftersales.settle(answered);
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
                self.aftersales.settle(|concern| concern.reason == Attention::FulfilmentRefused);
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
                self.aftersales.wish.take_if(|wish| wish.cancel == refund);
            }
            (Step::GiveBack, _) => self.give_back = GiveBack::Done,
            (Step::GiveBackUnits { refund }, _) => {
                if let Some(refund) = self.refund_mut(refund) {
                    refund.given_back = true;
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
        self.aftersales.refunds.iter_mut().find(|refund| refund.id == id)
    }

    /// Broken invariants stop this order before anything follows from them.
    fn check(&self) {
        assert!(self.refunded_minor() <= self.captured_minor(), "refunded more than was captured");
        assert!(!self.paid || self.allocation == Allocation::Firm, "money taken without units behind it");
    }
}

/// Why not, in a word.
pub(super) fn refused_code(answer: &Answer) -> CompactString {
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
