//! The port to whoever ships.

use futures_util::future::BoxFuture;
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference, SkuId};
use stampede_actors::order::{Answer, LinePart, LineUnits};
use stampede_actors::sku::Units;
use tokio::sync::mpsc;

/// Please ship these units of an order from one location. Every repeat is equal, whatever was called off meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose.
    pub order: OrderId,
    /// From where.
    pub location: LocationId,
    /// What.
    pub lines: Vec<RequestLine>,
    /// Where to: an opaque reference.
    pub delivery: Option<Reference>,
}

/// Units of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    /// Index into the order's lines.
    pub line: u32,
    /// Which SKU.
    pub sku: SkuId,
    /// How many.
    pub units: Units,
}

/// Please do not ship these units: all of them, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOff {
    /// Whose.
    pub order: OrderId,
    /// Names this call-off.
    pub refund: OpId,
    /// What, at which locations.
    pub parts: Vec<LinePart>,
}

/// Units left the building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatched {
    /// Whose.
    pub order: OrderId,
    /// Names this shipment: the same whenever it is reported.
    pub shipment: OpId,
    /// From where.
    pub location: LocationId,
    /// What.
    pub lines: Vec<LineUnits>,
    /// The carrier's reference.
    pub tracking: Option<Reference>,
}

/// Somebody who ships for us.
pub trait Warehouse: Send + Sync {
    /// Asks for units to be shipped. `Done`: accepted. Known by order and location, so a repeat changes nothing.
    fn request(&self, request: Request) -> BoxFuture<'static, Answer>;

    /// Calls units off. `Done`: they will not leave, even if they are requested only later. `Refused`: some of them
    /// have left, and all of them stay requested. Known by order and refund.
    fn call_off(&self, call_off: CallOff) -> BoxFuture<'static, Answer>;

    /// Where shipments are reported from now on, beginning with those that nobody has confirmed yet. When the channel
    /// is full, a report waits.
    fn listen(&self, shipments: mpsc::Sender<Dispatched>);

    /// The order has taken in this shipment, or will never: it is not reported again.
    fn confirmed(&self, shipment: OpId);
}
