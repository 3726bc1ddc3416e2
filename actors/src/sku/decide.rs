//! Answers to commands. Whatever is asked of stock is decided here, with `holding` and `allocating`, and nowhere else.

use super::command::{Command, Event, Listing, Part, Refusal};
use super::holding::Wish;
use super::memory::{Remembered, RememberedKey, What};
use super::state::Sku;
use super::{MAX_LOCATIONS, MAX_UNITS, Terms, Units};
use crate::cart::MAX_LINES;
use crate::ids::{LocationId, OpId, Reference};
use crate::mutant::Mutant;
use crate::time::Moment;

/// Events, `None` when it already happened, or why not.
pub(super) type Decision = Result<Option<Vec<Event>>, Refusal>;

/// What every decision may look at.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub at: Moment,
    pub terms: &'a Terms,
    pub known: Option<&'a Remembered>,
}

impl Command {
    /// The id by which a late repeat of this command is recognised.
    #[must_use]
    pub fn remembered_key(&self) -> Option<RememberedKey> {
        match self {
            Command::Receive { receipt, .. } => Some(RememberedKey::Receipt(*receipt)),
            Command::Adjust { adjustment, .. } => Some(RememberedKey::Adjustment(*adjustment)),
            Command::Ship { hold, shipment, .. } => Some(RememberedKey::Shipment(*hold, *shipment)),
            Command::ReduceAllocation { hold, reduction, .. } => Some(RememberedKey::Reduction(*hold, *reduction)),
            Command::Return { hold, return_id, .. } => Some(RememberedKey::Return(*hold, *return_id)),
            Command::Hold { hold, .. } | Command::Allocate { hold, .. } => Some(RememberedKey::Hold(*hold)),
            Command::List(_)
            | Command::SetLocation { .. }
            | Command::Extend { .. }
            | Command::Release { .. }
            | Command::CancelAllocation { .. }
            | Command::Tick
            | Command::Pause
            | Command::Resume => None,
        }
    }
}

impl Command {
    /// Does an order ask for a hold whose id follows from its own? It asks for none once it is placed, and before that none
    /// of these is sold. One that a client has named may have been sold to another order.
    fn asks_for_its_own(&self) -> bool {
        let Command::Hold { hold, order: Some(order), .. } = self else { return false };
        (0..MAX_LINES).any(|index| order.hold(index) == *hold)
    }
}

impl Sku {
    /// The key that must be looked up in the store before `command` can be decided: only when it may have been
    /// remembered, and dropped from memory since. `None`, nearly always: memory knows enough.
    #[must_use]
    pub fn unsure_of(&self, command: &Command, at: Moment, terms: &Terms) -> Option<RememberedKey> {
        let key = command.remembered_key()?;
        let dropped = match key {
            RememberedKey::Hold(hold) => {
                // An order may claim a lapsed id afresh, so only a sold one matters to it.
                let sold_only = !matches!(command, Command::Hold { order: None, .. });
                self.memory.dropped_holds(sold_only, at.now, terms.remember)
                    && !self.claims.contains_key(&hold)
                    && !command.asks_for_its_own()
            }
            // Nothing was taken of the allocation yet, under whatever id.
            RememberedKey::Shipment(hold, _) | RememberedKey::Reduction(hold, _)
                if self.claims.get(&hold).is_some_and(|claim| claim.units == claim.left()) =>
            {
                false
            }
            RememberedKey::Receipt(_)
            | RememberedKey::Adjustment(_)
            | RememberedKey::Shipment(..)
            | RememberedKey::Reduction(..)
            | RememberedKey::Return(..) => self.memory.dropped_operations(at.now, terms.remember),
        };
        (dropped && self.memory.get(&key).is_none()).then_some(key)
    }

    /// Says what `command` would change; `None` when it already happened, with the same content.
    /// `known`: what the store has under the key that [`Sku::unsure_of`] named.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changed.
    pub fn decide(&self, command: &Command, at: Moment, terms: &Terms, known: Option<&Remembered>) -> Decision {
        let context = Context { at, terms, known };
        if let Command::List(listing) = command {
            return self.list(listing);
        }
        if self.listing.is_none() {
            return Err(Refusal::UnknownSku);
        }
        match command {
            Command::List(listing) => self.list(listing),
            Command::SetLocation { location, priority, safety_stock } => {
                self.set_location(location, *priority, *safety_stock)
            }
            Command::Receive { receipt, fingerprint, location, units } => {
                self.receive(*receipt, *fingerprint, location, *units, context)
            }
            Command::Adjust { adjustment, fingerprint, location, delta, reason, reference } => {
                if self.done_before(RememberedKey::Adjustment(*adjustment), *fingerprint, context)? {
                    return Ok(None);
                }
                self.check_adjustment(location, *delta)?;
                Ok(Some(vec![Event::Adjusted {
                    adjustment: *adjustment,
                    fingerprint: *fingerprint,
                    location: location.clone(),
                    delta: *delta,
                    reason: *reason,
                    reference: Reference::clone(reference),
                    at: at.now,
                }]))
            }
            Command::Hold { hold, units, buyer, order, ttl, tentative } => {
                let (hold, units, order, ttl, tentative) = (*hold, *units, *order, *ttl, *tentative);
                self.hold_units(&Wish { hold, units, buyer, order, ttl, tentative }, context)
            }
            Command::Extend { hold, until } => self.extend(*hold, *until, context),
            Command::Release { hold, order } => self.release(*hold, *order, context),
            Command::Tick => Ok(self.expire(at)),
            Command::Allocate { hold, order, parts } => self.allocate(*hold, *order, parts, context),
            Command::Ship { hold, shipment, parts } => self.ship(*hold, *shipment, parts, context),
            Command::ReduceAllocation { hold, reduction, parts, restock } => {
                self.reduce_allocation(*hold, *reduction, parts, *restock, context)
            }
            Command::CancelAllocation { hold } => self.cancel_allocation(*hold, context),
            Command::Return { hold, buyer, return_id, location, units, restock } => {
                let part = Part { location: location.clone(), units: *units };
                self.take_back(*hold, buyer, *return_id, part, *restock, context)
            }
            Command::Pause if self.paused => Ok(None),
            Command::Pause => Ok(Some(vec![Event::Paused])),
            Command::Resume if !self.paused => Ok(None),
            Command::Resume => Ok(Some(vec![Event::Resumed])),
        }
    }

