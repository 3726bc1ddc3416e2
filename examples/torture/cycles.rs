//! `kill -9` under load, again and again: plainly, with the power going at the same moment, after a pause longer than
//! every time-out, and with the wall clock set by an hour.

use crate::clock::WallClock;
use crate::ledger::What;
use crate::life::Life;
use crate::power::{Loss, Shadow, Shim};
use crate::since::Since;
use crate::way::Way;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Kills that one directory lives through.
const CYCLES_PER_LIFE: u64 = 5;
/// Longer than every time-out of [`Way::quick`].
const PAUSE: Duration = Duration::from_millis(2_700);
/// Most visits of buyers in one cycle.
const VISITS: usize = 8_000;

/// What happens beside the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Nothing.
    Kill,
    /// What was not synced is lost.
    Power,
    /// SIGSTOP for longer than every time-out, then SIGCONT.
    Pause,
    /// The wall clock is set by an hour.
    Clock,
}

/// What to do.
pub struct Options {
    pub program: PathBuf,
    pub cycles: u64,
    pub seed: u64,
    pub only: Option<Kind>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Counts {
    killed: [u64; 4],
    lives: u64,
    acknowledged: u64,
    repeats: u64,
    resolved: u64,
    sectors: u64,
    names: u64,
    violations: u64,
}

impl Counts {
    pub fn violations(&self) -> u64 {
        self.violations
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kill, power, pause, clock] = self.killed;
        write!(
            f,
            "{} kill -9 cycles ({kill} plain, {power} with {} unsynced sectors and {} names lost, {pause} paused, {clock} with \
             the clock set) on {} directories: {} acknowledged, {} repeats the same, {} unknown outcomes resolved, {} violations",
            self.killed.iter().sum::<u64>(),
            self.sectors,
            self.names,
            self.lives,
            self.acknowledged,
            self.repeats,
            self.resolved,
            self.violations
        )
    }
}

/// Goes on until there were so many cycles. A violation ends its directory's life, and is printed with its seed.
pub async fn run(options: &Options) -> anyhow::Result<Counts> {
    let tools = tempfile::tempdir()?;
    let shim = Shim::compile(tools.path())?;
    let clock = WallClock::new(tools.path())?;
    let mut counts = Counts::default();
    let mut done = 0;
    while done < options.cycles {
        let seed = options.seed + counts.lives;
        let cycles = CYCLES_PER_LIFE.min(options.cycles - done);
        let mut torture = Torture { options, shim: &shim, clock: &clock, rng: StdRng::seed_from_u64(seed), seed };
        counts.lives += 1;
        torture.live(cycles, &mut counts).await?;
        done += cycles;
    }
    Ok(counts)
}

struct Torture<'a> {
    options: &'a Options,
    shim: &'a Shim,
    clock: &'a WallClock,
    rng: StdRng,
    seed: u64,
}

