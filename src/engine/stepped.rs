//! The engine without a single thread: the same parts, put together in the same order, and stepped by somebody else, who
//! decides what runs when. A simulator runs the whole server that way on one thread, from a seed (S14).
//!
//! What is outside comes in as ports: disk, clock, store, provider, warehouse. What a thread of [`super::Engine`] loops
//! over is one field or method here.

use super::clock::EngineClock;
use super::frames::LogFrames;
use super::start::{self, Recovered};
use super::{Error, Listener, upkeep};
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::SharedDisk;
use crate::feed::projection::recovery::{self, OpenStore};
use crate::feed::projection::worker::{self, Loading};
use crate::feed::projection::{self, Limits, Reader};
use crate::feed::{Cursor, FrameSource, Inlet};
use crate::journal::{self, CommitListener, Log, LogId, Queue, Stopped, Upkeep, Wal, Writer};
use crate::workflows::{self, PaymentProvider, Warehouse};
use stampede_actors::journal::Journal;
use stampede_actors::shell::{Fabric, LaneId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Who hears of commits.
pub type Listeners = Vec<Arc<dyn CommitListener>>;

/// What the engine runs on.
pub struct Ports<'a> {
    /// Where log, archive and checkpoints are; the directory is the configured one.
    pub disk: SharedDisk,
    /// Engine time.
    pub clock: Arc<dyn Clock>,
    /// Opens the store, or makes an empty one.
    pub store: OpenStore<'a>,
    /// Who moves money.
    pub provider: Arc<dyn PaymentProvider>,
    /// Who ships.
    pub warehouse: Arc<dyn Warehouse>,
    /// Id of the log, should there be none yet.
    pub log_id: LogId,
    /// What the lanes hand their records to: the queue, or something around it that notices what they do.
    pub journal: &'a dyn Fn(Arc<Queue>) -> Arc<dyn Journal>,
    /// Who hears of commits, given those who have to: they, or somebody who tells them.
    pub listeners: &'a dyn Fn(Listeners) -> Listeners,
}

/// An open engine. Its lanes are started by whoever steps it, as [`stampede_actors::shell::Lane::start`] says.
pub struct Stepped {
    /// Shards, lanes, settings.
    pub fabric: Arc<Fabric>,
    /// The commit log.
    pub log: Arc<Log>,
    /// Its front.
    pub queue: Arc<Queue>,
    /// Writes frames.
    pub writer: Writer,
    /// Tends segments and archive.
    pub upkeep: Upkeep,
    /// Follows the log into the store.
    pub projection: worker::Stepped,
    /// Reads cold entities back.
    pub loading: Arc<Loading>,
    /// What the workflow thread is made of, for [`workflows::WorkflowThread::run_here`].
    pub workflows: workflows::Parts,
    /// Everything else that goes on beside the requests.
    pub tender: Tender,
    /// How the start went.
    pub recovered: Recovered,
    /// Why the log has stopped, once it has.
    pub stopped: watch::Receiver<Option<Stopped>>,
}

/// What the upkeep thread does, stepped.
#[derive(Clone)]
pub struct Tender {
    fabric: Arc<Fabric>,
    log: Arc<Log>,
    frames: Arc<LogFrames>,
    clock: Arc<EngineClock>,
    reader: Reader,
    cursor: Cursor,
    grace: Duration,
}

/// The lane of the workflows, behind those of the workers; one more is there for each of `spare`.
#[must_use]
pub fn workflow_lane(config: &Config) -> LaneId {
    LaneId(start::workflow_lane(config))
}

