//! The edge: parses, authenticates, admits or sheds, asks the actors, and writes the answer. No business rule lives here.
//!
//! `routes` is the table of everything; each resource's file has its routes, bodies and handlers; `call` is what happens to
//! every request; `problem` is where failures get their status. The API and the operations server have a port each.

pub mod app;
pub mod attention;
pub mod audit;
pub mod body;
pub mod call;
pub mod carts;
pub mod docs;
pub mod fulfilment;
pub mod holds;
pub mod idempotency;
pub mod limit;
pub mod log_filter;
pub mod noop;
pub mod openapi;
pub mod operations;
pub mod ops;
pub mod order_view;
pub mod orders;
pub mod paging;
pub mod payments;
pub mod problem;
pub mod reply;
pub mod request_id;
pub mod routes;
pub mod skus;
pub mod spec;
pub mod standby;
pub mod stock;
pub mod stream;
mod tally;
pub mod traced;
pub mod wire;
pub mod work;

use crate::cache::Cache;
use crate::config::Config;
use crate::engine::Engine;
use crate::http::app::{App, Shared};
use crate::journal::Stopped;
use crate::keys::Keys;
use actix_web::dev::ServerHandle;
use actix_web::{App as Services, HttpServer, web};
use anyhow::Context;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Threads per worker for reading lists: each may wait for the store.
const LIST_THREADS: usize = 4;
/// How long waiting clients get to hear that the log has stopped.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often the end of what is in progress is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Both ports, taken before anything is opened: a port that is not ours stops the start at once.
pub struct Listeners {
    api: TcpListener,
    operations: TcpListener,
    /// Where the API is.
    pub api_at: SocketAddr,
    /// Where health and metrics are.
    pub operations_at: SocketAddr,
}

impl Listeners {
    /// Takes the configured ports; port 0 takes any.
    ///
    /// # Errors
    /// When one is taken or not ours.
    pub fn bind(config: &Config) -> anyhow::Result<Listeners> {
        let bind = |name: &str, at: SocketAddr| {
            let listener = TcpListener::bind(at).with_context(|| format!("{name}: cannot listen on {at}"))?;
            let at = listener.local_addr().with_context(|| format!("{name}: no address"))?;
            anyhow::Ok((listener, at))
        };
        let (api, api_at) = bind("api.bind", config.api.bind)?;
        let (operations, operations_at) = bind("ops.bind", config.ops.bind)?;
        Ok(Listeners { api, operations, api_at, operations_at })
    }
}

/// Serves until SIGTERM or SIGINT, then drains and stops the engine. Needs an actix `System`.
///
/// Health and metrics answer from the beginning; `start` opens the engine, and `ready` is told when the API answers.
///
/// # Errors
/// When the engine does not start, a server fails, or the commit log stops.
pub async fn serve<E: std::error::Error + Send + Sync + 'static>(
    config: &Config,
    listeners: Listeners,
    start: impl FnOnce() -> Result<Engine, E>,
    ready: impl FnOnce(&Engine),
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let operations = operations::start(listeners.operations)?;
    let engine = start()?;
    run(config, listeners.api, &mut signals, operations, engine, ready).await
}

/// As [`serve`], where the log is in the database: stands by while another process owns it, and then takes over.
///
/// # Errors
/// As [`serve`].
pub async fn serve_in_turn(config: &Config, listeners: Listeners, ready: impl FnOnce(&Engine)) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let operations = operations::start(listeners.operations)?;
    let engine = loop {
        let turn = standby::wait(config, &listeners.api, &operations, signals.any()).await?;
        let Some(cluster) = turn else {
            operations.stop();
            return Ok(());
        };
        match Engine::take_over(config.clone(), cluster) {
            Ok(engine) => break engine,
            Err(error @ crate::engine::Error::Cql(crate::cql::Error::Lost(_))) => {
                tracing::info!(%error, "somebody else was faster; standing by again");
            }
            Err(error) => return Err(error.into()),
        }
    };
    operations.stands_by(None);
    run(config, listeners.api, &mut signals, operations, engine, ready).await
}

