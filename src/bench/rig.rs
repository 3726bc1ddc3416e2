//! What is measured: a real server on a directory of its own, with stock in it, and requests of one kind after the other
//! over the same connections.

use crate::bench::figure::Sample;
use crate::bench::load::{self, Kind, Round};
use crate::bench::orders::{Goal, Order};
use crate::bench::process;
use crate::client::Connection;
use crate::client::scrape::Metrics;
use crate::demo::server::own_cpu;
use crate::demo::stats::ms;
use crate::demo::{Server, Setup, stage};
use anyhow::{Context, bail};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a server is watched to see whether it rests.
const LOOK: Duration = Duration::from_millis(300);
/// Longest wait for it to rest.
const REST: Duration = Duration::from_secs(60);
/// Until a server has stopped.
const STOP: Duration = Duration::from_secs(120);

/// Until a server that has much to read is ready.
const START: Duration = Duration::from_secs(120);
/// A generator that used more than this part of its core was too busy for its figures to mean anything.
pub const MAX_CPU: f64 = 0.80;
/// What every server is started with. A connection that is not needed for a while stays open.
const ALWAYS: &[&str] = &["--measure", "--holds-ttl=29m", "--api-header-timeout=1h", "--api-keep-alive=1h"];

/// Payment is answered only after every round: an order is durable when it is answered, and what follows it would run
/// into the next round.
pub const HELD_BACK: &[&str] = &["--payment-latency=1h", "--payment-ask-again=1h"];

/// A server and its directory; both go when it is dropped.
#[derive(Debug)]
pub struct Rig {
    // The server is killed before its directory goes.
    server: Server,
    setup: Setup,
    key: String,
    _place: Place,
}

#[derive(Debug)]
struct Place(stage::Directory);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl Rig {
    /// Fills a directory with what stands in a stock file, and starts a server there with these flags.
    ///
    /// # Errors
    /// When it does not start, or does not take the stock.
    pub async fn start(flags: &[&str], stock: &str) -> anyhow::Result<Rig> {
        let (place, setup, key) = lay_out(flags)?;
        fill(&setup, stock)?;
        let mut server = Server::start(setup.clone())?;
        server.ready(START).await?;
        Ok(Rig { server, setup, key, _place: place })
    }

    /// Starts a server with these flags, and gives it what stands in a stock file over its API: for a log that is not in
    /// its directory alone.
    ///
    /// # Errors
    /// As [`Rig::start`].
    pub async fn start_then_fill(flags: &[&str], stock: &str) -> anyhow::Result<Rig> {
        let (place, setup, key) = lay_out(flags)?;
        let mut server = Server::start(setup.clone())?;
        server.ready(START).await?;
        let (to, with) = (format!("http://{}", setup.api), key.clone());
        let of = setup.clone();
        let stock = stock.to_owned();
        let filled = move || import(&of, &stock, &["--server", &to, "--key", &with]);
        tokio::task::spawn_blocking(filled).await??;
        Ok(Rig { server, setup, key, _place: place })
    }

    /// Where it runs.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its key, for what buyers may not do.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.setup.data
    }

    /// Connections to its API.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub async fn connect(&self, connections: usize) -> anyhow::Result<Vec<Connection>> {
        Ok(load::connect(self.setup.api, connections).await?)
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::of(self.setup.ops).await
    }

    /// CPU time of its threads.
    ///
    /// # Errors
    /// When it has ended.
    pub fn threads(&self) -> anyhow::Result<process::Threads> {
        process::threads(self.server.id())
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> anyhow::Result<u64> {
        process::resident(self.server.id())
    }

    /// Comes back when it has nothing left to do.
    ///
    /// # Errors
    /// When it has ended, or works on for a minute: whatever was measured next would be measured beside that.
    pub async fn rest(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + REST;
        let mut before = self.server.cpu()?;
        while Instant::now() < deadline {
            sleep(LOOK).await;
            let now = self.server.cpu()?;
            if now - before < LOOK / 20 {
                return Ok(());
            }
            before = now;
        }
        bail!("the server was still at work {REST:?} after the last request")
    }

    /// Requests of one kind for `duration`, with the CPU time that they cost until the server rests.
    ///
    /// # Errors
    /// The first answer that was not right.
    pub async fn side(
        &self,
        connections: &mut [Connection],
        kind: &impl Kind,
        duration: Duration,
    ) -> anyhow::Result<Side> {
        let (cpu, own) = (self.server.cpu()?, own_cpu()?);
        let round = load::round(connections, kind, duration).await?;
        let own = own_cpu()? - own;
        self.rest().await?;
        Ok(Side::of(&round, self.server.cpu()? - cpu, own))
    }

    /// Stops it and lets it go.
    ///
    /// # Errors
    /// When it does not stop, or ends badly.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.server.stop(STOP).await
    }

    /// Places so many orders.
    ///
    /// # Errors
    /// The first answer that was not right.
    pub async fn place(&self, connections: usize, count: u64, goal: Goal) -> anyhow::Result<()> {
        let (order, mut open) = (Order::new(goal), self.connect(connections).await?);
        let write = |_, buffer: &mut Vec<u8>| order.write(buffer);
        Ok(load::each(&mut open, count, write, |_, head, _| order.is_right(head)).await?)
    }

    /// Stops it and starts it again with these flags, without what it had in memory.
    ///
    /// # Errors
    /// When it does not stop or does not start.
    pub async fn begin_anew(&mut self, flags: &[&str]) -> anyhow::Result<()> {
        self.server.stop(STOP).await?;
        self.setup.flags = [ALWAYS, flags].concat().into_iter().map(str::to_owned).collect();
        self.server = Server::start(self.setup.clone())?;
        self.server.ready(START).await?;
        Ok(())
    }

    /// The server itself.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// A directory, a server's setup in it, and an API key.
