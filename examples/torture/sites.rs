//! An error at every place where the server writes, syncs or names files. The shim tells places apart by kind of call,
//! kind of file and call stack. One call fails per run: with EIO once and then all is well, which is what a failed sync
//! looks like; with ENOSPC from then on; and half-done or interrupted. The server answers clear errors or stops with a
//! reason, and once the power was gone as well, nothing acknowledged is lost.

mod table;

use crate::life::Life;
use crate::power::{Loss, Shadow, Shim};
use crate::way::Way;
use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stampede::workflows::simulated::{PROVIDER_DIR, WAREHOUSE_DIR};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use table::Site;
use tokio::time::sleep;

/// Servers at a time: they mostly wait.
const AT_A_TIME: usize = 4;
/// Longest time until a server that can be ready is.
const READY: Duration = Duration::from_secs(6);
/// Longest time that a server may take to end.
const STOP: Duration = Duration::from_secs(20);

/// What to do.
pub struct Options {
    pub program: PathBuf,
    pub seed: u64,
    /// Fail every call of each site, not only the first and one more.
    pub every_call: bool,
    /// Only sites whose call and file begin so, like "sync wal".
    pub only: Option<String>,
    /// Those of the simulated outside parties' books as well.
    pub outside: bool,
    /// Only say which sites there are.
    pub list: bool,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Eio,
    Enospc,
    /// Half of it is written; a call that writes nothing is interrupted.
    Half,
}

const FAILURES: [Failure; 3] = [Failure::Eio, Failure::Enospc, Failure::Half];

impl Failure {
    /// Error and whether it stays, as the shim reads it.
    fn spec(self) -> (i32, u8) {
        match self {
            Failure::Eio => (libc::EIO, 0),
            Failure::Enospc => (libc::ENOSPC, 1),
            Failure::Half => (-1, 0),
        }
    }
}

/// What the server starts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// An empty directory.
    Nothing,
    /// What a power cut has left.
    Wreck,
}

#[derive(Debug, Clone)]
struct Case {
    on: On,
    site: Site,
    call: u64,
    failure: Failure,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site { call, kind, hash } = &self.site;
        write!(f, "{:?} at call {} of {call} {kind} ({hash:016x}), on {:?}", self.failure, self.call, self.on)
    }
}

/// What was done.
#[derive(Debug, Default)]
pub struct Counts {
    sites: usize,
    cases: u64,
    unreached: u64,
    stopped: u64,
    refused: u64,
    went_on: u64,
    violations: u64,
}

impl Counts {
    pub fn violations(&self) -> u64 {
        self.violations
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { sites, cases, unreached, stopped, refused, went_on, violations } = self;
        write!(
            f,
            "{cases} faults at {sites} sites x 3 errors: {refused} starts refused, {stopped} servers stopped with a reason, \
             {went_on} went on; {unreached} more not reached again; {violations} violations"
        )
    }
}

/// Finds the sites, then fails them one by one.
pub fn run(options: &Options) -> anyhow::Result<Counts> {
    let tools = tempfile::tempdir()?;
    let shim = Shim::compile(tools.path())?;
    let wreck = crate::on_one_thread(wreck(options, &shim))?;
    let bench = Bench { options, shim: &shim, wreck: &wreck };
    let cases = bench.cases()?;
    let mut counts = Counts { sites: cases.1, ..Counts::default() };
    let (todo, told) = (Mutex::new(cases.0.into_iter()), Mutex::new(&mut counts));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(case) = next else { return };
                    let ended = crate::on_one_thread(bench.case(&case));
                    told.lock().unwrap_or_else(PoisonError::into_inner).take(&case, ended, options.seed);
                }
            });
        }
    });
    Ok(counts)
}

impl Counts {
    fn take(&mut self, case: &Case, ended: anyhow::Result<Ended>, seed: u64) {
        match ended {
            Ok(Ended::Unreached) => self.unreached += 1,
            Ok(ended) => {
                self.cases += 1;
                match ended {
                    Ended::Refused => self.refused += 1,
                    Ended::Stopped => self.stopped += 1,
                    _ => self.went_on += 1,
                }
            }
            Err(error) => {
                self.cases += 1;
                self.violations += 1;
                println!("VIOLATION  --seed {seed}, {case}: {error:#}");
            }
        }
    }
}

/// How the server took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The site was not reached in this run.
    Unreached,
    /// It did not start.
    Refused,
    /// It stopped by itself.
    Stopped,
    /// It went on until it was stopped.
    WentOn,
}

