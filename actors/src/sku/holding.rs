//! The first half of a claim's life: held for a while, extended, given back or run out.

use super::command::{End, Event, Part, Refusal};
use super::decide::{Context, Decision, check_units};
use super::memory::{Closed, RememberedKey, What};
use super::state::{Claim, LocationStock, Sku};
use super::{CONTENTION, EXPIRIES_AT_ONCE, MAX_BUYERS, MAX_CLAIMS, Units};
use crate::ids::{BuyerRef, HoldId, OrderId};
use crate::time::{Moment, Span, Timestamp};
use std::borrow::Cow;

/// Overdue holds beyond [`EXPIRIES_AT_ONCE`] that are looked at before a hold is refused.
const LOOK_AHEAD: usize = 1024;

/// A hold that somebody asks for.
pub(super) struct Wish<'a> {
    pub hold: HoldId,
    pub units: Units,
    pub buyer: &'a BuyerRef,
    pub order: Option<OrderId>,
    pub ttl: Span,
    pub tentative: bool,
}

impl Sku {
    pub(super) fn hold_units(&self, wish: &Wish<'_>, context: Context<'_>) -> Decision {
        let Context { at, terms, .. } = context;
        check_units(wish.units)?;
        // The id's own overdue hold is expired with the others, however many are before it.
        let mut lapsed: Vec<HoldId> = Vec::new();
        match self.claims.get(&wish.hold) {
            Some(claim) if !claim.overdue(at) => return repeat(claim, wish),
            Some(_) if wish.order.is_none() => return Err(Refusal::HoldEnded),
            Some(_) => lapsed.push(wish.hold),
            None if self.spent(wish, context) => return Err(Refusal::HoldEnded),
            None => {}
        }
        if self.paused {
            return Err(Refusal::SalePaused);
        }
        let overdue = self.overdue(at).take(EXPIRIES_AT_ONCE).map(|(hold, _)| hold);
        lapsed.extend(overdue.filter(|hold| *hold != wish.hold));
        self.check_buyer(wish, &mut lapsed, at)?;
        self.check_tables(wish.buyer, lapsed.len())?;

        let locations = self.locations_without(&lapsed);
        let available: Units = locations.iter().map(LocationStock::available).sum();
        if available < wish.units {
            let contended = self.contended(wish, wish.units - available, at);
            return Err(Refusal::SoldOut { requested: wish.units, available, contended });
        }
        let parts = terms.sourcing.choose(&locations, wish.units);
        assert_placed(&locations, &parts, wish.units);

        let mut events = Vec::with_capacity(lapsed.len() + 1);
        events.extend(lapsed.into_iter().map(|hold| Event::Ended { hold, how: End::Expired, at: at.now }));
        events.push(Event::Held {
            hold: wish.hold,
            buyer: wish.buyer.clone(),
            order: wish.order,
            parts,
            at: at.now,
            expires_at: at.now.plus(wish.ttl.min(terms.max_hold)),
            tentative: wish.tentative,
        });
        Ok(Some(events))
    }

    /// Is the id used up? An order may claim afresh what lapsed (S15), but never what was sold (S17).
    fn spent(&self, wish: &Wish<'_>, context: Context<'_>) -> bool {
        match self.recall(RememberedKey::Hold(wish.hold), context).map(|remembered| remembered.what) {
            None | Some(What::Operation { .. }) => false,
            Some(What::Hold { closed: Closed::Lapsed, .. }) => wish.order.is_none(),
            Some(What::Hold { closed: Closed::Shipped | Closed::Cancelled, .. }) => true,
        }
    }

    /// Checks the buyer's limit (S17), adding the buyer's own overdue holds to `lapsed` where that helps.
    fn check_buyer(&self, wish: &Wish<'_>, lapsed: &mut Vec<HoldId>, at: Moment) -> Result<(), Refusal> {
        let Some(limit) = self.listing.as_ref().and_then(|listing| listing.buyer_limit) else { return Ok(()) };
        let own = |hold: &HoldId| Some(self.claim(*hold)).filter(|claim| claim.buyer == *wish.buyer);
        let tally = self.buyers.get(wish.buyer).copied().unwrap_or_default();
        let mut counted = tally.counted() - lapsed.iter().filter_map(own).map(Claim::left).sum::<Units>();
        let passes = |counted: Units| counted.saturating_add(wish.units) <= limit;
        if !passes(counted) {
            let more = self.overdue(at).skip(EXPIRIES_AT_ONCE).take(LOOK_AHEAD);
            for (hold, claim) in more.filter(|(_, claim)| claim.buyer == *wish.buyer).take(EXPIRIES_AT_ONCE) {
                if hold != wish.hold {
                    counted -= claim.left();
                    lapsed.push(hold);
                }
            }
        }
        if passes(counted) { Ok(()) } else { Err(Refusal::BuyerLimit { limit, counted, requested: wish.units }) }
    }

