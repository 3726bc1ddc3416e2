//! What clients of the real server see, over `kill -9`, is checked for linearisability: `tests/histories/` has the clients,
//! what a SKU does to them, and what an answer that was lost may mean.

use crate::life::{START, books};
use crate::round::{self, round};
use crate::way::Way;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stampede::demo::{Server, Setup};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Histories that one directory lives through.
const ROUNDS_PER_LIFE: u64 = 5;

/// What to do.
pub struct Options {
    pub program: PathBuf,
    /// Kills.
    pub cycles: u64,
    /// Goes on for so long instead.
    pub seconds: Option<u64>,
    pub seed: u64,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Counts {
    kills: u64,
    histories: u64,
    directories: u64,
    answered: u64,
    refused: u64,
    unknown: u64,
    undecided: u64,
    violations: u64,
}

impl Counts {
    pub fn violations(&self) -> u64 {
        self.violations
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { kills, histories, directories, answered, refused, unknown, undecided, violations } = self;
        let operations = answered + unknown + undecided;
        write!(
            f,
            "{histories} histories over {kills} kill -9 on {directories} directories: {operations} operations, {answered} \
             answered ({refused} refused) and linearisable, {unknown} unknown, {undecided} undecided, {violations} violations"
        )
    }
}

/// Goes on until there were so many kills, or for so long. A violation ends its directory's life, and is printed with
/// its seed.
pub async fn run(options: &Options) -> anyhow::Result<Counts> {
    let (mut counts, began) = (Counts::default(), Instant::now());
    let goes_on = |counts: &Counts| match options.seconds {
        Some(seconds) => began.elapsed() < Duration::from_secs(seconds),
        None => counts.kills < options.cycles,
    };
    while goes_on(&counts) {
        let seed = options.seed + counts.directories;
        counts.directories += 1;
        let dir = tempfile::Builder::new().prefix("stampede-torture-").tempdir()?;
        let mut rng = StdRng::seed_from_u64(seed);
        let way = Way::patient(&mut rng);
        let flags: Vec<&str> = way.flags.iter().map(String::as_str).collect();
        let setup = Setup::new(&options.program, dir.path(), &flags)?;
        if let Err(error) = live(setup, &mut rng, &goes_on, &mut counts).await {
            counts.violations += 1;
            println!("VIOLATION  seed {seed}: {error:#}");
            println!("  {:?}", way.flags);
            println!("  left behind: {}", dir.keep().display());
        }
    }
    Ok(counts)
}

/// A directory, and some histories on it.
async fn live(
    setup: Setup,
    rng: &mut StdRng,
    goes_on: &impl Fn(&Counts) -> bool,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let (data, key) = (setup.data.clone(), stampede::keys::create(&setup.data, "torture")?.secret);
    let mut server = Server::start(setup)?;
    server.ready(START).await?;
    for number in 0..ROUNDS_PER_LIFE {
        let kills = rng.random_range(1..4);
        let name = format!("round-{number}");
        let options = round::Options { name: &name, key: &key, kills, left_unknown: 3 };
        let history = round(&mut server, &options, rng).await?;
        counts.kills += u64::from(kills);
        counts.histories += 1;
        let checked = history.check().map_err(|what| anyhow::anyhow!("{name}: not linearisable: {what}"))?;
        counts.answered += checked.answered;
        counts.refused += checked.refused;
        counts.unknown += checked.unknown;
        counts.undecided += checked.undecided;
        if !goes_on(counts) {
            break;
        }
    }
    server.stop(Duration::from_secs(30)).await?;
    let violations = books(&data)?.violations().to_vec();
    anyhow::ensure!(violations.is_empty(), "the log: {}", violations.join("; "));
    Ok(())
}
