//! `stampede import FILE.csv`.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::import::{self, Progress, Stock, Summary, remote};
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use tokio::runtime;

/// `stampede import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Columns: sku, seller, location, units, price (19.99), currency; and, where wanted, safety_stock, priority,
    /// buyer_limit. In any order, named in the first line.
    file: PathBuf,
    /// A running server's API, like http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", env = "STAMPEDE_SERVER", required_unless_present = "check", requires = "key")]
    server: Option<String>,
    /// An API key of that server.
    #[arg(long, value_name = "KEY", env = "STAMPEDE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// SKUs in progress at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    at_once: usize,
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
    let (Some(server), Some(key)) = (&args.server, &args.key) else {
        return Err(Stop::new(Exit::Usage, anyhow!("--server and --key say where the stock goes")));
    };
    let address = remote::address(server).map_err(|e| Stop::new(Exit::Usage, anyhow!(e)))?;
    let server = remote::Server::new(address, key, args.at_once);
    let bar = Bar::new(&stock);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let summary = runtime.block_on(import::run::run(&stock, &server, args.at_once, &bar));
    bar.0.finish_and_clear();
    report(&summary, args.json)
}

fn report(summary: &Summary, as_json: bool) -> Outcome {
    if as_json {
        out::json(summary)?;
    } else {
        let Summary { skus, rows, received, already, empty, seconds, .. } = summary;
        let rate = (*rows as f64 / seconds.max(0.001)).round();
        out::line(&format!(
            "{rows} rows, {skus} SKUs: {received} received, {already} there before, {empty} without units, \
             in {seconds:.1} s ({rate}/s)"
        ));
    }
    for refusal in &summary.refusals {
        out::complain(&format!("  line {}: {}", refusal.line, refusal.reason));
    }
    if summary.refused > summary.refusals.len() {
        out::complain(&format!("  and {} more", summary.refused - summary.refusals.len()));
    }
    match &summary.stopped {
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

impl Progress for Bar {
    fn rows(&self, done: u64) {
        self.0.inc(done);
    }
}
