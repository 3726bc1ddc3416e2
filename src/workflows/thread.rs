//! The workflow thread: frames in, jobs out, cursor forward. One lane, one runtime, all jobs as tasks of one thread.

use super::provider::{Callback, PaymentProvider};
use super::run::{Entities, World};
use super::vitals::Vitals;
use super::warehouse::{Dispatched, Warehouse};
use super::{Config, End};
use crate::broker::{Delivery, FromBroker, Outbox, Port, Verdict};
use crate::clock::Clock;
use crate::feed::{Cursor, Feed, FrameSource, Inlet, MessageId, Queue};
use crate::journal::{Committed, Error};
use foldhash::fast::FixedState;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use hashbrown::HashSet;
use parking_lot::Mutex;
use stampede_actors::ids::OrderId;
use stampede_actors::order::Step;
use stampede_actors::record::Position;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Bytes of frames read at once when a queue is behind.
const READ_BYTES: usize = 1 << 20;
/// Before the log is read once more that was not readable up to its head.
const READ_PAUSE: Duration = Duration::from_millis(10);
/// Callbacks and shipments that may wait for the thread, each.
const UNASKED: usize = 1_024;
/// Callbacks and shipments that are being taken in at once, together.
const UNASKED_AT_ONCE: usize = 256;
/// Longest that work in progress may take when the thread is asked to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// What the thread is made of.
pub struct Parts {
    /// Bounds and pace.
    pub config: Config,
    /// Where frames come from; register it as a listener of the log before anything is appended.
    pub inlet: Arc<Inlet>,
    /// Where frames are read again.
    pub source: Arc<dyn FrameSource>,
    /// Stands where the last checkpoint says.
    pub cursor: Cursor,
    /// The end of the log at the start.
    pub head: Position,
    /// Engine time.
    pub clock: Arc<dyn Clock>,
    /// Who moves money.
    pub provider: Arc<dyn PaymentProvider>,
    /// Who ships.
    pub warehouse: Arc<dyn Warehouse>,
    /// Who carries steps of payment and fulfilment to their workers; `None`: they are worked on here.
    pub broker: Option<Port>,
    /// Gives the new thread its lane. Called on it, inside its runtime.
    pub attach: Box<dyn FnOnce() + Send>,
}

/// Where the log is read, which may block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// On another thread.
    Aside,
    /// At once: a simulator has no other thread, and its disk does not block (S14).
    Here,
}

/// Why the thread ended.
#[derive(Debug)]
pub enum Stopped {
    /// It was asked to, or the log stopped.
    Cleanly,
    /// The log could not be read where a queue had left off: the process must stop.
    Failed(Error),
}

/// The running thread.
#[derive(Debug)]
pub struct WorkflowThread {
    inlet: Arc<Inlet>,
    stop: Arc<AtomicBool>,
    vitals: Arc<Vitals>,
    cursor: Cursor,
    thread: Mutex<Option<std::thread::JoinHandle<Stopped>>>,
}

impl WorkflowThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(parts: Parts) -> std::io::Result<WorkflowThread> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (inlet, stop) = (Arc::clone(&parts.inlet), Arc::new(AtomicBool::new(false)));
        let (vitals, cursor) = (Arc::new(Vitals::default()), parts.cursor.clone());
        let (stopping, counted) = (Arc::clone(&stop), Arc::clone(&vitals));
        let thread = std::thread::Builder::new().name("workflows".to_owned()).spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move { Driver::new(parts, stopping, counted, Reading::Aside).run().await })
        })?;
        Ok(WorkflowThread { inlet, stop, vitals, cursor, thread: Mutex::new(Some(thread)) })
    }

    /// What the thread does, for a simulator that has no other thread: to be polled where the lane of `parts` is the
    /// current one. Ends when the log has stopped.
    pub async fn run_here(parts: Parts) -> Stopped {
        Driver::new(parts, Arc::default(), Arc::default(), Reading::Here).run().await
    }

    /// How it is doing.
    #[must_use]
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// How far it has come.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Has it ended, by itself or because it was asked to?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.lock().as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Takes no new work, waits a few seconds for what is in progress, and ends the thread; the rest is done after the
    /// next start. `None` when it had been stopped before, or its thread panicked.
    pub fn stop(&self) -> Option<Stopped> {
        self.stop.store(true, Ordering::SeqCst);
        self.inlet.ring();
        let thread = self.thread.lock().take()?;
        thread.join().ok()
    }
}