fn way() -> Way {
    let flags = [
        "--holds-ttl=10m",
        "--log-segment-bytes=64KiB",
        "--log-frame-bytes=8KiB",
        "--checkpoint-every=150ms",
        "--store-flush-every=50ms",
        "--log-archive-max-age=never",
    ];
    let flags = flags.into_iter().map(str::to_owned).chain(Way::quick()).collect();
    Way { hold_ttl: Duration::from_secs(600), keeps_history: true, flags }
}

/// A directory that a power cut has left, and what was acknowledged there.
struct Wreck {
    dir: tempfile::TempDir,
    deeds: Vec<crate::ledger::Deed>,
    key: String,
}

async fn wreck(options: &Options, shim: &Shim) -> anyhow::Result<Wreck> {
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut life = Life::lay_out(&options.program, &crate::fast_disk(), "wreck", way())?;
    let shadow = Shadow::begin(&life.setup.data)?;
    life.restart(life.under(shim, Some(&shadow))).await?;
    life.buyers.fill(500).await?;
    let work = life.buyers.begin(options.seed, 6, 100_000);
    sleep(Duration::from_millis(500)).await;
    life.server()?.kill()?;
    life.buyers.leave();
    for worker in work {
        worker.await?;
    }
    shadow.cut(Loss::Some, &mut rng)?;
    let dir = tempfile::tempdir_in(crate::fast_disk())?;
    copy(&life.setup.data, &dir.path().join("data"))?;
    let deeds = life.buyers.ledger.borrow().deeds.clone();
    Ok(Wreck { dir, deeds, key: life.key.clone() })
}

/// Copies a directory, holes as holes.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let done = std::process::Command::new("cp").args(["-r", "--sparse=always", "-T"]).arg(from).arg(to).status()?;
    ensure!(done.success(), "cannot copy {}", from.display());
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    shim: &'a Shim,
    wreck: &'a Wreck,
}

