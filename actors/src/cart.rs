//! A cart: lines wanted, with a snapshot of their prices; it claims nothing. Checkout makes it terminal.

use crate::ids::{BuyerRef, OrderId, SellerId, SkuId};
use crate::money::Money;
use crate::sku::Units;
use crate::time::{Span, Timestamp};

/// Most lines in a cart or an order.
pub const MAX_LINES: usize = 50;

/// One SKU wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub seller: SellerId,
    /// How many units; at least one.
    pub units: Units,
    /// Price of one unit when the line was set.
    pub unit_price: Money,
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Opens the cart. `ttl`: abandoned after that long without a change.
    Open { buyer: BuyerRef, ttl: Span },
    /// Sets the line of its SKU; all lines share one currency.
    SetLine(Line),
    /// Takes a line out.
    RemoveLine { sku: SkuId },
    /// Ends the cart in `order`. Decided together with the order's placement, in one record.
    CheckOut { order: OrderId },
    /// Abandons the cart when its deadline has passed.
    Tick,
}

/// What happened. Stored for good: add variants, never change one.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The cart exists.
    Opened { buyer: BuyerRef, ttl: Span, at: Timestamp },
    /// The line of this SKU is now this.
    LineSet { line: Line, at: Timestamp },
    /// The line is gone.
    LineRemoved { sku: SkuId, at: Timestamp },
    /// It became this order, for ever.
    CheckedOut { order: OrderId, at: Timestamp },
    /// Nobody touched it in time.
    Abandoned { at: Timestamp },
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never opened.
    #[error("no such cart")]
    UnknownCart,
    /// It is an order already.
    #[error("this cart was checked out as {order}")]
    CheckedOut { order: OrderId },
    /// Nobody touched it in time.
    #[error("this cart was abandoned")]
    Abandoned,
    /// Nothing to check out.
    #[error("the cart has no lines")]
    Empty,
    /// Another currency than its other lines.
    #[error("all lines of a cart have one currency")]
    CurrencyMismatch,
    /// More than [`MAX_LINES`].
    #[error("a cart has at most 50 lines")]
    TooManyLines,
    /// Zero or too many units.
    #[error("units must be 1 to 1000000000")]
    BadUnits,
    /// The cart exists for another buyer.
    #[error("this cart exists with different content")]
    Reused,
}
