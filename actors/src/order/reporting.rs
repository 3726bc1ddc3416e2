//! Answers of workers: definite ones close their step; late ones change nothing unless money or units are at stake.

use crate::ids::OpId;
use crate::order::state::Fulfilment;
use crate::order::{Answer, AttemptState, Attention, Event, MAX_ATTEMPTS, Order, RefundState, Step};
use crate::time::Moment;

impl Order {
    pub(super) fn report(&self, step: Step, answer: &Answer, at: Moment) -> Option<Vec<Event>> {
        let answered = || Event::Answered { step, answer: answer.clone(), at: at.now };
        let attention = |reason| Event::AttentionNeeded { reason, step: Some(step), at: at.now, again_at: None };
        match answer {
            Answer::Unknown => None,
            _ if !self.is_open(step) => self.late(step, answer, at).map(|mut after| {
                after.insert(0, answered());
                after
            }),
            Answer::Done { .. } => Some(vec![answered()]),
            Answer::Refused { .. } => Some(match refused(step) {
                Some(reason) => vec![answered(), attention(reason)],
                None => vec![answered()],
            }),
        }
    }

    /// An answer for a step that is not open: `None`, unless money would stay reserved or taken without an order, or
    /// units would leave. What follows its `Answered`.
    fn late(&self, step: Step, answer: &Answer, at: Moment) -> Option<Vec<Event>> {
        let contradiction =
            Event::AttentionNeeded { reason: Attention::Contradiction, step: Some(step), at: at.now, again_at: None };
        if !matches!(answer, Answer::Done { .. }) {
            return None;
        }
        match step {
            Step::Authorize { attempt: number } => match self.attempt(number).map(|attempt| attempt.state) {
                None if number > 0 && number <= MAX_ATTEMPTS => Some(vec![]),
                Some(AttemptState::Declined) => Some(vec![]),
                _ => None,
            },
            Step::Capture { attempt: number } => {
                let attempt = self.attempt(number)?;
                let refund = OpId(u128::from(number));
                if attempt.state == AttemptState::Captured || self.refund(refund).is_some() {
                    return None;
                }
                let amount = self.placed.as_ref()?.total;
                let (fingerprint, lines, withheld) = (0, vec![], vec![]);
                let give_back =
                    Event::RefundRequested { refund, fingerprint, lines, amount, restock: false, withheld, at: at.now };
                Some(vec![give_back, contradiction])
            }
            Step::Refund { refund } => {
                let refund = self.refund(refund).filter(|refund| refund.state == RefundState::Refused)?;
                // Too late if its money was promised a second time meanwhile.
                let fits = refund.amount.minor <= self.captured_minor() - self.requested_minor();
                let told = self.is_told(Attention::Contradiction, step);
                if fits { Some(vec![]) } else { (!told).then(|| vec![contradiction]) }
            }
            Step::Fulfil if self.fulfilment == Fulfilment::Refused => {
                if self.all_shipped() {
                    let told = self.is_told(Attention::Contradiction, step);
                    (!told).then(|| vec![contradiction])
                } else {
                    Some(vec![])
                }
            }
            Step::Allocate
            | Step::Void { .. }
            | Step::Fulfil
            | Step::CallOff { .. }
            | Step::GiveBack
            | Step::GiveBackUnits { .. }
            | Step::ShipStock { .. }
            | Step::ReturnStock { .. } => None,
        }
    }

    /// Was a person told of this, whether it was acknowledged or not?
    fn is_told(&self, reason: Attention, step: Step) -> bool {
        self.aftersales.concerns.iter().any(|concern| concern.reason == reason && concern.step == Some(step))
    }
}

/// Does a definite "no" to this step need a person? The others are part of the course.
fn refused(step: Step) -> Option<Attention> {
    match step {
        Step::Authorize { .. } | Step::Allocate | Step::Capture { .. } | Step::CallOff { .. } => None,
        Step::Void { .. } => Some(Attention::VoidRefused),
        Step::Refund { .. } => Some(Attention::RefundRefused),
        Step::Fulfil => Some(Attention::FulfilmentRefused),
        Step::GiveBack | Step::GiveBackUnits { .. } | Step::ShipStock { .. } | Step::ReturnStock { .. } => {
            Some(Attention::StockRefused)
        }
    }
}
