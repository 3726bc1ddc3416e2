//! A SKU as clients see it: how many units are free, and which claims stand.
//!
//! An answer that grants or shows something leaves when what it rests on is committed. A refusal does not wait (S10): it may
//! rest on a claim that a kill then takes away. Nothing else may. So an operation that nobody has an answer of is one of
//! three: it never happened; it happened and stays; or it happened, was not committed, and the kill undoes it. What is
//! undone is the end of the log. So from the first one that will be undone until the kill, nothing happens to the SKU
//! but what will be undone as well, and refusals.

use crate::linear::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// Something that happens to a SKU, or is said of it. Claims and receipts have numbers that the clients give them, the
/// same at every try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Units come in. `again`: the answer says that they were in already.
    Receive { receipt: u32, units: i64, again: Option<bool> },
    /// A hold, or an order without one. `again`: it stood already, or not, says the answer.
    Claim { claim: u32, units: i64, again: Option<bool> },
    /// A claim ends, unless it has ended.
    End { claim: u32 },
    /// An order takes over a hold.
    TakeOver { claim: u32 },
    /// Sold out, says the answer to a claim.
    Refused { claim: u32, units: i64 },
    /// The claim is looked for, and found or not.
    Sought { claim: u32, found: bool },
    /// So many units are free.
    Look { available: i64 },
    /// The server is killed.
    Kill,
}

/// What is known of an act beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was answered.
    Answered,
    /// It may have happened: in this life of the server, or, without one, at any time.
    Stays(Option<u32>),
    /// The same, and the next kill undoes it.
    Undone(Option<u32>),
}

/// An act, and its fate.
pub type Step = (Act, Fate);

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Shelf {
    stock: Stock,
    /// What the next kill brings back.
    committed: Option<Box<Stock>>,
    /// Kills so far.
    life: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Stock {
    free: i64,
    claims: BTreeMap<u32, i64>,
    receipts: BTreeSet<u32>,
}

impl Spec for Shelf {
    type Act = Step;

    fn step(&self, (act, fate): &Step) -> Option<Shelf> {
        let in_its_life = |life: &Option<u32>| life.is_none_or(|life| life == self.life);
        let rests_on_the_log = !matches!(act, Act::Refused { .. } | Act::Sought { found: false, .. } | Act::Kill);
        let may_happen = match fate {
            Fate::Answered => !rests_on_the_log || self.committed.is_none(),
            Fate::Stays(life) => in_its_life(life) && self.committed.is_none(),
            Fate::Undone(life) => in_its_life(life),
        };
        if !may_happen {
            return None;
        }
        let mut shelf = self.clone();
        if *act == Act::Kill {
            shelf.life += 1;
            shelf.stock = shelf.committed.take().map_or(shelf.stock, |committed| *committed);
            return Some(shelf);
        }
        if matches!(fate, Fate::Undone(_)) && shelf.committed.is_none() {
            shelf.committed = Some(Box::new(shelf.stock.clone()));
        }
        let changed = shelf.stock.take_in(act)?;
        // What may have happened and would change nothing need not be tried.
        (changed || *fate == Fate::Answered).then_some(shelf)
    }
}

impl Stock {
    /// Did it change anything? `None`: that cannot be.
    fn take_in(&mut self, act: &Act) -> Option<bool> {
        let fits = |again: &Option<bool>, is: bool| again.is_none_or(|again| again == is);
        match act {
            Act::Receive { receipt, units, again } => {
                let new = self.receipts.insert(*receipt);
                self.free += if new { *units } else { 0 };
                fits(again, !new).then_some(new)
            }
            Act::Claim { claim, units, again } => {
                let stands = self.claims.contains_key(claim);
                if !fits(again, stands) || (!stands && self.free < *units) {
                    return None;
                }
                if !stands {
                    self.claims.insert(*claim, *units);
                    self.free -= units;
                }
                Some(!stands)
            }
            Act::End { claim } => {
                let units = self.claims.remove(claim);
                self.free += units.unwrap_or_default();
                Some(units.is_some())
            }
            Act::TakeOver { claim } => self.claims.contains_key(claim).then_some(false),
            Act::Refused { claim, units } => (!self.claims.contains_key(claim) && self.free < *units).then_some(false),
            Act::Sought { claim, found } => (self.claims.contains_key(claim) == *found).then_some(false),
            Act::Look { available } => (self.free == *available).then_some(false),
            Act::Kill => Some(false),
        }
    }
}
