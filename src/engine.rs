//! The running engine: log, store, actors and workflows of one data directory, put together and taken apart.
//!
//! Nothing here decides anything. What starts is listed in the order in which it must: the log is read first, the store
//! follows it, the clock goes on from both, then come lanes, workflows, and last whatever asks.

mod clock;
mod draining;
mod frames;
mod health;
mod ids;
pub mod outside;
mod pulse;
mod standby;
mod start;
pub mod stepped;
#[cfg(test)]
mod tests;
mod upkeep;

pub use clock::EngineClock;
pub use health::{Check, Health};
pub use ids::{Ids, is_whole_secret};
pub use standby::Standby;
pub use start::{Error, Recovered};

use crate::broker::Broker;
use crate::config::{Config, Placement};
use crate::cql::{Cluster, NotOurs, Tenancy};
use crate::feed::Inlet;
use crate::feed::projection::{Reader, worker};
use crate::journal::{self, CommitListener, Committed, Log, Stopped};
use crate::store;
use crate::workflows::WorkflowThread;
use crate::workflows::simulated::FaultBoard;
use parking_lot::Mutex;
use stampede_actors::ids::Slot;
use stampede_actors::journal::Journal;
use stampede_actors::record::Position;
use stampede_actors::shell::{Clock, Fabric, Lane, LaneId, Permit};
use stampede_actors::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// A handle on the engine; cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(crate) struct Inner {
    config: Config,
    ids: Ids,
    clock: Arc<EngineClock>,
    fabric: Arc<Fabric>,
    log: Arc<Log>,
    frames: Arc<frames::LogFrames>,
    listener: Arc<Listener>,
    queue: Arc<journal::Queue>,
    reader: Reader,
    store: Arc<store::Vitals>,
    projection: worker::Handle,
    projection_worker: Mutex<Option<worker::Worker>>,
    workflows: WorkflowThread,
    /// RabbitMQ, when it is used.
    broker: Option<Broker>,
    changes: Option<Arc<Inlet>>,
    /// The stores of the simulated outside parties.
    outside: Vec<store::Failure>,
    /// What they do wrong now.
    faults: FaultBoard,
    /// Kept so that its lanes live: shards on threads of their own.
    arbiters: Mutex<Vec<actix_rt::Arbiter>>,
    log_thread: Mutex<Option<journal::LogThread>>,
    upkeep: Mutex<Option<JoinHandle<()>>>,
    workers_attached: AtomicUsize,
    spare_lanes: AtomicUsize,
    /// Lanes that do not turn.
    hanging: Mutex<Vec<usize>>,
    draining: AtomicBool,
    /// It is draining for good.
    going_down: AtomicBool,
    stopping: AtomicBool,
    stopped: watch::Receiver<Option<Stopped>>,
    recovered: start::Recovered,
    /// Of a log in the database.
    tenancy: Option<Arc<Tenancy>>,
}

/// Committed records that the projection may be behind until no further purchase is admitted: entities stay warm until
/// it has them, and memory is bounded.
const MAX_BEHIND: u64 = 262_144;

/// Lanes beyond workers, shard threads and workflows: for tests, imports and other askers.
const SPARE_LANES: usize = 4;

impl Engine {
    /// Opens the data directory and starts everything but HTTP.
    ///
    /// # Errors
    /// [`Error`]: the directory cannot be used, is in use, or its log is corrupt.
    pub fn start(config: Config) -> Result<Engine, Error> {
        start::start(config, None)
    }

    /// As [`Engine::start`], with a connection to the database that is there already.
    ///
    /// # Errors
    /// As [`Engine::start`]; also when somebody else takes the log over at the same time.
    pub fn take_over(config: Config, cluster: Arc<Cluster>) -> Result<Engine, Error> {
        start::start(config, Some(cluster))
    }

    /// May an answer from memory leave (S25)? Only where the log is in the database is there anything to find out.
    ///
    /// # Errors
    /// [`NotOurs`]: somebody else owns the log, or it cannot be found out.
    pub async fn confirm(&self) -> Result<(), NotOurs> {
        match &self.0.tenancy {
            None => Ok(()),
            Some(tenancy) => tenancy.confirm().await,
        }
    }

    /// This process's time as the owner of a log in the database.
    #[must_use]
    pub fn tenancy(&self) -> Option<&Arc<Tenancy>> {
        self.0.tenancy.as_ref()
    }

    /// Makes the calling thread, an HTTP worker, a lane, and starts the shards that live on it. Once per worker; more
    /// workers than configured are askers only.
    pub fn attach_worker(&self) {
        if Lane::current().is_some() {
            return;
        }
        let worker = self.0.workers_attached.fetch_add(1, Ordering::SeqCst);
        if worker < self.0.config.workers {
            Lane::start(&self.0.fabric, LaneId(worker));
        } else {
            self.attach_thread();
        }
    }

    /// Makes the calling thread a lane that only asks.
    ///
    /// # Panics
    /// When there are more such threads than spare lanes: a bug, threads that ask are few and known.
    pub fn attach_thread(&self) {
        let spare = self.0.spare_lanes.fetch_add(1, Ordering::SeqCst);
        assert!(spare < SPARE_LANES, "at most {SPARE_LANES} further threads may ask");
        Lane::start(&self.0.fabric, LaneId(start::first_spare_lane(&self.0.config) + spare));
    }

    /// A permit for a purchase at this slot's shard; `None`: too many are in progress (S13).
    #[must_use]
    pub fn permit(&self, slot: Slot) -> Option<Permit> {
        let behind = self.0.reader.lag(self.committed()).not_taken_in;
        if behind > MAX_BEHIND { None } else { self.0.fabric.permit(slot) }
    }

