//! What a file says, row by row and SKU by SKU.

use stampede_actors::ids::{LocationId, SellerId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::sku::Units;

/// One row: units of a SKU that came in at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line of the file, from 1.
    pub line: u64,
    /// Where.
    pub location: LocationId,
    /// How many; none only names the location.
    pub units: Units,
    /// Kept back at this location.
    pub safety_stock: Units,
    /// Lower serves first.
    pub priority: u32,
}

/// All rows of one SKU, and what they agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuRows {
    /// Which SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub seller: SellerId,
    /// Price of one unit.
    pub price: Money,
    /// Most units per buyer.
    pub buyer_limit: Option<Units>,
    /// In the order of the file; at least one.
    pub rows: Vec<Row>,
}
