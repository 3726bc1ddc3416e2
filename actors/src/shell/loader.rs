//! The port through which a cold entity comes back: snapshot and log tail, read off the lanes.

use crate::cart::Cart;
use crate::ids::{EntityId, SkuId};
use crate::order::Order;
use crate::record::{Position, Version};
use crate::shop::Shop;
use crate::sku::{Remembered, RememberedKey, Sku};

/// An entity as it was after its last event.
#[derive(Debug, Clone)]
pub enum Loaded {
    /// A SKU.
    Sku(Box<Sku>, Version),
    /// A cart.
    Cart(Box<Cart>, Version),
    /// An order.
    Order(Box<Order>, Version),
    /// The shop.
    Shop(Box<Shop>, Version),
    /// There is no event of it.
    Absent,
}

/// Called once with the outcome, from any thread; the error is for the log.
pub type OnLoaded = Box<dyn FnOnce(Result<Loaded, String>) + Send>;

/// Reads entities back.
pub trait Loader: Send + Sync {
    /// Reads `entity` with everything that happened to it up to `at_least`, waiting until that much is committed.
    fn load(&self, entity: EntityId, at_least: Position, on_loaded: OnLoaded);

    /// The log is readable through [`Loader::load`] up to here without waiting. An entity stays warm until its last
    /// event is (S11).
    fn readable(&self) -> Position;

    /// Is there surely nothing of `entity`, in memory or in the store? Answered on the caller's thread, so it must be
    /// quick when the answer is yes: it is asked for every new order.
    fn absent(&self, entity: &EntityId) -> bool;

    /// What the store remembers of an operation that the SKU's own memory has dropped (S17).
    fn remembered(&self, sku: &SkuId, key: RememberedKey) -> Option<Remembered>;
}