/// What the thread's one loop waits for.
enum Event {
    Rung,
    Done(Queue, MessageId, (OrderId, Step), End),
    Read(Result<Vec<Arc<Committed>>, Error>),
    Unasked,
    Callback(Callback),
    Shipment(Dispatched),
    Broker(FromBroker),
    /// What was delivered has been worked on; `None`: that panicked.
    Worked(Queue, (OrderId, Step), Option<End>),
}

struct Driver {
    world: World,
    feed: Feed,
    inlet: Arc<Inlet>,
    source: Arc<dyn FrameSource>,
    cursor: Cursor,
    stop: Arc<AtomicBool>,
    jobs: FuturesUnordered<LocalBoxFuture<'static, Event>>,
    /// Steps being worked on: a second message for one of them is a repeat by the order's timer.
    in_progress: HashSet<(OrderId, Step), FixedState>,
    unasked: usize,
    callbacks: mpsc::Receiver<Callback>,
    shipments: mpsc::Receiver<Dispatched>,
    outbox: Option<Outbox>,
    from_broker: Option<mpsc::Receiver<FromBroker>>,
    reading: Option<LocalBoxFuture<'static, Result<Vec<Arc<Committed>>, Error>>>,
    reads: Reading,
    /// The last reading brought nothing: the log is not readable up to its head yet.
    starved: bool,
}

impl Driver {
    fn new(parts: Parts, stop: Arc<AtomicBool>, vitals: Arc<Vitals>, reads: Reading) -> Driver {
        let Parts { config, inlet, source, cursor, head, clock, provider, warehouse, broker, attach } = parts;
        attach();
        let (to_us, callbacks) = mpsc::channel(UNASKED);
        provider.listen(to_us);
        let (to_us, shipments) = mpsc::channel(UNASKED);
        warehouse.listen(to_us);
        let (outbox, from_broker) = broker.map(|Port { outbox, inbox }| (outbox, inbox)).unzip();
        let mut terms = config.terms;
        terms.key_lifetime = terms.key_lifetime.min(provider.key_lifetime());
        Driver {
            feed: Feed::resume(&config.feed, cursor.position(), head),
            world: World { entities: Entities::OfThisLane, provider, warehouse, clock, vitals, terms },
            inlet,
            source,
            cursor,
            stop,
            jobs: FuturesUnordered::new(),
            in_progress: HashSet::with_hasher(FixedState::default()),
            unasked: 0,
            callbacks,
            shipments,
            outbox,
            from_broker,
            reading: None,
            reads,
            starved: false,
        }
    }

