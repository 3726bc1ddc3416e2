//! Two servers on one log in a real Cassandra, buyers at whichever owns it, and everything that takes it from the owner:
//! a kill, a pause longer than every time-out, a hand-over, an order to take over, a network that loses what it carries.

mod pair;

use crate::proxy::Mode;
use anyhow::{Context, bail, ensure};
use pair::{Pair, command};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use stampede::client::{Pool, Request};
use stampede::demo::Server;
use stampede::demo::books::Books;
use stampede::demo::cluster::{Cluster, Service};
use stampede::disk::{RealDisk, SharedDisk};
use stampede::journal::Log;
use stampede::verify;
use stampede_actors::record::Position;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const START: Duration = Duration::from_secs(60);
const SKUS: usize = 6;
const UNITS: u32 = 3_000;
const VISITS: usize = 20_000;
/// Acknowledged requests that are repeated after each take-over; at the end all of them are.
const SAMPLE: usize = 100;
/// Take-overs between two readings of the whole log.
const READ_EVERY: u64 = 20;
/// Longer than every time-out of the flags below, and of Cassandra.
const PAUSE: Duration = Duration::from_secs(4);
const HOLD_TTL: Duration = Duration::from_secs(600);

/// How the log is taken from its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// `kill -9`.
    Kill,
    /// SIGSTOP, take-over, SIGCONT.
    Pause,
    /// SIGTERM.
    Handover,
    /// `stampede takeover`.
    Told,
    /// Answers, requests or connections between the owner and the database are lost.
    Network,
}

const KINDS: [Kind; 5] = [Kind::Kill, Kind::Pause, Kind::Handover, Kind::Told, Kind::Network];

pub struct Options {
    pub program: PathBuf,
    pub count: u64,
    pub seed: u64,
    pub only: Option<Kind>,
    /// Where a Cassandra is; one is started if absent.
    pub contact_point: Option<SocketAddr>,
}

/// What there was.
#[derive(Debug, Default)]
pub struct Counts {
    kinds: [u64; KINDS.len()],
    takeovers: u64,
    zombie_answers: u64,
    acknowledged: u64,
    repeats: u64,
    resolved: u64,
    frames: u64,
    readings: u64,
    buckets: u64,
    outages: Vec<Duration>,
    pub violations: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kill, pause, handover, told, network] = self.kinds;
        let mut outages = self.outages.clone();
        outages.sort();
        let at =
            |part: usize| outages.get(outages.len() * part / 100).or(outages.last()).map_or(0, Duration::as_millis);
        write!(
            f,
            "{} cycles ({kill} kill -9, {pause} paused, {handover} handed over, {told} told, {network} network faults), {} \
             take-overs (p50 {} ms, max {} ms): {} acknowledged, {} repeats the same, {} unknown outcomes resolved, {} \
             answers of paused owners none of them stale, {} frames in {} buckets read back {} times, {} violations",
            self.kinds.iter().sum::<u64>(),
            self.takeovers,
            at(50),
            at(100),
            self.acknowledged,
            self.repeats,
            self.resolved,
            self.zombie_answers,
            self.frames,
            self.buckets,
            self.readings,
            self.violations
        )
    }
}

/// Goes on until there were so many take-overs or faults, or one violation.
pub async fn run(options: &Options) -> anyhow::Result<Counts> {
    let place = tempfile::Builder::new().prefix("stampede-cassandra-").tempdir()?;
    // Kept until the end.
    let mut own = None;
    let contact_point = match options.contact_point {
        Some(there) => there,
        None => {
            let cluster = Cluster::start(&crate::services(), place.path(), 1, &[Service::Cassandra])?;
            own.insert(cluster).value("CQL_CONTACT_POINTS")?.parse()?
        }
    };
    let mut counts = Counts::default();
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut pair = Pair::begin(options, contact_point).await?;
    let outcome = pair.cycles(options, &mut rng, &mut counts).await;
    {
        let ledger = pair.buyers.ledger.borrow();
        counts.acknowledged = ledger.acknowledged().len() as u64;
        counts.repeats = ledger.repeats;
        counts.resolved = ledger.resolved;
    }
    if let Err(error) = outcome {
        counts.violations += 1;
        println!("VIOLATION  seed {}: {error:#}", options.seed);
        println!("  left behind: {}", pair.dir.keep().display());
    }
    Ok(counts)
}

