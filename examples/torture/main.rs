//! Tortures the real server, and damages what it left: `dev/torture` and `dev/corrupt` run this. Every command ends with
//! one line of counts, and with 1 when something that must hold did not; what was found is printed with its seed.

#![allow(clippy::print_stdout)] // this is what it is for

mod broker;
mod buyers;
mod clock;
mod corrupt;
mod cycles;
mod histories;
mod ledger;
mod life;
mod power;
mod proxy;
mod since;
mod sites;
mod takeover;
mod way;

// The tests break what these write down.
#[path = "../../tests/histories/clients.rs"]
mod clients;
#[path = "../../tests/histories/history.rs"]
mod history;
#[path = "../../tests/simulation/linear.rs"]
mod linear;
#[path = "../../tests/histories/round.rs"]
mod round;
#[path = "../../tests/histories/shelf.rs"]
mod shelf;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Starts real servers.
fn services() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "dev", "services"].iter().collect()
}

#[derive(Debug, Parser)]
#[command(name = "torture")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Decides everything that chance decides.
    #[arg(long, default_value_t = 1, global = true)]
    seed: u64,
    /// The server; the one beside this program if absent.
    #[arg(long, global = true)]
    program: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill the server under load, again and again.
    Cycles {
        /// So often.
        #[arg(long, default_value_t = 20)]
        cycles: u64,
        /// Only in this way.
        #[arg(long)]
        only: Option<cycles::Kind>,
    },
    /// Write down what clients see while the server is killed, and check that it is linearisable.
    Histories {
        /// So many kills.
        #[arg(long, default_value_t = 20)]
        cycles: u64,
        /// So many seconds, however many kills that are.
        #[arg(long, conflicts_with = "cycles")]
        seconds: Option<u64>,
    },
    /// Fail one call at each place where files are written, synced or named.
    Sites {
        /// Each call of every site, not only the first and one more.
        #[arg(long)]
        every_call: bool,
        /// Only sites whose call and file begin so, like "sync wal".
        #[arg(long)]
        only: Option<String>,
        /// Those of the simulated outside parties' books as well.
        #[arg(long)]
        outside: bool,
        /// Only say which sites there are.
        #[arg(long)]
        list: bool,
    },
    /// Take the log in a real Cassandra from its owner, again and again.
    Takeover {
        /// So often.
        #[arg(long, default_value_t = 20)]
        count: u64,
        /// Only in this way.
        #[arg(long)]
        only: Option<takeover::Kind>,
        /// Address of a Cassandra that runs; one is started if absent.
        #[arg(long)]
        contact_point: Option<std::net::SocketAddr>,
    },
    /// Let a real RabbitMQ, and the way to it, do whatever they may.
    Broker {
        /// So many times.
        #[arg(long, default_value_t = 20)]
        faults: u64,
        /// Only in this way.
        #[arg(long)]
        only: Option<broker::Kind>,
    },
    /// Damage directories that a server has left, and start on them.
    Corrupt {
        /// So many times.
        #[arg(long, default_value_t = 2_000)]
        cases: u64,
        /// Only this one of them.
        #[arg(long)]
        case: Option<u64>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let program = cli.program.map_or_else(cycles::program, Ok)?;
    let violations = match cli.command {
        Command::Cycles { cycles, only } => {
            let options = cycles::Options { program, cycles, seed: cli.seed, only };
            let counts = on_one_thread(cycles::run(&options))?;
            println!("{counts}; seed {}", cli.seed);
            counts.violations()
        }
        Command::Histories { cycles, seconds } => {
            let options = histories::Options { program, cycles, seconds, seed: cli.seed };
            let counts = on_one_thread(histories::run(&options))?;
            println!("{counts}; seed {}", cli.seed);
            counts.violations()
        }
        Command::Sites { every_call, only, outside, list } => {
            let options = sites::Options { program, seed: cli.seed, every_call, only, outside, list };
            let counts = sites::run(&options)?;
            println!("{counts}; seed {}", cli.seed);
            counts.violations()
        }
        Command::Takeover { count, only, contact_point } => {
            let options = takeover::Options { program, count, seed: cli.seed, only, contact_point };
            let counts = on_one_thread(takeover::run(&options))?;
            println!("{counts}; seed {}", cli.seed);
            counts.violations
        }
        Command::Broker { faults, only } => {
            let options = broker::Options { program, faults, seed: cli.seed, only };
            let counts = on_one_thread(broker::run(&options))?;
            println!("{counts}; seed {}", cli.seed);
            counts.violations
        }
        Command::Corrupt { cases, case } => {
            let options = corrupt::Options { program, cases, seed: cli.seed, case };
            let counts = on_one_thread(corrupt::run(&options))?;
            println!("{counts}; seed {}", cli.seed);
            counts.violations()
        }
    };
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A server is tied to the thread that started it, and all of its clients live on one thread.
fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// Where files cost least.
fn fast_disk() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
