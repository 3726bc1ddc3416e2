//! `stampede import FILE.csv`.

use crate::cli::{Exit, Outcome, Stop, make_data_dir, out};
use crate::config::flags::DirFlags;
use crate::config::{Config, Placement};
use crate::engine::{self, Engine};
use crate::import::{self, Progress, Stock, Summary, local, remote};
use crate::journal;
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime;

/// SKUs in progress at once over HTTP, each on a connection of its own: enough to fill each sync.
const CONNECTIONS: usize = 256;
/// SKUs in progress at once in a directory: enough to fill each sync.
const AT_ONCE: usize = 2_048;

/// `stampede import`.
///
/// Repeated within a day (`idempotency.keep`), an import takes nothing in twice and completes what was left.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Columns: sku, seller, location, units, price (19.99), currency; and, where wanted, safety_stock, priority,
    /// buyer_limit. In any order, named in the first line.
    file: PathBuf,
    /// A running server's API, like http://127.0.0.1:8080. Without it, the data directory of a stopped server.
    #[arg(long, value_name = "URL", env = "STAMPEDE_SERVER", requires = "key")]
    server: Option<String>,
    /// An API key of that server.
    #[arg(long, value_name = "KEY", env = "STAMPEDE_KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    dir: DirFlags,
    /// How long to go on asking while the server is busy, restarting or away.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Check the file and write nothing.
    #[arg(long)]
    check: bool,
    /// The summary as JSON.
    #[arg(long)]
    json: bool,
}

/// Checks the file, then carries it out.
///
/// # Errors
/// A file that is not right (with lines), a server that is not there, rows that were refused.
pub fn run(args: &Args) -> Outcome {
    let stock = import::read(&args.file).with_context(|| args.file.display().to_string())?;
    if args.check {
        out::complain(&format!("{} rows of {} SKUs are right; nothing was imported", stock.rows, stock.skus.len()));
        return Ok(Exit::Ok);
    }
    let summary = match (&args.server, &args.key) {
        (Some(server), Some(key)) => {
            let address = remote::address(server).map_err(|error| Stop::new(Exit::Usage, anyhow!(error)))?;
            into_server(&stock, remote::Server::new(address, key, CONNECTIONS).patient_for(args.patience))?
        }
        _ => into_directory(&stock, Config::load(&args.dir.flags())?)?,
    };
    report(&summary, args.json)
}

fn into_server(stock: &Stock, server: remote::Server) -> anyhow::Result<Summary> {
    let bar = Bar::new(stock);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(import::run::run(stock, &server, CONNECTIONS, &bar)))
}

/// Runs the engine in this process: one worker's lane, on this thread, hosts all shards.
fn into_directory(stock: &Stock, config: Config) -> anyhow::Result<Summary> {
    let config = Config { workers: 1, placement: Placement::Worker, ..config };
    make_data_dir(&config.data_dir)?;
    let engine = Engine::start(config).map_err(|error| match error {
        engine::Error::Journal(journal::Error::Locked(_)) => {
            anyhow!("a server is running on this directory: import with --server and --key")
        }
        error => error.into(),
    })?;
    let bar = Bar::new(stock);
    let summary = actix_rt::System::new().block_on(async {
        engine.attach_worker();
        import::run::run(stock, &local::Here::new(engine.ids()), AT_ONCE, &bar).await
    });
    engine.shut_down();
    Ok(summary)
}

fn report(summary: &Summary, as_json: bool) -> Outcome {
    if as_json {
        out::json(summary)?;
    } else {
        let Summary { skus, rows, received, already, empty, seconds, .. } = summary;
        let rate = (summary.done() as f64 / seconds.max(0.001)).round();
        out::line(&format!(
            "{} of {rows} rows, {skus} SKUs: {received} received, {already} there before, {empty} without units, \
             in {seconds:.1} s ({rate}/s)",
            summary.done()
        ));
    }
    for refusal in &summary.refusals {
        out::complain(&format!("  line {}: {}", refusal.line, refusal.reason));
    }
    if summary.refused > summary.refusals.len() {
        out::complain(&format!("  and {} more", summary.refused - summary.refusals.len()));
    }
    match &summary.stopped {
        Some(why) if summary.denied => Err(anyhow!("{why}").into()),
        Some(why) => Err(Stop::new(Exit::NotReady, anyhow!("stopped: {why}; the same import, repeated, completes it"))),
        None if summary.complete() => Ok(Exit::Ok),
        None => Err(anyhow!("{} rows were refused", summary.refused).into()),
    }
}

/// Shown on a terminal only, and on standard error.
struct Bar(ProgressBar);

impl Bar {
    fn new(stock: &Stock) -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(stock.rows as u64);
        let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} rows  {per_sec}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn rows(&self, done: u64) {
        self.0.inc(done);
    }
}