    fn check_tables(&self, buyer: &BuyerRef, lapsed: usize) -> Result<(), Refusal> {
        if self.claims.len() - lapsed >= MAX_CLAIMS {
            return Err(Refusal::TableFull { what: "holds" });
        }
        if self.buyers.len() >= MAX_BUYERS && !self.buyers.contains_key(buyer) {
            return Err(Refusal::TableFull { what: "buyers" });
        }
        Ok(())
    }

    /// The locations as they will be when these holds have ended.
    fn locations_without(&self, lapsed: &[HoldId]) -> Cow<'_, [LocationStock]> {
        let mut locations = Cow::Borrowed(self.locations.as_slice());
        for part in lapsed.iter().flat_map(|hold| &self.claim(*hold).parts) {
            if let Some(stock) = locations.to_mut().iter_mut().find(|stock| stock.location == part.location) {
                stock.held -= part.units;
            }
        }
        locations
    }

    /// Would `short` more units be there, were it not for orders still being placed (S21) or for overdue holds that
    /// this command was too small to expire?
    fn contended(&self, wish: &Wish<'_>, short: Units, at: Moment) -> bool {
        let overdue = self.overdue(at).skip(EXPIRIES_AT_ONCE).take(LOOK_AHEAD).map(|(_, claim)| claim);
        let tentative = self
            .tentative
            .iter()
            .rev()
            .take_while(|(made_at, _)| at.now < made_at.plus(CONTENTION))
            .filter_map(|(made_at, hold)| {
                self.claims.get(hold).map(Box::as_ref).filter(|claim| claim.created_at == *made_at)
            })
            .filter(|claim| claim.tentative && claim.order != wish.order && !claim.overdue(at));
        let mut covered: Units = 0;
        overdue.chain(tentative).any(|claim| {
            covered = covered.saturating_add(claim.left());
            covered >= short
        })
    }

    pub(super) fn extend(&self, hold: HoldId, until: Timestamp, context: Context<'_>) -> Decision {
        let claim = self.claims.get(&hold).ok_or(Refusal::HoldEnded)?;
        if claim.firm {
            return Ok(None);
        }
        if claim.overdue(context.at) {
            return Err(Refusal::HoldEnded);
        }
        let expires_at = until.min(claim.created_at.plus(context.terms.max_hold));
        Ok((expires_at > claim.expires_at).then(|| vec![Event::Extended { hold, expires_at }]))
    }

    pub(super) fn release(&self, hold: HoldId, order: Option<OrderId>, context: Context<'_>) -> Decision {
        match self.claims.get(&hold) {
            None => Ok(None),
            Some(claim) if order.is_some() && claim.order != order => Ok(None),
            Some(claim) if claim.firm || claim.order != order => Err(Refusal::HoldAllocated),
            Some(_) => Ok(Some(vec![Event::Ended { hold, how: End::Released, at: context.at.now }])),
        }
    }

    /// Ends some of what has run out.
    pub(super) fn expire(&self, at: Moment) -> Option<Vec<Event>> {
        let overdue = self.overdue(at).take(EXPIRIES_AT_ONCE);
        let events: Vec<Event> =
            overdue.map(|(hold, _)| Event::Ended { hold, how: End::Expired, at: at.now }).collect();
        (!events.is_empty()).then_some(events)
    }
}

/// The same id again, while its claim stands.
fn repeat(claim: &Claim, wish: &Wish<'_>) -> Decision {
    if claim.units != wish.units || claim.buyer != *wish.buyer {
        return Err(Refusal::HoldDiffers);
    }
    match (claim.order, wish.order) {
        (mine, wanted) if mine == wanted => Ok(None),
        (None, Some(order)) => Ok(Some(vec![Event::Adopted { hold: wish.hold, order }])),
        // Its client repeats the request that made it; an order has taken it over since.
        (Some(_), None) if claim.named => Ok(None),
        _ => Err(Refusal::HoldDiffers),
    }
}

/// A sourcing rule that places other units than asked for, or more than there are, is a bug.
fn assert_placed(locations: &[LocationStock], parts: &[Part], units: Units) {
    let there = |part: &Part| {
        let stock = locations.iter().find(|stock| stock.location == part.location);
        part.units > 0 && stock.is_some_and(|stock| part.units <= stock.available())
    };
    let once = |i: usize| parts[..i].iter().all(|before| before.location != parts[i].location);
    let sum: u64 = parts.iter().map(|part| u64::from(part.units)).sum();
    assert!(
        sum == u64::from(units) && parts.iter().all(there) && (0..parts.len()).all(once),
        "the sourcing rule placed {parts:?} for {units} units at {locations:?}"
    );
}
