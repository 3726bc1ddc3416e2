//! An entity of any kind, as the projection keeps it.

use crate::metrics::HoldEnd;
use stampede_actors::cart::{self, Cart};
use stampede_actors::ids::EntityId;
use stampede_actors::order::{self, Order};
use stampede_actors::record::Event;
use stampede_actors::shop::{self, Shop};
use stampede_actors::sku::{self, Movement, Remembered, RememberedKey, Sku};
use stampede_actors::time::{Span, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What follows from an entity's events so far.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityState {
    /// Stock of one SKU.
    Sku(Box<Sku>),
    /// A cart.
    Cart(Box<Cart>),
    /// An order.
    Order(Box<Order>),
    /// The shop as a whole.
    Shop(Box<Shop>),
}

/// Rows that follow from an event, beside its entity's state.
#[derive(Debug, Default)]
pub struct Followed {
    /// The ledger's row.
    pub movement: Option<Movement>,
    /// Ids that outlive what they named.
    pub remembered: Vec<(RememberedKey, Remembered)>,
    /// How a hold ended, and how long it had lasted.
    pub hold_ended: Option<(HoldEnd, Span)>,
}

impl EntityState {
    /// The entity before its first event.
    #[must_use]
    pub fn new(entity: &EntityId) -> EntityState {
        match entity {
            EntityId::Sku(_) => EntityState::Sku(Box::default()),
            EntityId::Cart(_) => EntityState::Cart(Box::default()),
            EntityId::Order(_) => EntityState::Order(Box::default()),
            EntityId::Shop => EntityState::Shop(Box::default()),
        }
    }

    /// Takes in what happened.
    ///
    /// # Errors
    /// The invariant that would break, or that the event is of another kind. The state is of no use then.
    pub fn apply(&mut self, event: &Event) -> Result<(), String> {
        // An aggregate asserts what must never be. Here that stops the projection with a name, not with a panic.
        catch_unwind(AssertUnwindSafe(|| {
            match (self, event) {
                (EntityState::Sku(sku), Event::Sku(event)) => sku.apply(event),
                (EntityState::Cart(cart), Event::Cart(event)) => cart.apply(event),
                (EntityState::Order(order), Event::Order(event)) => order.apply(event),
                (EntityState::Shop(shop), Event::Shop(event)) => shop.apply(event),
                _ => return Err("it is an event of another kind of entity".to_owned()),
            }
            Ok(())
        }))
        .unwrap_or_else(|panic| Err(words_of(&*panic)))
    }

    /// What an event adds to a SKU's ledger and to what is remembered of it; asked before the event is applied.
    ///
    /// # Errors
    /// Why the event cannot be one of this entity's.
    pub fn follow(&self, event: &Event) -> Result<Followed, String> {
        let (EntityState::Sku(sku), Event::Sku(event)) = (self, event) else { return Ok(Followed::default()) };
        catch_unwind(AssertUnwindSafe(|| Followed {
            movement: sku.movement(event),
            remembered: sku.remembers(event),
            hold_ended: hold_ended(sku, event),
        }))
        .map_err(|panic| words_of(&*panic))
    }

    /// When it next wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            EntityState::Sku(sku) => sku.deadline(),
            EntityState::Cart(cart) => cart.deadline(),
            EntityState::Order(order) => order.deadline(),
            EntityState::Shop(_) => None,
        }
    }

    /// Its bytes; of a SKU without its claims.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            EntityState::Sku(state) => sku::codec::encode_without_claims(state),
            EntityState::Cart(state) => cart::codec::encode_state(state),
            EntityState::Order(state) => order::codec::encode_state(state),
            EntityState::Shop(state) => shop::codec::encode_state(state),
        }
    }

    /// The state of these bytes; of a SKU without its claims.
    ///
    /// # Errors
    /// Why they are none.
    pub fn decode(entity: &EntityId, bytes: &[u8]) -> Result<EntityState, stampede_actors::codec::Error> {
        Ok(match entity {
            EntityId::Sku(_) => EntityState::Sku(Box::new(sku::codec::decode_state(bytes)?)),
            EntityId::Cart(_) => EntityState::Cart(Box::new(cart::codec::decode_state(bytes)?)),
            EntityId::Order(_) => EntityState::Order(Box::new(order::codec::decode_state(bytes)?)),
            EntityId::Shop => EntityState::Shop(Box::new(shop::codec::decode_state(bytes)?)),
        })
    }
}

fn hold_ended(sku: &Sku, event: &sku::Event) -> Option<(HoldEnd, Span)> {
    let (hold, end, at) = match event {
        sku::Event::Allocated { hold, at, .. } => (hold, HoldEnd::Confirmed, at),
        sku::Event::Ended { hold, how: sku::End::Released, at } => (hold, HoldEnd::Released, at),
        sku::Event::Ended { hold, how: sku::End::Expired, at } => (hold, HoldEnd::Expired, at),
        _ => return None,
    };
    Some((end, at.since(sku.held_since(*hold)?)))
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "an assertion".to_owned())
}