    fn list(&self, listing: &Listing) -> Decision {
        if listing.price.minor < 0 {
            return Err(Refusal::BadPrice);
        }
        if listing.buyer_limit.is_some_and(|limit| limit == 0 || limit > MAX_UNITS) {
            return Err(Refusal::BadUnits);
        }
        Ok((self.listing.as_ref() != Some(listing)).then(|| vec![Event::Listed(listing.clone())]))
    }

    fn set_location(&self, location: &LocationId, priority: u32, safety_stock: Units) -> Decision {
        if safety_stock > MAX_UNITS {
            return Err(Refusal::BadUnits);
        }
        match self.location(location) {
            Some(stock) if stock.priority == priority && stock.safety_stock == safety_stock => return Ok(None),
            _ => self.check_room_for(location)?,
        }
        Ok(Some(vec![Event::LocationSet { location: location.clone(), priority, safety_stock }]))
    }

    fn receive(
        &self,
        receipt: OpId,
        fingerprint: u64,
        location: &LocationId,
        units: Units,
        context: Context<'_>,
    ) -> Decision {
        if self.done_before(RememberedKey::Receipt(receipt), fingerprint, context)? {
            return Ok(None);
        }
        check_units(units)?;
        self.check_stock_after(i64::from(units))?;
        self.check_room_for(location)?;
        let location = location.clone();
        Ok(Some(vec![Event::Received { receipt, fingerprint, location, units, at: context.at.now }]))
    }

    fn check_adjustment(&self, location: &LocationId, delta: i64) -> Result<(), Refusal> {
        if delta == 0 || delta.unsigned_abs() > u64::from(MAX_UNITS) {
            return Err(Refusal::BadUnits);
        }
        let (on_hand, claimed) = self.location(location).map_or((0, 0), |stock| (stock.on_hand, stock.claimed()));
        if i64::from(on_hand) + delta < i64::from(claimed) {
            return Err(Refusal::BelowClaimed { claimed });
        }
        self.check_stock_after(delta)?;
        self.check_room_for(location)
    }

    /// Stock over all locations is bounded, so that sums of units never overflow.
    pub(super) fn check_stock_after(&self, delta: i64) -> Result<(), Refusal> {
        if i64::from(self.on_hand()) + delta > i64::from(MAX_UNITS) { Err(Refusal::BadUnits) } else { Ok(()) }
    }

    pub(super) fn check_room_for(&self, location: &LocationId) -> Result<(), Refusal> {
        if self.locations.len() >= MAX_LOCATIONS && self.location(location).is_none() {
            return Err(Refusal::TableFull { what: "locations" });
        }
        Ok(())
    }

    /// What is remembered under `key`, here or in the store, and still counts.
    pub(super) fn recall<'a>(&'a self, key: RememberedKey, context: Context<'a>) -> Option<&'a Remembered> {
        if Mutant::RepeatLookUp.is_off() {
            return None;
        }
        let remembered = self.memory.get(&key).or(context.known)?;
        remembered.counts(context.at.now, context.terms.remember).then_some(remembered)
    }

    /// Did this operation happen, with the same content?
    pub(super) fn done_before(
        &self,
        key: RememberedKey,
        fingerprint: u64,
        context: Context<'_>,
    ) -> Result<bool, Refusal> {
        match self.recall(key, context).map(|remembered| remembered.what) {
            None => Ok(false),
            Some(What::Operation { fingerprint: before }) if before == fingerprint => Ok(true),
            Some(What::Operation { .. } | What::Hold { .. }) => Err(Refusal::Reused),
        }
    }
}

pub(super) fn check_units(units: Units) -> Result<(), Refusal> {
    if units == 0 || units > MAX_UNITS { Err(Refusal::BadUnits) } else { Ok(()) }
}
