//! What clients did to some SKUs and were told, each with the moment before it was asked and the moment after it was
//! answered, and whether that is linearisable.

use crate::clients::CLIENTS;
use crate::linear::{NEVER, Operation, Verdict, linearise};
use crate::shelf::{Act, Fate, Shelf, Step};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Searches for an order of one SKU's operations before it is undecided.
const ATTEMPTS: u32 = 6;

/// One request, or a kill.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Which SKU.
    pub shelf: usize,
    pub invoked: u64,
    /// `None`: there was no definite answer.
    pub returned: Option<u64>,
    /// Kills before it was asked. `None`: the server does it when it comes to it, over kills as well.
    pub life: Option<u32>,
    pub act: Act,
}

/// Of some SKUs.
#[derive(Debug, Clone, Default)]
pub struct History {
    moment: u64,
    pub entries: Vec<Entry>,
    /// Kills so far.
    pub life: u32,
}

/// What was checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked {
    /// Operations with an answer, in the order that was found.
    pub answered: u64,
    /// Those without one.
    pub unknown: u64,
    /// Of the answers, refusals.
    pub refused: u64,
    /// Answered operations of SKUs for which neither an order was found, nor that there is none. In none of the others.
    pub undecided: u64,
}

impl History {
    pub fn now(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// The server was killed after `invoked`, and is dead.
    pub fn killed(&mut self, shelves: usize, invoked: u64) {
        // Moments differ, and those of the SKUs have nothing to do with each other.
        for shelf in 0..shelves {
            let returned = Some(self.now());
            self.entries.push(Entry { shelf, invoked, returned, life: Some(self.life), act: Act::Kill });
        }
        self.life += 1;
    }

    fn of(&self, shelf: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.shelf == shelf)
    }

    fn killed_between(&self, shelf: usize, after: u64, before: u64) -> bool {
        let is_between = |kill: &Entry| kill.invoked < before && kill.returned.is_none_or(|dead| dead > after);
        self.of(shelf).any(|entry| entry.act == Act::Kill && is_between(entry))
    }

    fn operations(&self, shelf: usize) -> Vec<Operation<Step>> {
        let mut operations = Vec::new();
        for &Entry { invoked, returned, life, act, .. } in self.of(shelf) {
            if let Some(returned) = returned {
                operations.push(Operation {
                    invoked,
                    returned,
                    hint: soon(invoked, returned),
                    act: (act, Fate::Answered),
                });
                // What the server comes to by itself it may have come to before, and a kill undone.
                if life.is_none() && act != Act::Kill && self.killed_between(shelf, invoked, returned) {
                    let act = (act, Fate::Undone(life));
                    operations.push(Operation { invoked, returned: NEVER, hint: NEVER, act });
                }
                continue;
            }
            // Whatever is answered is tried first, and what stays before what is undone.
            let mut may = |hint, fate| operations.push(Operation { invoked, returned: NEVER, hint, act: (act, fate) });
            may(NEVER - 1, Fate::Stays(life));
            if life.unwrap_or_default() < self.life {
                may(NEVER, Fate::Undone(life));
            }
        }
        operations
    }

    /// Checks one SKU after the other.
    ///
    /// # Errors
    /// The SKU whose history is not linearisable.
    pub fn check(&self) -> Result<Checked, String> {
        let mut checked = Checked::default();
        for shelf in 0..self.entries.iter().map(|entry| entry.shelf + 1).max().unwrap_or_default() {
            let count = |wanted: fn(&&Entry) -> bool| self.of(shelf).filter(wanted).count() as u64;
            let answered = count(|entry| entry.returned.is_some() && entry.act != Act::Kill);
            let mut operations = self.operations(shelf);
            match in_some_order(&mut operations) {
                Verdict::Linearisable => {}
                Verdict::Not(put) => {
                    return Err(format!(
                        "SKU {shelf}: of {} operations, {answered} of them answered, {put} at most can be put in order",
                        operations.len()
                    ));
                }
                Verdict::Undecided => {
                    checked.undecided += answered;
                    continue;
                }
            }
            checked.answered += answered;
            checked.unknown += count(|entry| entry.returned.is_none());
            checked.refused += count(|entry| matches!(entry.act, Act::Refused { .. }));
        }
        Ok(checked)
    }
}

/// When what was seen late may have happened: most things happen when they are asked for.
fn soon(invoked: u64, returned: u64) -> u64 {
    returned.min(invoked + 3 * CLIENTS as u64)
}

/// The search, and when it is given up the same once more, with those that can come next in another order.
fn in_some_order(operations: &mut [Operation<Step>]) -> Verdict {
    let mut rng = StdRng::seed_from_u64(1);
    for attempt in 0..ATTEMPTS {
        match linearise(&Shelf::default(), operations) {
            Verdict::Undecided => {}
            decided => return decided,
        }
        for operation in operations.iter_mut().filter(|operation| operation.hint < NEVER - 1) {
            let likely =
                if attempt % 2 == 0 { operation.returned } else { soon(operation.invoked, operation.returned) };
            operation.hint = likely + rng.random_range(0..8 << (attempt % 6));
        }
    }
    Verdict::Undecided
}
