//! What comes next by itself, once a command's own events are known: the order of steps is this one file.
//! Allocate before capture; money goes back before the order ends; nothing is asked of the warehouse twice.

use crate::mutant::Mutant;
use crate::order::state::{Allocation, Fulfilment, GiveBack};
use crate::order::{AttemptState, Event, Order, RefundState, Step, Terms};
use crate::time::Timestamp;

/// No chain of consequences is longer than this.
const ROUNDS_MAX: usize = 8;

impl Order {
    /// When it next wants [`crate::order::Command::Tick`]; `None` when it waits for nothing.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let ask_at = self.open.iter().map(|open| open.ask_at).min();
        let expiry = self.waits_for_payment().then(|| self.hold_expires_at());
        [ask_at, expiry, self.fulfil_due()].into_iter().flatten().min()
    }

    pub(super) fn hold_expires_at(&self) -> Timestamp {
        self.placement().map_or(Timestamp::ZERO, |placement| placement.hold_expires_at)
    }

    /// `events`, and everything that they entail.
    pub(super) fn and_what_follows(&self, mut events: Vec<Event>, at: Timestamp, terms: &Terms) -> Vec<Event> {
        let mut after = self.clone();
        after.timeline = Default::default(); // its entries are made when the events are really applied
        events.iter().for_each(|event| after.apply(event));
        for _ in 0..ROUNDS_MAX {
            let next = after.follow(at, terms);
            if next.is_empty() {
                return events;
            }
            next.iter().for_each(|event| after.apply(event));
            events.extend(next);
        }
        unreachable!("consequences of {events:?} have no end");
    }

    fn follow(&self, at: Timestamp, terms: &Terms) -> Vec<Event> {
        let mut events = Vec::new();
        for step in self.steps_of_refunds().into_iter().chain(self.steps_of_returns()).chain(self.steps_to_void()) {
            events.push(open(step, at, terms));
        }
        if events.is_empty() && self.ended.is_none() {
            events = if self.paid { self.follow_paid(at, terms) } else { self.follow_unpaid(at, terms) };
        }
        events
    }

    /// Reserved money that nobody will take: authorised after we had been told no.
    fn steps_to_void(&self) -> Vec<Step> {
        let stray = self.attempts.iter().filter(|attempt| attempt.state == AttemptState::Stray);
        stray.map(|attempt| Step::Void { attempt: attempt.number }).collect()
    }

    /// Units that did not leave yet must first be certain not to leave; then money and units go back.
    fn steps_of_refunds(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for refund in self.aftersales.refunds.iter().filter(|refund| refund.state == RefundState::Waiting) {
            let (id, call_off) = (refund.id, Step::CallOff { refund: refund.id });
            let safe = refund.withheld.is_empty() || refund.called_off;
            match self.fulfilment {
                _ if safe => {}
                Fulfilment::NotAsked | Fulfilment::Refused => {}
                Fulfilment::Asked => continue,
                Fulfilment::Accepted if self.is_open(call_off) => continue,
                Fulfilment::Accepted => {
                    steps.push(call_off);
                    continue;
                }
            }
            if refund.amount.minor > 0 {
                steps.push(Step::Refund { refund: id });
            }
            if !refund.withheld.is_empty() {
                steps.push(Step::GiveBackUnits { refund: id });
            }
        }
        steps
    }

    /// A SKU learns of a return after it has learnt of the shipment.
    fn steps_of_returns(&self) -> Vec<Step> {
        if self.open.iter().any(|open| matches!(open.step, Step::ShipStock { .. })) {
            return Vec::new();
        }
        let waiting = self.aftersales.returns.iter().filter(|back| !back.opened);
        waiting.map(|back| Step::ReturnStock { return_id: back.id }).collect()
    }

    fn follow_unpaid(&self, at: Timestamp, terms: &Terms) -> Vec<Event> {
        let undecided = |step| matches!(step, Step::Authorize { .. } | Step::Allocate | Step::Capture { .. });
        if self.open.iter().any(|open| undecided(open.step)) {
            // While it may still turn out either way, cancelling and expiry are but wishes (S19).
            return Vec::new();
        }
        if self.aftersales.wish.is_some() || self.is_closing() {
            return self.close(at, terms);
        }
        match (self.current_authorisation(), self.allocation) {
            (Some(_), Allocation::Held) if !Mutant::AllocateBeforeCapture.is_off() => {
                vec![open(Step::Allocate, at, terms)]
            }
            (Some(attempt), Allocation::Firm | Allocation::Held) => {
                vec![open(Step::Capture { attempt: attempt.number }, at, terms)]
            }
            (Some(_), Allocation::Refused) | (None, _) => Vec::new(),
        }
    }

    /// Gives up what is reserved and gives back what is held; ends when both are certain.
    fn close(&self, at: Timestamp, terms: &Terms) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(attempt) = self.current_authorisation() {
            events.push(open(Step::Void { attempt: attempt.number }, at, terms));
        }
        if self.give_back == GiveBack::No {
            events.push(open(Step::GiveBack, at, terms));
        }
        if !events.is_empty() || self.give_back == GiveBack::Asked || !self.open.is_empty() {
            return events;
        }
        vec![match &self.aftersales.wish {
            Some(wish) => Event::Cancelled { reason: wish.reason.to_string(), at },
            None if self.capture_refused => Event::Cancelled { reason: "payment_failed".to_owned(), at },
            None => Event::Expired { at },
        }]
    }

    fn follow_paid(&self, at: Timestamp, terms: &Terms) -> Vec<Event> {
        let waiting = self.aftersales.refunds.iter().any(|refund| refund.state == RefundState::Waiting);
        let nothing_leaves = self.aftersales.shipments.is_empty() && self.all_shipped();
        if nothing_leaves {
            let busy = waiting || !self.open.is_empty();
            let reason = self.aftersales.wish.as_ref().map_or("refunded", |wish| wish.reason.as_str());
            return if busy { Vec::new() } else { vec![Event::Cancelled { reason: reason.to_owned(), at }] };
        }
        if let Some(wish) = &self.aftersales.wish {
            // Cancelling is giving everything back that is left: the rest follows from the refund. It waits for
            // earlier refunds, because their units are left if the warehouse says that it is too late for them.
            if waiting {
                return Vec::new();
            }
            let fingerprint =
                self.aftersales.cancels.iter().find(|(id, _)| *id == wish.cancel).map_or(0, |(_, print)| *print);
            return vec![self.refund_of_the_rest(wish.cancel, fingerprint, true, at)];
        }
        if self.fulfilment == Fulfilment::NotAsked {
            let due = Some(at.plus(terms.fulfil_within));
            return vec![Event::Opened { step: Step::Fulfil, at, ask_at: terms.ask_at(Step::Fulfil, 1, at), due }];
        }
        Vec::new()
    }
}

fn open(step: Step, at: Timestamp, terms: &Terms) -> Event {
    Event::Opened { step, at, ask_at: terms.ask_at(step, 1, at), due: None }
}
