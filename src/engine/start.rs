//! Puts the engine together, in the order in which its parts need each other.

use super::clock::EngineClock;
use super::frames::LogFrames;
use super::{Engine, Ids, Inner, Listener, SPARE_LANES, outside, shard_threads, upkeep};
use crate::backup::UNFINISHED;
use crate::clock::BootClock;
use crate::config::{Backend, CacheKind, Config, Placement, span};
use crate::cql::{self, Cluster, Tenancy};
use crate::disk::{RealDisk, SharedDisk};
use crate::feed::projection::full::FullCheckpoint;
use crate::feed::projection::{self, EntityState, Limits, Mark, worker};
use crate::feed::{Cursor, FrameSource, Inlet};
use crate::journal::{self, Checkpoint, CommitListener, CommitLog, Cut, Log, LogThread, Opened, Wal};
use crate::store::{self, DiskStore, Store};
use crate::traces;
use parking_lot::Mutex;
use stampede_actors::ids::EntityId;
use stampede_actors::order;
use stampede_actors::shell::{Fabric, Lane, LaneId, Settings};
use stampede_actors::sku;
use stampede_actors::time::Span;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be opened: in use, or corrupt.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The log does not add up, or the store cannot be made.
    #[error(transparent)]
    Projection(#[from] projection::Error),
    /// The log in the database.
    #[error(transparent)]
    Cql(#[from] cql::Error),
    /// The system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The error itself.
        source: std::io::Error,
    },
}

impl Error {
    /// Does this mean that the data is damaged? Exit code 99.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        if let Error::Io { source, .. } = self {
            return source.kind() == std::io::ErrorKind::InvalidData;
        }
        if let Error::Cql(error) = self {
            return error.is_corruption();
        }
        matches!(
            self,
            Error::Journal(journal::Error::Corrupt(_))
                | Error::Projection(
                    projection::Error::Journal(journal::Error::Corrupt(_))
                        | projection::Error::Broken { .. }
                        | projection::Error::Gap { .. }
                )
        )
    }

    pub(super) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { what, source }
    }
}

/// How the start went.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// How long everything took.
    pub took: Duration,
    /// The last frame, incomplete, that a crash left and that was cut off.
    pub cut: Option<Cut>,
    /// The log had been closed cleanly.
    pub was_clean: bool,
    /// Why the store was made afresh, if it was.
    pub rebuilt: Option<String>,
    /// Frames replayed.
    pub frames: u64,
}

/// The first lane that nobody else has.
pub(super) fn first_spare_lane(config: &Config) -> usize {
    workflow_lane(config) + 1
}

pub(super) fn workflow_lane(config: &Config) -> usize {
    config.workers + shard_threads(config)
}

/// Where the log is, and what belongs to it.
struct Kept {
    opened: Opened<Box<dyn CommitLog>>,
    ids: Ids,
    tenancy: Option<Arc<Tenancy>>,
}

/// Opens the log where it is kept. One in the database is taken over, from whoever owns it.
fn open_log(
    config: &Config,
    cluster: Option<Arc<Cluster>>,
    disk: &SharedDisk,
    clock: &BootClock,
) -> Result<Kept, Error> {
    let dir = &config.data_dir;
    match config.log.store {
        Backend::Embedded => {
            if journal::mark::read(dir)?.is_some() {
                let what = "the data directory is the mirror of a log in ScyllaDB: use log.store = \"scylla\", or another directory";
                return Err(journal::Error::Config(what).into());
            }
            if dir.join(UNFINISHED).exists() {
                let what = "a restore into the data directory was cut off: restore once more, into an empty one";
                return Err(journal::Error::Config(what).into());
            }
            let opened = Wal::open(disk, dir, journal_config(config), clock)?;
            let ids =
                Ids::open(dir, opened.head.seq == 0).map_err(Error::io("cannot read or make the server's secret"))?;
            let opened = opened.with_writer(|wal| Box::new(wal) as Box<dyn CommitLog>);
            Ok(Kept { opened, ids, tenancy: None })
        }
        Backend::Scylla => {
            let cluster = cluster.map_or_else(|| Cluster::open(&config.cql), Ok)?;
            let (_, secret) = cql::bootstrap(&cluster)?;
            let ids = Ids::shared(dir, &secret).map_err(Error::io("cannot keep the cell's secret"))?;
            let name = (cql::standby::node_name(dir)?, address(config));
            let taken = cql::open(&cluster, disk, dir, &journal_config(config), clock, name)?;
            Ok(Kept { opened: taken.opened, ids, tenancy: Some(taken.tenancy) })
        }
    }
}