impl Bench<'_> {
    /// What to fail, and at how many sites. A site on the way of both starts is failed on an empty directory only.
    fn cases(&self) -> anyhow::Result<(Vec<Case>, usize)> {
        let mut rng = StdRng::seed_from_u64(self.options.seed);
        let mut known: BTreeMap<Site, (On, u64)> = BTreeMap::new();
        for on in [On::Nothing, On::Nothing, On::Wreck] {
            for (site, calls) in crate::on_one_thread(self.survey(on))? {
                known.entry(site).or_insert((on, calls));
            }
        }
        let is_outside = |site: &Site| [PROVIDER_DIR, WAREHOUSE_DIR].iter().any(|dir| site.kind.starts_with(dir));
        let wanted = |site: &Site| match &self.options.only {
            Some(only) => format!("{} {}", site.call, site.kind).starts_with(only.as_str()),
            None => self.options.outside || !is_outside(site),
        };
        known.retain(|site, _| wanted(site));
        if self.options.list {
            for (Site { call, kind, hash }, (on, calls)) in &known {
                println!("{call} {kind} {hash:016x} {calls} calls, on {on:?}");
            }
            return Ok((Vec::new(), known.len()));
        }
        let mut cases = Vec::new();
        for (site, &(on, calls)) in &known {
            for failure in FAILURES {
                let later = rng.random_range(1..=calls);
                let chosen: Vec<u64> = match self.options.every_call {
                    true => (1..=calls).collect(),
                    false if later > 1 && failure == Failure::Eio => vec![1, later],
                    false => vec![1],
                };
                cases.extend(chosen.into_iter().map(|call| Case { on, site: site.clone(), call, failure }));
            }
        }
        Ok((cases, known.len()))
    }

    /// Which sites there are, and how often each is passed.
    async fn survey(&self, on: On) -> anyhow::Result<Vec<(Site, u64)>> {
        let mut life = self.lay_out(on)?;
        let (table, shadow) = (table::empty(life.path())?, Shadow::begin(&life.setup.data)?);
        life.restart(self.env(&life, &table, &shadow, None)).await?;
        workload(&mut life, self.options.seed).await;
        life.server()?.stop(STOP).await?;
        Ok(table::read(&table)?.1)
    }

    fn lay_out(&self, on: On) -> anyhow::Result<Life> {
        let mut life = Life::lay_out(&self.options.program, &crate::fast_disk(), "site", way())?;
        if on == On::Wreck {
            std::fs::remove_dir_all(&life.setup.data)?;
            copy(&self.wreck.dir.path().join("data"), &life.setup.data)?;
            life.inherit(&self.wreck.key, self.wreck.deeds.clone());
        }
        Ok(life)
    }

    fn env(&self, life: &Life, table: &Path, shadow: &Shadow, fail: Option<&Case>) -> Vec<(String, String)> {
        let mut env = life.under(self.shim, Some(shadow));
        env.push(("TORTURE_SITES".to_owned(), table.display().to_string()));
        env.extend(fail.map(|case| {
            let (error, stays) = case.failure.spec();
            ("TORTURE_FAIL".to_owned(), format!("{:x}:{}:{error}:{stays}", case.site.hash, case.call))
        }));
        env
    }

    /// One fault. A directory that does not hold afterwards what it must is left behind.
    async fn case(&self, case: &Case) -> anyhow::Result<Ended> {
        let mut life = self.lay_out(case.on)?;
        match self.fail(case, &mut life).await {
            Ok(ended) => Ok(ended),
            Err(error) => Err(error.context(format!("left behind in {}", life.leave_behind().display()))),
        }
    }

    /// A fault, a power cut, and what must hold then.
    async fn fail(&self, case: &Case, life: &mut Life) -> anyhow::Result<Ended> {
        let (table, shadow) = (table::empty(life.path())?, Shadow::begin(&life.setup.data)?);
        let env = self.env(life, &table, &shadow, Some(case));
        let started = life.start(env)?.ready(READY).await;
        let ended = match started {
            Err(error) if life.server()?.alive().is_err() => {
                ended_well(life, &error)?;
                Ended::Refused
            }
            started => {
                if started.is_err() {
                    not_ready_well(life).await?;
                }
                workload(life, self.options.seed).await;
                let alive = life.server()?.alive().is_ok();
                let stop = life.server()?.stop(STOP).await;
                match (alive, stop) {
                    (true, Ok(())) => Ended::WentOn,
                    (_, Err(error)) => ended_well(life, &error)?,
                    (false, Ok(())) => Ended::Stopped,
                }
            }
        };
        life.put_away();
        let (fired, _) = table::read(&table)?;
        shadow.cut(Loss::All, &mut StdRng::seed_from_u64(self.options.seed))?;
        // Under the shim still, which saves real syncs; there is no fault any more.
        life.restart(life.under(self.shim, None)).await.context("once the fault was gone")?;
        life.buyers.pool.forget_idle();
        life.buyers.settle().await?;
        life.end().await?;
        Ok(if fired == 0 { Ended::Unreached } else { ended })
    }
}

/// A server that lives and is not ready says which of its checks fails, and why.
async fn not_ready_well(life: &Life) -> anyhow::Result<()> {
    let ops = stampede::client::Pool::new(life.setup.ops, 1);
    let answer = ops.send(&stampede::client::Request::get("/health/ready"), READY).await?;
    let body = answer.json().context("readiness")?;
    let failing = body["checks"].as_array().context("checks")?.iter().find(|check| check["ok"] == false);
    ensure!(failing.is_some_and(|check| check["detail"] != ""), "it is not ready, and does not say why: {body}");
    Ok(())
}

/// A server that ended by itself says why, and exits as it should.
fn ended_well(life: &Life, error: &anyhow::Error) -> anyhow::Result<Ended> {
    let words = std::fs::read_to_string(life.setup.log())?;
    ensure!(!words.contains("panicked"), "it panicked: {words}");
    let error = format!("{error:#}");
    ensure!(error.contains("exit status: 1\n"), "it ended otherwise than with 1: {error}");
    ensure!(words.lines().any(|line| line.starts_with("error: ")), "it ended without a reason: {words}");
    Ok(Ended::Stopped)
}

/// A little of everything, one after the other, until the server does not answer any more.
async fn workload(life: &mut Life, seed: u64) {
    let began = Instant::now();
    let buyers = life.buyers.clone();
    buyers.try_to_fill(50).await;
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..40 {
        let gone = life.server().is_ok_and(|server| server.alive().is_err());
        if gone || began.elapsed() > Duration::from_secs(8) || !buyers.is_filled() {
            break;
        }
        let _ = buyers.visit(&mut rng).await;
    }
    // Time for a seal, a checkpoint, an archive.
    sleep(Duration::from_millis(300)).await;
}
