//! What callers and workers may ask an order.

use crate::ids::{LocationId, OpId};
use crate::money::Money;
use crate::order::state::{Allocation, Concern, End, Fulfilment, GiveBack};
use crate::order::{
    Attempt, AttemptState, Attention, Happening, LinePart, OpenStep, Order, Placement, Refund, RefundState, Return,
    Shipment, Step,
};
use crate::sku::Units;
use crate::time::Timestamp;
use crate::trace::TraceLink;

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
    /// Ending without a sale, but a step is still open.
    Cancelling,
    /// Cancelled.
    Cancelled,
    /// Ran out unpaid.
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: [State; 10] = [
        State::AwaitingPayment,
        State::Authorised,
        State::Allocated,
        State::Captured,
        State::FulfilmentRequested,
        State::PartlyShipped,
        State::Fulfilled,
        State::Cancelling,
        State::Cancelled,
        State::Expired,
    ];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::AwaitingPayment => "awaiting_payment",
            State::Authorised => "authorised",
            State::Allocated => "allocated",
            State::Captured => "captured",
            State::FulfilmentRequested => "fulfilment_requested",
            State::PartlyShipped => "partly_shipped",
            State::Fulfilled => "fulfilled",
            State::Cancelling => "cancelling",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
        }
    }

    /// Does it wait for nothing more? Steps may still be open.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Fulfilled | State::Cancelled | State::Expired)
    }
}

/// What became of the units of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineTally {
    /// Units ordered.
    pub ordered: Units,
    /// Units that left.
    pub shipped: Units,
    /// Units that will not be shipped any more, because they were refunded.
    pub withheld: Units,
    /// Units that came back.
    pub returned: Units,
    /// Units whose money was given back, or is being given back.
    pub refunded: Units,
}

impl LineTally {
    /// Units that are still to be shipped.
    #[must_use]
    pub fn to_ship(self) -> Units {
        self.ordered.saturating_sub(self.shipped).saturating_sub(self.withheld)
    }

    /// Units whose money may still be given back.
    #[must_use]
    pub fn to_refund(self) -> Units {
        self.ordered.saturating_sub(self.refunded)
    }

    /// Units that may still come back.
    #[must_use]
    pub fn to_return(self) -> Units {
        self.shipped.saturating_sub(self.returned)
    }
}

impl Order {
    /// Its content; `None` before it is placed.
    #[must_use]
    pub fn placement(&self) -> Option<&Placement> {
        self.placed.as_ref().map(|placed| &placed.placement)
    }

    /// Where it belongs in a trace that is kept.
    #[must_use]
    pub fn trace(&self) -> Option<TraceLink> {
        self.placed.as_ref()?.placement.trace.as_deref().copied()
    }