async fn run(
    config: &Config,
    listener: TcpListener,
    signals: &mut Signals,
    operations: operations::Operations,
    engine: Engine,
    ready: impl FnOnce(&Engine),
) -> anyhow::Result<()> {
    let keys = Keys::open(&config.data_dir)?;
    let cache = Cache::start(config, &engine, skus::cached).context("the thread beside Redis")?;
    let shared = Shared::new(engine.clone(), keys, config, cache);
    operations.watch(&shared);

    let server = api(config, listener, &shared)?;
    let handle = server.handle();
    let mut serving = std::pin::pin!(actix_web::rt::spawn(server));
    tokio::select! {
        () = workers_started(&engine) => ready(&engine),
        ended = &mut serving => ended.context("the API server panicked")?.context("the API server did not start")?,
    }

    let outcome = tokio::select! {
        () = signals.any() => {
            tracing::info!("draining: no new purchases, what is in progress goes on");
            drain(config, &shared, &handle, signals).await;
            Ok(())
        }
        why = engine.stopped() => {
            shared.drain();
            settle(&shared, LAST_WORDS).await;
            stop_workflows(&engine).await;
            handle.stop(false).await;
            Err(stopped(&why))
        }
        ended = &mut serving => {
            ended.context("the API server panicked")?.context("the API server failed")?;
            Err(anyhow::anyhow!("the API server ended by itself"))
        }
    };
    if let Some(cache) = &shared.cache {
        cache.stop();
    }
    engine.shut_down();
    operations.stop();
    outcome
}

/// The workers start on threads of their own.
async fn workers_started(engine: &Engine) {
    while engine.health().checks.iter().any(|check| check.check == "lanes" && !check.ok) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn stopped(why: &Stopped) -> anyhow::Error {
    match why {
        Stopped::Cleanly => anyhow::anyhow!("the commit log was stopped"),
        Stopped::Fenced(why) => anyhow::anyhow!("another process owns the commit log: {why}"),
        Stopped::Failed(why) => anyhow::anyhow!("the engine failed: {why}"),
    }
}

fn api(config: &Config, listener: TcpListener, shared: &Arc<Shared>) -> anyhow::Result<actix_web::dev::Server> {
    let (shared, settings) = (Arc::clone(shared), config.clone());
    let services = move || {
        shared.engine.attach_worker();
        let app = App::new(Arc::clone(&shared), &settings);
        let measure = app.measure;
        Services::new()
            .configure(|services| routes::register(services, &app))
            .default_service(web::to(move |request| call::no_route(request, measure)))
    };
    let server = HttpServer::new(services)
        .workers(config.workers)
        .worker_max_blocking_threads(LIST_THREADS)
        .max_connections(config.api.connections)
        .backlog(4096)
        .keep_alive(config.api.keep_alive)
        .client_request_timeout(config.api.header_timeout)
        .client_disconnect_timeout(Duration::from_secs(1))
        .shutdown_timeout(config.api.drain.as_secs().max(1))
        .disable_signals()
        .listen(listener)
        .context("the API server")?;
    Ok(server.run())
}

/// Lets what is in progress finish, then closes all connections. A second signal cuts it short.
async fn drain(config: &Config, shared: &Arc<Shared>, handle: &ServerHandle, signals: &mut Signals) {
    shared.engine.go_down();
    shared.drain();
    let finished = async {
        settle(shared, config.api.drain).await;
        stop_workflows(&shared.engine).await;
        handle.stop(true).await;
    };
    tokio::select! {
        () = finished => {}
        () = signals.any() => {
            tracing::warn!("a second signal: what is in progress is cut off");
            handle.stop(false).await;
        }
    }
}

/// Ends the workflows while the workers are still there: their steps ask entities.
async fn stop_workflows(engine: &Engine) {
    let engine = engine.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || engine.stop_workflows()).await {
        tracing::error!(%error, "the workflows could not be ended");
    }
}

/// Waits until nothing is in progress, at most so long.
async fn settle(shared: &Shared, at_most: Duration) {
    let until = Instant::now() + at_most;
    while shared.in_flight() > 0 && Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