    /// What was configured.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Makes ids.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Engine time.
    #[must_use]
    pub fn clock(&self) -> &EngineClock {
        &self.0.clock
    }

    /// Engine time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.moment().now
    }

    /// Everything up to here is committed.
    #[must_use]
    pub fn committed(&self) -> Position {
        self.0.queue.committed()
    }

    /// Lists, movements, sums.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// What the store was asked for.
    #[must_use]
    pub fn store(&self) -> &store::Vitals {
        &self.0.store
    }

    /// Has the projection write: what a list shows then includes everything committed until now.
    #[must_use]
    pub fn projection(&self) -> &worker::Handle {
        &self.0.projection
    }

    /// Shells' counters, permits, shards.
    #[must_use]
    pub fn fabric(&self) -> &Arc<Fabric> {
        &self.0.fabric
    }

    /// The commit log.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.0.log
    }

    /// The workflow thread.
    #[must_use]
    pub fn workflows(&self) -> &WorkflowThread {
        &self.0.workflows
    }

    /// Pace and patience of the workflows.
    #[must_use]
    pub fn workflow_terms(&self) -> crate::workflows::Terms {
        outside::workflows_config(&self.0.config).terms
    }

    /// RabbitMQ, when it is used.
    #[must_use]
    pub fn broker(&self) -> Option<&Broker> {
        self.0.broker.as_ref()
    }

    /// Committed frames, for whoever publishes availability; `None` when nobody is to.
    #[must_use]
    pub fn changes(&self) -> Option<&Arc<Inlet>> {
        self.0.changes.as_ref()
    }

    /// How the start went.
    #[must_use]
    pub fn recovered(&self) -> &start::Recovered {
        &self.0.recovered
    }

    /// Is everything well enough to take requests, check by check?
    #[must_use]
    pub fn health(&self) -> Health {
        health::health(&self.0)
    }

    /// What the simulated outside parties of this process do wrong; it may be changed while they work.
    #[must_use]
    pub fn faults(&self) -> &FaultBoard {
        &self.0.faults
    }

    /// Where clients find this process.
    #[must_use]
    pub fn address(&self) -> String {
        start::address(&self.0.config)
    }

    /// Resolves when the log has stopped, with the reason. After a failure the process must exit with 1.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.0.stopped.clone();
        match stopped.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(Stopped::Cleanly),
            Err(_) => Stopped::Cleanly,
        }
    }

    /// Flushes, syncs and writes a checkpoint. Done every `checkpoint.every` anyway.
    pub fn checkpoint(&self) {
        self.0.checkpoint();
    }

    /// Ends the workflows: no new step is begun, those in progress may end. Call it while the workers still run, since
    /// steps ask entities there. Blocks for as long as that takes, some seconds at most.
    pub fn stop_workflows(&self) {
        self.0.stop_workflows();
    }

    /// Stops everything else in order, after the workers: the log (sealed, with its head in the superblock), then the
    /// store. Blocks.
    pub fn shut_down(&self) {
        self.0.shut_down();
    }
}

impl Inner {
    fn checkpoint(&self) {
        self.told(start::checkpoint(self));
    }

    fn full_checkpoint(&self) -> bool {
        self.told(start::full_checkpoint(self))
    }

    /// Was it written?
    fn told(&self, outcome: Result<(), Error>) -> bool {
        if let Err(error) = &outcome {
            tracing::error!(%error, "no checkpoint; the one before still holds");
        }
        outcome.is_ok()
    }

    /// The engine cannot go on: whoever waits for [`Engine::stopped`] is told, the first reason only.
    fn fail(&self, why: String) {
        self.end(Stopped::Failed(why));
    }

    /// Somebody else owns the log.
    fn fenced(&self, why: String) {
        self.end(Stopped::Fenced(why));
    }

    fn end(&self, why: Stopped) {
        self.listener.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            if first {
                tracing::error!(?why, "stopping");
                *stopped = Some(why);
            }
            first
        });
    }

    /// What was delivered and is not settled when the workflows have ended goes back to its queue.
    fn stop_workflows(&self) {
        self.workflows.stop();
        if let Some(broker) = &self.broker {
            broker.stop();
        }
    }

    fn shut_down(&self) {
        self.going_down.store(true, Ordering::SeqCst);
        self.draining.store(true, Ordering::SeqCst);
        self.stopping.store(true, Ordering::SeqCst);
        self.stop_workflows();
        if let Some(thread) = self.upkeep.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the upkeep thread had panicked");
        }
        for arbiter in self.arbiters.lock().drain(..) {
            arbiter.stop();
        }
        if let Some(log) = self.log_thread.lock().take() {
            log.stop();
        }
        self.checkpoint();
        if let Some(worker) = self.projection_worker.lock().take() {
            worker.stop();
        }
        if let Some(tenancy) = &self.tenancy {
            tenancy.release();
        }
    }
}

/// Tells the lanes about commits, and everybody about the end.
struct Listener {
    fabric: Arc<Fabric>,
    stopped: watch::Sender<Option<Stopped>>,
}

impl CommitListener for Listener {
    fn on_commit(&self, frame: &Arc<Committed>) {
        self.fabric.on_commit();
        let now = self.fabric.clock.moment().now;
        crate::metrics::committed(frame, now);
        crate::traces::committed(frame, now);
    }

    fn on_stopped(&self, why: &Stopped) {
        self.fabric.on_commit();
        self.stopped.send_replace(Some(why.clone()));
    }
}

/// Threads of their own for shards, if so configured.
fn shard_threads(config: &Config) -> usize {
    match config.placement {
        Placement::Worker => 0,
        Placement::Own => config.workers.min(config.shards),
    }
}