fn lay_out(flags: &[&str]) -> anyhow::Result<(Place, Setup, String)> {
    let place = Place(stage::Directory::new("bench")?);
    let flags = [ALWAYS, flags].concat();
    let setup = Setup::new(&std::env::current_exe()?, place.0.path(), &flags)?;
    let key = crate::keys::create(&setup.data, "bench").context("cannot make an API key")?.secret;
    Ok((place, setup, key))
}

/// Imports a stock file into the directory of a server that does not run yet: much faster than through its API.
fn fill(setup: &Setup, stock: &str) -> anyhow::Result<()> {
    import(setup, stock, &["--data-dir", &setup.data.to_string_lossy()])
}

fn import(setup: &Setup, stock: &str, into: &[&str]) -> anyhow::Result<()> {
    let file = setup.data.with_file_name("stock.csv");
    std::fs::write(&file, stock).with_context(|| format!("cannot write {}", file.display()))?;
    let mut import = Command::new(&setup.program);
    import.arg("import").arg(&file).args(into);
    import.current_dir(&setup.data).stdin(Stdio::null());
    // Settings in the environment do not belong to this run.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STAMPEDE_")) {
        import.env_remove(name);
    }
    let done = import.output().context("cannot start the import")?;
    if !done.status.success() {
        bail!("the stock was not imported: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// Right answers per second.
    pub rate: f64,
    /// Milliseconds.
    pub p50_ms: f64,
    /// Milliseconds.
    pub p99_ms: f64,
    /// CPU time of the server per request, in microseconds.
    pub server_us: f64,
    /// CPU time of the generator per request, in microseconds.
    pub client_us: f64,
    /// Requests per second that were turned away.
    pub shed: f64,
    /// The generator's part of its core.
    pub generator: f64,
}

impl Side {
    fn of(round: &Round, server: Duration, client: Duration) -> Side {
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / round.answers.max(1) as f64;
        Side {
            rate: round.rate(),
            p50_ms: ms(&round.latency, 0.50),
            p99_ms: ms(&round.latency, 0.99),
            server_us: each(server),
            client_us: each(client),
            shed: round.shed as f64 / round.elapsed.as_secs_f64(),
            generator: client.as_secs_f64() / round.elapsed.as_secs_f64(),
        }
    }
}

/// A round of these sides. It proves nothing when the generator had hardly any time left in one of them: then it is the
/// generator that was measured.
#[must_use]
pub fn judged(sample: Sample, sides: &[&Side]) -> crate::bench::rounds::Round {
    let busiest = sides.iter().map(|side| side.generator).fold(0.0, f64::max);
    let void = (busiest > MAX_CPU).then(|| format!("the generator used {:.0} % of its core", busiest * 100.0));
    crate::bench::rounds::Round { samples: vec![sample], void }
}

/// A side under its names, as details of a sample.
#[must_use]
pub fn details(names: &'static [&'static str; 6], side: &Side) -> [(&'static str, f64); 6] {
    let values = [side.rate, side.p50_ms, side.p99_ms, side.server_us, side.client_us, side.shed];
    std::array::from_fn(|index| (names[index], values[index]))
}

/// The six names of a side's details.
macro_rules! names {
    ($side:literal) => {
        &[
            concat!($side, "_per_s"),
            concat!($side, "_p50_ms"),
            concat!($side, "_p99_ms"),
            concat!($side, "_server_us"),
            concat!($side, "_client_us"),
            concat!($side, "_shed_per_s"),
        ]
    };
}
pub(crate) use names;