impl Pair {
    async fn cycles(&mut self, options: &Options, rng: &mut StdRng, counts: &mut Counts) -> anyhow::Result<()> {
        for cycle in 0..options.count {
            let kind = options.only.unwrap_or_else(|| *KINDS.choose(rng).unwrap_or(&Kind::Kill));
            counts.kinds[kind as usize] += 1;
            self.cycle(kind, rng, counts).await.with_context(|| format!("cycle {cycle}, {kind:?}"))?;
            if cycle % READ_EVERY == READ_EVERY - 1 {
                self.read_back(counts).with_context(|| format!("reading the log after cycle {cycle}"))?;
            }
        }
        self.end(counts).await.context("at the end")
    }

    async fn cycle(&mut self, kind: Kind, rng: &mut StdRng, counts: &mut Counts) -> anyhow::Result<()> {
        let work = self.buyers.begin(rng.random(), 16, VISITS);
        sleep(Duration::from_millis(rng.random_range(150..900))).await;
        let (old, new) = (self.owner, 1 - self.owner);
        let began = Instant::now();
        match kind {
            Kind::Kill => self.server(old)?.kill()?,
            Kind::Pause => signal(self.server(old)?, libc::SIGSTOP)?,
            Kind::Handover => self.server(old)?.stop(Duration::from_secs(30)).await?,
            Kind::Told => {
                let takeover = ["takeover", &self.keyspace];
                command(&self.program, self.dir.path(), self.contact_point, &takeover)?;
            }
            Kind::Network => self.disturb(old, rng).await,
        }
        if kind == Kind::Network {
            self.whoever_owns_it(counts).await?;
        } else {
            self.becomes_owner(new).await?;
            counts.takeovers += 1;
            counts.outages.push(began.elapsed());
        }
        match kind {
            Kind::Pause => self.wake_zombie(old, began, counts).await?,
            Kind::Told => self.ends_badly(old).await?,
            Kind::Kill | Kind::Handover | Kind::Network => {}
        }
        sleep(Duration::from_millis(rng.random_range(0..200))).await;
        self.buyers.leave();
        for worker in work {
            worker.await?;
        }
        self.buyers.pool.forget_idle();
        if kind != Kind::Network {
            self.nodes[old].server = None;
            self.start(old)?;
        }
        self.stands_by(1 - self.owner).await?;
        self.check(rng).await
    }

    /// The network between the owner and the database fails, for less or more than the owner has patience.
    async fn disturb(&self, node: usize, rng: &mut StdRng) {
        let database = &self.nodes[node].database;
        let modes = [Mode::DropAnswers, Mode::DropRequests, Mode::Cut, Mode::Delay];
        for _ in 0..rng.random_range(1..4) {
            database.set(*modes.choose(rng).unwrap_or(&Mode::Cut));
            let longest = if rng.random_bool(0.3) { 5_000 } else { 1_200 };
            sleep(Duration::from_millis(rng.random_range(50..longest))).await;
            database.set(Mode::Pass);
            sleep(Duration::from_millis(rng.random_range(10..300))).await;
        }
    }

    /// The paused owner goes on. It must not tell what it does not know any more, and end.
    async fn wake_zombie(&mut self, node: usize, paused: Instant, counts: &mut Counts) -> anyhow::Result<()> {
        // Something that only the new owner knows.
        let hold = loop {
            let buyer = self.buyers.name("witness");
            let sku = counts.zombie_answers as usize % SKUS;
            if let Some((_, hold)) = self.buyers.hold(&buyer, sku, 1).await {
                break format!("/v1/skus/sku-{sku}/holds/{hold}");
            }
            ensure!(paused.elapsed() < START, "nothing can be held at the new owner");
            counts.zombie_answers += 1;
        };
        sleep(PAUSE.saturating_sub(paused.elapsed())).await;
        let pool = Pool::new(self.nodes[node].setup.api, 4);
        signal(self.server(node)?, libc::SIGCONT)?;
        let woken = Instant::now();
        while woken.elapsed() < Duration::from_secs(20) {
            if let Ok(answer) = pool.send(&Request::get(&hold), Duration::from_secs(10)).await
                // 408 says that a connection lay idle for too long, and nothing else.
                && answer.status() != 408
            {
                // 404 would be what it remembers: that there is no such hold.
                ensure!(
                    answer.status() == 503,
                    "the paused owner answers {hold}: {} {}",
                    answer.status(),
                    answer.code()
                );
                counts.zombie_answers += 1;
            }
            if self.server(node)?.alive().is_err() {
                return self.ends_badly(node).await;
            }
            sleep(Duration::from_millis(2)).await;
        }
        bail!("the paused owner does not notice that it was replaced")
    }

