//! Everything of one run: the machine with its disk and store, what is outside, and what was seen. One life of the server
//! after the other, then a calm one in which everything must come to its end.

use crate::books::{Books, Counts};
use crate::life::{self, Over};
use crate::names::Names;
use crate::outside::{Depository, Provider, TrueTime};
use crate::plan::{End, Fault, Life, Plan};
use crate::random::Random;
use crate::{recovery, rest};
use parking_lot::Mutex;
use stampede::config::Config;
use stampede::disk::SimDisk;
use stampede::engine::stepped::Stepped;
use stampede::store::MemoryStore;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// The data directory.
pub const DIR: &str = "/data";

/// Everything comes to its end within this much calm time, in microseconds.
const CALM: u64 = 400_000_000;

/// Starts in a row that may be killed by what was planned for one.
const STARTS: u32 = 4;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub counts: Counts,
    /// The first thing that cannot be.
    pub violation: Option<String>,
    /// Of everything that happened, and of all bytes on the disk.
    pub hash: String,
    /// What happened, when it was to be kept.
    pub trace: Vec<String>,
}

/// See the module.
pub struct World {
    pub plan_seed: u64,
    pub config: Config,
    pub names: Rc<Names>,
    pub runtime: Rc<Runtime>,
    pub time: TrueTime,
    pub clock: Arc<dyn stampede::clock::Clock>,
    pub disk: SimDisk,
    pub store: Arc<MemoryStore>,
    pub provider: Provider,
    pub depository: Depository,
    pub rung: Arc<Notify>,
    pub books: Arc<Mutex<Books>>,
    pub broken: Broken,
    random: Random,
    /// The last process did not stop cleanly.
    crashed: bool,
}

/// What is broken on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Nothing.
    Nothing,
    /// The disk says that it has synced, and has not.
    Syncs,
    /// The store does.
    StoreSyncs,
    /// Answers do not wait for the commit of what they rest on.
    Replies,
}

/// Runs a plan. `keep`: the trace is wanted.
pub fn run(plan: &Plan, keep: bool, broken: Broken) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let runtime = Rc::new(runtime);
    let entered = Rc::clone(&runtime);
    let _inside = entered.enter();
    let mut world = World::new(plan, runtime, broken);
    if broken == Broken::Syncs {
        world.disk.lie();
    }
    if keep {
        world.books.lock().trace.keep();
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.play(plan))) {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned())).unwrap_or_default();
        world.books.lock().violated(format!("it has panicked: {words}"));
    }
    let mut books = world.books.lock();
    for (path, bytes) in world.disk.contents() {
        books.trace.line(format_args!("{} {}", path.display(), blake3::hash(&bytes)));
    }
    let (hash, trace) = (books.trace.hash(), books.trace.lines());
    Outcome { counts: books.counts, violation: books.violation.take(), hash, trace }
}

impl World {
    fn new(plan: &Plan, runtime: Rc<Runtime>, broken: Broken) -> World {
        let (seed, time) = (plan.seed, TrueTime::begin());
        let books: Arc<Mutex<Books>> = Arc::default();
        World {
            plan_seed: seed,
            config: life::config(&plan.shop),
            names: Rc::new(Names::new(seed, &plan.shop)),
            runtime,
            time,
            clock: Arc::new(time),
            disk: SimDisk::new(seed),
            store: Arc::default(),
            provider: Provider::new(seed, time, Duration::from_secs(plan.shop.key_lifetime), Arc::clone(&books)),
            depository: Depository::new(seed),
            rung: Arc::default(),
            books,
            broken,
            random: Random::new(seed, "world"),
            crashed: false,
        }
    }

    fn is_violated(&self) -> bool {
        self.books.lock().violation.is_some()
    }

    fn play(&mut self, plan: &Plan) {
        for life in &plan.lives {
            self.random = Random::new(plan.seed, &format!("world {}", life.number));
            self.one(life);
            if self.is_violated() {
                return;
            }
        }
        self.last();
    }