    async fn run(mut self) -> Stopped {
        loop {
            let arrivals = self.inlet.take();
            for frame in &arrivals.frames {
                self.feed.ingest(frame);
            }
            self.feed.saw(arrivals.head);
            if arrivals.stopped || self.stop.load(Ordering::SeqCst) {
                return self.drain().await;
            }
            self.start_jobs();
            self.read_on();
            self.publish();
            let event = self.next_event().await;
            if let Err(failed) = self.take(event) {
                return failed;
            }
            // Whatever else is ready now is taken in the same round: one look at the feed for many.
            while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.jobs.next()) {
                if let Err(failed) = self.take(event) {
                    return failed;
                }
            }
        }
    }

    fn start_jobs(&mut self) {
        for queue in Queue::ALL {
            while let Some(message) = self.feed.next(queue) {
                if let Some(outbox) = self.outbox.as_ref().filter(|_| queue != Queue::Stock) {
                    outbox.publish(message);
                    continue;
                }
                let subject = (message.order, message.step);
                if !self.in_progress.insert(subject) {
                    // Whoever works on it reports, or the order asks once more.
                    self.world.vitals.queue(queue).duplicates.fetch_add(1, Ordering::Relaxed);
                    self.feed.acknowledge(queue, message.id);
                    continue;
                }
                let world = self.world.clone();
                self.jobs.push(Box::pin(async move {
                    let end = world.work(message).await;
                    Event::Done(queue, message.id, subject, end)
                }));
            }
        }
    }

    fn read_on(&mut self) {
        if self.reading.is_none()
            && let Some(from) = self.feed.wanted()
        {
            let source = Arc::clone(&self.source);
            let pause = if self.starved { READ_PAUSE } else { Duration::ZERO };
            let reads = self.reads;
            self.reading = Some(Box::pin(async move {
                tokio::time::sleep(pause).await;
                if reads == Reading::Here {
                    return source.read(from, READ_BYTES);
                }
                match tokio::task::spawn_blocking(move || source.read(from, READ_BYTES)).await {
                    Ok(read) => read,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                }
            }));
        }
    }

    fn publish(&self) {
        self.cursor.publish(self.feed.cursor(), self.feed.caught_up());
        self.world.vitals.observe(&self.feed);
    }

    async fn next_event(&mut self) -> Event {
        let room = self.unasked < UNASKED_AT_ONCE;
        tokio::select! {
            biased;
            Some(event) = self.jobs.next() => event,
            () = self.inlet.rung() => Event::Rung,
            read = poll_some(&mut self.reading) => Event::Read(read),
            Some(callback) = self.callbacks.recv(), if room => Event::Callback(callback),
            Some(shipment) = self.shipments.recv(), if room => Event::Shipment(shipment),
            Some(news) = from(&mut self.from_broker) => Event::Broker(news),
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Stopped> {
        match event {
            Event::Rung => {}
            Event::Done(queue, id, subject, end) => {
                self.in_progress.remove(&subject);
                self.feed.acknowledge(queue, id);
                self.world.vitals.ended(queue, end);
            }
            Event::Read(Ok(frames)) => {
                self.reading = None;
                self.starved = frames.is_empty();
                self.world.vitals.frames_reread.fetch_add(frames.len() as u64, Ordering::Relaxed);
                for frame in &frames {
                    self.feed.ingest(frame);
                }
            }
            Event::Read(Err(error)) => return Err(Stopped::Failed(error)),
            Event::Broker(FromBroker::Confirmed(queue, id)) => {
                self.feed.acknowledge(queue, id);
            }
            Event::Broker(FromBroker::Delivered(delivery)) => self.work_on(delivery),
            Event::Worked(queue, subject, end) => {
                self.in_progress.remove(&subject);
                if let Some(end) = end {
                    self.world.vitals.ended(queue, end);
                }
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
        }
        Ok(())
    }

    /// A message that came over the broker.
    fn work_on(&mut self, Delivery { message, receipt }: Delivery) {
        // What came over a connection that has ended comes again.
        if !receipt.stands() {
            return;
        }
        let (queue, subject) = (Queue::of(message.step), (message.order, message.step));
        if !self.in_progress.insert(subject) {
            self.world.vitals.queue(queue).duplicates.fetch_add(1, Ordering::Relaxed);
            return self.push_unasked(receipt.settle(Verdict::Done));
        }
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

    /// Takes nothing new; what is in progress may end.
    async fn drain(mut self) -> Stopped {
        let rest = async {
            while let Some(event) = self.jobs.next().await {
                if self.take(event).is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(DRAIN, rest).await.is_err() {
            tracing::warn!(jobs = self.jobs.len(), "work in progress was left for the next start");
        }
        self.publish();
        Stopped::Cleanly
    }
}

/// What the broker says; never returns when there is none.
async fn from(broker: &mut Option<mpsc::Receiver<FromBroker>>) -> Option<FromBroker> {
    match broker {
        Some(broker) => broker.recv().await,
        None => std::future::pending().await,
    }
}

/// The frames read by another thread; never returns when none is reading.
async fn poll_some<T>(reading: &mut Option<LocalBoxFuture<'static, T>>) -> T {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}
