//! Engine time (S18): starts at the later of the wall clock and the last logged time, then runs by `CLOCK_BOOTTIME`.
//! A step of the wall clock while the server runs changes nothing; one at the start is reported.

use parking_lot::Mutex;
use stampede_actors::time::{Span, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// A difference between wall clock and log at the start is reported from here on.
pub const STEP_REPORTED: Span = Span::minutes(5);

/// Tells engine time. Never runs backwards.
pub trait Clock: Send + Sync {
    /// Engine time now.
    fn now(&self) -> Timestamp;

    /// Starts engine time over at the later of the wall clock and `last_logged`. Called once, when the log was read.
    fn resume(&self, last_logged: Timestamp) -> Resumed;
}

/// How the wall clock compared with the log when the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resumed {
    /// The wall clock was this far behind the last logged time, and that is over [`STEP_REPORTED`]: it was set back.
    pub behind: Option<Span>,
    /// The wall clock was this far ahead, and that is over [`STEP_REPORTED`]: downtime, or it was set forward.
    pub ahead: Option<Span>,
}

impl Resumed {
    fn compare(wall: Timestamp, last_logged: Timestamp) -> Resumed {
        let reported = |span: Span| (span > STEP_REPORTED).then_some(span);
        if last_logged == Timestamp::ZERO {
            return Resumed::default();
        }
        Resumed { behind: reported(last_logged.since(wall)), ahead: reported(wall.since(last_logged)) }
    }
}

/// The clock of a running server.
#[derive(Debug)]
pub struct BootClock {
    base: Mutex<Base>,
}

/// Engine time `at` was when `CLOCK_BOOTTIME` showed `boot`.
#[derive(Debug, Clone, Copy)]
struct Base {
    at: Timestamp,
    boot: i64,
}

impl Default for BootClock {
    fn default() -> BootClock {
        BootClock::new()
    }
}

impl BootClock {
    /// Engine time from the wall clock, until [`Clock::resume`] has seen the log.
    #[must_use]
    pub fn new() -> BootClock {
        BootClock { base: Mutex::new(Base { at: wall(), boot: boottime() }) }
    }
}

impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        let base = *self.base.lock();
        base.at.plus(Span(boottime() - base.boot))
    }

    fn resume(&self, last_logged: Timestamp) -> Resumed {
        let wall = wall();
        *self.base.lock() = Base { at: wall.max(last_logged), boot: boottime() };
        Resumed::compare(wall, last_logged)
    }
}

fn wall() -> Timestamp {
    // Before 1970 there is no engine time: such a clock is as good as none, and the log's own time takes over.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// Microseconds since boot, suspend included, for what does not run by engine time.
#[must_use]
pub fn boot_micros() -> i64 {
    boottime()
}

/// Microseconds since boot, suspend included.
fn boottime() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec, and the call keeps no reference to it.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(done, 0, "Linux has had CLOCK_BOOTTIME since 2.6.39");
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

/// A clock that stands still until it is told to move: for tests and the simulator.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
    wall: Mutex<Timestamp>,
}

impl ManualClock {
    /// Engine time and wall clock both stand at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> ManualClock {
        ManualClock { now: Mutex::new(now), wall: Mutex::new(now) }
    }

    /// Time passes, for the wall clock as well.
    pub fn advance(&self, span: Span) {
        let mut now = self.now.lock();
        *now = now.plus(span);
        let mut wall = self.wall.lock();
        *wall = wall.plus(span);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall: Timestamp) {
        *self.wall.lock() = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock()
    }

    fn resume(&self, last_logged: Timestamp) -> Resumed {
        let wall = *self.wall.lock();
        *self.now.lock() = wall.max(last_logged);
        Resumed::compare(wall, last_logged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_engine_time_never_starts_before_the_last_logged_time() {
        let hour = Span::hours(1);
        let last_logged = Timestamp(10 * hour.0);
        let clock = ManualClock::new(Timestamp(9 * hour.0));
        let resumed = clock.resume(last_logged);
        assert_eq!(clock.now(), last_logged);
        assert_eq!(resumed, Resumed { behind: Some(hour), ahead: None });
    }

    #[test]
    fn s18_a_wall_step_while_running_changes_nothing() {
        let clock = ManualClock::new(Timestamp(1_000));
        clock.resume(Timestamp(500));
        clock.set_wall(Timestamp(i64::MAX));
        assert_eq!(clock.now(), Timestamp(1_000));
    }

    #[test]
    fn a_new_log_reports_no_step() {
        assert_eq!(BootClock::new().resume(Timestamp::ZERO), Resumed::default());
    }

    #[test]
    fn the_boot_clock_resumes_after_the_log_and_moves_on() {
        let clock = BootClock::new();
        let future = wall().plus(Span::hours(2));
        let resumed = clock.resume(future);
        assert!(resumed.behind.is_some());
        let first = clock.now();
        assert!(first >= future);
        assert!(clock.now() >= first);
    }
}
