//! `stampede schema apply|status`: the tables of the commit log in ScyllaDB or Cassandra; `stampede takeover`: tells a
//! stand-by to take over.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::config::{Config, Flags};
use crate::cql::{Cluster, schema};
use anyhow::anyhow;
use serde_json::json;
use std::time::{Duration, Instant};

/// `stampede schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make the keyspace and its tables, or bring them up to date. Can be repeated.
    Apply(Options),
    /// Say which steps were taken. Exit 3: not all of them.
    Status(Options),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Makes or looks at the schema.
///
/// # Errors
/// A database that cannot be reached or used.
pub fn run(args: &Args) -> Outcome {
    match &args.verb {
        Verb::Apply(options) => apply(options),
        Verb::Status(options) => status(options),
    }
}

fn apply(options: &Options) -> Outcome {
    let config = Config::load(&options.flags)?;
    let cluster = Cluster::connect(&config.cql)?;
    let done = schema::apply(&cluster)?;
    if options.json {
        out::json(&json!({ "database": cluster.product().to_string(), "done": done }))?;
    } else if done.is_empty() {
        out::line(&format!("{}: nothing to do", cluster.product()));
    } else {
        out::line(&format!("{}:\n  {}", cluster.product(), done.join("\n  ")));
    }
    Ok(Exit::Ok)
}

fn status(options: &Options) -> Outcome {
    let config = Config::load(&options.flags)?;
    let cluster = Cluster::connect(&config.cql)?;
    let steps = schema::status(&cluster)?;
    let word = |state: Option<bool>| match state {
        Some(true) => "done",
        Some(false) => "half made",
        None => "missing",
    };
    if options.json {
        let steps: Vec<_> = steps
            .iter()
            .map(|(version, name, state)| json!({ "version": version, "name": name, "state": word(*state) }))
            .collect();
        out::json(&json!({ "database": cluster.product().to_string(), "steps": steps }))?;
    } else {
        for (version, name, state) in &steps {
            out::line(&format!("version {version}  {:9}  {name}", word(*state)));
        }
    }
    let whole = steps.iter().all(|(_, _, state)| *state == Some(true));
    Ok(if whole { Exit::Ok } else { Exit::NotReady })
}

/// `stampede takeover`.
#[derive(Debug, clap::Args)]
pub struct Takeover {
    /// How long to wait for the new owner.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    within: Duration,
    #[command(flatten)]
    flags: Flags,
}

/// Tells a stand-by to take over, and waits until one has. The owner notices, stops and exits with 1.
///
/// # Errors
/// No stand-by, nobody takes over in time, or a database that cannot be used.
pub fn take_over(args: &Takeover) -> Outcome {
    let config = Config::load(&args.flags)?;
    let cluster = Cluster::open(&config.cql)?;
    let owner = cluster.owner()?;
    if !cluster.peers()?.iter().any(|peer| peer.node != owner.node) {
        return Err(Stop::new(Exit::NotReady, anyhow!("no process stands by: start one with the same settings first")));
    }
    if !cluster.give_up(owner.epoch)? {
        return Err(Stop::new(Exit::Failed, anyhow!("the owner has just changed: look again")));
    }
    let until = Instant::now() + args.within;
    while Instant::now() < until {
        let now = cluster.owner()?;
        // Its address is noted when it is at work.
        if now.epoch > owner.epoch && now.node != owner.node {
            out::line(&format!("epoch {}: {} has taken over from {}", now.epoch, now.address, owner.address));
            return Ok(Exit::Ok);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Stop::new(Exit::NotReady, anyhow!("nobody has taken over within {:?}", args.within)))
}
