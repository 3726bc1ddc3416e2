//! The demo from beginning to end: set up, rush, kill, settle, replay, stop, read back, judge.

use crate::demo::books::Books;
use crate::demo::cluster::{Cluster, EVERYTHING};
use crate::demo::crowd::Crowd;
use crate::demo::ledger::End;
use crate::demo::live::{self, grouped, note};
use crate::demo::options::{Options, Percent, Victim};
use crate::demo::rush::Rush;
use crate::demo::server::{Server, Setup, own_cpu};
use crate::demo::shelf;
use crate::demo::shop::Shop;
use crate::demo::verdict::{Run, Verdict, Word};
use crate::import::{self, Stock};
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Holds and time-outs of a demo are short, so that everything that can run out does so while somebody watches.
pub const FLAGS: &[&str] = &[
    "--holds-ttl=3s",
    "--holds-max-total=30s",
    "--payment-timeout=2s",
    "--payment-ask-again=500ms",
    "--start-grace=2s",
    "--fulfilment-latency=50ms",
];

/// Connections that all buyers share.
const CONNECTIONS: usize = 256;
/// SKUs that are filled at once: enough to fill each sync.
const FILLING: usize = 256;
/// Until a server is ready.
pub const START: Duration = Duration::from_secs(30);
/// Until the server has stopped.
const STOP: Duration = Duration::from_secs(60);
/// From the last arrival until everything has to be settled.
const SETTLE: Duration = Duration::from_secs(120);

