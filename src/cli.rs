//! The command line: what can be asked for, and how each way of ending is told to the caller.

pub mod backup;
pub mod completions;
pub mod dev;
pub mod dlq;
pub mod doctor;
pub mod explain;
pub mod export;
pub mod fetch;
pub mod health;
pub mod import;
pub mod keys;
pub mod logging;
pub mod order;
pub mod out;
pub mod schema;
pub mod serve;
pub mod verify;
pub mod worker;

use crate::config::ConfigError;
use crate::cql;
use crate::engine;
use crate::{bench, demo, load};
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;

/// Version, commit and licence, as `--version` prints them.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("BUILD_COMMIT"), ", ", env!("CARGO_PKG_LICENSE"), ")");

/// How the program ends. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work, and the message says why.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The server cannot be reached, or is not ready.
    NotReady = 3,
    /// A demo, a load or a measurement that proves nothing: the load never got as far as to test the promise, or the
    /// machine was too unsteady.
    Void = 4,
    /// An invariant is violated, the log is corrupt, or an export is not genuine or not complete.
    Violated = 99,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A command that did not work: the message, and how to end.
#[derive(Debug)]
pub struct Stop {
    /// The code to end with.
    pub exit: Exit,
    /// Why.
    pub error: anyhow::Error,
}

impl Stop {
    /// Ends with this code and message.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Stop {
        Stop { exit, error: error.into() }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        let error: anyhow::Error = error.into();
        let exit = if error.is::<ConfigError>() {
            Exit::Usage
        } else if let Some(trouble) = error.downcast_ref::<load::Trouble>() {
            trouble.exit()
        } else if error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<engine::Error>())
            .any(engine::Error::is_corruption)
            || error.chain().filter_map(|cause| cause.downcast_ref::<cql::Error>()).any(cql::Error::is_corruption)
        {
            Exit::Violated
        } else {
            Exit::Failed
        };
        Stop { exit, error }
    }
}

/// How a command ended.
pub type Outcome = Result<Exit, Stop>;

/// Checkout and inventory for flash sales: no unit sold twice, nothing acknowledged lost.
#[derive(Debug, Parser)]
#[command(name = "stampede", version = VERSION, max_term_width = 110, after_help = EXITS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not ready, 4 void, 99 invariant violated or log corrupt.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT.
    Serve(serve::Args),
    /// Serve a small shop to try things out on, with a key that is known.
    Dev(dev::Args),
    /// A flash sale on the real server that proves its own result.
    Demo(demo::Options),
    /// Put a load scenario on a server, judge it, and write a report.
    Load(load::Options),
    /// How far a durable order is from what this machine can do, and from what else you could use.
    Bench(bench::Options),
    /// Import SKUs, locations, units and prices from a CSV file.
    Import(import::Args),
    /// Read a stopped server's whole log back and check every invariant; or check an export against a root.
    Verify(verify::Args),
    /// Copy the commit log out of ScyllaDB into a directory, to verify or to export it there.
    Fetch(fetch::Args),
    /// Copy log, checkpoints, secret and keys of a data directory while its server runs; repeated, bring the copy up to date.
    Backup(backup::Args),
    /// Check a backup and make a data directory of it.
    Restore(backup::Restore),
    /// Write the records of some SKUs and of their orders as a file that proves itself on another machine.
    Export(export::Args),
    /// One order of a running server, with all that happened to it.
    Order(order::Args),
    /// Create, list and revoke API keys; a running server sees the change within a second.
    Keys(keys::Args),
    /// Make or look at the tables of the commit log in ScyllaDB.
    Schema(schema::Args),
    /// Tell a stand-by to take over from the owner of the commit log in ScyllaDB.
    Takeover(schema::Takeover),
    /// Work on payment or fulfilment steps out of RabbitMQ, beside the server.
    Worker(worker::Args),
    /// Look at RabbitMQ's dead letters, send them to work again, or throw them away.
    Dlq(dlq::Args),
    /// Check this machine: ports, limits, clock, disk, memory, data directory, ScyllaDB, RabbitMQ, Redis.
    Doctor(doctor::Args),
    /// Ask a running server whether it takes requests: exit code 0 when it does, else 3.
    Health(health::Args),
    /// Print completions for a shell.
    Completions(completions::Args),
    /// Configuration.
    Config(explain::Args),
}

/// Runs the program with these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be said about a terminal that does not listen.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Demo(options) => demo::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Verify(args) => verify::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Export(args) => export::run(&args),
        Command::Order(args) => order::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Takeover(args) => schema::take_over(&args),
        Command::Worker(args) => worker::run(&args),
        Command::Dlq(args) => dlq::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Config(args) => explain::run(&args),
    };
    outcome.unwrap_or_else(|stop| {
        out::complain(&format!("error: {:#}", stop.error));
        stop.exit
    })
}

/// Creates the data directory, for its owner only, when there is none.
///
/// # Errors
/// When it cannot be created.
pub fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("data directory {}", dir.display()))
}
