//! What a command changes, or why not.

use crate::cart::MAX_LINES;
use crate::ids::{LocationId, OpId, Reference};
use crate::money::Money;
use crate::order::read::LineTally;
use crate::order::state::Allocation;
use crate::order::{
    AttemptState, Attention, Command, Event, Line, LineUnits, Order, Placement, RefundState, Refusal, Step, Terms,
};
use crate::sku::{MAX_UNITS, Units};
use crate::time::Moment;

/// Most cancellations, refunds, shipments and returns of one order, each.
pub const MAX_OPERATIONS: usize = 128;
/// Most payment attempts, whatever the terms say.
pub const MAX_ATTEMPTS: u32 = 32;

pub(super) type Decision = Result<Option<Vec<Event>>, Refusal>;

impl Order {
    /// Says what `command` would change; `None` when it already happened.
    ///
    /// # Errors
    /// [`Refusal`]: nothing would change.
    pub fn decide(&self, command: &Command, at: Moment, terms: &Terms) -> Decision {
        if let Command::Place(placement) = command {
            return self.place(placement, at, terms);
        }
        if self.placed.is_none() {
            return Err(Refusal::UnknownOrder);
        }
        let first = match command {
            Command::Place(_) => None,
            Command::Pay { payment, fingerprint, token } => self.pay(*payment, *fingerprint, token, at, terms)?,
            Command::Cancel { cancel, fingerprint, reason } => self.cancel(*cancel, *fingerprint, reason, at)?,
            Command::Refund { refund, fingerprint, lines, restock } => {
                self.request_refund(*refund, *fingerprint, lines, *restock, at)?
            }
            Command::Ship { shipment, fingerprint, location, lines, tracking } => {
                self.ship(*shipment, *fingerprint, location, lines, tracking.as_ref(), at, terms)?
            }
            Command::Return { return_id, fingerprint, location, lines, restock } => {
                self.take_back(*return_id, *fingerprint, location, lines, *restock, at)?
            }
            Command::Acknowledge { acknowledgement, fingerprint, reason, note } => {
                self.acknowledge(*acknowledgement, *fingerprint, *reason, note, at)?
            }
            Command::Report { step, answer } => self.report(*step, answer, at),
            Command::AskAgain => self.ask_again(at, terms),
            Command::Tick => self.tick(at, terms),
        };
        Ok(first.map(|events| self.and_what_follows(events, at.now, terms)))
    }

    fn place(&self, placement: &Placement, at: Moment, terms: &Terms) -> Decision {
        if let Some(placed) = &self.placed {
            let same = placed.placement.fingerprint == placement.fingerprint;
            return if same { Ok(None) } else { Err(Refusal::Reused) };
        }
        let total = total_of(&placement.lines)?;
        let ask_at = terms.ask_at(Step::Authorize { attempt: 1 }, 1, at.now);
        Ok(Some(vec![Event::Placed { placement: placement.clone(), total, at: at.now, ask_at }]))
    }

