//! Reads entities back for their actors, off the lanes.
//!
//! A load of what is not even committed yet waits beside the queue and holds up nobody: the reload of an entity that has
//! crashed, whose last events are still on their way.

use super::Handle;
use crate::feed::projection::{EntityState, Error};
use parking_lot::{Condvar, Mutex};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::Position;
use stampede_actors::shell::loader::{Loaded, Loader, OnLoaded};
use stampede_actors::sku::{Remembered, RememberedKey};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest that a load waits for the projection. Its commands wait as long; then they are refused, and may try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most loads that wait for the projection at once; one beyond fails, and may be tried again.
const PARKED_MAX: usize = 4_096;

/// How often the projection is looked at while loads wait for it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A few threads that load. They end when this is dropped.
pub struct Loading {
    handle: Handle,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Loads of what is not taken in yet, and until when they wait for it: the first to come first.
    parked: VecDeque<(Job, Instant)>,
    closed: bool,
}

struct Job {
    entity: EntityId,
    at_least: Position,
    on_loaded: OnLoaded,
}

impl Loading {
    /// Starts `threads` of them. How many loads may wait is bounded by the shards, who ask (S13).
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(handle: Handle, threads: usize) -> std::io::Result<Loading> {
        let loading = Loading::stepped(handle);
        for number in 0..threads.max(1) {
            let (queue, handle) = (Arc::clone(&loading.queue), loading.handle.clone());
            std::thread::Builder::new().name(format!("loader-{number}")).spawn(move || {
                while let Some((job, outlook)) = queue.next(&handle) {
                    job.done(outlook, &handle);
                }
            })?;
        }
        Ok(loading)
    }

    /// Without a thread: somebody calls [`Loading::step`].
    #[must_use]
    pub fn stepped(handle: Handle) -> Loading {
        Loading { handle, queue: Arc::default() }
    }

    /// Does one load that need not wait. `false`: there is none.
    pub fn step(&self) -> bool {
        let next = {
            let mut waiting = self.queue.waiting.lock();
            waiting.next(&self.handle)
        };
        let Some((job, outlook)) = next else { return false };
        job.done(outlook, &self.handle);
        true
    }

    /// Forgets what waits, unanswered: the process that asked is gone.
    pub fn abandon(&self) {
        let mut waiting = self.queue.waiting.lock();
        (waiting.jobs, waiting.parked) = (VecDeque::new(), VecDeque::new());
    }
}

impl Job {
    fn done(self, outlook: Result<(), Error>, handle: &Handle) {
        let loaded = outlook.and_then(|()| guarded(handle, &self.entity));
        (self.on_loaded)(loaded.map_err(|error| error.to_string()));
    }
}

impl Loader for Loading {
    fn load(&self, entity: EntityId, at_least: Position, on_loaded: OnLoaded) {
        let job = Job { entity, at_least, on_loaded };
        let mut waiting = self.queue.waiting.lock();
        if at_least <= self.handle.reader().readable() {
            waiting.jobs.push_back(job);
        } else if waiting.parked.len() < PARKED_MAX {
            waiting.parked.push_back((job, Instant::now() + PATIENCE));
            self.handle.inbox.wake();
        } else {
            drop(waiting);
            return (job.on_loaded)(Err(Error::Behind.to_string()));
        }
        drop(waiting);
        self.queue.bell.notify_one();
    }

    fn readable(&self) -> Position {
        self.handle.reader().readable()
    }

    fn absent(&self, entity: &EntityId) -> bool {
        self.handle.reader().absent(entity)
    }

    fn remembered(&self, sku: &SkuId, key: RememberedKey) -> Option<Remembered> {
        self.handle.reader().remembered(sku, key).unwrap_or_else(|error| {
            // The projection stops on the same error and ends the process; until then a late repeat may slip through.
            tracing::error!(%error, %sku, "what the SKU remembers cannot be read");
            None
        })
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.queue.waiting.lock().closed = true;
        self.queue.bell.notify_all();
    }
}

impl Queue {
    /// The next load, and whether it may go ahead; `None`: no more will come.
    fn next(&self, handle: &Handle) -> Option<(Job, Result<(), Error>)> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(next) = waiting.next(handle) {
                return Some(next);
            }
            if waiting.closed {
                return None;
            }
            if waiting.parked.is_empty() {
                self.bell.wait(&mut waiting);
            } else {
                self.bell.wait_for(&mut waiting, LOOK_EVERY);
            }
        }
    }
}

impl Waiting {
    /// A load to be done now, and whether it may go ahead.
    fn next(&mut self, handle: &Handle) -> Option<(Job, Result<(), Error>)> {
        self.ripe(handle).or_else(|| self.jobs.pop_front().map(|job| (job, Ok(()))))
    }

    /// A load that need not wait for the projection any more, or must not.
    fn ripe(&mut self, handle: &Handle) -> Option<(Job, Result<(), Error>)> {
        let (_, first_due) = self.parked.front()?;
        let why_not = match handle.reader().stopped() {
            Some(why) => Some(Error::Stopped(why)),
            None if self.closed => Some(handle.stopped()),
            None if *first_due <= Instant::now() => Some(Error::Behind),
            None => None,
        };
        let readable = handle.reader().readable();
        let index = self.parked.iter().position(|(job, _)| job.at_least <= readable);
        match (index, why_not) {
            (Some(index), _) => self.parked.remove(index).map(|(job, _)| (job, Ok(()))),
            (None, Some(error)) => self.parked.pop_front().map(|(job, _)| (job, Err(error))),
            (None, None) => None,
        }
    }
}

/// A panic on one entity's rows must not take the thread away from all others.
fn guarded(handle: &Handle, entity: &EntityId) -> Result<Loaded, Error> {
    catch_unwind(AssertUnwindSafe(|| load(handle, entity)))
        .unwrap_or_else(|_| Err(Error::Lost(format!("{entity}: reading it back panicked"))))
}

fn load(handle: &Handle, entity: &EntityId) -> Result<Loaded, Error> {
    Ok(match handle.reader().current(entity)? {
        None => Loaded::Absent,
        Some((EntityState::Sku(sku), version)) => Loaded::Sku(sku, version),
        Some((EntityState::Cart(cart), version)) => Loaded::Cart(cart, version),
        Some((EntityState::Order(order), version)) => Loaded::Order(order, version),
        Some((EntityState::Shop(shop), version)) => Loaded::Shop(shop, version),
    })
}
