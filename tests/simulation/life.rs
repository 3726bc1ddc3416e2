//! One life of the server: it starts, works, and is no more.

use crate::books::Books;
use crate::client::Clients;
use crate::plan::{End, Fault, Life, Shop};
use crate::ports::{Bell, FragileStore, LifeClock, Witness};
use crate::process::Process;
use crate::random::Random;
use crate::world::{Broken, DIR, World};
use parking_lot::Mutex;
use stampede::clock::Clock;
use stampede::config::Config;
use stampede::disk::SimDisk;
use stampede::disk::sim::Fault as DiskFault;
use stampede::engine::stepped::{Ports, Stepped, Tender, workflow_lane};
use stampede::engine::{self};
use stampede::feed::projection::worker;
use stampede::journal::{LogId, Stopped, Turn, Upkeep, Writer};
use stampede::store::MemoryStore;
use stampede::workflows::WorkflowThread;
use stampede_actors::shell::{Lane, LaneId};
use stampede_actors::time::Span;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// The id of every simulated log.
pub const LOG: LogId = LogId([9; 16]);

/// Lanes with shards.
const WORKERS: usize = 2;

/// How the server of a shop is set up.
pub fn config(shop: &Shop) -> Config {
    let mut config = Config {
        data_dir: DIR.into(),
        workers: WORKERS,
        shards: WORKERS + 1,
        start_grace: Duration::from_secs(2),
        ..Config::default()
    };
    config.holds.ttl = Duration::from_secs(10);
    config.holds.max_total = Duration::from_secs(40);
    config.payment.timeout = crate::outside::TIMEOUT;
    config.payment.ask_again = Duration::from_millis(300);
    config.payment.attempts = 3;
    config.payment.key_lifetime = Duration::from_secs(shop.key_lifetime);
    config.log.segment_bytes.0 = 32 << 10;
    config.log.frame_bytes.0 = shop.frame_bytes;
    config.log.queue_records = shop.queue_records;
    config.log.archive_max_age = shop.archive_max_age.map(Duration::from_secs);
    config.store.keep_free.0 = shop.keep_free;
    config.store.flush_every = Duration::from_millis(100);
    config.passivate.after = Duration::from_millis(shop.passivate_after);
    config
}

/// Why a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Its time was up.
    Time,
    /// The disk has no power.
    PowerCut,
    /// A part of it has died, so that the process must.
    Died(String),
    /// Everything has come to rest.
    Rest,
    /// Something cannot be.
    Violation,
}

/// A running server.
struct Running {
    process: Process,
    writer: Rc<RefCell<Writer>>,
    projection: Rc<RefCell<worker::Stepped>>,
    tender: Tender,
    /// A part has died.
    died: Rc<RefCell<Option<String>>>,
    /// All is done that there was to do.
    rests: Rc<Cell<bool>>,
    stopped: tokio::sync::watch::Receiver<Option<Stopped>>,
    fabric: Arc<stampede_actors::shell::Fabric>,
}

impl World {
    /// Opens the server of a life.
    pub fn open(&mut self, life: &Life, breaks_in: Option<u64>) -> Result<Stepped, engine::Error> {
        let off =
            life.faults.iter().map(|fault| if let Fault::ClockStep(seconds) = fault { *seconds } else { 0 }).sum();
        let clock: Arc<dyn Clock> = Arc::new(LifeClock::new(self.time, Span::seconds(off)));
        self.clock = Arc::clone(&clock);
        let (store, broken) = (RefCell::new(Arc::clone(&self.store)), self.broken);
        let stepped = {
            let open = |afresh: bool| -> Result<Arc<dyn stampede::store::Store>, stampede::store::Error> {
                if afresh {
                    *store.borrow_mut() = Arc::new(MemoryStore::default());
                }
                let breaks_in = AtomicU64::new(breaks_in.unwrap_or_default());
                let lies = broken == Broken::StoreSyncs;
                // In some lives: in most the checkpoint's sync must be what keeps the rows.
                let durable_every = if life.lasts.is_multiple_of(4) { 2 } else { 0 };
                let writes = AtomicU64::new(0);
                let store = Arc::clone(&store.borrow());
                Ok(Arc::new(FragileStore { store, breaks_in, lies, durable_every, writes }))
            };
            let (books, rung) = (&self.books, &self.rung);
            let ports = Ports {
                disk: Arc::new(self.disk.clone()),
                clock,
                store: &open,
                provider: Arc::new(self.provider.clone()),
                warehouse: Arc::new(self.depository.clone()),
                log_id: LOG,
                journal: &|queue| {
                    let lies = broken == Broken::Replies;
                    Arc::new(Bell { queue, books: Arc::clone(books), rung: Arc::clone(rung), lies })
                },
                listeners: &|mut listeners| {
                    listeners.insert(0, Arc::new(Witness(Arc::clone(books))));
                    listeners
                },
            };
            Stepped::open(&self.config, ports, Instant::now().into_std())
        };
        self.store = store.into_inner();
        stepped
    }