impl Torture<'_> {
    async fn live(&mut self, cycles: u64, counts: &mut Counts) -> anyhow::Result<()> {
        let way = Way::draw(&mut self.rng);
        self.clock.set(0);
        let mut life = Life::begin(&self.options.program, &self.seed.to_string(), way, Vec::new()).await?;
        let outcome = self.cycles(cycles, &mut life, counts).await;
        {
            let ledger = life.buyers.ledger.borrow();
            counts.acknowledged += ledger.acknowledged().len() as u64;
            counts.repeats += ledger.repeats;
            counts.resolved += ledger.resolved;
        }
        if let Err(error) = outcome {
            counts.violations += 1;
            println!("VIOLATION  seed {}: {error:#}", self.seed);
            println!("  {:?}", life.way.flags);
            println!("  left behind: {}", life.leave_behind().display());
        }
        Ok(())
    }

    async fn cycles(&mut self, cycles: u64, life: &mut Life, counts: &mut Counts) -> anyhow::Result<()> {
        for cycle in 0..cycles {
            let kind = self.kind();
            counts.killed[kind as usize] += 1;
            self.cycle(kind, life, counts).await.map_err(|error| error.context(format!("cycle {cycle}, {kind:?}")))?;
        }
        life.end().await.map_err(|error| error.context("at the end"))
    }

    fn kind(&mut self) -> Kind {
        let drawn = match self.rng.random_range(0..100) {
            0..50 => Kind::Kill,
            50..85 => Kind::Power,
            85..92 => Kind::Pause,
            _ => Kind::Clock,
        };
        self.options.only.unwrap_or(drawn)
    }

    /// A server of this kind, load, a kill, and what must hold afterwards.
    async fn cycle(&mut self, kind: Kind, life: &mut Life, counts: &mut Counts) -> anyhow::Result<()> {
        let mut shadow = None;
        if matches!(kind, Kind::Power | Kind::Clock) {
            // It runs under the shim from now on: another crash on the way.
            life.server()?.kill()?;
            life.buyers.pool.forget_idle();
            shadow = (kind == Kind::Power).then(|| Shadow::begin(&life.setup.data)).transpose()?;
            let mut env = life.under(self.shim, shadow.as_ref());
            env.extend((kind == Kind::Clock).then(|| self.clock.env()));
            life.restart(env).await?;
        }
        let work = life.buyers.begin(self.rng.random(), 16, VISITS);
        sleep(Duration::from_millis(self.rng.random_range(100..900))).await;
        let mut step = 0;
        match kind {
            Kind::Pause => self.pause(life).await?,
            Kind::Clock => step = self.set_clock(life).await?,
            Kind::Kill | Kind::Power => {}
        }
        life.server()?.kill()?;
        life.buyers.leave();
        for worker in work {
            worker.await?;
        }
        life.buyers.pool.forget_idle();
        if let Some(shadow) = shadow {
            let loss = if self.rng.random_bool(0.5) { Loss::All } else { Loss::Some };
            let lost = shadow.cut(loss, &mut self.rng)?;
            counts.sectors += lost.sectors;
            counts.names += lost.names;
        }
        if self.rng.random_bool(0.25) {
            life.check_offline()?;
        }
        let env = if step == 0 { Vec::new() } else { [life.under(self.shim, None), vec![self.clock.env()]].concat() };
        life.restart(env).await.map_err(|error| error.context("after the crash"))?;
        if step > 0 {
            // The server was away for an hour, as far as it can know: holds have run out.
            for deed in &mut life.buyers.ledger.borrow_mut().deeds {
                if let What::Hold { taken, .. } = &mut deed.what {
                    *taken = true;
                }
            }
        }
        life.check(&mut self.rng).await
    }

    /// Stops it for longer than every time-out. A hold that lasts is there afterwards, one that ran out is not.
    async fn pause(&mut self, life: &mut Life) -> anyhow::Result<()> {
        let hold = probe(life).await;
        signal(life, libc::SIGSTOP)?;
        sleep(PAUSE).await;
        signal(life, libc::SIGCONT)?;
        let runs_out = life.way.hold_ttl < PAUSE;
        let Some(hold) = hold else { return Ok(()) };
        judge_hold(life, &hold, runs_out, Duration::from_secs(5)).await
    }

    /// Sets the clock under the running server: no hold may notice. How far it was set.
    async fn set_clock(&mut self, life: &mut Life) -> anyhow::Result<i64> {
        let hold = probe(life).await;
        let step = if self.rng.random_bool(0.5) { 3_600 } else { -3_600 };
        self.clock.set(step);
        if let Some(hold) = hold {
            if life.way.hold_ttl > Duration::from_secs(2) {
                sleep(Duration::from_millis(300)).await;
                judge_hold(life, &hold, false, Duration::ZERO).await?;
            }
            if life.way.hold_ttl < Duration::from_secs(10) {
                judge_hold(life, &hold, true, life.way.hold_ttl + Duration::from_secs(3)).await?;
            }
        }
        sleep(Duration::from_millis(self.rng.random_range(50..400))).await;
        Ok(step)
    }
}

/// A hold that nobody will use.
struct Probe {
    path: String,
    since: Since,
}

/// Nothing: there was no unit left.
async fn probe(life: &Life) -> Option<Probe> {
    let buyer = life.buyers.name("probe");
    for sku in 0..6 {
        let since = Since::now();
        if let Some((_, hold)) = life.buyers.hold(&buyer, sku, 1).await {
            return Some(Probe { path: format!("/v1/skus/sku-{sku}/holds/{hold}"), since });
        }
    }
    None
}

/// Is the hold there, or (`gone`) not, in time?
async fn judge_hold(life: &Life, hold: &Probe, gone: bool, within: Duration) -> anyhow::Result<()> {
    let Probe { path, since } = hold;
    let began = Instant::now();
    loop {
        let answer = life.buyers.definite(&stampede::client::Request::get(path)).await?;
        match (answer.status(), gone) {
            (200, false) | (404, true) => return Ok(()),
            // This machine was slow: its time had come.
            (404, false) if since.at_most() > life.way.hold_ttl.mul_f64(0.9) => return Ok(()),
            (404, false) => anyhow::bail!("{path} has run out before its time"),
            (200, true) if began.elapsed() < within => sleep(Duration::from_millis(50)).await,
            (200, true) => anyhow::bail!("{path} lives on after it has run out"),
            _ => anyhow::bail!("{path}: {answer:?}"),
        }
    }
}

fn signal(life: &mut Life, signal: i32) -> anyhow::Result<()> {
    let server = life.server()?.id().cast_signed();
    // SAFETY: our own child, which was not waited for yet, so its number is still its own.
    match unsafe { libc::kill(server, signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// The server beside this program, in the same build.
pub fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).map(|dir: &Path| dir.join("stampede")).find(|path| path.is_file());
    found.ok_or_else(|| anyhow::anyhow!("no stampede beside {}: cargo build --release", own.display()))
}