/// Where clients find this process.
pub(super) fn address(config: &Config) -> String {
    if config.cql.advertise.is_empty() { config.api.bind.to_string() } else { config.cql.advertise.clone() }
}

pub(super) fn start(config: Config, cluster: Option<Arc<Cluster>>) -> Result<Engine, Error> {
    let began = Instant::now();
    let dir = config.data_dir.clone();
    std::fs::create_dir_all(&dir).map_err(Error::io("cannot make the data directory"))?;
    let disk: SharedDisk = Arc::new(RealDisk);
    let boot_clock = Arc::new(BootClock::new());
    let Kept { opened, ids, tenancy } = open_log(&config, cluster, &disk, &boot_clock)?;
    report(&opened);
    if !config.log.sync_delay.is_zero() {
        tracing::warn!(delay = ?config.log.sync_delay, "every sync of the log is delayed on purpose: log.sync-delay");
    }
    let head = opened.log.head();
    let (log, queue) = (opened.log, opened.queue);
    let log_frames = Arc::new(LogFrames::new(Arc::clone(&log)));
    let frames: Arc<dyn FrameSource> = log_frames.clone();

    let store_vitals = Arc::new(store::Vitals::default());
    let (projection, caught_up) = projection::recovery::recover(
        &projection::recovery::Start {
            log: log.id(),
            head,
            frames: &*frames,
            checkpoint: opened.checkpoint.as_ref().map(mark_of),
            full: &|| projection::full::newest(&log),
            limits: Limits::default(),
        },
        &|afresh| open_store(&dir.join("store"), &config, &store_vitals, afresh),
    )?;
    let worker = worker::Worker::start(projection, Arc::clone(&frames), projection_pace(&config))
        .map_err(Error::io("cannot start the projection's thread"))?;
    let handle = worker.handle();
    let loading = worker::Loading::start(handle.clone(), 2).map_err(Error::io("cannot start the loader threads"))?;

    let clock = Arc::new(EngineClock::frozen(boot_clock.clone(), head.at));
    let lanes = first_spare_lane(&config) + SPARE_LANES;
    let fabric =
        Fabric::new(settings(&config), queue.clone(), clock.clone(), Arc::new(loading), lane_of_shard(&config), lanes);

    remember_pause(&handle, &fabric)?;
    if let Some(tracer) = traces::on() {
        fabric.tell_pieces_to(Arc::new(traces::Drawn(tracer)));
    }

    let inlet = Inlet::new(head.position);
    let (stopped_to, stopped) = watch::channel(None);
    let listener = Arc::new(Listener { fabric: Arc::clone(&fabric), stopped: stopped_to });
    let published = config.cache == CacheKind::Redis && !config.redis.reads_max_age.is_zero();
    let changes = published.then(|| Inlet::new(head.position));
    let mut listeners: Vec<Arc<dyn CommitListener>> = vec![listener.clone(), handle.listener(), inlet.clone()];
    listeners.extend(changes.iter().map(|changes| Arc::clone(changes) as Arc<dyn CommitListener>));
    let log_thread = LogThread::start(opened.wal, opened.upkeep, queue.clone(), boot_clock.clone(), listeners)
        .map_err(Error::io("cannot start the log's thread"))?;

    let (workflows, broker, outside, faults) =
        outside::start_workflows(&config, &fabric, &log, &frames, inlet, head.position, boot_clock)?;
    let arbiters = start_shard_threads(&config, &fabric);
    let recovered = Recovered {
        took: began.elapsed(),
        cut: opened.cut,
        was_clean: opened.was_clean,
        rebuilt: caught_up.rebuilt,
        frames: caught_up.frames,
    };
    let inner = Arc::new(Inner {
        config,
        ids,
        clock,
        fabric,
        log,
        frames: log_frames,
        listener,
        queue,
        reader: handle.reader().clone(),
        store: store_vitals,
        projection: handle,
        projection_worker: Mutex::new(Some(worker)),
        workflows,
        broker,
        changes,
        outside,
        faults,
        arbiters: Mutex::new(arbiters),
        log_thread: Mutex::new(Some(log_thread)),
        upkeep: Mutex::new(None),
        workers_attached: AtomicUsize::new(0),
        spare_lanes: AtomicUsize::new(0),
        hanging: Mutex::default(),
        draining: AtomicBool::new(false),
        going_down: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        stopped,
        recovered,
        tenancy,
    });
    if let Some(tenancy) = &inner.tenancy {
        let of = Arc::downgrade(&inner);
        let fenced = move |why| {
            if let Some(inner) = of.upgrade() {
                inner.fenced(why);
            }
        };
        let log = Arc::clone(&inner.log);
        tenancy.start(log, fenced).map_err(Error::io("cannot start the thread that tends the log in the database"))?;
    }
    let tended = Arc::clone(&inner);
    let thread = std::thread::Builder::new().name("upkeep".to_owned());
    let thread = thread.spawn(move || upkeep::run(&tended)).map_err(Error::io("cannot start the upkeep thread"))?;
    *inner.upkeep.lock() = Some(thread);
    Ok(Engine(inner))
}

