//! A payment step: make sure that the units outlive the call, find out what an earlier call did, call.

use super::Terms;
use super::batch::{Batch, Batched, Want};
use super::job::{Ask, End, Progress, Reply, Turn};
use super::provider::{Call, Found, Operation};
use crate::feed::Message;
use stampede_actors::ids::{EntityId, OpId, OrderId, Reference};
use stampede_actors::order::decide::MAX_ATTEMPTS;
use stampede_actors::order::{Answer, AttemptState, Order, State, Step};
use stampede_actors::sku;
use stampede_actors::time::{Span, Timestamp};

/// A call to make, and what our own entities know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentErrand {
    /// The call.
    pub call: Call,
    /// An earlier job may have made this call: the provider's books come first.
    pub perhaps_made: bool,
    /// So long ago that the provider may have forgotten its key.
    pub key_forgotten: bool,
    /// The units are gone, or the order is ending without a sale: no call that was surely never made is made now.
    pub units_gone: bool,
}

/// A payment step on its way.
#[derive(Debug)]
pub(super) struct Payment {
    errand: PaymentErrand,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Extending(Batch),
    LookingUp,
    Calling,
}

impl Payment {
    /// `None`: the order has no such attempt or refund.
    pub fn begin(message: &Message, order: &Order, now: Timestamp, terms: &Terms) -> Option<(Payment, Progress)> {
        let call = call_for(message.order, order, message.step)?;
        let open = order.open_steps().iter().find(|open| open.step == message.step)?;
        // The step's first opening is a lower bound of when the first call was made. A tenth is left for its way.
        let key_lifetime = Span(terms.key_lifetime.0 / 10 * 9);
        let errand = PaymentErrand {
            call,
            perhaps_made: message.inherited || open.tries > 1,
            key_forgotten: now.since(open.opened_at) >= key_lifetime,
            units_gone: false,
        };
        let mut payment = Payment { errand, stage: Stage::Calling };
        // What is authorised for an order that is ending would only have to be voided.
        if matches!(message.step, Step::Authorize { .. }) && order.state() == Some(State::Cancelling) {
            payment.errand.units_gone = true;
            let progress = payment.find_out();
            return Some((payment, progress));
        }
        let until = now.plus(terms.provider_timeout).plus(terms.hold_margin);
        let extend = match message.step {
            Step::Authorize { .. } => holds_to_extend(order, until),
            _ => Vec::new(),
        };
        let turn = if extend.is_empty() {
            payment.find_out()
        } else {
            let mut batch = Batch::new(extend);
            let turn = batch.ask();
            payment.stage = Stage::Extending(batch);
            Progress::Turn(turn)
        };
        Some((payment, turn))
    }

    /// One whose own entities have been asked elsewhere.
    pub fn outside(errand: PaymentErrand) -> (Payment, Progress) {
        let mut payment = Payment { errand, stage: Stage::Calling };
        let progress = payment.find_out();
        (payment, progress)
    }

    /// What is left to do when only the provider is left to be asked.
    pub fn errand(&self) -> Option<&PaymentErrand> {
        (!matches!(self.stage, Stage::Extending(_))).then_some(&self.errand)
    }

    pub fn resume(&mut self, replies: Vec<Reply>, terms: &Terms) -> Progress {
        match &mut self.stage {
            Stage::Extending(batch) => match batch.resume(replies, terms) {
                Batched::Again(turn) => Progress::Turn(turn),
                Batched::GivenUp => Progress::Turn(Turn::Over(End::LeftToOrder)),
                Batched::Settled(results) => {
                    self.errand.units_gone = results.iter().any(Result::is_err);
                    self.find_out()
                }
            },
            Stage::LookingUp => match replies.into_iter().next() {
                Some(Reply::Found(Found::Known(answer))) => Progress::Report(answer),
                Some(Reply::Found(Found::Nothing)) => self.not_found(),
                _ => Progress::Report(Answer::Unknown),
            },
            Stage::Calling => match replies.into_iter().next() {
                Some(Reply::Answer(answer)) => Progress::Report(answer),
                _ => Progress::Report(Answer::Unknown),
            },
        }
    }