    fn pay(&self, payment: OpId, fingerprint: u64, token: &Reference, at: Moment, terms: &Terms) -> Decision {
        if let Some(earlier) = self.attempts.iter().find(|attempt| attempt.payment == Some(payment)) {
            return repeated(earlier.fingerprint, fingerprint);
        }
        if self.ended.is_some() || self.paid || self.aftersales.wish.is_some() || self.is_closing() {
            return Err(Refusal::NotPayable);
        }
        let settled =
            |state| matches!(state, AttemptState::Declined | AttemptState::Voided | AttemptState::VoidRefused);
        if !self.attempts.iter().all(|attempt| settled(attempt.state)) {
            return Err(Refusal::PaymentOpen);
        }
        if self.hold_expires_at() <= at.overdue {
            return Err(Refusal::NotPayable);
        }
        let number = self.attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0) + 1;
        if number > terms.payment_attempts.min(MAX_ATTEMPTS) {
            return Err(Refusal::TooManyAttempts);
        }
        Ok(Some(vec![Event::PaymentRetried {
            payment,
            fingerprint,
            attempt: number,
            token: token.clone(),
            at: at.now,
            ask_at: terms.ask_at(Step::Authorize { attempt: number }, 1, at.now),
        }]))
    }

    fn cancel(&self, cancel: OpId, fingerprint: u64, reason: &str, at: Moment) -> Decision {
        if let Some((_, earlier)) = self.aftersales.cancels.iter().find(|(id, _)| *id == cancel) {
            return repeated(*earlier, fingerprint);
        }
        if self.aftersales.wish.is_some() {
            // Somebody else asked for just this.
            return Ok(None);
        }
        if self.refund(cancel).is_some() {
            return Err(Refusal::Reused);
        }
        if self.ended.is_some() || !self.aftersales.shipments.is_empty() {
            return Err(Refusal::NotCancellable);
        }
        room(self.aftersales.cancels.len(), "cancellations")?;
        // A cancellation after the capture needs a refund of its own.
        room(self.aftersales.refunds.len(), "refunds")?;
        Ok(Some(vec![Event::CancelRequested { cancel, fingerprint, reason: reason.to_owned(), at: at.now }]))
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one command, taken apart in one place")]
    fn ship(
        &self,
        shipment: OpId,
        fingerprint: u64,
        location: &LocationId,
        lines: &[LineUnits],
        tracking: Option<&Reference>,
        at: Moment,
        terms: &Terms,
    ) -> Decision {
        if let Some(earlier) = self.shipment(shipment) {
            return repeated(earlier.fingerprint, fingerprint);
        }
        if !self.paid || self.ended.is_some() {
            return Err(Refusal::NotShippable);
        }
        if self.aftersales.wish.is_some() {
            return Err(Refusal::BeingCalledOff);
        }
        let not_there = if self.aftersales.refunds.iter().any(|refund| refund.state == RefundState::Waiting) {
            Refusal::BeingCalledOff
        } else {
            Refusal::NotShippable
        };
        check_lines(lines, &self.tallies(), LineTally::to_ship, not_there.clone())?;
        if lines.iter().any(|line| line.units > self.to_ship_from(line.line, location)) {
            return Err(not_there);
        }
        room(self.aftersales.shipments.len(), "shipments")?;
        Ok(Some(vec![Event::Shipped {
            shipment,
            fingerprint,
            location: location.clone(),
            lines: lines.to_vec(),
            tracking: tracking.cloned(),
            at: at.now,
            ask_at: terms.ask_at(Step::ShipStock { shipment }, 1, at.now),
        }]))
    }

    fn take_back(
        &self,
        return_id: OpId,
        fingerprint: u64,
        location: &LocationId,
        lines: &[LineUnits],
        restock: bool,
        at: Moment,
    ) -> Decision {
        if let Some(earlier) = self.return_of(return_id) {
            return repeated(earlier.fingerprint, fingerprint);
        }
        check_lines(lines, &self.tallies(), LineTally::to_return, Refusal::NotReturnable)?;
        room(self.aftersales.returns.len(), "returns")?;
        Ok(Some(vec![Event::Returned {
            return_id,
            fingerprint,
            location: location.clone(),
            lines: lines.to_vec(),
            restock,
            at: at.now,
        }]))
    }

    fn acknowledge(
        &self,
        acknowledgement: OpId,
        fingerprint: u64,
        reason: Option<Attention>,
        note: &Reference,
        at: Moment,
    ) -> Decision {
        if let Some((_, earlier)) = self.aftersales.acknowledgements.iter().find(|(id, _)| *id == acknowledgement) {
            return repeated(*earlier, fingerprint);
        }
        if !self.reasons().any(|open| reason.is_none_or(|seen| seen == open)) {
            return Err(Refusal::NoAttention);
        }
        room(self.aftersales.acknowledgements.len(), "acknowledgements")?;
        let note = note.clone();
        Ok(Some(vec![Event::AttentionAcknowledged { acknowledgement, fingerprint, reason, note, at: at.now }]))
    }

    fn ask_again(&self, at: Moment, terms: &Terms) -> Option<Vec<Event>> {
        let asked = self.open.iter().map(|open| {
            // The order's own asking goes on as it was: else asking by hand could put off for ever that a person is told.
            let ask_at = terms.ask_at(open.step, open.tries, at.now).min(open.ask_at.max(at.now));
            Event::Asked { step: open.step, tries: open.tries, at: at.now, ask_at }
        });
        let events: Vec<_> = asked.collect();
        (!events.is_empty()).then_some(events)
    }

    fn tick(&self, at: Moment, terms: &Terms) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        for open in self.open.iter().filter(|open| open.ask_at <= at.overdue) {
            let tries = open.tries.saturating_add(1);
            let ask_at = terms.ask_at(open.step, tries, at.now);
            events.push(Event::Asked { step: open.step, tries, at: at.now, ask_at });
            if open.tries >= terms.attention_after && !open.flagged {
                let (reason, step) = (Attention::Unanswered, Some(open.step));
                events.push(Event::AttentionNeeded { reason, step, at: at.now, again_at: None });
            }
        }
        if self.waits_for_payment() && self.hold_expires_at() <= at.overdue {
            let ask_at = terms.ask_at(Step::GiveBack, 1, at.now);
            events.push(Event::Expired { at: at.now });
            events.push(Event::Opened { step: Step::GiveBack, at: at.now, ask_at, due: None });
        }
        if self.fulfil_due().is_some_and(|due| due <= at.overdue) {
            let again_at = Some(at.now.plus(terms.fulfil_within));
            events.push(Event::AttentionNeeded { reason: Attention::Unfulfilled, step: None, at: at.now, again_at });
        }
        (!events.is_empty()).then_some(events)
    }

    /// Nothing is open or reserved: the next move is the buyer's, until the holds run out.
    pub(super) fn waits_for_payment(&self) -> bool {
        let waiting = |state| matches!(state, AttemptState::Open | AttemptState::Authorised | AttemptState::Captured);
        self.placed.is_some()
            && self.ended.is_none()
            && !self.paid
            && self.aftersales.wish.is_none()
            && !self.is_closing()
            && self.allocation == Allocation::Held
            && !self.attempts.iter().any(|attempt| waiting(attempt.state))
    }
}

