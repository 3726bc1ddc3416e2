//! What the projection's thread is given: frames from the log's thread, questions from others. Bounded.

use super::super::full::FullCheckpoint;
use super::Mark;
use crate::journal::{CommitListener, Committed, Stopped};
use parking_lot::{Condvar, Mutex};
use stampede_actors::record::Position;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Most records that wait here; frames beyond are read from the log.
const RECORDS_MAX: usize = 65_536;

/// Something to be answered.
pub enum Ask {
    Checkpoint(mpsc::Sender<Mark>),
    Full(mpsc::Sender<FullCheckpoint>),
}

/// See the module.
#[derive(Default)]
pub struct Inbox {
    work: Mutex<Work>,
    bell: Condvar,
}

/// What is to be done.
#[derive(Default)]
pub struct Work {
    /// In order; there may be gaps.
    pub frames: Vec<Arc<Committed>>,
    records: usize,
    /// How far the log is.
    pub head: Position,
    /// Somebody wants this much to be written.
    pub flush_to: Option<Position>,
    pub asks: Vec<Ask>,
    pub closed: bool,
    abandoned: bool,
    /// The thread has nothing to do and wants to be woken by a frame.
    asleep: bool,
}

impl Inbox {
    /// What has come. Waits `look_every` for company when frames keep coming, until `due` when none do.
    pub fn take(&self, look_every: Duration, due: Instant) -> Work {
        let mut work = self.work.lock();
        if !work.is_urgent() {
            self.bell.wait_for(&mut work, look_every);
        }
        while !work.is_urgent() && work.frames.is_empty() && Instant::now() < due {
            work.asleep = true;
            self.bell.wait_until(&mut work, due);
        }
        work.take()
    }

    /// What has come, without waiting.
    pub fn take_now(&self) -> Work {
        self.work.lock().take()
    }

    pub fn want_flush(&self, position: Position) {
        let mut work = self.work.lock();
        work.flush_to = work.flush_to.max(Some(position));
        self.bell.notify_all();
    }

    pub fn wake(&self) {
        self.want_flush(Position(0));
    }

    /// Dropped at once when the thread is gone, which its asker notices.
    pub fn ask(&self, ask: Ask) {
        let mut work = self.work.lock();
        if !work.abandoned {
            work.asks.push(ask);
            self.bell.notify_all();
        }
    }

    pub fn close(&self) {
        self.work.lock().closed = true;
        self.bell.notify_all();
    }

    /// Nobody takes anything from here any more.
    pub fn abandon(&self) {
        *self.work.lock() = Work { abandoned: true, ..Work::default() };
    }
}

impl Work {
    fn take(&mut self) -> Work {
        let (head, closed) = (self.head, self.closed);
        std::mem::replace(self, Work { head, closed, ..Work::default() })
    }

    fn is_urgent(&self) -> bool {
        self.closed || self.flush_to.is_some() || !self.asks.is_empty()
    }
}

impl CommitListener for Inbox {
    fn on_commit(&self, frame: &Arc<Committed>) {
        let mut work = self.work.lock();
        if work.abandoned {
            return;
        }
        work.head = frame.last();
        if work.records < RECORDS_MAX {
            work.records += frame.records.len();
            work.frames.push(Arc::clone(frame));
        }
        if std::mem::take(&mut work.asleep) {
            self.bell.notify_all();
        }
    }

    fn on_stopped(&self, _: &Stopped) {
        // What was committed is still to be taken in; whoever stops the process closes us.
        self.bell.notify_all();
    }
}