    async fn check(&mut self, rng: &mut StdRng) -> anyhow::Result<()> {
        self.buyers.settle().await?;
        let acknowledged = self.buyers.ledger.borrow().acknowledged();
        let (old, new): (Vec<usize>, Vec<usize>) = acknowledged.iter().partition(|&&index| index < self.checked);
        let sample: Vec<usize> = old.choose_multiple(rng, SAMPLE).copied().collect();
        self.buyers.repeat([new, sample].concat()).await?;
        self.checked = self.buyers.ledger.borrow().deeds.len();
        let audit = self.buyers.look("/v1/audit").await?;
        let received: i64 = self.buyers.ledger.borrow().stock().values().sum();
        ensure!(audit["violated"] == 0 && audit["oversold"] == 0, "the audit: {audit}");
        ensure!(audit["allocated_supply"] == received, "{received} units were acknowledged: {audit}");
        self.violations()
    }

    fn violations(&self) -> anyhow::Result<()> {
        match self.buyers.ledger.borrow().violations.as_slice() {
            [] => Ok(()),
            found => bail!("{} violations: {}", found.len(), found[..found.len().min(5)].join("; ")),
        }
    }

    /// The whole log, out of the database: what was acknowledged is there once, and no rule is broken.
    fn read_back(&self, counts: &mut Counts) -> anyhow::Result<()> {
        let copy = self.dir.path().join("copy");
        let copied = copy.to_string_lossy().into_owned();
        let fetch = ["fetch", &copied, &self.keyspace, "--log-segment-bytes=4MiB", "--log-frame-bytes=64KiB"];
        command(&self.program, self.dir.path(), self.contact_point, &fetch)?;
        let report = verify::verify(&copy, &mut |_, _| {})?;
        ensure!(report.is_sound(), "the log breaks its rules: {:?}", report.findings);
        let mut books = Books::default();
        let disk: SharedDisk = Arc::new(RealDisk);
        let mut reader = Log::inspect(&disk, &copy)?.log.read_from(Position(1))?;
        let mut buckets = std::collections::BTreeSet::new();
        while let Some(frame) = reader.next()? {
            frame.records.iter().for_each(|record| books.record(record));
            buckets.insert(reader.frame().header.segment);
            counts.frames = frame.seq;
        }
        counts.buckets = buckets.len() as u64;
        counts.readings += 1;
        ensure!(books.violations().is_empty(), "{:?}", books.violations());
        let ledger = self.buyers.ledger.borrow();
        let told = ledger.orders();
        for (order, buyer, lines) in &told {
            if let Err(why) = books.has(order, buyer, lines.to_vec()) {
                bail!("{order}: acknowledged, but {why}");
            }
        }
        let told: std::collections::HashSet<&str> = told.iter().map(|(order, ..)| order.as_str()).collect();
        let untold: Vec<&str> = books.orders().filter(|order| !told.contains(order)).collect();
        ensure!(untold.is_empty(), "orders that nobody was told of: {untold:?}");
        Ok(())
    }

    async fn end(&mut self, counts: &mut Counts) -> anyhow::Result<()> {
        let acknowledged = self.buyers.ledger.borrow().acknowledged();
        self.buyers.repeat(acknowledged).await?;
        self.violations()?;
        for node in [1 - self.owner, self.owner] {
            self.server(node)?.stop(Duration::from_secs(30)).await?;
            let words = std::fs::read_to_string(self.nodes[node].setup.log())?;
            ensure!(!words.contains("panicked"), "the server has panicked: {}", self.nodes[node].setup.log().display());
        }
        self.read_back(counts)?;
        let copy = self.dir.path().join("copy").to_string_lossy().into_owned();
        let verified = Command::new(&self.program).arg("verify").arg(&copy).current_dir(self.dir.path()).output()?;
        ensure!(verified.status.success(), "stampede verify: {}", String::from_utf8_lossy(&verified.stdout));
        Ok(())
    }
}

fn signal(server: &Server, signal: i32) -> anyhow::Result<()> {
    // SAFETY: our own child, which was not waited for yet, so its number is still its own.
    match unsafe { libc::kill(server.id().cast_signed(), signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}
