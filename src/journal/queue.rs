//! Records on their way to the log: any thread hands them over and learns their positions; the log's thread takes them.

use super::{Committed, Config, Vitals};
use parking_lot::{Condvar, Mutex};
use stampede_actors::journal::{Class, Journal, NoRoom};
use stampede_actors::record::{Position, Record};
use stampede_actors::time::Span;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The front of one log.
#[derive(Debug)]
pub struct Queue {
    pending: Mutex<Pending>,
    committed: AtomicU64,
    /// The log's thread wants to be woken when so many records wait. `u64::MAX`: it is awake.
    wake_at: AtomicU64,
    /// True: somebody rang and was not heard yet.
    rung: Mutex<bool>,
    bell: Condvar,
    vitals: Arc<Vitals>,
    records_max: u64,
    events_max: u64,
}

#[derive(Debug)]
struct Pending {
    records: Vec<Record>,
    next: Position,
}

impl Queue {
    /// The front of a log whose last record is at `head`.
    #[must_use]
    pub fn new(head: Position, config: &Config, vitals: Arc<Vitals>) -> Queue {
        Queue {
            pending: Mutex::new(Pending { records: Vec::new(), next: Position(head.0 + 1) }),
            committed: AtomicU64::new(head.0),
            wake_at: AtomicU64::new(u64::MAX),
            rung: Mutex::new(false),
            bell: Condvar::new(),
            vitals,
            records_max: config.queue_records as u64,
            events_max: config.queue_events as u64,
        }
    }

    /// Wakes the log's thread.
    pub fn wake(&self) {
        self.wake_at.store(u64::MAX, Ordering::SeqCst);
        *self.rung.lock() = true;
        self.bell.notify_one();
    }

    /// Sleeps until `wake_at` records wait, somebody calls [`Queue::wake`], or it is `until`.
    pub(super) fn sleep(&self, wake_at: u64, until: Option<Instant>) {
        let mut rung = self.rung.lock();
        self.wake_at.store(wake_at, Ordering::SeqCst);
        // A record handed over before the line above did not ring; one handed over after it will.
        if !*rung && self.vitals.waiting.load(Ordering::SeqCst) < wake_at {
            match until {
                Some(until) => drop(self.bell.wait_until(&mut rung, until)),
                None => self.bell.wait(&mut rung),
            }
        }
        *rung = false;
        self.wake_at.store(u64::MAX, Ordering::SeqCst);
    }

    /// Takes everything that waits; `into` must be empty and becomes the next place to wait.
    pub(super) fn take(&self, into: &mut Vec<Record>) {
        assert!(into.is_empty(), "records would be lost");
        std::mem::swap(&mut self.pending.lock().records, into);
    }

    /// Records handed over and not committed.
    pub(super) fn waiting(&self) -> u64 {
        self.vitals.waiting.load(Ordering::SeqCst)
    }

    /// Publishes a committed frame.
    pub(super) fn commit(&self, frame: &Committed) {
        let vitals = &self.vitals;
        let events: usize = frame.records.iter().map(|record| record.entries.len()).sum();
        vitals.waiting.fetch_sub(frame.records.len() as u64, Ordering::SeqCst);
        vitals.waiting_events.fetch_sub(events as u64, Ordering::Relaxed);
        vitals.frames.fetch_add(1, Ordering::Relaxed);
        vitals.records.fetch_add(frame.records.len() as u64, Ordering::Relaxed);
        vitals.seals.fetch_add(u64::from(frame.records.is_empty()), Ordering::Relaxed);
        self.committed.store(frame.last().0, Ordering::Release);
    }

    /// Notes how long a frame waited, and for how many.
    pub(super) fn paced(&self, want: u64, waited: Span) {
        self.vitals.pace_records.store(want, Ordering::Relaxed);
        self.vitals.pace_micros.store(micros(waited), Ordering::Relaxed);
    }

    /// Notes how long a write and sync took.
    pub(super) fn synced(&self, smoothed: Span, took: Span) {
        self.vitals.sync_micros.store(micros(smoothed), Ordering::Relaxed);
        self.vitals.sync_micros_total.fetch_add(micros(took), Ordering::Relaxed);
    }

    /// Takes no more.
    pub(super) fn stop(&self) {
        self.vitals.stopped.store(true, Ordering::Release);
    }
}

fn micros(span: Span) -> u64 {
    u64::try_from(span.0).unwrap_or_default()
}

impl Journal for Queue {
    fn room(&self, class: Class) -> Result<(), NoRoom> {
        if self.vitals.stopped.load(Ordering::Relaxed) {
            return Err(NoRoom::Stopped);
        }
        if self.vitals.shut(class) {
            return Err(NoRoom::DiskFull);
        }
        // Settlement has a quarter on top, so that buyers never crowd it out (S13).
        let quarters = match class {
            Class::Intake => 4,
            Class::Settle => 5,
        };
        let full = |waiting: &AtomicU64, max: u64| waiting.load(Ordering::Relaxed) >= max * quarters / 4;
        if full(&self.vitals.waiting, self.records_max) || full(&self.vitals.waiting_events, self.events_max) {
            return Err(NoRoom::Busy);
        }
        Ok(())
    }

    fn append(&self, record: Record, rests_on: Position) -> Position {
        debug_assert!(!record.entries.is_empty(), "a record has at least one event");
        let events = record.entries.len() as u64;
        let mut pending = self.pending.lock();
        let position = pending.next;
        // Before anything is counted or kept: whoever catches this may go on.
        assert!(rests_on < position, "S10: the record at {} rests on the one at {}", position.0, rests_on.0);
        self.vitals.waiting_events.fetch_add(events, Ordering::Relaxed);
        pending.next = Position(position.0 + 1);
        pending.records.push(record);
        // Counted before the lock goes, so that the log's thread never takes a record that is not counted.
        self.vitals.waiting.fetch_add(1, Ordering::SeqCst);
        position
    }

    fn committed(&self) -> Position {
        Position(self.committed.load(Ordering::Acquire))
    }

    fn stopped(&self) -> bool {
        self.vitals.stopped.load(Ordering::Acquire)
    }

    fn kick(&self) {
        if self.vitals.waiting.load(Ordering::SeqCst) >= self.wake_at.load(Ordering::SeqCst) {
            self.wake();
        }
    }
}
