//! The way of frames from the log's thread to the workflow thread: bounded, and it never waits.

use crate::journal::{CommitListener, Committed, Stopped};
use parking_lot::Mutex;
use stampede_actors::record::Position;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Most records that wait here; frames beyond are read from the log when there is room.
const RECORDS_MAX: usize = 65_536;

/// Listens to the log.
#[derive(Debug, Default)]
pub struct Inlet {
    frames: Mutex<Frames>,
    head: AtomicU64,
    stopped: AtomicBool,
    rung: AtomicBool,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Frames {
    queue: Vec<Arc<Committed>>,
    records: usize,
}

/// What has come in since the last look.
#[derive(Debug)]
pub struct Arrivals {
    /// In order; there may be gaps.
    pub frames: Vec<Arc<Committed>>,
    /// How far the log has come.
    pub head: Position,
    /// No frame will come any more.
    pub stopped: bool,
}

impl Inlet {
    /// An inlet to a log that ends at `head`.
    #[must_use]
    pub fn new(head: Position) -> Arc<Inlet> {
        Arc::new(Inlet { head: AtomicU64::new(head.0), ..Inlet::default() })
    }

    /// Takes what has come in. The wake flag is cleared before the queue is emptied, so that nothing is missed (S12).
    pub fn take(&self) -> Arrivals {
        self.rung.store(false, Ordering::SeqCst);
        let frames = {
            let mut frames = self.frames.lock();
            frames.records = 0;
            std::mem::take(&mut frames.queue)
        };
        let head = Position(self.head.load(Ordering::SeqCst));
        Arrivals { frames, head, stopped: self.stopped.load(Ordering::SeqCst) }
    }

    /// Returns when something may have come in.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Makes [`Inlet::rung`] return.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }
}

impl CommitListener for Inlet {
    fn on_commit(&self, frame: &Arc<Committed>) {
        if frame.records.is_empty() {
            return;
        }
        {
            let mut frames = self.frames.lock();
            // Once one was left out, the feed has a gap to fill from the log, and the rest comes from there as well.
            if frames.records < RECORDS_MAX {
                frames.records += frame.records.len();
                frames.queue.push(Arc::clone(frame));
            }
        }
        self.head.store(frame.last().0, Ordering::SeqCst);
        self.ring();
    }

    fn on_stopped(&self, _: &Stopped) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }
}