/// Plays a demo on this thread.
///
/// # Errors
/// When it could not be played to its end. The directory is kept then, and named.
pub fn play(options: &Options) -> anyhow::Result<Verdict> {
    let stock = stock(options)?;
    let directory = Directory::new("demo")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let played = local.block_on(&runtime, async {
        tokio::select! {
            played = on_stage(options, &stock, &directory.0) => played,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    });
    match played {
        Ok(verdict) if verdict.verdict != Word::Fail => {
            directory.remove();
            Ok(verdict)
        }
        Ok(verdict) => {
            note(&format!("log, ledger and the server's words are kept in {}", directory.0.display()));
            Ok(verdict)
        }
        Err(error) => Err(error.context(format!("the demo failed; its files are in {}", directory.0.display()))),
    }
}

async fn on_stage(options: &Options, stock: &Stock, directory: &Path) -> anyhow::Result<Verdict> {
    let mut flags = FLAGS.to_vec();
    let fault = options.fault.as_ref().map(|fault| format!("--faults={fault}"));
    flags.extend(fault.as_deref());
    let program = std::env::current_exe()?;
    let cluster = cluster(options, directory, &program)?;
    let cluster_flags = cluster.as_ref().map(Cluster::flags).transpose()?.unwrap_or_default();
    flags.extend(cluster_flags.iter().map(String::as_str));
    let setup = Setup::new(&program, directory, &flags)?;
    let key = crate::keys::create(&setup.data, "demo").context("cannot make an API key")?;
    let mut server = Server::start(setup.clone())?;
    let ready = server.ready(START).await?;
    note(&format!("server ready in {} ms on http://{}", ready.as_millis(), setup.api));
    fill(stock, setup.api, &key.secret).await?;

    let shelves = shelf::shelves(stock);
    let crowd = Crowd::new(options.seed, shelves.len(), shelf::one_currency(stock));
    let shop = Rc::new(Shop::new(setup.api, CONNECTIONS, crowd, shelves));
    let rush = Rush::new(shop.clone(), options.buyers, f64::from(options.seconds));
    let show = tokio::task::spawn_local(live::show(shop.clone(), rush.clone(), options.buyers));
    let mut guard = Guard {
        shop: &shop,
        rush: &rush,
        server: &mut server,
        cluster: cluster.as_ref(),
        killed: false,
        killed_at: None,
        outage: None,
    };
    let (began, cpu) = (Instant::now(), own_cpu()?);
    let settled = tokio::select! {
        settled = rush.run(SETTLE) => settled,
        died = guard.watch(options) => return Err(died),
    };
    show.abort();
    let generator_cpu = (own_cpu()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let outage = guard.outage().await?;
    replay_all(&shop).await;
    server.stop(STOP).await?;
    note("server stopped; reading its log back");

    let log = match &cluster {
        None => setup.data.clone(),
        Some(cluster) => {
            let fetched = directory.join("log");
            cluster.fetch(&program, &fetched)?;
            fetched
        }
    };
    let books = Books::read(&log, &setup.data)?;
    let (ledger, stats) = (shop.ledger.borrow(), shop.stats.borrow());
    let run = Run {
        shelves: &shop.shelves,
        ledger: &ledger,
        stats: &stats,
        in_line: &rush.in_line(),
        seconds: f64::from(options.seconds),
        settled,
        generator_cpu_percent: (generator_cpu * 100.0).round() as u64,
        outage_ms: outage.map(|outage| outage.as_millis() as u64),
        seed: options.seed,
    };
    Ok(run.judge(&books))
}

/// The servers of a cluster, with the tables of the log; `None`: none are wanted.
fn cluster(options: &Options, directory: &Path, program: &Path) -> anyhow::Result<Option<Cluster>> {
    if !options.cluster {
        if options.kill != Victim::Server {
            bail!("to kill the {} needs --cluster", options.kill.word());
        }
        return Ok(None);
    }
    let nodes = if options.kill == Victim::CqlNode { 3 } else { 1 };
    let cluster = Cluster::start(&options.services, directory, nodes, EVERYTHING)?;
    cluster.make_schema(program)?;
    Ok(Some(cluster))
}

/// The stock file, or one made up.
fn stock(options: &Options) -> anyhow::Result<Stock> {
    match &options.stock {
        Some(path) => import::read(path).with_context(|| path.display().to_string()),
        None => Ok(import::file::parse(shelf::made_up(options.units, options.skus).as_bytes())?),
    }
}

/// Fills the shelves over the API.
///
/// # Errors
/// When something was refused.
pub async fn fill(stock: &Stock, api: SocketAddr, key: &str) -> anyhow::Result<()> {
    let target = import::remote::Server::new(api, key, FILLING);
    let summary = import::run::run(stock, &target, FILLING, &Silent).await;
    if let Some(why) = &summary.stopped {
        bail!("the shelves could not be filled: {why}");
    }
    if let Some(refusal) = summary.refusals.first() {
        bail!("the shelves could not be filled: line {}: {}", refusal.line, refusal.reason);
    }
    note(&format!("{} SKUs on the shelves in {} ms", summary.skus, (summary.seconds * 1_000.0) as u64));
    Ok(())
}

struct Silent;

impl import::Progress for Silent {
    fn rows(&self, _done: u64) {}
}

/// Watches over the server during the rush, and is the one that kills it.
struct Guard<'a> {
    shop: &'a Shop,
    rush: &'a Rush,
    server: &'a mut Server,
    cluster: Option<&'a Cluster>,
    /// Somebody.
    killed: bool,
    /// The server.
    killed_at: Option<Instant>,
    outage: Option<Duration>,
}

impl Guard<'_> {
    /// Never comes back, unless the server ends by itself or does not come back.
    async fn watch(&mut self, options: &Options) -> anyhow::Error {
        loop {
            sleep(Duration::from_millis(2)).await;
            let watched = match options.kill_at {
                Some(percent) if !self.killed && self.is_time(percent, options.buyers) => self.kill(options.kill).await,
                _ => self.server.alive(),
            };
            if let Err(error) = watched {
                return error;
            }
        }
    }

    /// Units or arrivals, whichever comes first: in a rush the units go in the first seconds.
    fn is_time(&self, percent: Percent, buyers: u32) -> bool {
        let units = self.shop.shelves.iter().map(|shelf| shelf.units).sum();
        self.ordered() >= percent.of(units) || self.rush.arrived() >= percent.of(buyers)
    }

    fn ordered(&self) -> u32 {
        let ledger = self.shop.ledger.borrow();
        ledger.units(None) + ledger.units(Some(End::Sold))
    }

    async fn kill(&mut self, victim: Victim) -> anyhow::Result<()> {
        let (ordered, arrived) = (grouped(self.ordered().into()), grouped(self.rush.arrived().into()));
        note(&format!("SIGKILL to the {}, with {ordered} units ordered and {arrived} buyers in", victim.word()));
        let killed_at = Instant::now();
        self.killed = true;
        if let (Some(cluster), true) = (self.cluster, victim != Victim::Server) {
            cluster.kill(victim).await?;
            if victim != Victim::CqlNode {
                note(&format!("the {} is back after {} ms", victim.word(), killed_at.elapsed().as_millis()));
            }
            return self.server.alive();
        }
        self.killed_at = Some(killed_at);
        self.server.kill()?;
        self.shop.forget_idle();
        self.server.restart()?;
        self.outage().await?;
        Ok(())
    }

    /// How long the killed server was away, once it is back.
    async fn outage(&mut self) -> anyhow::Result<Option<Duration>> {
        let Some(killed_at) = self.killed_at else { return Ok(None) };
        if self.outage.is_none() {
            self.server.ready(START).await?;
            self.outage = Some(killed_at.elapsed());
            note(&format!("the server is back after {} ms", killed_at.elapsed().as_millis()));
        }
        Ok(self.outage)
    }
}

/// Sends every acknowledged request once more: each must be answered as it was the first time.
async fn replay_all(shop: &Rc<Shop>) {
    use futures_util::StreamExt;
    let count = shop.ledger.borrow().orders().len();
    let replays = (0..count).map(|index| async move {
        let request = shop.ledger.borrow().orders()[index].request.clone();
        let mut last = String::new();
        for _ in 0..5 {
            match shop.pool.send(&request, Duration::from_secs(10)).await {
                Ok(answer) if !matches!(answer.status(), 429 | 503) && answer.code() != "idempotency_key_in_flight" => {
                    return shop.ledger.borrow_mut().replayed(index, answer.status(), &answer.body);
                }
                Ok(answer) => last = format!("{} {}", answer.status(), answer.code()),
                Err(failure) => last = failure.to_string(),
            }
            sleep(Duration::from_millis(200)).await;
        }
        shop.stats.borrow_mut().gave_up(request.line(), &last);
    });
    futures_util::stream::iter(replays).buffer_unordered(32).collect::<()>().await;
}

/// A fresh directory.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one among the temporary files, named after what it is for.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(purpose: &str) -> anyhow::Result<Directory> {
        let name = format!("stampede-{purpose}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Directory(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it. One that is left behind costs only space.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
