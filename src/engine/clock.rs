//! Engine time for the actors, with the grace after a start (S18): nothing expires until the results that were waiting
//! are in, because a hold must not run out whose payment just succeeded.

use crate::clock;
use parking_lot::Mutex;
use stampede_actors::shell::Clock;
use stampede_actors::time::{Moment, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Not frozen.
const RUNNING: i64 = i64::MAX;

/// The clock of the shells.
pub struct EngineClock {
    clock: Arc<dyn clock::Clock>,
    /// Deadlines run out up to here only; [`RUNNING`]: up to now.
    deadlines_until: AtomicI64,
    thawed: Mutex<Option<Timestamp>>,
}

impl EngineClock {
    /// Starts with deadlines frozen at the last logged time.
    #[must_use]
    pub fn frozen(clock: Arc<dyn clock::Clock>, last_logged: Timestamp) -> EngineClock {
        EngineClock { clock, deadlines_until: AtomicI64::new(last_logged.0), thawed: Mutex::new(None) }
    }

    /// Lets deadlines run out again.
    pub fn thaw(&self) {
        self.deadlines_until.store(RUNNING, Ordering::Release);
        self.thawed.lock().get_or_insert(self.clock.now());
    }

    /// Since when deadlines run out; `None`: they do not yet.
    #[must_use]
    pub fn thawed_at(&self) -> Option<Timestamp> {
        *self.thawed.lock()
    }
}

impl Clock for EngineClock {
    fn moment(&self) -> Moment {
        let now = self.clock.now();
        Moment { now, overdue: now.min(Timestamp(self.deadlines_until.load(Ordering::Acquire))) }
    }
}
