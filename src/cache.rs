//! Redis beside the server: limits that hold over several servers, and availability for reads. It decides nothing.
//!
//! [`link`] is the one connection, with a bounded wait for every answer and a circuit that keeps requests away while it
//! fails. [`reads`] answers reads of availability from what [`publisher`] wrote after each commit, as long as that is
//! young, ours and whole. Everything here runs beside the requests, on one thread; whatever goes wrong, they go on
//! without it.

mod circuit;
mod link;
mod publisher;
mod reads;

pub use circuit::State;
pub use link::{Link, Operation, Outcome, Unavailable};
pub use publisher::Render;
pub use reads::{Found, Hit, Reads};

use crate::config::{CacheKind, Config};
use crate::engine::Engine;
use parking_lot::Mutex;
use publisher::Publisher;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;

/// The running thread, and what it serves.
pub struct Cache {
    link: Arc<Link>,
    reads: Option<Arc<Reads>>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Cache {
    /// Starts it when so configured. Does not wait for Redis: it may come later, and go. `render` writes what readers get.
    ///
    /// # Errors
    /// When there is no thread or runtime to be had.
    pub fn start(config: &Config, engine: &Engine, render: Render) -> std::io::Result<Option<Cache>> {
        if config.cache == CacheKind::InProcess {
            return Ok(None);
        }
        let link = Link::new(config.redis.url.clone(), config.redis.timeout);
        let reads = engine.changes().map(|_| Arc::new(Reads::new(Arc::clone(&link), engine)));
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (tended, read, engine) = (Arc::clone(&link), reads.clone(), engine.clone());
        let thread = std::thread::Builder::new().name("redis".to_owned()).spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, work(tended, read, engine, render, stopped));
        })?;
        Ok(Some(Cache { link, reads, stop, thread: Mutex::new(Some(thread)) }))
    }

    /// The connection.
    #[must_use]
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Reads of availability, unless they all go to the SKUs.
    #[must_use]
    pub fn reads(&self) -> Option<&Arc<Reads>> {
        self.reads.as_ref()
    }

    /// Ends the thread. Blocks for a moment.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread beside Redis had panicked");
        }
    }
}

/// Until told to stop. The tasks are apart, so that a panic in one, which would be a bug, takes neither the other nor this
/// thread's lane with it.
async fn work(
    link: Arc<Link>,
    reads: Option<Arc<Reads>>,
    engine: Engine,
    render: Render,
    mut stopped: watch::Receiver<bool>,
) {
    let tending = tokio::task::spawn_local(Arc::clone(&link).tend());
    let publishing = reads.map(|reads| {
        engine.attach_thread();
        tokio::task::spawn_local(Publisher::new(engine, reads, render).run())
    });
    // An error means that the sender is gone, and with it whoever could use this.
    let _ = stopped.wait_for(|stop| *stop).await;
    tending.abort();
    if let Some(publishing) = publishing {
        publishing.abort();
    }
}