/// A shop that was paused is, before anybody asks for anything.
pub(super) fn remember_pause(handle: &worker::Handle, fabric: &Fabric) -> Result<(), Error> {
    let shop = handle.reader().current(&EntityId::Shop)?;
    let paused = matches!(shop, Some((EntityState::Shop(shop), _)) if shop.paused_at().is_some());
    if paused {
        tracing::warn!("the shop is paused: no new orders or holds until it is resumed");
    }
    fabric.set_paused(paused);
    Ok(())
}

/// Makes what the store has durable, then lets the log start from there (S4).
pub(super) fn checkpoint(inner: &Inner) -> Result<(), Error> {
    checkpoint_of(&inner.log, &inner.frames, inner.workflows.cursor(), || inner.projection.checkpoint())
}

/// The same for parts that are not an engine's. `projected` makes the store durable.
pub(super) fn checkpoint_of(
    log: &Log,
    frames: &LogFrames,
    workflows: &Cursor,
    projected: impl FnOnce() -> Result<Mark, projection::Error>,
) -> Result<(), Error> {
    // Before the mark: what follows from the steps up to here is then in the store.
    let workflows = workflows.position();
    let Mark { seq, hash, position, at } = projected()?;
    if seq > 0 {
        let cursors = [(Cursor::NAME.to_owned(), workflows)].into();
        log.checkpoint(&Checkpoint { seq, position, hash, at, cursors }, None)?;
        log.keep(Cursor::NAME, workflows);
    }
    frames.let_go();
    Ok(())
}

/// The same with the state of everything, so that older history need not be kept.
pub(super) fn full_checkpoint(inner: &Inner) -> Result<(), Error> {
    full_checkpoint_of(&inner.log, &inner.frames, inner.workflows.cursor(), || inner.projection.full_checkpoint())
}

/// The same for parts that are not an engine's.
pub(super) fn full_checkpoint_of(
    log: &Log,
    frames: &LogFrames,
    workflows: &Cursor,
    projected: impl FnOnce() -> Result<FullCheckpoint, projection::Error>,
) -> Result<(), Error> {
    let workflows = workflows.position();
    let rows = projected()?;
    if rows.mark.seq > 0 {
        let cursors = [(Cursor::NAME.to_owned(), workflows)].into();
        projection::full::write(log, rows, cursors)?;
        log.keep(Cursor::NAME, workflows);
    }
    frames.let_go();
    Ok(())
}