    /// What it costs.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        self.placed.as_ref().map(|placed| placed.total)
    }

    /// When it was placed.
    #[must_use]
    pub fn placed_at(&self) -> Option<Timestamp> {
        self.placed.as_ref().map(|placed| placed.at)
    }

    /// Where it stands; `None` before it is placed.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.placed.as_ref()?;
        Some(match self.ended {
            Some(End::Cancelled) => State::Cancelled,
            Some(End::Expired) => State::Expired,
            None if self.aftersales.wish.is_some() || self.is_closing() => State::Cancelling,
            None if !self.paid => match (self.allocation, self.current_authorisation()) {
                (Allocation::Firm, _) => State::Allocated,
                (_, Some(_)) => State::Authorised,
                (_, None) => State::AwaitingPayment,
            },
            None if !self.aftersales.shipments.is_empty() && self.all_shipped() => State::Fulfilled,
            None if !self.aftersales.shipments.is_empty() => State::PartlyShipped,
            None if self.fulfilment == Fulfilment::Accepted => State::FulfilmentRequested,
            None => State::Captured,
        })
    }

    /// May a worker do this step now? Asked before each call (S20).
    #[must_use]
    pub fn is_open(&self, step: Step) -> bool {
        self.open.iter().any(|open| open.step == step)
    }

    /// Steps without a definite answer.
    #[must_use]
    pub fn open_steps(&self) -> &[OpenStep] {
        &self.open
    }

    /// What happened, oldest first, at most 256 entries.
    #[must_use]
    pub fn timeline(&self) -> &[Happening] {
        &self.timeline
    }

    /// Payment attempts, oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// One payment attempt.
    #[must_use]
    pub fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }

    /// Refunds, oldest first; those of cancellations too.
    #[must_use]
    pub fn refunds(&self) -> &[Refund] {
        &self.aftersales.refunds
    }

    /// One refund. Its `withheld` units are those of `CallOff` and `GiveBackUnits`.
    #[must_use]
    pub fn refund(&self, id: OpId) -> Option<&Refund> {
        self.aftersales.refunds.iter().find(|refund| refund.id == id)
    }

    /// Units that the SKUs are to take out of their allocations for this refund.
    #[must_use]
    pub fn units_to_give_back(&self, refund: OpId) -> &[LinePart] {
        self.refund(refund).map_or(&[], |refund| &refund.withheld)
    }

    /// Shipments, oldest first.
    #[must_use]
    pub fn shipments(&self) -> &[Shipment] {
        &self.aftersales.shipments
    }

    /// One shipment.
    #[must_use]
    pub fn shipment(&self, id: OpId) -> Option<&Shipment> {
        self.aftersales.shipments.iter().find(|shipment| shipment.id == id)
    }

    /// Returns, oldest first.
    #[must_use]
    pub fn returns(&self) -> &[Return] {
        &self.aftersales.returns
    }

    /// One return.
    #[must_use]
    pub fn return_of(&self, id: OpId) -> Option<&Return> {
        self.aftersales.returns.iter().find(|back| back.id == id)
    }

    /// Why a person must look: the oldest reason that still holds and that nobody has acknowledged; `None` when all is
    /// well or taken care of.
    #[must_use]
    pub fn attention(&self) -> Option<Attention> {
        self.reasons().next()
    }

    /// Reasons that still hold and that nobody has acknowledged, oldest first.
    pub(super) fn reasons(&self) -> impl Iterator<Item = Attention> + '_ {
        let waits = |concern: &&Concern| {
            !concern.acknowledged && (concern.reason != Attention::Unfulfilled || self.fulfil_due().is_some())
        };
        self.aftersales.concerns.iter().filter(waits).map(|concern| concern.reason)
    }

    /// Money taken.
    #[must_use]
    pub fn captured(&self) -> Option<Money> {
        self.total().map(|total| Money { minor: self.captured_minor(), ..total })
    }

    /// Money given back for certain.
    #[must_use]
    pub fn refunded(&self) -> Option<Money> {
        self.total().map(|total| Money { minor: self.refunded_minor(), ..total })
    }

    /// Units of each line, in the order of the lines.
    #[must_use]
    pub fn tallies(&self) -> Vec<LineTally> {
        let lines = self.placement().map_or(&[][..], |placement| &placement.lines);
        let mut tallies: Vec<_> =
            lines.iter().map(|line| LineTally { ordered: line.units, ..LineTally::default() }).collect();
        for line in self.aftersales.shipments.iter().flat_map(|shipment| &shipment.lines) {
            tallies[line.line as usize].shipped += line.units;
        }
        for line in self.aftersales.returns.iter().flat_map(|back| &back.lines) {
            tallies[line.line as usize].returned += line.units;
        }
        for refund in self.aftersales.refunds.iter().filter(|refund| refund.state != RefundState::Lapsed) {
            for part in &refund.withheld {
                tallies[part.line as usize].withheld += part.units;
            }
            for line in refund.lines.iter().filter(|_| refund.state.counts()) {
                tallies[line.line as usize].refunded += line.units;
            }
        }
        tallies
    }

    /// Units of a line that are still to be shipped from a location.
    #[must_use]
    pub fn to_ship_from(&self, line: u32, location: &LocationId) -> Units {
        let lines = self.placement().map_or(&[][..], |placement| &placement.lines);
        let Some(of_order) = lines.get(line as usize) else { return 0 };
        let ordered: Units = of_order.parts.iter().filter(|p| p.location == *location).map(|p| p.units).sum();
        let from_here = self.aftersales.shipments.iter().filter(|shipment| shipment.location == *location);
        let shipped: Units = from_here.flat_map(|s| &s.lines).filter(|l| l.line == line).map(|l| l.units).sum();
        let live = self.aftersales.refunds.iter().filter(|refund| refund.state != RefundState::Lapsed);
        let parts = live.flat_map(|refund| &refund.withheld);
        let withheld: Units = parts.filter(|p| p.line == line && p.location == *location).map(|p| p.units).sum();
        ordered.saturating_sub(shipped).saturating_sub(withheld)
    }

    /// When a person is told that units are still to be shipped; `None` when none are.
    pub(super) fn fulfil_due(&self) -> Option<Timestamp> {
        self.fulfil_due.filter(|_| self.ended.is_none() && !self.all_shipped())
    }

    /// No unit is left to ship.
    pub(super) fn all_shipped(&self) -> bool {
        self.tallies().iter().all(|tally| tally.to_ship() == 0)
    }

    /// Minor units taken, by whatever attempt.
    pub(super) fn captured_minor(&self) -> i64 {
        let captured = self.attempts.iter().filter(|attempt| attempt.state == AttemptState::Captured).count();
        self.total().map_or(0, |total| total.minor.saturating_mul(captured as i64))
    }

    /// Minor units given back for certain.
    pub(super) fn refunded_minor(&self) -> i64 {
        let done = self.aftersales.refunds.iter().filter(|refund| refund.state == RefundState::Done);
        done.map(|refund| refund.amount.minor).sum()
    }

    /// Minor units given back or promised.
    pub(super) fn requested_minor(&self) -> i64 {
        self.aftersales.refunds.iter().filter(|refund| refund.state.counts()).map(|refund| refund.amount.minor).sum()
    }

    /// The attempt whose money is reserved for this order.
    pub(super) fn current_authorisation(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.state == AttemptState::Authorised)
    }

    /// Is it certain that this order ends unpaid, as soon as nothing is open?
    pub(super) fn is_closing(&self) -> bool {
        !self.paid && (self.capture_refused || self.allocation == Allocation::Refused || self.give_back != GiveBack::No)
    }
}
