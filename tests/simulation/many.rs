//! Many seeds, on all cores: until there were enough crashes, or a seed has failed.

use crate::books::Counts;
use crate::plan::Plan;
use crate::shrink::shrink;
use crate::world::{Broken, Outcome, run};
use parking_lot::Mutex;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lives of one seed.
pub const LIVES: u64 = 30;

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Many {
    pub seeds: u64,
    pub counts: Counts,
    /// Seeds that failed, the lowest first.
    pub failed: Vec<(u64, String)>,
    pub took: Duration,
}

/// Runs seeds from `first` on, in order, until there were `crashes`, or one has failed and `all` is not wanted.
pub fn run_many(first: u64, crashes: u64, jobs: usize, all: bool, progress: bool) -> Many {
    be_quiet();
    let (began, next, enough) = (Instant::now(), AtomicU64::new(first), AtomicBool::new(false));
    let total = Mutex::new(Many::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !enough.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let Outcome { counts, violation, .. } = run(&Plan::new(seed, LIVES), false, Broken::Nothing);
                    let mut total = total.lock();
                    total.seeds += 1;
                    total.counts += counts;
                    total.failed.extend(violation.map(|what| (seed, what)));
                    if total.counts.crashes >= crashes || (!total.failed.is_empty() && !all) {
                        enough.store(true, Ordering::SeqCst);
                    }
                    if progress && total.seeds.is_multiple_of(1_000) {
                        let (crashes, failed) = (total.counts.crashes, total.failed.len());
                        eprintln!("{} seeds, {crashes} crashes, {failed} failed, {:.0?}", total.seeds, began.elapsed());
                    }
                }
            });
        }
    });
    let mut total = total.into_inner();
    total.failed.sort();
    total.took = began.elapsed();
    total
}

/// A panic is caught and told as a violation; what it prints by itself is in the way.
pub fn be_quiet() {
    panic::set_hook(Box::new(|_| ()));
}

/// The one line of counts.
pub fn line(many: &Many) -> String {
    let Counts { crashes, recoveries, operations, acknowledged, refused, linear, frames, cuts, rebuilt, rotten } =
        many.counts;
    let [rotten, noticed, harmless, cut] = rotten;
    format!(
        "simulated {crashes} crashes, {recoveries} recoveries, {operations} operations, {acknowledged} acknowledged, \
         {refused} refused, {linear} linearisable, {frames} frames, {cuts} torn tails cut, {rebuilt} stores rebuilt, {rotten} bits flipped \
         ({noticed} noticed, {harmless} harmless, {cut} cut), {} seeds, {} violations, {:.1} s",
        many.seeds,
        many.failed.len(),
        many.took.as_secs_f64()
    )
}

/// What a seed does, as short as it can be made.
pub fn tell(seed: u64) -> String {
    let plan = Plan::new(seed, LIVES);
    let (smallest, outcome) = shrink(&plan, Broken::Nothing);
    let mut told = format!("the smallest plan found that fails:\n{smallest}what happens:\n");
    for line in outcome.trace {
        told.push_str("    ");
        told.push_str(&line);
        told.push('\n');
    }
    told
}
