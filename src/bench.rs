//! `stampede bench`: how far a durable order is from what its own server and disk can do, and from what else one could
//! use.
//!
//! Rates on a shared machine say little; ratios of interleaved rounds say something. So the two sides of a figure take
//! turns on the same connections, the disk is looked at before and after every round, a round on an unsteady disk
//! does not count ([`rounds`]), and a figure is a median with its spread ([`figure`]). What each figure means and how
//! it was measured stands in `docs/performance/README.md`.

pub mod cluster;
pub mod figure;
pub mod growth;
pub mod latency;
pub mod load;
pub mod memory;
pub mod open;
pub mod orders;
pub mod parts;
pub mod peers;
pub mod process;
pub mod ratios;
pub mod recovery;
pub mod report;
pub mod rig;
pub mod rounds;
pub mod stages;
pub mod timer;

pub use crate::client::scrape::Metrics;
pub use figure::{Figure, Spec};

use crate::cli::doctor::system;
use crate::cli::{Exit, Outcome, Stop, out};
use crate::demo::live::note;
use crate::demo::stage;
use anyhow::bail;
use parts::Part;
use rig::Rig;
use rounds::{Probe, Round};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Figures that were measured together.
pub type Measured = Vec<(&'static Spec, Figure)>;

/// `stampede bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only these figures: P1_256, or P1 for all whose names begin with it.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Valid rounds of each figure.
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rounds: u16,
    /// Length of each side of a round.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: f64,
    /// Connections, each with one request at a time, where the figure does not name their number.
    #[arg(long, default_value_t = 256, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Events that P12 recovers.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub events: u64,
    /// Entities that are woken for memory_sku, memory_cart and memory_order.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(2_000..=5_000_000))]
    pub entities: u64,
    /// SKUs and orders of the large server in growth_skus and growth_orders.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1_000..=9_000_000))]
    pub large: u64,
    /// dev/services, which starts the database of cluster and installs it if it is missing.
    #[arg(long, value_name = "FILE", default_value = "dev/services")]
    pub services: PathBuf,
    /// One JSON object on standard output, by name of figure.
    #[arg(long)]
    pub json: bool,
    /// Further flags for the server, like --server-flag=--placement=own.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub server_flag: Vec<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let good = text.parse().ok().filter(|seconds| (0.1..=600.0).contains(seconds));
    good.ok_or_else(|| format!("{text:?}: expected 0.1 to 600 seconds"))
}

/// What all figures of one run share.
#[derive(Debug)]
pub struct Game<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Looks at the disk that everything is on.
    pub probe: Probe,
}

impl Game<'_> {
    /// Length of each side of a round.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.options.seconds)
    }

    /// Connections where the figure does not name their number.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.options.connections as usize
    }

    /// A server with these flags and those of the command line, and with stock.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn rig(&self, flags: &[&str], stock: &str) -> anyhow::Result<Rig> {
        let further = self.options.server_flag.iter().map(String::as_str);
        let flags: Vec<&str> = flags.iter().copied().chain(further).collect();
        Rig::start(&flags, stock).await
    }

    /// Plays as many rounds as were asked for.
    ///
    /// # Errors
    /// Those of a round.
    pub async fn rounds(
        &self,
        specs: &'static [Spec],
        round: impl AsyncFnMut() -> anyhow::Result<Round>,
    ) -> anyhow::Result<Measured> {
        self.at_most(usize::MAX, specs, round).await
    }

    /// Plays as many rounds as were asked for, but no more than `most`: for rounds that take long.
    ///
    /// # Errors
    /// Those of a round.
    pub async fn at_most(
        &self,
        most: usize,
        specs: &'static [Spec],
        round: impl AsyncFnMut() -> anyhow::Result<Round>,
    ) -> anyhow::Result<Measured> {
        rounds::play(specs, most.min(self.options.rounds.into()), &self.probe, round).await
    }
}

/// Measures and reports.
///
/// # Errors
/// A figure that there is none of, a server that does not start or answers what it should not.
pub fn run(options: &Options) -> Outcome {
    let parts = parts::select(&options.only).map_err(|error| Stop::new(Exit::Usage, anyhow::anyhow!(error)))?;
    // Connections are files, and the figures with the most connections would fail first.
    system::raise_file_limit()?;
    let directory = stage::Directory::new("bench")?;
    let game = Game { options, probe: Probe::new(directory.path()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let measured = local.block_on(&runtime, async {
        let mut terminated = signal(SignalKind::terminate())?;
        // Either way, servers are stopped and directories removed.
        tokio::select! {
            measured = measure(&game, &parts) => measured,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminated.recv() => bail!("terminated"),
        }
    });
    directory.remove();
    let measured = measured?;
    if options.json {
        out::json(&report::object(&measured)?)?;
    } else {
        out::say(&report::table(&measured));
    }
    Ok(if measured.iter().any(|(_, figure)| figure.void) { Exit::Void } else { Exit::Ok })
}

async fn measure(game: &Game<'_>, parts: &[Part]) -> anyhow::Result<Measured> {
    let mut measured = Measured::new();
    for part in parts {
        note(&format!("measuring {}", part.names()));
        measured.extend(part.measure(game).await?);
    }
    Ok(measured)
}
