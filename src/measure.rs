//! `stampede measure`: what an order costs, against a request that does nothing on the same server.
//!
//! Rates on a shared machine say little; ratios of interleaved rounds say something. So every round of orders follows
//! a round of no-ops on the same connections, and the CPU that the server used is read beside it.

pub mod load;
pub mod ratio;

use crate::cli::Outcome;
use clap::Subcommand;

/// `stampede measure`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Orders against no-ops, in turns, over the same number of connections.
    Ratio(ratio::Options),
}

/// Measures.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Ratio(options) => ratio::run(options),
    }
}
