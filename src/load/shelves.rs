//! What must hold of the stock of the run's own SKUs, which nobody else buys, when all is settled.

use crate::load::clerk::Stock;
use crate::load::tally::{Invariant, Tally};

/// One SKU at the end.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Its code.
    pub sku: String,
    /// Units there were.
    pub units: i64,
    /// Units acknowledged to buyers.
    pub acknowledged: i64,
    /// Units of paid orders, as the server lists them.
    pub paid: i64,
    /// Buyers who were told, during the arrivals, that it was sold out.
    pub told_sold_out: i64,
    /// What the server says about it.
    pub stock: Stock,
}

impl Shelf {
    /// Units that are firm or have left.
    #[must_use]
    pub fn sold(&self) -> i64 {
        self.stock.allocated + self.units - self.stock.on_hand
    }

    fn look(&self, tally: &mut Tally) {
        let Shelf { sku, units, acknowledged, paid, stock, .. } = self;
        let sold = self.sold();
        tally.must(Invariant::Oversell, sold <= *units && acknowledged <= units, || {
            format!("{sku}: {sold} sold and {acknowledged} acknowledged of {units}")
        });
        let adds_up = stock.available >= 0 && stock.available + stock.held + sold == *units && sold == *paid;
        tally.must(Invariant::Conservation, adds_up, || {
            let (available, held) = (stock.available, stock.held);
            format!("{sku}: {available} available, {held} held, {sold} sold ({paid} in paid orders) of {units}")
        });
    }
}

/// Who wanted what and did not get it.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Buyers who came and left with nothing, for certain.
    pub unmet: i64,
    /// Did they come back, for any SKU, until demand or stock was used up?
    pub drained: bool,
    /// Units that were held and given back: they may have been missing when somebody asked.
    pub given_back: i64,
}

/// Looks at all shelves. The units sold.
pub fn look(tally: &mut Tally, shelves: &[Shelf], demand: Demand) -> i64 {
    shelves.iter().for_each(|shelf| shelf.look(tally));
    let sum = |of: fn(&Shelf) -> i64| shelves.iter().map(of).sum::<i64>();
    let (sold, units) = (sum(Shelf::sold), sum(|shelf| shelf.units));
    if demand.drained {
        let wanted = sum(|shelf| shelf.acknowledged) + demand.unmet;
        tally.must(Invariant::Undersell, sold >= units.min(wanted), || {
            format!("{sold} sold of {units}, and {wanted} were wanted")
        });
    } else {
        for shelf in shelves {
            // Who was told "sold out" wanted one; whoever was told something else may have wanted to wait.
            let (sold, wanted) = (shelf.sold(), shelf.acknowledged + shelf.told_sold_out);
            tally.must(Invariant::Undersell, sold + demand.given_back >= shelf.units.min(wanted), || {
                format!("{}: {sold} sold of {}, and {wanted} were wanted", shelf.sku, shelf.units)
            });
        }
    }
    sold
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten units: six are shipped, two allocated, two on the shelf.
    fn shelf() -> Shelf {
        let stock = Stock { available: 2, on_hand: 4, held: 0, allocated: 2 };
        Shelf { sku: "tee".into(), units: 10, acknowledged: 8, paid: 8, told_sold_out: 0, stock }
    }

    fn violated(shelf: Shelf, unmet: i64, drained: bool) -> Vec<&'static str> {
        let mut tally = Tally::default();
        look(&mut tally, &[shelf], Demand { unmet, drained, given_back: 0 });
        assert_eq!(tally.evaluated(Invariant::Undersell), 1);
        tally.outcome(&[]).into_keys().map(Invariant::word).collect()
    }

    #[test]
    fn a_shelf_that_adds_up_is_right() {
        assert!(violated(shelf(), 0, true).is_empty());
        assert!(violated(shelf(), 5, false).is_empty(), "they were told to come back later");
        let stock = Stock { available: 0, on_hand: 0, held: 0, allocated: 0 };
        assert!(violated(Shelf { acknowledged: 10, paid: 10, stock, ..shelf() }, 90, true).is_empty());
    }

    #[test]
    fn each_lie_is_found() {
        let stock = |available, on_hand, held, allocated| Stock { available, on_hand, held, allocated };
        let with = |stock| Shelf { stock, ..shelf() };
        assert_eq!(violated(with(stock(1, 4, 0, 2)), 0, true), ["conservation"]);
        assert_eq!(violated(with(stock(2, 5, 0, 2)), 0, true), ["undersell", "conservation"]);
        assert_eq!(violated(Shelf { paid: 7, ..shelf() }, 0, true), ["conservation"]);
        assert_eq!(violated(Shelf { acknowledged: 11, ..shelf() }, 0, true), ["oversell", "undersell"]);
        let twice = Shelf { paid: 11, acknowledged: 11, ..with(stock(-1, 1, 0, 2)) };
        assert_eq!(violated(twice, 0, true), ["oversell", "conservation"]);
    }

    #[test]
    fn a_unit_left_over_is_wrong_only_while_somebody_wants_it() {
        assert_eq!(violated(shelf(), 1, true), ["undersell"]);
        assert_eq!(violated(Shelf { told_sold_out: 1, ..shelf() }, 0, false), ["undersell"]);
    }
}
