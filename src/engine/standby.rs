//! A process that waits for its turn: follows the log in the database into its own mirror and store, so that it can go on
//! at once when the owner has ended.

use super::frames::LogFrames;
use super::{Error, start};
use crate::clock::{BootClock, Clock};
use crate::config::Config;
use crate::cql::standby::{self, Watch, Why};
use crate::cql::{self, Cluster, OwnerRow};
use crate::disk::{RealDisk, SharedDisk};
use crate::feed::projection::{self, Limits, worker};
use crate::feed::{Cursor, FrameSource};
use crate::journal::{CommitListener, Opened};
use crate::store;
use stampede_actors::record::Position;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Chores of the mirror between two looks at the log: archiving, spare files.
const CHORES: usize = 4;
/// Longest wait between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits for its turn.
pub struct Standby {
    config: Config,
    cluster: Arc<Cluster>,
    node: String,
}

/// The mirror, and the store that follows it.
struct Warm {
    opened: Opened,
    frames: Arc<LogFrames>,
    worker: worker::Worker,
    listener: Arc<dyn CommitListener>,
    checkpointed: Instant,
}

impl Standby {
    /// Connects, and begins the log if nobody has.
    ///
    /// # Errors
    /// [`Error`]: the database, its schema or the data directory cannot be used.
    pub fn open(config: &Config) -> Result<Standby, Error> {
        std::fs::create_dir_all(&config.data_dir).map_err(Error::io("cannot make the data directory"))?;
        let cluster = Cluster::open(&config.cql)?;
        cql::bootstrap(&cluster)?;
        let node = standby::node_name(&config.data_dir)?;
        // Whoever may not write would wait here for ever.
        cluster.beat(&node, 0, &start::address(config))?;
        Ok(Standby { config: config.clone(), cluster, node })
    }

    /// The connection.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Follows the log until it is time to take over; `None`: `stop` was set. `tell` hears who owns the log, again and
    /// again. Blocks. Afterwards the data directory is free for [`super::Engine::take_over`].
    ///
    /// # Errors
    /// [`Error`]: the data directory cannot be used, or the log is damaged. A database that does not answer is waited for.
    pub fn wait(&self, stop: &AtomicBool, tell: &dyn Fn(&OwnerRow)) -> Result<Option<Why>, Error> {
        let clock = BootClock::new();
        let mut warm = self.warm(&clock)?;
        let mut watch = Watch::new(self.node.clone(), self.config.cql.take_over_after);
        let address = start::address(&self.config);
        let (mut beat, mut beat_at) = (0, Instant::now());
        let mut told = Told::default();
        let why = loop {
            if stop.load(Ordering::Acquire) {
                break None;
            }
            match self.follow(&mut warm) {
                Ok(()) => told.followed = None,
                Err(Error::Cql(error @ (cql::Error::Request { .. } | cql::Error::Unreachable { .. }))) => {
                    if news(&mut told.followed, &error) {
                        tracing::warn!(%error, "the log cannot be followed now; tried again");
                    }
                }
                Err(error) => return Err(error),
            }
            if Instant::now() >= beat_at {
                beat_at = Instant::now() + self.config.cql.beat_every;
                beat += 1;
                let looked = self.cluster.beat(&self.node, beat, &address).and_then(|()| standby::look(&self.cluster));
                match looked {
                    Ok((owner, peers)) => {
                        told.seen = None;
                        tell(&owner);
                        keep_cursors(&warm, &owner);
                        if let Some(why) = watch.look(&owner, &peers, Instant::now()) {
                            break Some(why);
                        }
                    }
                    Err(error) if news(&mut told.seen, &error) => {
                        tracing::warn!(%error, "the owner of the log cannot be seen now; tried again");
                    }
                    Err(_) => {}
                }
            }
            self.tend(&mut warm, &clock);
            std::thread::sleep(LOOK_EVERY.min(self.config.cql.beat_every / 4));
        };
        warm.end();
        Ok(why)
    }

    fn warm(&self, clock: &BootClock) -> Result<Warm, Error> {
        let (config, disk): (_, SharedDisk) = (&self.config, Arc::new(RealDisk));
        let (id, _) = cql::bootstrap(&self.cluster)?;
        let journal = start::journal_config(config);
        let opened = cql::open_mirror(&disk, &config.data_dir, id, &journal, clock)?;
        let frames = Arc::new(LogFrames::new(Arc::clone(&opened.log)));
        let source: Arc<dyn FrameSource> = frames.clone();
        let vitals = Arc::new(store::Vitals::default());
        let (projection, _) = projection::recovery::recover(
            &projection::recovery::Start {
                log: opened.log.id(),
                head: opened.head,
                frames: &*source,
                checkpoint: opened.checkpoint.as_ref().map(start::mark_of),
                full: &|| projection::full::newest(&opened.log),
                limits: Limits::default(),
            },
            &|afresh| start::open_store(&config.data_dir.join("store"), config, &vitals, afresh),
        )?;
        let worker = worker::Worker::start(projection, source, start::projection_pace(config))
            .map_err(Error::io("cannot start the projection's thread"))?;
        let listener = worker.handle().listener();
        Ok(Warm { opened, frames, worker, listener, checkpointed: Instant::now() })
    }

    fn follow(&self, warm: &mut Warm) -> Result<(), Error> {
        let listener = Arc::clone(&warm.listener);
        let mut heard = |frame| listener.on_commit(&Arc::new(frame));
        cql::follow_into(&self.cluster, &mut warm.opened.wal, None, &mut heard)?;
        Ok(())
    }

    fn tend(&self, warm: &mut Warm, clock: &BootClock) {
        for _ in 0..CHORES {
            match warm.opened.upkeep.step(clock.now()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "upkeep of the mirror failed; it is tried again");
                    break;
                }
            }
        }
        if warm.checkpointed.elapsed() >= self.config.checkpoint.every {
            warm.checkpoint();
        }
    }
}

/// What was said last of a trouble that lasts: the same is not said again.
#[derive(Debug, Default)]
struct Told {
    followed: Option<String>,
    seen: Option<String>,
}

/// Is this another trouble than the one before?
fn news(last: &mut Option<String>, error: &cql::Error) -> bool {
    let text = error.to_string();
    let new = last.as_ref() != Some(&text);
    *last = Some(text);
    new
}

/// The cursors are the owner's: what it still needs is kept here as well.
fn keep_cursors(warm: &Warm, owner: &OwnerRow) {
    for (name, position) in &owner.cursors {
        warm.opened.log.keep(name, Position(*position));
    }
}

impl Warm {
    fn checkpoint(&mut self) {
        self.checkpointed = Instant::now();
        let log = &self.opened.log;
        let cursor = Cursor::at(log.cursors().get(Cursor::NAME).copied().unwrap_or_default());
        let handle = self.worker.handle();
        if let Err(error) = start::checkpoint_of(log, &self.frames, &cursor, || handle.checkpoint()) {
            tracing::warn!(%error, "no checkpoint of the mirror; the one before still holds");
        }
    }

    /// Leaves everything as a clean stop does, so that the take-over reads next to nothing again.
    fn end(mut self) {
        self.checkpoint();
        self.worker.stop();
        if let Err(error) = self.opened.wal.close_mirror() {
            tracing::warn!(%error, "the mirror was not closed cleanly");
        }
    }
}
