//! What the server of a life runs on, where it is not the simulated disk itself: its clock, its store, its bell.

use crate::books::Books;
use crate::outside::TrueTime;
use parking_lot::Mutex;
use stampede::clock::{Clock, Resumed};
use stampede::journal::{CommitListener, Committed, Queue, Stopped};
use stampede::store::{self, Batch, MemoryStore, Range, Read, Row, Store, Table};
use stampede_actors::journal::{Class, Journal, NoRoom};
use stampede_actors::record::{Position, Record};
use stampede_actors::time::{Span, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Engine time of one life: begins where the wall clock or the log says, and runs with the true time.
pub struct LifeClock {
    time: TrueTime,
    /// How far the wall clock is off.
    off: Span,
    /// Engine time ran from here, at that true time.
    base: Mutex<(Timestamp, Timestamp)>,
}

impl LifeClock {
    pub fn new(time: TrueTime, off: Span) -> LifeClock {
        let (wall, now) = (time.now().plus(off), time.now());
        LifeClock { time, off, base: Mutex::new((wall, now)) }
    }
}

impl Clock for LifeClock {
    fn now(&self) -> Timestamp {
        let (at, since) = *self.base.lock();
        at.plus(self.time.now().since(since))
    }

    fn resume(&self, last_logged: Timestamp) -> Resumed {
        let now = self.time.now();
        *self.base.lock() = (now.plus(self.off).max(last_logged), now);
        Resumed::default()
    }
}

/// The log's queue as the lanes know it, which notes when a record comes, and rings a bell for the writer.
pub struct Bell {
    pub queue: Arc<Queue>,
    pub books: Arc<Mutex<Books>>,
    pub rung: Arc<Notify>,
    /// Says of everything that it is committed.
    pub lies: bool,
}

impl Journal for Bell {
    fn room(&self, class: Class) -> Result<(), NoRoom> {
        self.queue.room(class)
    }

    fn append(&self, record: Record, rests_on: Position) -> Position {
        let position = self.queue.append(record, rests_on);
        self.books.lock().history.handed_over(position);
        position
    }

    fn committed(&self) -> Position {
        if self.lies { Position(u64::MAX) } else { self.queue.committed() }
    }

    fn stopped(&self) -> bool {
        self.queue.stopped()
    }

    fn kick(&self) {
        self.queue.kick();
        self.rung.notify_one();
    }
}

/// Hears of every frame before anybody else does.
pub struct Witness(pub Arc<Mutex<Books>>);

impl CommitListener for Witness {
    fn on_commit(&self, frame: &Arc<Committed>) {
        self.0.lock().published(frame);
    }

    fn on_stopped(&self, why: &Stopped) {
        self.0.lock().trace.line(format_args!("the log has stopped: {why:?}"));
    }
}

/// A store that may break at one of its writes.
pub struct FragileStore {
    pub store: Arc<MemoryStore>,
    /// Writes until it breaks; 0: it does not.
    pub breaks_in: AtomicU64,
    /// Says that it has synced, and has not.
    pub lies: bool,
    /// Every so many-th write is durable at once; 0: none is.
    pub durable_every: u64,
    pub writes: AtomicU64,
}

impl Read for FragileStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, store::Error> {
        self.store.get(table, key)
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, store::Error> {
        self.store.contains(table, key)
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, store::Error> {
        self.store.range(table, range)
    }
}

impl Store for FragileStore {
    fn write(&self, batch: &Batch) -> Result<(), store::Error> {
        let left = self.breaks_in.load(Ordering::Relaxed);
        if left > 0 {
            self.breaks_in.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                return Err(store::Error::Failed("it broke, as it was to".to_owned()));
            }
        }
        self.store.write(batch)
    }

    fn write_durably(&self, batch: &Batch) -> Result<bool, store::Error> {
        let write = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if self.durable_every == 0 || !write.is_multiple_of(self.durable_every) {
            return Ok(false);
        }
        self.write(batch)?;
        self.sync()?;
        Ok(true)
    }

    fn flush(&self) -> Result<(), store::Error> {
        self.store.flush()
    }

    fn sync(&self) -> Result<(), store::Error> {
        if self.lies { Ok(()) } else { self.store.sync() }
    }

    fn view(&self) -> Box<dyn Read> {
        self.store.view()
    }
}
