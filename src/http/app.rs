//! What every request may use: the engine, the keys, the limits, and what all workers share.

use crate::cache::{Cache, Reads};
use crate::config::{Config, Proxies};
use crate::engine::Engine;
use crate::http::stream::Hub;
use crate::keys::Keys;
use crate::limits::Limits;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Path, query and headers together may have so many bytes.
pub const HEAD_LIMIT: usize = 16 * 1024;

/// What the workers share.
pub struct Shared {
    /// The engine.
    pub engine: Engine,
    /// API keys.
    pub keys: Keys,
    /// How often one may ask.
    pub limits: Limits,
    /// Redis, when it is used.
    pub cache: Option<Cache>,
    /// Requests being served.
    in_flight: AtomicUsize,
    /// Event streams open.
    pub(super) streams: AtomicUsize,
    draining: AtomicBool,
    drain: watch::Sender<bool>,
}

impl Shared {
    /// Nothing in progress.
    #[must_use]
    pub fn new(engine: Engine, keys: Keys, config: &Config, cache: Option<Cache>) -> Arc<Shared> {
        Arc::new(Shared {
            engine,
            keys,
            limits: Limits::new(config, cache.as_ref().map(|cache| Arc::clone(cache.link()))),
            cache,
            in_flight: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            drain: watch::channel(false).0,
        })
    }

    /// Takes no new purchases from now on, and ends the event streams.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.drain.send_replace(true);
    }

    /// Takes new purchases and event streams again.
    pub fn undrain(&self) {
        self.draining.store(false, Ordering::Release);
        self.drain.send_replace(false);
    }

    /// Is the server going down?
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Reads of availability that need not ask the SKU.
    #[must_use]
    pub fn reads(&self) -> Option<&Arc<Reads>> {
        self.cache.as_ref()?.reads()
    }

    /// Tells when the server goes down.
    #[must_use]
    pub fn on_drain(&self) -> watch::Receiver<bool> {
        self.drain.subscribe()
    }

    /// Requests being served now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }
}

/// One request being served.
pub(super) struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One worker's view.
pub struct App {
    /// What the workers share.
    pub shared: Arc<Shared>,
    /// Event streams of this worker.
    pub(super) hub: Rc<Hub>,
    /// Largest body, in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_within: Duration,
    /// How long an answer may take until its outcome is unknown.
    pub answer_within: Duration,
    /// How long a cart lives without a change.
    pub cart_ttl: Duration,
    /// How long a hold lasts.
    pub hold_ttl: Duration,
    /// Most event streams of all workers.
    pub streams_max: usize,
    /// Serve the routes for measuring.
    pub measure: bool,
    /// Whose word about the client's address is believed.
    pub trusted_proxies: Proxies,
}

impl App {
    /// For a worker.
    #[must_use]
    pub fn new(shared: Arc<Shared>, config: &Config) -> Rc<App> {
        Rc::new(App {
            shared,
            hub: Rc::default(),
            body_limit: usize::try_from(config.api.body_limit.0).unwrap_or(usize::MAX),
            body_within: config.api.header_timeout,
            answer_within: config.api.request_timeout,
            cart_ttl: config.carts.ttl,
            hold_ttl: config.holds.ttl,
            streams_max: config.streams.max,
            measure: config.measure,
            trusted_proxies: config.limits.trusted_proxies.clone(),
        })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }
}
