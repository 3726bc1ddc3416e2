//! The sums of the audit: what each entity adds to them, put in the place of what it added before.

use super::invariants::{self, Invariant, OrderMoney, Stock};
use super::summary::Totals;
use crate::feed::projection::EntityState;
use stampede_actors::ids::EntityId;
use stampede_actors::money::Money;
use stampede_actors::order::{AttemptState, Order, RefundState, State};
use stampede_actors::sku::Sku;

/// What one entity adds to the sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    stock: Stock,
    oversold: i64,
    moved: stampede_actors::sku::Totals,
    state: Option<State>,
    money: OrderMoney,
    total: Option<Money>,
    /// Times that the total was reserved.
    authorisations: u32,
}

impl Share {
    /// What an entity in this state adds.
    #[must_use]
    pub fn of(state: &EntityState) -> Share {
        match state {
            EntityState::Cart(_) | EntityState::Shop(_) => Share::default(),
            EntityState::Sku(sku) => Share::of_sku(sku),
            EntityState::Order(order) => Share::of_order(order),
        }
    }

    fn of_sku(sku: &Sku) -> Share {
        let mut share = Share { moved: sku.totals(), ..Share::default() };
        for place in sku.availability().locations {
            let stock = Stock::of(&place);
            share.stock.add(stock, 1);
            share.oversold += stock.oversold();
        }
        share
    }

    fn of_order(order: &Order) -> Share {
        let captures = order.attempts().iter().filter(|attempt| attempt.state == AttemptState::Captured);
        let ended = matches!(order.state(), Some(State::Cancelled | State::Expired));
        // A refund that the provider refuses is a person's work, and on the list for that.
        let stuck = order.refunds().iter().any(|refund| refund.state == RefundState::Refused);
        Share {
            state: order.state(),
            money: OrderMoney {
                captures: captures.count() as u32,
                captured: order.captured().map_or(0, |money| money.minor),
                refunded: order.refunded().map_or(0, |money| money.minor),
                ended_without_units: ended && order.shipments().is_empty() && !stuck,
            },
            total: order.total(),
            authorisations: order.attempts().iter().filter(|attempt| was_authorised(attempt.state)).count() as u32,
            ..Share::default()
        }
    }

    /// Puts this share in the place of the one before.
    pub fn replace(&self, before: &Share, totals: &mut Totals) {
        if self == before {
            return;
        }
        before.add_to(totals, -1);
        self.add_to(totals, 1);
    }

    fn add_to(&self, totals: &mut Totals, sign: i64) {
        totals.stock.add(self.stock, sign);
        totals.oversold += sign * self.oversold;
        totals.received += sign * self.moved.received as i64;
        totals.adjusted += sign * self.moved.adjusted;
        totals.shipped += sign * self.moved.shipped as i64;
        totals.returned += sign * self.moved.returned as i64;
        totals.restocked += sign * self.moved.restocked as i64;
        totals.written_off += sign * self.moved.written_off as i64;
        self.state.into_iter().for_each(|state| totals.order(state, sign));
        if let Some(total) = self.total {
            let flow = totals.flow(total.currency.code());
            flow.authorised += sign * total.minor * i64::from(self.authorisations);
            flow.captured += sign * self.money.captured;
            flow.refunded += sign * self.money.refunded;
            totals.charges += sign * i64::from(self.money.captures);
            totals.captured_orders += sign * i64::from(self.money.captures.min(1));
        }
    }

    /// Evaluates what must hold for this entity.
    pub fn check(&self, entity: &EntityId, state: &EntityState, totals: &mut Totals) {
        match state {
            EntityState::Cart(_) | EntityState::Shop(_) => {}
            EntityState::Sku(sku) => {
                let made_up = self.stock.on_hand - sku.totals().on_hand();
                totals.look(Invariant::Conservation, invariants::conservation(entity, made_up));
                for place in sku.availability().locations {
                    let found = invariants::stock(entity, place.location.as_str(), Stock::of(&place));
                    totals.look(Invariant::Oversell, found);
                }
            }
            EntityState::Order(_) => {
                totals.look(Invariant::CapturedOnce, invariants::captured_once(entity, self.money));
                totals.look(Invariant::RefundWithinCapture, invariants::refund_within_capture(entity, self.money));
            }
        }
    }
}

fn was_authorised(state: AttemptState) -> bool {
    match state {
        AttemptState::Open | AttemptState::Declined => false,
        AttemptState::Authorised
        | AttemptState::Stray
        | AttemptState::Voiding
        | AttemptState::Voided
        | AttemptState::VoidRefused
        | AttemptState::Captured => true,
    }
}
