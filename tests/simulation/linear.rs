//! Is a history linearisable? The search of Wing and Gong with the memory of Lowe: operations are put one after the other,
//! each while it was under way, and whatever was tried in vain is not tried again.
//!
//! A history is linearisable when its operations can be put into one order in which each is legal, and in which whatever
//! had returned before another was invoked comes before it. One that never returned may be put anywhere after its
//! invocation, or nowhere. A history is linearisable as a whole when it is so for each object (Herlihy and Wing): so one SKU
//! is looked at after the other.
//!
//! It serves the simulator, and `tests/histories/` with `examples/torture/histories.rs`, whose clients talk to the real
//! server.

use std::collections::HashSet;
use std::hash::Hash;

/// When an operation returns of which nothing was heard.
pub const NEVER: u64 = u64::MAX;

/// An operation, and between which two moments it was under way. No two moments of a history are the same, but [`NEVER`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<A> {
    pub invoked: u64,
    pub returned: u64,
    /// Of those that can come next, those with the least are tried first. It decides nothing but how long the search takes.
    pub hint: u64,
    pub act: A,
}

/// What an object does, one act after the other.
pub trait Spec: Clone + Eq + Hash {
    type Act;

    /// The object afterwards; `None`: the act is not legal now.
    fn step(&self, act: &Self::Act) -> Option<Self>;
}

/// What the search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Linearisable,
    /// There is no such order. So many operations could be put at most.
    Not(usize),
    /// The search was given up.
    Undecided,
}

/// Steps after which the search is given up, for each operation.
const STEPS: usize = 2_000;

/// A moment in the list of those that are not passed yet.
struct Moments {
    /// Of each moment: which operation, and is it its return?
    of: Vec<(usize, bool)>,
    next: Vec<usize>,
    before: Vec<usize>,
    /// Of each operation: its two moments.
    places: Vec<[usize; 2]>,
}

impl Moments {
    /// The list begins and ends at this index.
    const NONE: usize = 0;

    fn new<A>(operations: &[Operation<A>]) -> Moments {
        let mut times: Vec<(u64, bool, usize)> = Vec::with_capacity(operations.len() * 2);
        for (index, operation) in operations.iter().enumerate() {
            times.extend([(operation.invoked, false, index), (operation.returned, true, index)]);
        }
        times.sort_unstable();
        let mut of = vec![(usize::MAX, false)];
        let mut places = vec![[0; 2]; operations.len()];
        for (_, is_return, index) in times {
            places[index][usize::from(is_return)] = of.len();
            of.push((index, is_return));
        }
        let count = of.len();
        let next = (0..count).map(|at| (at + 1) % count).collect();
        let before = (0..count).map(|at| (at + count - 1) % count).collect();
        Moments { of, next, before, places }
    }

    /// Operations that were invoked before any of those that are left had returned.
    fn candidates<A>(&self, operations: &[Operation<A>]) -> Vec<usize> {
        let mut at = self.next[Moments::NONE];
        let mut candidates = Vec::new();
        while at != Moments::NONE && !self.of[at].1 {
            candidates.push(self.of[at].0);
            at = self.next[at];
        }
        candidates.sort_by_key(|&index| operations[index].hint);
        candidates
    }

    fn take(&mut self, operation: usize) {
        for at in self.places[operation] {
            let (before, next) = (self.before[at], self.next[at]);
            self.next[before] = next;
            self.before[next] = before;
        }
    }

    /// Undoes the last [`Moments::take`] that is not undone.
    fn put_back(&mut self, operation: usize) {
        for at in self.places[operation].into_iter().rev() {
            let (before, next) = (self.before[at], self.next[at]);
            self.next[before] = at;
            self.before[next] = at;
        }
    }
}

/// What can come next, and what of it was tried.
struct Choice<S> {
    state: S,
    candidates: Vec<usize>,
    tried: usize,
}

/// Looks for an order.
pub fn linearise<S: Spec>(begin: &S, operations: &[Operation<S::Act>]) -> Verdict {
    let mut moments = Moments::new(operations);
    let mut done = vec![0_u64; operations.len().div_ceil(64)];
    let mut seen: HashSet<(Vec<u64>, S)> = HashSet::new();
    let mut order: Vec<usize> = Vec::with_capacity(operations.len());
    let mut choices = vec![Choice { state: begin.clone(), candidates: moments.candidates(operations), tried: 0 }];
    let returned = |index: usize| usize::from(operations[index].returned != NEVER);
    let mut missing: usize = (0..operations.len()).map(returned).sum();
    let (mut furthest, mut steps) = (0, 0);
    while let Some(choice) = choices.last_mut() {
        if missing == 0 {
            return Verdict::Linearisable;
        }
        steps += 1;
        if steps > STEPS * operations.len() {
            return Verdict::Undecided;
        }
        let Some(&index) = choice.candidates.get(choice.tried) else {
            // Whatever comes next is not legal: the last one was put wrongly.
            choices.pop();
            if let Some(last) = order.pop() {
                done[last / 64] &= !(1 << (last % 64));
                moments.put_back(last);
                missing += returned(last);
            }
            continue;
        };
        choice.tried += 1;
        let Some(after) = choice.state.step(&operations[index].act) else { continue };
        done[index / 64] |= 1 << (index % 64);
        if !seen.insert((done.clone(), after.clone())) {
            done[index / 64] &= !(1 << (index % 64));
            continue;
        }
        moments.take(index);
        missing -= returned(index);
        order.push(index);
        furthest = furthest.max(order.len());
        choices.push(Choice { state: after, candidates: moments.candidates(operations), tried: 0 });
    }
    Verdict::Not(furthest)
}
