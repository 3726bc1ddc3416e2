//! What is for sale: the SKUs and their units, from a stock file or made up.

use crate::import::{SkuRows, Stock};
use std::fmt::Write;

/// The hot SKU has one in so many of all units.
const HOT_UNITS: u32 = 10;

/// One SKU for sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// The marketplace's code.
    pub sku: String,
    /// Units that can be sold, over all locations: safety stock is not among them.
    pub units: u32,
}

impl From<&SkuRows> for Shelf {
    fn from(rows: &SkuRows) -> Shelf {
        let units = rows.rows.iter().map(|row| row.units.saturating_sub(row.safety_stock)).sum();
        Shelf { sku: rows.sku.to_string(), units }
    }
}

/// The shelves that a stock file fills.
#[must_use]
pub fn shelves(stock: &Stock) -> Vec<Shelf> {
    stock.skus.iter().map(Shelf::from).collect()
}

/// Are all prices in one currency, so that any two SKUs may be in one order?
#[must_use]
pub fn one_currency(stock: &Stock) -> bool {
    stock.skus.windows(2).all(|pair| pair[0].price.currency == pair[1].price.currency)
}

/// A stock file with `units` over `skus` SKUs: a tenth for the first, which will be the hot one, the others alike.
/// Where there are enough of them, a third lies at a second location, so that a line may have to be split.
#[must_use]
pub fn made_up(units: u32, skus: u32) -> String {
    let skus = skus.max(1);
    let hot = if skus == 1 { units } else { (units / HOT_UNITS).max(units / skus) };
    let others = (skus - 1).max(1);
    let (each, more) = ((units - hot) / others, (units - hot) % others);
    let mut csv = String::from("sku,seller,location,units,price,currency\n");
    for index in 0..skus {
        let units = if index == 0 { hot } else { each + u32::from(index <= more) };
        let north = units / 3;
        for (location, units) in [("south", units - north), ("north", north)] {
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "demo-{index:04},seller-{},{location},{units},{}.99,EUR", index % 7, 19 + index % 50);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::import::file::parse;

    #[test]
    fn no_unit_is_lost_on_the_way_to_the_shelves() {
        for (units, skus) in [(1_000, 200), (60, 12), (1, 5), (0, 3), (10, 1), (7, 7), (1_000_000, 3)] {
            let stock = parse(made_up(units, skus).as_bytes()).unwrap();
            let shelves = shelves(&stock);
            assert_eq!(shelves.len(), skus as usize);
            assert_eq!(shelves.iter().map(|shelf| shelf.units).sum::<u32>(), units, "{units} over {skus}");
            assert!(one_currency(&stock));
        }
    }

    #[test]
    fn the_hot_sku_has_a_tenth() {
        let stock = parse(made_up(1_000, 200).as_bytes()).unwrap();
        assert_eq!(shelves(&stock)[0].units, 100);
    }

    #[test]
    fn safety_stock_is_not_for_sale() {
        let csv = "sku,seller,location,units,price,currency,safety_stock\na,s,x,10,1,EUR,4\na,s,y,1,1,EUR,3\n";
        let stock = parse(csv.as_bytes()).unwrap();
        assert_eq!(shelves(&stock), [Shelf { sku: "a".to_owned(), units: 6 }]);
    }
}
