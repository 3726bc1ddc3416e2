//! What this process counts by itself, in bounded memory.
//!
//! A table of its own instead of the `governor` crate, which keeps every key until it is told to forget: here a table
//! never grows beyond its bound, whoever calls.

use super::{Policy, Subject};
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};
use std::hash::BuildHasher;
use std::time::Instant;

/// A full table is searched for what may be forgotten at most so often, in microseconds.
const SWEEP_EVERY: u64 = 1_000_000;

/// What one process says.
pub struct Decided {
    /// Nobody has asked too often.
    pub allowed: bool,
    /// What each subject owes: after this request when it is allowed.
    pub debts: Vec<u64>,
    /// A policy whose table has no room for this subject.
    pub uncounted: Option<Policy>,
}

/// The counts, a table per policy.
pub struct Local {
    started: Instant,
    /// Names are counted by their hashes; the seed is drawn at the start, so that nobody can make them collide.
    hasher: RandomState,
    tables: [Mutex<Table>; Policy::ALL.len()],
    most: usize,
}

#[derive(Default)]
struct Table {
    /// Until when a subject owes.
    until: HashMap<u64, u64, foldhash::fast::FixedState>,
    swept: u64,
}

impl Table {
    /// Is there room for this subject?
    fn has_room(&mut self, name: u64, now: u64, most: usize) -> bool {
        if self.until.len() < most || self.until.contains_key(&name) {
            return true;
        }
        if now - self.swept >= SWEEP_EVERY {
            self.swept = now;
            self.until.retain(|_, until| *until > now);
        }
        self.until.len() < most
    }
}

impl Local {
    /// At most so many subjects per policy.
    pub fn new(most: usize) -> Local {
        Local { started: Instant::now(), hasher: RandomState::default(), tables: Default::default(), most }
    }

    /// Counts one request for each subject, or for none.
    pub fn decide(&self, subjects: &[Subject<'_>]) -> Decided {
        self.decide_at(subjects, u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn decide_at(&self, subjects: &[Subject<'_>], now: u64) -> Decided {
        debug_assert!(subjects.is_sorted_by(|a, b| a.policy < b.policy), "or two threads wait for each other");
        let mut tables: Vec<MutexGuard<'_, Table>> =
            subjects.iter().map(|subject| self.tables[subject.policy as usize].lock()).collect();
        let names: Vec<u64> = subjects.iter().map(|subject| self.hasher.hash_one(subject.name)).collect();
        let mut debts: Vec<u64> = subjects
            .iter()
            .zip(&tables)
            .zip(&names)
            .map(|((subject, table), name)| subject.terms.debt(table.until.get(name).copied().unwrap_or(0), now))
            .collect();
        let allowed = subjects.iter().zip(&debts).all(|(subject, debt)| subject.terms.allows(*debt));
        let mut uncounted = None;
        if allowed {
            for (index, subject) in subjects.iter().enumerate() {
                debts[index] += subject.terms.interval;
                if tables[index].has_room(names[index], now, self.most) {
                    tables[index].until.insert(names[index], now + debts[index]);
                } else {
                    uncounted = Some(subject.policy);
                }
            }
        }
        Decided { allowed, debts, uncounted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Quota;

    fn subject(policy: Policy, name: &str, requests: u32) -> Subject<'_> {
        Subject { policy, name, terms: Quota { requests, seconds: 1 }.into() }
    }

    #[test]
    fn each_has_a_count_of_its_own() {
        let local = Local::new(100);
        let asks =
            |name: &str| (0..10).filter(|_| local.decide_at(&[subject(Policy::Buyer, name, 3)], 0).allowed).count();
        assert_eq!((asks("ada"), asks("bob"), asks("ada")), (3, 3, 0));
    }

    #[test]
    fn a_refusal_by_one_policy_costs_nothing_under_the_other() {
        let local = Local::new(100);
        let (buyer, address) = (subject(Policy::Buyer, "ada", 1), subject(Policy::Address, "::1", 2));
        assert!(local.decide_at(&[buyer, address], 0).allowed);
        assert!(!local.decide_at(&[buyer, address], 0).allowed);
        let other = subject(Policy::Buyer, "bob", 1);
        assert!(local.decide_at(&[other, address], 0).allowed, "the refused request was not counted for the address");
        assert!(!local.decide_at(&[subject(Policy::Buyer, "cid", 1), address], 0).allowed);
    }

    #[test]
    fn a_full_table_lets_strangers_through_and_stays_as_large_as_it_is() {
        let local = Local::new(50);
        let ask = |name: usize, now| local.decide_at(&[subject(Policy::Address, &name.to_string(), 1)], now);
        for name in 0..50 {
            assert!(ask(name, 0).uncounted.is_none());
        }
        for name in 50..1000 {
            let decided = ask(name, 999_999);
            assert!(decided.allowed && decided.uncounted == Some(Policy::Address));
        }
        assert!(!ask(7, 999_999).allowed, "who was counted still is");
        assert_eq!(local.tables[Policy::Address as usize].lock().until.len(), 50);
        // What owes nothing any more makes room.
        assert!(ask(5_000, 2_000_000).uncounted.is_none());
        assert_eq!(local.tables[Policy::Address as usize].lock().until.len(), 1);
    }
}
