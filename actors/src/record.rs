//! What the log stores: all events of one command, over all the entities that it touched (S9).

use crate::ids::EntityId;
use crate::trace::TraceLink;
use crate::{cart, order, shop, sku};

/// Number of events applied to one entity; gap-free, from 1.
pub type Version = u64;

/// Number of a record in its log; gap-free, from 1. Zero: before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Something that happened to one entity.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// To a SKU.
    Sku(sku::Event),
    /// To a cart.
    Cart(cart::Event),
    /// To an order.
    Order(order::Event),
    /// To the shop.
    Shop(shop::Event),
}

/// One event with the entity's version after it (S4).
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whom it happened to.
    pub entity: EntityId,
    /// The entity's version after this event.
    pub version: Version,
    /// What happened.
    pub event: Event,
}

/// The events of one command. Never split over frames; committed whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Engine time of the decision, in microseconds.
    pub at: crate::time::Timestamp,
    /// In order of application; at least one.
    pub entries: Vec<Entry>,
    /// Where the order that it is about belongs in a trace, so that whoever reads the log need not ask the order.
    pub trace: Option<TraceLink>,
}
