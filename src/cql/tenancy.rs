//! The time as the owner: shows that it lives, notes how far it is, trims, and notices when the log is somebody else's.
//!
//! An owner answers from memory only when its ownership was confirmed less than a second ago, by the clock that runs on
//! while the machine sleeps; else it is confirmed first (S25). A process that was paused learns so that it was replaced
//! before it says anything about stock that it does not know any more.

use super::kept::panicked;
use super::{Cluster, Error, OwnerRow};
use crate::clock::boot_micros;
use crate::journal::Log;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a confirmation lasts.
const LASTS: Duration = Duration::from_secs(1);
/// How often the position of the cursors is noted.
const NOTE_EVERY: Duration = Duration::from_secs(2);
/// How often the thread looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why an answer may not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Somebody else owns the log.
    #[error("another process owns the commit log: {0}")]
    Fenced(String),
    /// It cannot be found out.
    #[error("whether this process still owns the commit log cannot be found out: {0}")]
    Unconfirmed(String),
}

/// Told once why the log is not ours any more.
type OnFence = Box<dyn FnOnce(String) + Send>;

/// One process's time as the owner.
pub struct Tenancy {
    cluster: Arc<Cluster>,
    epoch: u64,
    bucket: AtomicU64,
    /// The log was ours at some moment after this, in microseconds of the boot clock.
    confirmed: AtomicI64,
    /// Who waits for a confirmation waits for the same one.
    asking: tokio::sync::Mutex<()>,
    fenced: OnceLock<String>,
    on_fence: Mutex<Option<OnFence>>,
    stopping: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Tenancy {
    /// Begins to show that it lives, for as long as somebody has it.
    pub(super) fn new(cluster: Arc<Cluster>, epoch: u64, bucket: u64, since: i64) -> Result<Arc<Tenancy>, Error> {
        cluster.vitals().owner.store(true, Ordering::Relaxed);
        let tenancy = Arc::new(Tenancy {
            cluster,
            epoch,
            bucket: AtomicU64::new(bucket),
            confirmed: AtomicI64::new(since),
            asking: tokio::sync::Mutex::new(()),
            fenced: OnceLock::new(),
            on_fence: Mutex::new(None),
            stopping: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        let of = Arc::downgrade(&tenancy);
        std::thread::Builder::new()
            .name("cql-beat".to_owned())
            .spawn(move || beat(&of))
            .map_err(|source| Error::Io { what: "cannot start the thread that shows that it lives", source })?;
        Ok(tenancy)
    }

    /// Whose time this is.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The database.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(super) fn moved_to(&self, bucket: u64) {
        self.bucket.store(bucket, Ordering::Release);
    }

    pub(super) fn confirmed(&self, at: i64) {
        self.confirmed.fetch_max(at, Ordering::AcqRel);
    }

    pub(super) fn fenced(&self, why: &str) {
        if self.fenced.set(why.to_owned()).is_err() {
            return;
        }
        self.cluster.vitals().owner.store(false, Ordering::Relaxed);
        tracing::error!(why, epoch = self.epoch, "another process owns the commit log; this one stops");
        if let Some(tell) = self.on_fence.lock().take() {
            tell(why.to_owned());
        }
    }

    /// May what is in memory be told now (S25)? Costs one comparison, but after a second without any contact.
    ///
    /// # Errors
    /// [`NotOurs`]: it may not.
    pub async fn confirm(self: &Arc<Tenancy>) -> Result<(), NotOurs> {
        if let Some(why) = self.fenced.get() {
            return Err(NotOurs::Fenced(why.clone()));
        }
        if self.is_fresh() {
            return Ok(());
        }
        let _one_asks = self.asking.lock().await;
        if self.is_fresh() {
            return Ok(());
        }
        self.cluster.vitals().confirmations.fetch_add(1, Ordering::Relaxed);
        let tenancy = Arc::clone(self);
        self.cluster
            .join(async move { tenancy.ask().await })
            .await
            .unwrap_or_else(|| Err(NotOurs::Unconfirmed(panicked("confirming the ownership").to_string())))
    }

    fn is_fresh(&self) -> bool {
        let age = boot_micros() - self.confirmed.load(Ordering::Acquire);
        u128::try_from(age).is_ok_and(|age| age <= LASTS.as_micros())
    }

    /// Whoever takes the log first takes an epoch: while ours is the last one given out, the header is ours as well.
    async fn ask(&self) -> Result<(), NotOurs> {
        let sent = boot_micros();
        match self.cluster.read_owner().await {
            Ok(Some(row)) if row.epoch == self.epoch => {
                self.confirmed(sent);
                Ok(())
            }
            Ok(Some(row)) if row.epoch > self.epoch => {
                let why = format!("epoch {} was given to {}, ours is {}", row.epoch, name(&row), self.epoch);
                self.fenced(&why);
                Err(NotOurs::Fenced(why))
            }
            Ok(other) => Err(NotOurs::Unconfirmed(format!("the owner's row is {other:?}"))),
            Err(error) => Err(NotOurs::Unconfirmed(error.to_string())),
        }
    }

    /// Starts the thread that does what is not asked for. `on_fence` is called once, when somebody else owns the log.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        self: &Arc<Tenancy>,
        log: Arc<Log>,
        on_fence: impl FnOnce(String) + Send + 'static,
    ) -> std::io::Result<()> {
        *self.on_fence.lock() = Some(Box::new(on_fence));
        if let Some(why) = self.fenced.get()
            && let Some(tell) = self.on_fence.lock().take()
        {
            tell(why.clone());
        }
        let tenancy = Arc::clone(self);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| tenancy.run(&log))).is_err() {
                tenancy.fenced("the thread that tends the log in CQL has panicked");
            }
        };
        *self.thread.lock() = Some(std::thread::Builder::new().name("cql-tend".to_owned()).spawn(run)?);
        Ok(())
    }

    fn run(self: &Arc<Tenancy>, log: &Log) {
        let mut noted = None;
        while !self.has_ended() {
            if let Err(error) = self.note(log, &mut noted).and_then(|()| self.trim(log)) {
                tracing::warn!(%error, "upkeep of the log in the database failed; it is tried again");
            }
            let next = Instant::now() + NOTE_EVERY;
            while Instant::now() < next && !self.has_ended() {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        // The last position, for whoever takes over.
        if self.fenced.get().is_none()
            && let Err(error) = self.note(log, &mut noted)
        {
            tracing::warn!(%error, "the last position of the cursors was not noted");
        }
    }

    fn has_ended(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.fenced.get().is_some()
    }

    /// How far the cursors are: whoever takes over begins its workflows there.
    fn note(&self, log: &Log, noted: &mut Option<OwnerRow>) -> Result<(), Error> {
        let row = OwnerRow {
            hint: self.bucket.load(Ordering::Acquire),
            cursors: log.cursors().into_iter().map(|(name, position)| (name, position.0)).collect(),
            ..OwnerRow::default()
        };
        if noted.as_ref() != Some(&row) {
            let sent = boot_micros();
            if self.cluster.note(self.epoch, row.clone())? == super::protocol::Reply::Applied {
                self.confirmed(sent);
                *noted = Some(row);
            }
        }
        Ok(())
    }

    /// Archives the oldest bucket that neither checkpoint nor cursors need any more. One at a time.
    fn trim(&self, log: &Log) -> Result<(), Error> {
        let needed = log.first_live().min(self.bucket.load(Ordering::Acquire));
        let vitals = self.cluster.vitals();
        let next = vitals.trimmed_to.load(Ordering::Relaxed).max(super::protocol::FIRST_BUCKET);
        if next >= needed {
            return Ok(());
        }
        if self.cluster.archive(next)? {
            vitals.trimmed.fetch_add(1, Ordering::Relaxed);
        }
        vitals.trimmed_to.store(next + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the thread, and lets whoever waits take over at once. After the log was closed. Blocks.
    pub fn release(self: &Arc<Tenancy>) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that tends the log in CQL had panicked");
        }
        if self.fenced.get().is_some() {
            return;
        }
        self.cluster.vitals().owner.store(false, Ordering::Relaxed);
        match self.cluster.give_up(self.epoch) {
            Ok(true) => tracing::info!(epoch = self.epoch, "the log was given up: a stand-by takes over at once"),
            Ok(false) => tracing::info!("somebody else has taken the log already"),
            Err(error) => tracing::warn!(%error, "a stand-by takes over after cql.take-over-after"),
        }
    }
}

/// Shows that the owner lives, and finds out whether it still is one, until nobody has the tenancy any more.
fn beat(of: &Weak<Tenancy>) {
    let mut beat = 0;
    while let Some(tenancy) = of.upgrade().filter(|tenancy| !tenancy.has_ended()) {
        beat += 1;
        let (node, address) = tenancy.cluster.name();
        if let Err(error) = tenancy.cluster.beat(node, beat, address) {
            tracing::warn!(%error, "the database was not told that this process lives; tried again");
        }
        let (asked, cluster) = (Arc::clone(&tenancy), Arc::clone(&tenancy.cluster));
        // Whatever it says was acted on; a database that does not answer is asked again.
        let _ = cluster.wait(async move { asked.ask().await });
        let every = cluster.config().beat_every;
        drop((tenancy, cluster));
        std::thread::sleep(every);
    }
}

fn name(row: &OwnerRow) -> &str {
    if row.address.is_empty() { "another process" } else { &row.address }
}