    /// Plans what goes wrong with the disk.
    pub fn plan_faults(&self, life: &Life) {
        let begin = self.disk.steps();
        for fault in &life.faults {
            match fault {
                Fault::PowerCut(step) => self.disk.fail_at(begin + step, DiskFault::PowerCut),
                Fault::Broken(step) => self.disk.fail_at(begin + step, DiskFault::Broken),
                Fault::Full(step) => self.disk.fail_at(begin + step, DiskFault::Full),
                _ => {}
            }
        }
    }

    /// Lets an open server live until something ends it.
    pub fn live(&mut self, stepped: Stepped, life: &Life, is_calm: bool) -> Over {
        let runtime = Rc::clone(&self.runtime);
        let mut running = self.begin(stepped, life, is_calm);
        let over = runtime.block_on(async {
            let mut time_is_up = std::pin::pin!(sleep(Duration::from_micros(life.lasts)));
            std::future::poll_fn(|context| {
                if time_is_up.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Over::Time);
                }
                running.process.poll(context);
                running.over(&self.disk, &self.books).map_or(Poll::Pending, Poll::Ready)
            })
            .await
        });
        if life.end == End::Stop && over == Over::Time {
            runtime.block_on(async { self.stop(&running) });
        }
        self.disk.set_capacity(u64::MAX);
        over
    }

    /// Closes the log and takes a last checkpoint, as a server does that is told to go.
    fn stop(&self, running: &Running) {
        let stopped = running.writer.borrow_mut().close();
        let taken = running.projection.borrow_mut().step(Instant::now().into_std()).is_ok()
            && running.tender.checkpoint(&mut running.projection.borrow_mut(), false).is_ok();
        self.books.lock().trace.line(format_args!("closed: {stopped:?}, checkpoint {taken}"));
    }

    fn begin(&mut self, stepped: Stepped, life: &Life, is_calm: bool) -> Running {
        let Stepped { fabric, log, writer, upkeep, projection, loading, workflows, tender, stopped, .. } = stepped;
        let random = |purpose: &str| Random::new(self.plan_seed, &format!("{purpose} {}", life.number));
        let mut process = Process::new(random("threads"), loading);
        let (died, rests) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(false)));
        let (writer, projection) = (Rc::new(RefCell::new(writer)), Rc::new(RefCell::new(projection)));
        let clients = Rc::new(Clients {
            books: Arc::clone(&self.books),
            fabric: Arc::clone(&fabric),
            names: Rc::clone(&self.names),
        });
        let began = Instant::now();
        let left_open = std::mem::take(&mut self.books.lock().unanswered);
        let asks: Vec<_> = left_open.into_iter().map(|what| (50, what)).chain(life.asks.iter().copied()).collect();
        let mut which = random("which lane");
        let lane_of: Vec<_> = asks.iter().map(|_| which.below(WORKERS as u64) as usize).collect();
        for worker in 0..WORKERS {
            process.thread(|| {
                Lane::start(&fabric, LaneId(worker));
                let mine = asks.iter().enumerate().filter(|(index, _)| lane_of[*index] == worker);
                for (index, &(at, what)) in mine {
                    let (clients, random) = (Rc::clone(&clients), random(&format!("client {index}")));
                    actix::spawn(async move {
                        sleep_until(began + Duration::from_micros(at)).await;
                        clients.ask(what, random).await;
                    });
                }
            });
        }
        let workflow_died = Rc::clone(&died);
        process.thread(|| {
            Lane::start(&fabric, workflow_lane(&self.config));
            actix::spawn(async move {
                let end = WorkflowThread::run_here(workflows).await;
                workflow_died.borrow_mut().get_or_insert(format!("workflows: {end:?}"));
            });
        });
        process.thread(|| {
            let (rung, clock) = (Arc::clone(&self.rung), Arc::clone(&self.clock));
            actix::spawn(write(Rc::clone(&writer), log, rung, Arc::clone(&clock), random("writer"), life.slow));
            actix::spawn(tend(upkeep, clock, random("upkeep")));
            let full = self.config.log.archive_max_age.is_some();
            let projecting = project(Rc::clone(&projection), tender.clone(), random("projection"), full);
            let project_died = Rc::clone(&died);
            actix::spawn(async move {
                let why = projecting.await;
                project_died.borrow_mut().get_or_insert(why);
            });
            actix::spawn(look_round(tender.clone(), began));
            actix::spawn(no_room(self.disk.clone(), life.faults.clone(), began));
            if is_calm {
                actix::spawn(watch_for_rest(
                    Arc::clone(&self.books),
                    tender.clone(),
                    self.depository.clone(),
                    Rc::clone(&rests),
                ));
            }
        });
        Running { process, writer, projection, tender, died, rests, stopped, fabric }
    }
}

