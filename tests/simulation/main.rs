//! The whole server on a simulated disk, clock, store, provider and warehouse, on one thread, from a seed. `dev/simulate`
//! runs many seeds; here are a few, and what shows that the simulation is worth its name.
#![allow(clippy::unwrap_used)] // a simulation that cannot go on has failed

mod books;
mod client;
mod history;
mod life;
mod linear;
mod many;
mod model;
mod names;
mod outside;
mod plan;
mod ports;
mod process;
mod random;
mod recovery;
mod request;
mod rest;
mod shrink;
mod trace;
mod world;

use plan::Plan;
use world::{Broken, run};

#[test]
fn nothing_acknowledged_is_lost_in_some_hundred_crashes() {
    let many = many::run_many(1, 500, 2, false, false);
    println!("{}", many::line(&many));
    let told = many.failed.first().map(|(seed, what)| format!("seed {seed}: {what}\n{}", many::tell(*seed)));
    assert_eq!(told, None);
    assert!(many.counts.acknowledged > 1_000 && many.counts.recoveries > 200, "{}", many::line(&many));
}

#[test]
fn s14_the_same_seed_is_the_same_run_to_the_byte() {
    for seed in 1..=8 {
        let plan = Plan::new(seed, 10);
        let (once, again) = (run(&plan, true, Broken::Nothing), run(&plan, true, Broken::Nothing));
        let parts = once.trace.iter().zip(&again.trace).position(|(one, other)| one != other);
        assert_eq!(parts, None, "seed {seed}: {parts:?}");
        assert_eq!(once.hash, again.hash, "seed {seed}");
    }
    assert_ne!(run(&Plan::new(1, 3), false, Broken::Nothing).hash, run(&Plan::new(2, 3), false, Broken::Nothing).hash);
}

/// What is broken on purpose must be noticed: how many of so many seeds do.
fn notice(broken: Broken) -> Vec<u64> {
    many::be_quiet();
    let fails = |seed: &u64| run(&Plan::new(*seed, 10), false, broken).violation.is_some();
    let noticed: Vec<u64> = (1..=40).filter(fails).collect();
    println!("{broken:?}: {} of 40 seeds notice", noticed.len());
    noticed
}

#[test]
fn a_disk_whose_syncs_do_nothing_is_noticed_and_the_trace_made_short() {
    let seed = *notice(Broken::Syncs).first().expect("a seed that notices");
    let plan = Plan::new(seed, 10);
    let (smallest, outcome) = shrink::shrink(&plan, Broken::Syncs);
    assert!(outcome.violation.is_some(), "it still fails");
    let asks = |plan: &Plan| plan.lives.iter().map(|life| life.asks.len()).sum::<usize>();
    assert!(asks(&smallest) < asks(&plan) && smallest.lives.len() <= plan.lives.len(), "{smallest}");
}

#[test]
fn a_store_whose_syncs_do_nothing_is_noticed() {
    assert!(!notice(Broken::StoreSyncs).is_empty());
}

#[test]
fn answers_that_do_not_wait_for_their_commit_are_noticed() {
    assert!(notice(Broken::Replies).len() > 20);
}
