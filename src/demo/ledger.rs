//! The buyers' own book: every order that was acknowledged to one of them, and whether repeats told the same story.
//! Kept apart from the server on purpose: at the end the two are compared.

use crate::client::Request;
use crate::demo::crowd::{Visit, Want};
use hashbrown::HashMap;
use std::rc::Rc;

/// An order that a buyer was told about.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Its id.
    pub order: String,
    /// Whose it is.
    pub visit: Visit,
    /// What was bought.
    pub wants: Vec<Want>,
    /// The request that was acknowledged: sent again, it must be answered with the same bytes.
    pub request: Rc<Request>,
    /// BLAKE3 of the body of the 201.
    pub body: blake3::Hash,
    /// Would the buyer want the goods if this order came to nothing?
    pub wants_it: bool,
    /// What became of it, as far as the buyers have seen.
    pub end: Option<End>,
}

impl Acknowledged {
    /// Units of all its lines.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.wants.iter().map(|want| want.units).sum()
    }
}

/// How an order ended, for a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Paid: the units are the buyer's.
    Sold,
    /// Expired or cancelled: the units are back on the shelf.
    NotSold,
}

/// All acknowledged orders.
#[derive(Debug, Default)]
pub struct Ledger {
    orders: Vec<Acknowledged>,
    by_id: HashMap<String, usize, foldhash::fast::FixedState>,
    /// Repeats that were compared with the first answer.
    pub replays: u64,
    /// Repeats that told another story: what the demo is there to find.
    pub contradictions: Vec<String>,
}

impl Ledger {
    /// Takes in a 201; the first for this order opens its account, a later one must be the same, byte for byte.
    /// Answers whether it was the first.
    pub fn acknowledge(&mut self, order: Acknowledged) -> bool {
        match self.by_id.get(&order.order) {
            None => {
                self.by_id.insert(order.order.clone(), self.orders.len());
                self.orders.push(order);
                true
            }
            Some(&known) => {
                self.compare(known, order.body);
                false
            }
        }
    }

    /// Takes in another answer to an acknowledged request: the status must be 201 and the body the same.
    pub fn replayed(&mut self, index: usize, status: u16, body: &[u8]) {
        if status == 201 {
            return self.compare(index, blake3::hash(body));
        }
        self.replays += 1;
        let (order, body) = (&self.orders[index].order, String::from_utf8_lossy(body));
        self.contradictions.push(format!("{order}: acknowledged, but a repeat was answered {status} {body}"));
    }

    fn compare(&mut self, index: usize, body: blake3::Hash) {
        self.replays += 1;
        if self.orders[index].body != body {
            let order = &self.orders[index].order;
            self.contradictions.push(format!("{order}: a repeat was answered with another body"));
        }
    }

    /// Every acknowledged order, in the order of the first acknowledgement.
    #[must_use]
    pub fn orders(&self) -> &[Acknowledged] {
        &self.orders
    }

    /// The buyer has seen how this order ended.
    pub fn end(&mut self, index: usize, end: End) {
        self.orders[index].end = Some(end);
    }

    /// Orders whose end nobody has seen yet.
    #[must_use]
    pub fn open(&self) -> Vec<usize> {
        let open = self.orders.iter().enumerate().filter(|(_, order)| order.end.is_none());
        open.map(|(index, _)| index).collect()
    }

    /// Units in orders that ended so; `None`: that are still open.
    #[must_use]
    pub fn units(&self, end: Option<End>) -> u32 {
        self.orders.iter().filter(|order| order.end == end).map(Acknowledged::units).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, body: &[u8]) -> Acknowledged {
        Acknowledged {
            order: id.to_owned(),
            visit: Visit { buyer: 1, number: 0 },
            wants: vec![Want { sku: 0, units: 2 }, Want { sku: 1, units: 1 }],
            request: Rc::new(Request::get("/")),
            body: blake3::hash(body),
            wants_it: true,
            end: None,
        }
    }

    #[test]
    fn a_repeat_must_be_the_same_bytes() {
        let mut ledger = Ledger::default();
        assert!(ledger.acknowledge(order("ord_1", b"one")));
        assert!(!ledger.acknowledge(order("ord_1", b"one")));
        ledger.replayed(0, 201, b"one");
        assert_eq!((ledger.replays, ledger.contradictions.len()), (2, 0));
        assert!(!ledger.acknowledge(order("ord_1", b"two")));
        ledger.replayed(0, 409, b"sold out");
        assert_eq!((ledger.replays, ledger.contradictions.len()), (4, 2));
        assert_eq!(ledger.orders().len(), 1);
    }

    #[test]
    fn units_are_counted_by_end() {
        let mut ledger = Ledger::default();
        ledger.acknowledge(order("ord_1", b"one"));
        ledger.acknowledge(order("ord_2", b"two"));
        ledger.end(1, End::Sold);
        assert_eq!((ledger.open(), ledger.units(None), ledger.units(Some(End::Sold))), (vec![0], 3, 3));
    }
}