    fn find_out(&mut self) -> Progress {
        if self.errand.perhaps_made || self.errand.key_forgotten {
            self.stage = Stage::LookingUp;
            return Progress::Turn(Turn::Ask(vec![Ask::LookUp(self.errand.call.reference.clone())]));
        }
        if self.errand.units_gone {
            return refused("hold_ended");
        }
        self.make()
    }

    /// The books have nothing. A recent call may still arrive, so only the same key, sent again, gets a definite answer;
    /// an old one cannot, so an authorisation that comes too late anyway is never made.
    fn not_found(&mut self) -> Progress {
        if self.errand.key_forgotten && self.errand.call.operation == Operation::Authorize {
            return refused("lapsed");
        }
        self.make()
    }

    fn make(&mut self) -> Progress {
        self.stage = Stage::Calling;
        Progress::Turn(Turn::Ask(vec![Ask::Pay(self.errand.call.clone())]))
    }
}

fn refused(code: &str) -> Progress {
    Progress::Report(Answer::Refused { code: code.to_owned() })
}

/// Holds that could run out before `until`. The order knows only their earliest deadline.
fn holds_to_extend(order: &Order, until: Timestamp) -> Vec<(EntityId, Want)> {
    let Some(placement) = order.placement().filter(|placement| placement.hold_expires_at < until) else {
        return Vec::new();
    };
    let extend = |hold| Want::Sku(sku::Command::Extend { hold, until });
    let mut wants: Vec<_> =
        placement.lines.iter().map(|line| (EntityId::Sku(line.sku.clone()), extend(line.hold))).collect();
    wants.sort_by(|(a, _), (b, _)| a.cmp(b));
    wants
}

/// What to call for a step; `None` when the order has no such attempt or refund, or the step is none of the provider's.
fn call_for(id: OrderId, order: &Order, step: Step) -> Option<Call> {
    let (operation, attempt, amount) = match step {
        Step::Authorize { attempt } => (Operation::Authorize, order.attempt(attempt)?, order.total()?),
        Step::Capture { attempt } => (Operation::Capture, order.attempt(attempt)?, order.total()?),
        Step::Void { attempt } => (Operation::Void, order.attempt(attempt)?, order.total()?),
        Step::Refund { refund } => (Operation::Refund, captured(order, refund)?, order.refund(refund)?.amount),
        Step::Allocate
        | Step::Fulfil
        | Step::CallOff { .. }
        | Step::GiveBack
        | Step::GiveBackUnits { .. }
        | Step::ShipStock { .. }
        | Step::ReturnStock { .. } => return None,
    };
    let on = match operation {
        Operation::Authorize => None,
        Operation::Capture | Operation::Void | Operation::Refund => attempt.reference.clone(),
    };
    let token = attempt.token.clone().or_else(|| Some(order.placement()?.token.clone()))?;
    Some(Call { reference: reference(id, step)?, order: id, step, operation, amount, token, on })
}

/// The captured attempt that a refund is taken from. A capture that we had been told would not happen is given back by
/// a refund whose id is the attempt's number.
fn captured(order: &Order, refund: OpId) -> Option<&stampede_actors::order::Attempt> {
    let own = |number: u32| OpId(u128::from(number));
    let mut captured = order.attempts().iter().filter(|attempt| attempt.state == AttemptState::Captured);
    if refund.0 <= u128::from(MAX_ATTEMPTS) {
        return captured.find(|attempt| own(attempt.number) == refund);
    }
    let mut fallback = None;
    for attempt in captured {
        if order.refund(own(attempt.number)).is_none() {
            return Some(attempt);
        }
        fallback = Some(attempt);
    }
    fallback
}

/// Our name for a call: the same at every repeat, another for every attempt and refund.
fn reference(order: OrderId, step: Step) -> Option<Reference> {
    let word = step.word();
    let text = match step {
        Step::Authorize { attempt } | Step::Capture { attempt } | Step::Void { attempt } => {
            format!("{order}:{word}:{attempt}")
        }
        Step::Refund { refund } => format!("{order}:{word}:{refund}"),
        _ => return None,
    };
    Reference::new(&text).ok()
}
