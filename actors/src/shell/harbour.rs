//! The half of a lane that other threads may touch: its mail, and what wakes its pump.
//!
//! The order of the few steps here is all that keeps a wake-up from being lost (S12). So `tests/wakeups.rs` compiles this
//! very file with primitives of its own and tries how they interleave.

use super::sync::{AtomicBool, AtomicWaker, Mutex, Ordering, fence};
use std::task::Waker;

/// See the module. `T`: a piece of mail.
pub(super) struct Harbour<T> {
    pub(super) inbox: Mutex<Vec<T>>,
    /// The pump will run: nobody need wake it.
    pub(super) flag: AtomicBool,
    pub(super) waker: AtomicWaker,
    /// Replies wait here for a commit: the log thread wakes only lanes that have some.
    awaits_commit: AtomicBool,
}

impl<T> Default for Harbour<T> {
    fn default() -> Harbour<T> {
        Harbour {
            inbox: Mutex::new(Vec::new()),
            flag: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            awaits_commit: AtomicBool::new(false),
        }
    }
}

impl<T> Harbour<T> {
    /// Leaves mail and wakes the pump, once for much.
    pub(super) fn mail(&self, parcels: impl Iterator<Item = T>) {
        self.inbox.lock().extend(parcels);
        self.signal();
    }

    /// Makes the pump run soon.
    pub(super) fn signal(&self) {
        if !self.flag.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// Registers the pump, clears the wake flag, and only then empties the inbox (S12): what comes later sets the flag
    /// again and wakes the pump again.
    pub(super) fn collect(&self, waker: &Waker, into: &mut Vec<T>) {
        self.waker.register(waker);
        self.flag.store(false, Ordering::SeqCst);
        into.append(&mut self.inbox.lock());
    }

    /// Says whether the lane has replies that wait for a commit. Set before the lane looks at the committed position
    /// once more, so that no commit is missed in between.
    pub(super) fn set_awaits_commit(&self, awaits: bool) {
        self.awaits_commit.store(awaits, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The log has committed more, or has stopped: wakes those that wait for it. After the position was published.
    pub(super) fn committed(harbours: &[Harbour<T>]) {
        // Pairs with the fence in `set_awaits_commit`: either we see the flag, or the lane sees the commit.
        fence(Ordering::SeqCst);
        for harbour in harbours {
            if harbour.awaits_commit.load(Ordering::SeqCst) {
                harbour.signal();
            }
        }
    }
}
