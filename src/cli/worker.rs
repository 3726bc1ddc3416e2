//! `stampede worker payment|fulfilment`: works on steps out of RabbitMQ, in a process of its own.

use crate::cli::{Exit, Outcome, Stop, logging, serve};
use crate::config::{Config, Flags, Works};
use crate::http::operations;
use crate::import::remote;
use crate::worker::{Server, Worker};
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use std::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Those of the payment provider.
    Payment,
    /// Those of the warehouse.
    Fulfilment,
}

/// `stampede worker`.
///
/// Servers that leave this work to others run with --broker rabbitmq --rabbitmq-works none. A worker has the same
/// rabbitmq.* and payment.* settings as they have; its data directory holds the books of the simulated outside party.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which steps to work on.
    kind: Kind,
    /// The server's API, like http://127.0.0.1:8080; with stand-bys, all addresses with commas between them.
    #[arg(long, value_name = "URL,…", env = "STAMPEDE_SERVER", value_delimiter = ',', required = true)]
    server: Vec<String>,
    /// An API key of that server; the environment keeps it out of the list of processes.
    #[arg(long, value_name = "KEY", env = "STAMPEDE_KEY", hide_env_values = true)]
    key: String,
    #[command(flatten)]
    flags: Flags,
}

/// Works until SIGTERM or SIGINT; then lets what is in progress end.
///
/// # Errors
/// A configuration that cannot be, a port or a directory that cannot be used.
pub fn run(args: &Args) -> Outcome {
    let config = Config::load(&args.flags)?;
    let role = if args.kind == Kind::Payment { "worker payment" } else { "worker fulfilment" };
    let _traces = logging::start(&config, role)?;
    let addresses = args.server.iter().map(|url| remote::address(url)).collect::<Result<Vec<_>, _>>();
    let addresses = addresses.map_err(|error| Stop::new(Exit::Usage, anyhow!(error)))?;
    serve::prepare(&config)?;
    let works = Works { payment: args.kind == Kind::Payment, fulfilment: args.kind == Kind::Fulfilment };
    let listener = TcpListener::bind(config.ops.bind)
        .with_context(|| format!("ops.bind: cannot listen on {}", config.ops.bind))?;
    let at = listener.local_addr()?;
    let operations = operations::start(listener)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let worked = local.block_on(&runtime, async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let worker = Worker::start(&config, works, Server::new(&addresses, &args.key))?;
        let (workflows, broker) = worker.vitals();
        operations.watch_worker(workflows, broker);
        tracing::info!(kind = ?args.kind, rabbitmq = %config.rabbitmq.url, operations = %at, "working");
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("what is in progress ends, the rest goes back to its queue");
        };
        worker.run(stop).await
    });
    operations.stop();
    worked?;
    tracing::info!("stopped");
    Ok(Exit::Ok)
}
