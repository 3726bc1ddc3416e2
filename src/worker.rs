//! A worker in a process of its own: takes steps out of RabbitMQ, asks the server about each, does what is outside, and
//! reports. It keeps nothing but the (simulated) outside party's own books.

mod server;

pub use server::Server;

use crate::broker::{Broker, Delivery, FromBroker, Verdict};
use crate::clock::{BootClock, Clock};
use crate::config::{Config, Works};
use crate::engine::outside::{Outside, workflows_config};
use crate::feed::Queue;
use crate::store;
use crate::workflows::{Callback, Dispatched, End, Entities, Vitals, World};
use foldhash::fast::FixedState;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use hashbrown::HashSet;
use stampede_actors::ids::OrderId;
use stampede_actors::order::Step;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// Callbacks and shipments that may wait, each.
const UNASKED: usize = 1_024;
/// Callbacks and shipments that are being reported at once, together.
const UNASKED_AT_ONCE: usize = 256;
/// Longest that work in progress may take when the worker is asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the books are looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the loop waits for.
enum Event {
    Worked(Queue, (OrderId, Step), Option<End>),
    Unasked,
    Callback(Callback),
    Shipment(Dispatched),
    Delivered(Delivery),
    Stop,
    /// The broker's thread has ended, which would be a bug.
    NoBroker,
}

/// A worker.
pub struct Worker {
    world: World,
    broker: Broker,
    deliveries: mpsc::Receiver<FromBroker>,
    callbacks: mpsc::Receiver<Callback>,
    shipments: mpsc::Receiver<Dispatched>,
    jobs: FuturesUnordered<LocalBoxFuture<'static, Event>>,
    /// Steps being worked on: a second message for one of them is a repeat.
    in_progress: HashSet<(OrderId, Step), FixedState>,
    unasked: usize,
    /// Whether the outside party's books can still be written.
    failures: Vec<store::Failure>,
}

impl Worker {
    /// Opens the outside party's books, and begins to take deliveries.
    ///
    /// # Errors
    /// Books that another process uses, or no thread to be had.
    pub fn start(config: &Config, works: Works, server: Server) -> anyhow::Result<Worker> {
        let clock: Arc<dyn Clock> = Arc::new(BootClock::new());
        let Outside { provider, warehouse, failures, .. } = Outside::open(config, works, Arc::clone(&clock))?;
        let (to_us, callbacks) = mpsc::channel(UNASKED);
        provider.listen(to_us);
        let (to_us, shipments) = mpsc::channel(UNASKED);
        warehouse.listen(to_us);
        let (broker, deliveries) = Broker::work_only(&config.rabbitmq, works)?;
        let entities = Entities::Elsewhere(Rc::new(server));
        let terms = workflows_config(config).terms;
        let world = World { entities, provider, warehouse, clock, vitals: Arc::default(), terms };
        let in_progress = HashSet::with_hasher(FixedState::default());
        Ok(Worker {
            world,
            broker,
            deliveries,
            callbacks,
            shipments,
            jobs: FuturesUnordered::new(),
            in_progress,
            unasked: 0,
            failures,
        })
    }

    /// How it is doing.
    #[must_use]
    pub fn vitals(&self) -> (Arc<Vitals>, Arc<crate::broker::Vitals>) {
        (Arc::clone(&self.world.vitals), Arc::clone(self.broker.vitals()))
    }

    /// Works until `stop` resolves, then lets what is in progress end. On a thread's local tasks.
    ///
    /// # Errors
    /// When the broker's thread ends by itself, or the outside party cannot write its books any more.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let room = self.unasked < UNASKED_AT_ONCE;
            let event = tokio::select! {
                () = &mut stop => Event::Stop,
                _ = look.tick() => match self.failures.iter().find_map(store::Failure::get) {
                    Some(why) => anyhow::bail!("a simulated outside party cannot write its books: {why}"),
                    None => continue,
                },
                Some(event) = self.jobs.next() => event,
                Some(callback) = self.callbacks.recv(), if room => Event::Callback(callback),
                Some(shipment) = self.shipments.recv(), if room => Event::Shipment(shipment),
                delivery = self.deliveries.recv() => match delivery {
                    Some(FromBroker::Delivered(delivery)) => Event::Delivered(delivery),
                    // Nothing is published here.
                    Some(FromBroker::Confirmed(..)) => continue,
                    None => Event::NoBroker,
                },
            };
            match event {
                Event::Stop => break,
                Event::NoBroker => anyhow::bail!("the thread beside RabbitMQ has ended"),
                event => self.take(event),
            }
        }
        let rest = async {
            while let Some(event) = self.jobs.next().await {
                if let Event::Worked(queue, _, Some(end)) = event {
                    self.world.vitals.ended(queue, end);
                }
            }
        };
        if tokio::time::timeout(DRAIN, rest).await.is_err() {
            tracing::warn!(jobs = self.jobs.len(), "work in progress goes back to its queue");
        }
        self.broker.stop();
        Ok(())
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Worked(queue, subject, end) => {
                self.in_progress.remove(&subject);
                if let Some(end) = end {
                    self.world.vitals.ended(queue, end);
                }
                self.world.vitals.queue(queue).working.store(self.in_progress.len() as u64, Relaxed);
            }
            Event::Unasked => self.unasked -= 1,
            Event::Callback(callback) => {
                let world = self.world.clone();
                self.push_unasked(async move { world.take_callback(callback).await });
            }
            Event::Shipment(shipment) => {
                let world = self.world.clone();
                self.push_unasked(async move { world.take_shipment(shipment).await });
            }
            Event::Delivered(delivery) => self.work_on(delivery),
            Event::Stop | Event::NoBroker => {}
        }
    }

    fn work_on(&mut self, Delivery { message, receipt }: Delivery) {
        // What came over a connection that has ended comes again.
        if !receipt.stands() {
            return;
        }
        let (queue, subject) = (Queue::of(message.step), (message.order, message.step));
        if !self.in_progress.insert(subject) {
            self.world.vitals.queue(queue).duplicates.fetch_add(1, Relaxed);
            return self.push_unasked(receipt.settle(Verdict::Done));
        }
        self.world.vitals.queue(queue).working.store(self.in_progress.len() as u64, Relaxed);
        let world = self.world.clone();
        self.jobs.push(Box::pin(async move {
            let end = world.deliver(message, receipt).await;
            Event::Worked(queue, subject, end)
        }));
    }

    fn push_unasked(&mut self, work: impl Future<Output = ()> + 'static) {
        self.unasked += 1;
        self.jobs.push(Box::pin(async move {
            work.await;
            Event::Unasked
        }));
    }
}
