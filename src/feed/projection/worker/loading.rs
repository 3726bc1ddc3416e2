//! Reads entities back for their actors, off the lanes.

use super::Handle;
use crate::feed::projection::{EntityState, Error};
use parking_lot::{Condvar, Mutex};
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::record::Position;
use stampede_actors::shell::loader::{Loaded, Loader, OnLoaded};
use stampede_actors::sku::{Remembered, RememberedKey};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a load waits for the projection. Its commands wait as long; then they are refused, and may try again.
const PATIENCE: Duration = Duration::from_secs(5);

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
    jobs: VecDeque<(EntityId, Position, OnLoaded)>,
    closed: bool,
}

impl Loading {
    /// Starts `threads` of them. How many loads may wait is bounded by the shards, who ask (S13).
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(handle: Handle, threads: usize) -> std::io::Result<Loading> {
        let queue = Arc::new(Queue::default());
        for number in 0..threads.max(1) {
            let (queue, handle) = (Arc::clone(&queue), handle.clone());
            std::thread::Builder::new().name(format!("loader-{number}")).spawn(move || {
                while let Some((entity, at_least, on_loaded)) = queue.next() {
                    on_loaded(load(&handle, &entity, at_least).map_err(|error| error.to_string()));
                }
            })?;
        }
        Ok(Loading { handle, queue })
    }
}

impl Loader for Loading {
    fn load(&self, entity: EntityId, at_least: Position, on_loaded: OnLoaded) {
        self.queue.waiting.lock().jobs.push_back((entity, at_least, on_loaded));
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
    fn next(&self) -> Option<(EntityId, Position, OnLoaded)> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            self.bell.wait(&mut waiting);
        }
    }
}

fn load(handle: &Handle, entity: &EntityId, at_least: Position) -> Result<Loaded, Error> {
    handle.taken_in(at_least, PATIENCE)?;
    Ok(match handle.reader().current(entity)? {
        None => Loaded::Absent,
        Some((EntityState::Sku(sku), version)) => Loaded::Sku(sku, version),
        Some((EntityState::Cart(cart), version)) => Loaded::Cart(cart, version),
        Some((EntityState::Order(order), version)) => Loaded::Order(order, version),
    })
}