impl Running {
    fn over(&self, disk: &SimDisk, books: &Mutex<Books>) -> Option<Over> {
        if disk.is_off() {
            return Some(Over::PowerCut);
        }
        if books.lock().violation.is_some() {
            return Some(Over::Violation);
        }
        if let Some(why) = self.fabric.dead() {
            return Some(Over::Died(format!("shard: {why}")));
        }
        if let Some(why) = &*self.stopped.borrow() {
            return Some(Over::Died(format!("log: {why:?}")));
        }
        if let Some(why) = &*self.died.borrow() {
            return Some(Over::Died(why.clone()));
        }
        self.rests.get().then_some(Over::Rest)
    }
}

/// The log's writer.
async fn write(
    writer: Rc<RefCell<Writer>>,
    log: Arc<stampede::journal::Log>,
    rung: Arc<Notify>,
    clock: Arc<dyn Clock>,
    mut random: Random,
    slow: u64,
) {
    loop {
        if random.chance(slow) {
            sleep(Duration::from_micros(random.skewed(50_000))).await;
        }
        let turn = writer.borrow_mut().step();
        match turn {
            Turn::Committed => tokio::task::yield_now().await,
            Turn::Stopped(_) => return,
            Turn::Wait { wake_at, until } => {
                let wait = until.map(|until| Duration::from_micros(until.since(clock.now()).0.unsigned_abs()));
                let until = Instant::now() + wait.unwrap_or(Duration::from_secs(3_600));
                while log.health().waiting < wake_at {
                    if tokio::time::timeout_at(until, rung.notified()).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// The log's upkeep.
async fn tend(mut upkeep: Upkeep, clock: Arc<dyn Clock>, mut random: Random) {
    loop {
        match upkeep.step(clock.now()) {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => sleep(Duration::from_micros(500 + random.skewed(100_000))).await,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The projection, and checkpoints now and then. Answers why it has ended.
async fn project(projection: Rc<RefCell<worker::Stepped>>, tender: Tender, mut random: Random, full: bool) -> String {
    loop {
        sleep(Duration::from_micros(200 + random.skewed(50_000))).await;
        if let Err(error) = projection.borrow_mut().step(Instant::now().into_std()) {
            return format!("projection: {error}");
        }
        if random.chance(60) {
            // One that fails leaves the one before; what has died says so by itself.
            let _ = tender.checkpoint(&mut projection.borrow_mut(), full && random.chance(500));
            if let Some(why) = tender.reader().stopped() {
                return format!("projection: {why}");
            }
        }
    }
}

/// What is done beside the requests.
async fn look_round(tender: Tender, began: Instant) {
    let mut armed: Option<Instant> = None;
    loop {
        tender.end_grace(began.elapsed());
        if armed.is_none_or(|at| at.elapsed() >= Tender::READ_EVERY) {
            tender.arm();
            armed = Some(Instant::now());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Somebody else fills the disk, and makes room again.
async fn no_room(disk: SimDisk, faults: Vec<Fault>, began: Instant) {
    for fault in faults {
        let Fault::NoRoom { bytes, from, to } = fault else { continue };
        sleep_until(began + Duration::from_micros(from)).await;
        disk.set_capacity(disk.used() + bytes);
        sleep_until(began + Duration::from_micros(to)).await;
        disk.set_capacity(u64::MAX);
    }
}

/// Looks now and then whether everything has come to its end. Whatever is late outside is not later than the first look.
async fn watch_for_rest(
    books: Arc<Mutex<Books>>,
    tender: Tender,
    depository: crate::outside::Depository,
    rests: Rc<Cell<bool>>,
) {
    sleep(Duration::from_secs(25)).await;
    loop {
        let is_waited_for = books.lock().model.standing().next().is_some();
        let orders: Vec<_> = books.lock().model.orders.keys().copied().collect();
        let quiet = orders.iter().all(|&order| crate::rest::is_settled(tender.reader(), order));
        if !is_waited_for && quiet && depository.outstanding() == (0, 0) {
            return rests.set(true);
        }
        sleep(Duration::from_secs(2)).await;
    }
}