pub(super) fn report<L>(opened: &Opened<L>) {
    if let Some(cut) = &opened.cut {
        tracing::warn!(
            file = %cut.file.display(), offset = cut.offset, frame = cut.seq,
            "the last frame was incomplete, had never been acknowledged, and was cut off"
        );
    }
    for damaged in &opened.damaged_checkpoints {
        tracing::warn!(file = %damaged.display(), "a checkpoint file is damaged; an older one stands in");
    }
    if let Some(behind) = opened.clock.behind {
        tracing::warn!(
            seconds = behind.0 / 1_000_000,
            "the wall clock is behind the log; engine time goes on from the log"
        );
    }
    if let Some(ahead) = opened.clock.ahead {
        tracing::info!(
            seconds = ahead.0 / 1_000_000,
            "the log's last frame is this old: downtime, or a clock set forward"
        );
    }
}

pub(super) fn mark_of(checkpoint: &Checkpoint) -> Mark {
    Mark { seq: checkpoint.seq, hash: checkpoint.hash, position: checkpoint.position, at: checkpoint.at }
}

pub(super) fn open_store(
    path: &Path,
    config: &Config,
    vitals: &Arc<store::Vitals>,
    afresh: bool,
) -> Result<Arc<dyn Store>, store::Error> {
    let limits = store::Limits { cache_bytes: config.store.cache_bytes.0, ..store::Limits::default() };
    let store = if afresh { DiskStore::create(path, limits)? } else { DiskStore::open(path, limits)? };
    Ok(Arc::new(store::Measured::new(store, Arc::clone(vitals))))
}

pub(super) fn projection_pace(config: &Config) -> worker::Pace {
    worker::Pace { flush_every: config.store.flush_every, ..worker::Pace::default() }
}

/// In the database nothing is told from a torn write, and an empty frame would cost as much as a full one.
const SELDOM: Span = Span::hours(24);

pub(super) fn journal_config(config: &Config) -> journal::Config {
    journal::Config {
        segment_bytes: config.log.segment_bytes.0,
        frame_bytes: config.log.frame_bytes.as_usize(),
        pace_cap: span(config.log.pace_max),
        idle_seal: match config.log.store {
            Backend::Embedded => span(config.log.idle_seal),
            Backend::Scylla => SELDOM,
        },
        queue_records: config.log.queue_records,
        archive_max_age: config.log.archive_max_age.map(span),
        sync_delay: span(config.log.sync_delay),
        keep_free: config.store.keep_free.0,
        ..journal::Config::default()
    }
}

pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        sku: Arc::new(sku::Terms {
            max_hold: span(config.holds.max_total),
            remember: span(config.idempotency.keep),
            ..sku::Terms::default()
        }),
        order: order::Terms {
            ask_again: span(config.payment.ask_again),
            ask_stock_again: span(config.payment.ask_again).min(Span::seconds(1)),
            attention_after: config.payment.attention_after,
            fulfil_within: span(config.fulfilment.within),
            payment_attempts: config.payment.attempts,
        },
        hold_ttl: span(config.holds.ttl),
        passivate_after: config.passivate.after,
        passivate_per_tick: config.passivate.per_tick,
        warm_per_shard: config.passivate.warm.div_ceil(config.shards),
        timers_per_tick: 256,
        parked_per_entity: 4_096,
        loads_per_shard: 4_096,
        permits_per_shard: config.permits,
        crashes_until_quarantine: 3,
    }
}

/// Shards go round the workers' lanes, or round the lanes of their own threads.
pub(super) fn lane_of_shard(config: &Config) -> Vec<LaneId> {
    let own = shard_threads(config);
    (0..config.shards)
        .map(|shard| match config.placement {
            Placement::Worker => LaneId(shard % config.workers),
            Placement::Own => LaneId(config.workers + shard % own),
        })
        .collect()
}

fn start_shard_threads(config: &Config, fabric: &Arc<Fabric>) -> Vec<actix_rt::Arbiter> {
    let lanes = (0..shard_threads(config)).map(|n| LaneId(config.workers + n));
    lanes
        .map(|lane| {
            let (arbiter, fabric) = (actix_rt::Arbiter::new(), Arc::clone(fabric));
            arbiter.spawn_fn(move || drop(Lane::start(&fabric, lane)));
            arbiter
        })
        .collect()
}
