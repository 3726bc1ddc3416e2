//! Makes a plan that fails smaller for as long as it still fails: what is left is the shortest trace that was found.

use crate::plan::{Life, Plan};
use crate::world::{Broken, Outcome, run};

/// Most runs spent on it.
const RUNS: u32 = 400;

/// The smallest plan found, and what comes of it.
pub fn shrink(plan: &Plan, broken: Broken) -> (Plan, Outcome) {
    let mut shrinking = Shrinking { best: plan.clone(), broken, runs: 0 };
    shrinking.shorten();
    let mut before = usize::MAX;
    while shrinking.size() < before && shrinking.runs < RUNS {
        before = shrinking.size();
        shrinking.drop_lives();
        shrinking.drop_faults();
        shrinking.drop_asks();
    }
    let outcome = run(&shrinking.best, true, broken);
    (shrinking.best, outcome)
}

struct Shrinking {
    best: Plan,
    broken: Broken,
    runs: u32,
}

impl Shrinking {
    fn size(&self) -> usize {
        let of = |life: &Life| 1 + life.asks.len() + life.faults.len();
        self.best.lives.iter().map(of).sum()
    }

    /// Takes the plan if it still fails.
    fn attempt(&mut self, smaller: Plan) -> bool {
        if self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let fails = run(&smaller, false, self.broken).violation.is_some();
        if fails {
            self.best = smaller;
        }
        fails
    }

    /// Lives after the one in which it fails.
    fn shorten(&mut self) {
        let (mut fails, mut passes) = (self.best.lives.len(), 0);
        while passes + 1 < fails {
            let middle = usize::midpoint(passes, fails);
            let mut shorter = self.best.clone();
            shorter.lives.truncate(middle);
            if self.attempt(shorter) { fails = middle } else { passes = middle }
        }
    }

    fn drop_lives(&mut self) {
        let mut index = self.best.lives.len();
        while index > 0 {
            index -= 1;
            let mut fewer = self.best.clone();
            fewer.lives.remove(index);
            self.attempt(fewer);
        }
    }

    fn drop_faults(&mut self) {
        for life in 0..self.best.lives.len() {
            let mut index = self.best.lives[life].faults.len();
            while index > 0 {
                index -= 1;
                let mut fewer = self.best.clone();
                fewer.lives[life].faults.remove(index);
                self.attempt(fewer);
            }
        }
    }

    /// Halves first, then fewer and fewer at once.
    fn drop_asks(&mut self) {
        for life in 0..self.best.lives.len() {
            let mut chunk = self.best.lives[life].asks.len();
            while chunk > 0 {
                let mut from = 0;
                while from < self.best.lives[life].asks.len() {
                    let mut fewer = self.best.clone();
                    let asks = &mut fewer.lives[life].asks;
                    asks.drain(from..(from + chunk).min(asks.len()));
                    if !self.attempt(fewer) {
                        from += chunk;
                    }
                }
                chunk /= 2;
            }
        }
    }
}