    /// One life with all that was planned for it.
    fn one(&mut self, life: &Life) {
        self.provider.trouble(life.trouble);
        self.depository.trouble(life.trouble);
        if life.faults.contains(&Fault::StoreIsGone) {
            self.store = Arc::default();
        }
        self.plan_faults(life);
        let Some(stepped) = self.start(life) else { return };
        let over = self.live(stepped, life, false);
        self.line(format_args!("life {} is over: {over:?}", life.number));
        match over {
            Over::Time => self.end(life.end),
            Over::PowerCut => self.end(End::PowerCut),
            Over::Died(why) => {
                if let Some(what) = self.unexpected(life, &why) {
                    return self.books.lock().violated(what);
                }
                // A process that exits by itself, on a machine that goes on or does not.
                let end = *self.random.pick(&[End::Kill, End::PowerCut]);
                self.end(end);
            }
            Over::Violation => return,
            Over::Rest => {}
        }
        self.disk.heal();
        if life.faults.contains(&Fault::Rot) {
            recovery::rot(self, life);
        }
        let down = Duration::from_micros(life.down);
        Rc::clone(&self.runtime).block_on(tokio::time::sleep(down));
    }

    /// Opens the server; what was planned may kill it while it starts, a few times. `None`: a violation.
    fn start(&mut self, life: &Life) -> Option<Stepped> {
        let mut breaks_store = life.store_breaks();
        for _ in 0..STARTS {
            match self.open(life, breaks_store.take()) {
                Ok(stepped) => {
                    self.books.lock().counts.recoveries += u64::from(self.crashed);
                    recovery::check(self, &stepped);
                    return (!self.is_violated()).then_some(stepped);
                }
                Err(error) => {
                    self.line(format_args!("life {} does not start: {error}", life.number));
                    let planned = |fault: &Fault| {
                        matches!(fault, Fault::PowerCut(_) | Fault::Broken(_) | Fault::Full(_) | Fault::StoreBreaks(_))
                    };
                    if error.is_corruption() || !life.faults.iter().any(planned) {
                        self.books.lock().violated(format!("it does not start: {error}"));
                        return None;
                    }
                    let end =
                        if self.disk.is_off() { End::PowerCut } else { *self.random.pick(&[End::Kill, End::PowerCut]) };
                    self.end(end);
                    self.disk.heal();
                }
            }
        }
        self.books.lock().violated("it does not start, however often it is tried");
        None
    }

    /// The process is gone, and perhaps the machine.
    fn end(&mut self, end: End) {
        // It may have gone while the server was being stopped.
        let end = if self.disk.is_off() { End::PowerCut } else { end };
        self.crashed = end != End::Stop;
        self.books.lock().counts.crashes += u64::from(self.crashed);
        match end {
            End::Kill | End::Stop => self.disk.kill(),
            End::PowerCut => {
                self.disk.power_cut();
                self.disk.restart();
                let lost = *self.random.pick(&[0, 100, 500, 1_000]);
                let (random, mut batches) = (&mut self.random, BTreeMap::new());
                // A batch is there wholly or not at all.
                self.store.crash(|write| *batches.entry(write.batch).or_insert_with(|| random.chance(lost)));
            }
        }
    }

    /// Why a part of the server has died that nothing was planned to kill; `None`: something was.
    fn unexpected(&self, life: &Life, why: &str) -> Option<String> {
        let expected = life.faults.iter().any(|fault| match fault {
            Fault::Broken(_) | Fault::Full(_) => why.starts_with("log:"),
            Fault::StoreBreaks(_) => why.starts_with("projection:"),
            Fault::NoRoom { .. } => why.starts_with("log:"),
            _ => false,
        });
        (!expected).then(|| format!("a part of the server has died: {why}"))
    }

    /// Nothing goes wrong any more.
    fn last(&mut self) {
        let life = Life::calm(u64::MAX, CALM);
        self.provider.trouble(0);
        self.depository.trouble(0);
        let Some(stepped) = self.start(&life) else { return };
        let (log, reader) = (Arc::clone(&stepped.log), stepped.tender.reader().clone());
        let over = self.live(stepped, &life, true);
        self.line(format_args!("the last life is over: {over:?}"));
        if over == Over::Violation {
            return;
        }
        let books = &mut self.books.lock();
        match books.history.check() {
            Ok(operations) => books.counts.linear += operations,
            Err(what) => return books.violated(format!("not linearisable: {what}")),
        }
        rest::check(books, &reader, &self.provider, &self.depository);
        if self.config.log.archive_max_age.is_none() && books.violation.is_none() {
            rest::replay(books, &log, &reader);
        }
    }

    pub fn line(&self, what: std::fmt::Arguments<'_>) {
        self.books.lock().trace.line(what);
    }

    pub fn chances(&mut self) -> &mut Random {
        &mut self.random
    }
}