impl Stepped {
    /// Opens the configured directory on `ports`.
    ///
    /// # Errors
    /// [`Error`]: as [`super::Engine::start`].
    pub fn open(config: &Config, ports: Ports<'_>, now: Instant) -> Result<Stepped, Error> {
        let Ports { disk, clock, store, provider, warehouse, log_id, journal, listeners } = ports;
        let journal_config = journal::Config { log_id: Some(log_id), ..start::journal_config(config) };
        let opened = Wal::open(&disk, &config.data_dir, journal_config.clone(), &*clock)?;
        start::report(&opened);
        let (head, log, queue) = (opened.head, opened.log, opened.queue);
        let log_frames = Arc::new(LogFrames::new(Arc::clone(&log)));
        let frames: Arc<dyn FrameSource> = log_frames.clone();
        let (projection, caught_up) = recovery::recover(
            &recovery::Start {
                log: log.id(),
                head,
                frames: &*frames,
                checkpoint: opened.checkpoint.as_ref().map(start::mark_of),
                full: &|| projection::full::newest(&log),
                limits: Limits::default(),
            },
            store,
        )?;
        let projection = worker::Stepped::new(projection, Arc::clone(&frames), start::projection_pace(config), now);
        let handle = projection.handle();
        let loading = Arc::new(Loading::stepped(handle.clone()));
        let engine_clock = Arc::new(EngineClock::frozen(Arc::clone(&clock), head.at));
        let fabric = Fabric::new(
            start::settings(config),
            journal(Arc::clone(&queue)),
            engine_clock.clone(),
            loading.clone(),
            start::lane_of_shard(config),
            start::first_spare_lane(config),
        );
        start::remember_pause(&handle, &fabric)?;
        let inlet = Inlet::new(head.position);
        let (stopped_to, stopped) = watch::channel(None);
        let listener = Arc::new(Listener { fabric: Arc::clone(&fabric), stopped: stopped_to });
        let heard = listeners(vec![listener, handle.listener(), inlet.clone()]);
        let writer = Writer::new(Box::new(opened.wal), Arc::clone(&queue), &journal_config, Arc::clone(&clock), heard);
        let cursor = Cursor::at(log.cursors().get(Cursor::NAME).copied().unwrap_or_default());
        let workflows = workflows::Parts {
            config: super::outside::workflows_config(config),
            inlet,
            source: Arc::clone(&frames),
            cursor: cursor.clone(),
            head: head.position,
            clock,
            provider,
            warehouse,
            broker: None,
            attach: Box::new(|| ()),
        };
        let tender = Tender {
            fabric: Arc::clone(&fabric),
            log: Arc::clone(&log),
            frames: log_frames,
            clock: engine_clock,
            reader: handle.reader().clone(),
            cursor,
            grace: config.start_grace,
        };
        let recovered = Recovered {
            took: caught_up.took,
            cut: opened.cut,
            was_clean: opened.was_clean,
            rebuilt: caught_up.rebuilt,
            frames: caught_up.frames,
        };
        let upkeep = opened.upkeep;
        Ok(Stepped { fabric, log, queue, writer, upkeep, projection, loading, workflows, tender, recovered, stopped })
    }
}

impl Tender {
    /// Arms what comes due in the store; wanted as often as [`Tender::READ_EVERY`].
    pub fn arm(&self) {
        upkeep::arm(&self.reader, &self.fabric);
    }

    /// How often deadlines are read from the store.
    pub const READ_EVERY: Duration = upkeep::READ_EVERY;

    /// Ends the grace after the start when it is time, `running` for so long.
    pub fn end_grace(&self, running: Duration) {
        upkeep::end_grace(&self.clock, &self.cursor, running >= self.grace);
    }

    /// Makes what the store has durable, then lets the log start from there; with `full`, with the state of everything.
    ///
    /// # Errors
    /// [`Error`]; the checkpoint before still holds.
    pub fn checkpoint(&self, projection: &mut worker::Stepped, full: bool) -> Result<(), Error> {
        match full {
            false => start::checkpoint_of(&self.log, &self.frames, &self.cursor, || projection.checkpoint()),
            true => start::full_checkpoint_of(&self.log, &self.frames, &self.cursor, || projection.full_checkpoint()),
        }
    }

    /// Lists, entities, sums.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How far the workflows are.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }
}
