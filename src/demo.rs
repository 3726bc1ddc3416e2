//! `stampede demo`: a flash sale on the real server, on real sockets, that proves its own result.
//!
//! The server is a child process on a fresh directory. Buyers arrive in an open loop ([`rush`]), decide by a seed
//! ([`crowd`]) and keep a book of what they were told ([`ledger`]). When everything is settled, the server is stopped,
//! its log is read back offline, and the three accounts, the buyers', the log's and the payment provider's, are compared
//! ([`verdict`]).

pub mod books;
pub mod buyer;
pub mod charges;
pub mod cluster;
pub mod crowd;
#[cfg(test)]
mod fake;
pub mod ledger;
pub mod live;
pub mod options;
pub mod rush;
pub mod server;
pub mod shelf;
pub mod shop;
pub mod stage;
pub mod stats;
pub mod timelines;
pub mod verdict;

pub use options::Options;
pub use server::{Server, Setup};
pub use verdict::{Verdict, Word};

use crate::cli::{Exit, Outcome, out};

/// Runs the demo and prints its verdict.
///
/// # Errors
/// When it could not be run to its end.
pub fn run(options: &Options) -> Outcome {
    let verdict = stage::play(options)?;
    if options.json {
        live::note(&verdict.text());
        out::line(&serde_json::to_string(&verdict)?);
    } else {
        out::line(&verdict.text());
    }
    Ok(match verdict.verdict {
        Word::Pass => Exit::Ok,
        Word::Void => Exit::Void,
        Word::Fail => Exit::Violated,
    })
}
