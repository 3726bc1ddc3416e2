//! Runs simulated crashes: `dev/simulate --crashes N [--seed S]`. Ends with one line of counts; exits with 1 when a seed
//! fails, and prints it with the shortest trace that it finds. `docs/reliability.md` says what is simulated.
#![allow(clippy::unwrap_used)] // a simulation that cannot go on has failed

#[path = "../tests/simulation/books.rs"]
mod books;
#[path = "../tests/simulation/client.rs"]
mod client;
#[path = "../tests/simulation/history.rs"]
mod history;
#[path = "../tests/simulation/life.rs"]
mod life;
#[path = "../tests/simulation/linear.rs"]
mod linear;
#[path = "../tests/simulation/many.rs"]
mod many;
#[path = "../tests/simulation/model.rs"]
mod model;
#[path = "../tests/simulation/names.rs"]
mod names;
#[path = "../tests/simulation/outside.rs"]
mod outside;
#[path = "../tests/simulation/plan.rs"]
mod plan;
#[path = "../tests/simulation/ports.rs"]
mod ports;
#[path = "../tests/simulation/process.rs"]
mod process;
#[path = "../tests/simulation/random.rs"]
mod random;
#[path = "../tests/simulation/recovery.rs"]
mod recovery;
#[path = "../tests/simulation/request.rs"]
mod request;
#[path = "../tests/simulation/rest.rs"]
mod rest;
#[path = "../tests/simulation/shrink.rs"]
mod shrink;
#[path = "../tests/simulation/trace.rs"]
mod trace;
#[path = "../tests/simulation/world.rs"]
mod world;

use clap::Parser;
use std::process::ExitCode;

/// Runs the server through simulated crashes, one seed after the other.
#[derive(Parser)]
struct Options {
    /// Crashes until it ends.
    #[arg(long, default_value_t = 1_000)]
    crashes: u64,
    /// The first seed; with `--crashes 1`, the only one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads, each with seeds of its own.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// Goes on after a seed has failed, to count them.
    #[arg(long)]
    all: bool,
    /// Prints everything that happens in the first seed.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.trace {
        many::be_quiet();
        let outcome = world::run(&plan::Plan::new(options.seed, many::LIVES), true, world::Broken::Nothing);
        println!("{}", plan::Plan::new(options.seed, many::LIVES));
        outcome.trace.iter().for_each(|line| println!("{line}"));
    }
    let jobs = if options.crashes == 1 { 1 } else { options.jobs };
    let many = many::run_many(options.seed, options.crashes, jobs, options.all, options.crashes > 50_000);
    for (seed, what) in many.failed.iter().take(20) {
        println!("seed {seed}: {what}");
    }
    if let Some((seed, _)) = many.failed.first().filter(|_| !options.all) {
        println!("{}", many::tell(*seed));
        println!("again: dev/simulate --crashes 1 --seed {seed} --trace");
    }
    println!("{}", many::line(&many));
    if many.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