pub(super) fn repeated(earlier: u64, now: u64) -> Decision {
    if earlier == now { Ok(None) } else { Err(Refusal::Reused) }
}

pub(super) fn room(used: usize, what: &'static str) -> Result<(), Refusal> {
    if used < MAX_OPERATIONS { Ok(()) } else { Err(Refusal::TableFull { what }) }
}

/// At least one line, each once, each known, with 1 to `most` units.
pub(super) fn check_lines(
    lines: &[LineUnits],
    tallies: &[LineTally],
    most: impl Fn(LineTally) -> Units,
    otherwise: Refusal,
) -> Result<(), Refusal> {
    let once = |i: usize| !lines[..i].iter().any(|earlier| earlier.line == lines[i].line);
    let good = |(i, line): (usize, &LineUnits)| {
        let tally = tallies.get(line.line as usize);
        line.units > 0 && once(i) && tally.is_some_and(|tally| line.units <= most(*tally))
    };
    if !lines.is_empty() && lines.iter().enumerate().all(good) { Ok(()) } else { Err(otherwise) }
}

/// The total of valid lines.
fn total_of(lines: &[Line]) -> Result<Money, Refusal> {
    let invalid = |why| Err(Refusal::Invalid(why));
    let Some(first) = lines.first() else { return invalid("an order has at least one line") };
    if lines.len() > MAX_LINES {
        return invalid("an order has at most 50 lines");
    }
    let mut minor: i64 = 0;
    for (i, line) in lines.iter().enumerate() {
        let held = line.parts.iter().try_fold(0, |sum: Units, part| sum.checked_add(part.units));
        if line.units == 0 || line.units > MAX_UNITS {
            return invalid("units must be 1 to 1000000000");
        }
        if held != Some(line.units) {
            return invalid("the parts of a line add up to its units");
        }
        if (1..line.parts.len()).any(|i| line.parts[..i].iter().any(|part| part.location == line.parts[i].location)) {
            return invalid("the parts of a line are at different locations");
        }
        if lines[..i].iter().any(|earlier| earlier.hold == line.hold) {
            return invalid("each line has a hold of its own");
        }
        if line.unit_price.currency != first.unit_price.currency {
            return invalid("all lines of an order have one currency");
        }
        if line.unit_price.minor < 0 {
            return invalid("a price is not negative");
        }
        let price = line.unit_price.minor.checked_mul(i64::from(line.units));
        match price.and_then(|price| minor.checked_add(price)) {
            Some(sum) => minor = sum,
            None => return invalid("the total is more than money can count"),
        }
    }
    if minor == 0 {
        return invalid("the total is more than zero");
    }
    Ok(Money { minor, currency: first.unit_price.currency })
}
