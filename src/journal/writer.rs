//! Drives one log: makes frames, commits them, tells the listeners, and stops for good on the first error. A thread steps
//! it in production, a test by hand (S14).

use super::group::{GroupCommit, Next};
use super::{CommitListener, CommitLog, Config, Outcome, Queue, Stopped};
use crate::clock::Clock;
use stampede_actors::time::{Span, Timestamp};
use std::sync::Arc;

/// A full disk is looked at again after this long.
const RETRY: Span = Span::millis(50);

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A frame is committed. Step again.
    Committed,
    /// Nothing to do before `wake_at` records wait or it is `until`.
    Wait {
        /// So many records in the queue are enough.
        wake_at: u64,
        /// Engine time; `None`: nothing happens by itself.
        until: Option<Timestamp>,
    },
    /// No frame will be committed any more, for this reason.
    Stopped(Stopped),
}

/// The one who writes.
pub struct Writer {
    group: GroupCommit,
    log: Box<dyn CommitLog>,
    clock: Arc<dyn Clock>,
    listeners: Vec<Arc<dyn CommitListener>>,
    /// A frame is made and the disk has no room for it.
    held_up: bool,
    stopped: Option<Stopped>,
}

impl Writer {
    /// Writes to `log` what comes into `queue`. `listeners` hear of every frame, in this order.
    #[must_use]
    pub fn new(
        log: Box<dyn CommitLog>,
        queue: Arc<Queue>,
        config: &Config,
        clock: Arc<dyn Clock>,
        listeners: Vec<Arc<dyn CommitListener>>,
    ) -> Writer {
        let group = GroupCommit::new(queue, config, log.head(), !log.sealed(), clock.now());
        Writer { group, log, clock, listeners, held_up: false, stopped: None }
    }

    /// Does what there is to do.
    pub fn step(&mut self) -> Turn {
        self.turn(false)
    }

    /// Commits everything that waits, seals and closes the log. When that cannot be done, it says why.
    pub fn close(&mut self) -> Stopped {
        loop {
            match self.turn(true) {
                Turn::Committed => (),
                Turn::Stopped(why) => return why,
                Turn::Wait { .. } if self.held_up => {
                    return self.stop(Stopped::Failed("the disk is full: records are left uncommitted".to_owned()));
                }
                Turn::Wait { .. } => {
                    let why = match self.log.close() {
                        Ok(()) => Stopped::Cleanly,
                        Err(outcome) => stopped_by(outcome),
                    };
                    return self.stop(why);
                }
            }
        }
    }

    fn turn(&mut self, at_once: bool) -> Turn {
        if let Some(why) = &self.stopped {
            return Turn::Stopped(why.clone());
        }
        if !self.held_up {
            let now = self.clock.now();
            let next = if at_once { self.group.next_of_the_last(now) } else { self.group.next(now) };
            if let Next::Wait { wake_at, until } = next {
                return Turn::Wait { wake_at, until };
            }
        }
        match self.log.make_room(self.group.frame().frame_len()) {
            Ok(room) => self.held_up = !room,
            Err(outcome) => return Turn::Stopped(self.stop(stopped_by(outcome))),
        }
        if self.held_up {
            return Turn::Wait { wake_at: u64::MAX, until: Some(self.clock.now().plus(RETRY)) };
        }
        let outcome = self.log.commit(self.group.frame());
        match self.group.done(outcome, self.clock.now()) {
            Ok(committed) => {
                self.listeners.iter().for_each(|listener| listener.on_commit(&committed));
                Turn::Committed
            }
            Err(why) => Turn::Stopped(self.stop(why)),
        }
    }

    /// Gives up for good, whatever state it is in, and tells everybody who was not told yet.
    pub fn abandon(&mut self, why: &str) -> Stopped {
        match &self.stopped {
            Some(before) => before.clone(),
            None => self.stop(Stopped::Failed(why.to_owned())),
        }
    }

    fn stop(&mut self, why: Stopped) -> Stopped {
        self.group.stop(why.clone());
        self.stopped = Some(why.clone());
        self.listeners.iter().for_each(|listener| listener.on_stopped(&why));
        why
    }
}

fn stopped_by(outcome: Outcome) -> Stopped {
    match outcome {
        Outcome::Fenced(why) => Stopped::Fenced(why),
        Outcome::Unknown(why) => Stopped::Failed(why),
        Outcome::Committed { seq, .. } => Stopped::Failed(format!("frame {seq} is committed, and yet it stops")),
    }
}
