//! Reads cold entities back for the lanes, on a few threads of its own, from the projection.

use crate::feed::projection::{EntityState, Reader};
use parking_lot::{Condvar, Mutex};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::Position;
use stampede_actors::shell::loader::OnLoaded;
use stampede_actors::shell::{Loaded, Loader};
use stampede_actors::sku::{Remembered, RememberedKey};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a load waits for the projection to take in what the entity handed to the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads entities back.
pub struct Loading {
    reader: Reader,
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    bell: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(EntityId, Position, OnLoaded)>,
    closed: bool,
}

impl Loading {
    /// Starts `threads` threads. What waits for them is bounded by the directories: so many loads per shard.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(reader: Reader, threads: usize) -> std::io::Result<Arc<Loading>> {
        let queue = Arc::new(Queue::default());
        let mut running = Vec::new();
        for n in 0..threads {
            let (queue, reader) = (Arc::clone(&queue), reader.clone());
            let thread = std::thread::Builder::new().name(format!("loader-{n}"));
            running.push(thread.spawn(move || queue.work(&reader))?);
        }
        Ok(Arc::new(Loading { reader, queue, threads: Mutex::new(running) }))
    }

    /// Ends the threads; what still waits is dropped, and its askers learn that the outcome is unknown.
    pub fn stop(&self) {
        self.queue.jobs.lock().closed = true;
        self.queue.bell.notify_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a loader thread had panicked");
            }
        }
    }
}

impl Queue {
    fn work(&self, reader: &Reader) {
        loop {
            let (entity, at_least, on_loaded) = {
                let mut jobs = self.jobs.lock();
                loop {
                    if jobs.closed {
                        return;
                    }
                    if let Some(job) = jobs.waiting.pop_front() {
                        break job;
                    }
                    self.bell.wait(&mut jobs);
                }
            };
            let loaded = reader.load(&entity, at_least, PATIENCE).map_err(|error| error.to_string());
            on_loaded(loaded.map(|found| match found {
                None => Loaded::Absent,
                Some((EntityState::Sku(sku), version)) => Loaded::Sku(sku, version),
                Some((EntityState::Cart(cart), version)) => Loaded::Cart(cart, version),
                Some((EntityState::Order(order), version)) => Loaded::Order(order, version),
            }));
        }
    }
}

impl Loader for Loading {
    fn load(&self, entity: EntityId, at_least: Position, on_loaded: OnLoaded) {
        self.queue.jobs.lock().waiting.push_back((entity, at_least, on_loaded));
        self.queue.bell.notify_one();
    }

    fn readable(&self) -> Position {
        self.reader.readable()
    }

    fn absent(&self, entity: &EntityId) -> bool {
        self.reader.absent(entity)
    }

    fn remembered(&self, sku: &SkuId, key: RememberedKey) -> Option<Remembered> {
        self.reader.remembered(sku, key).unwrap_or_else(|error| {
            tracing::error!(%sku, %error, "the store could not be asked for a remembered id");
            None
        })
    }
}
